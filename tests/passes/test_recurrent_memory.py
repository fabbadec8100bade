"""States of recurrent layers, whose memory LiteRT sizes before a model runs."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from written_out import (
    CELLS,
    FLOAT,
    INPUTS,
    KERNELS,
    MANY,
    ROWS,
    TIME,
    B,
    Builder,
    R,
    W,
    check,
    lstm,
    sigmoid,
)

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES


def test_a_layer_beside_a_variable_is_fused_or_stays() -> None:
    """What stores something makes no size."""
    graph = Graph("main")
    x = graph.add_input("x", (None, TIME, INPUTS), FLOAT)
    b = Builder(graph)
    h = from_fill(x, b)
    handle = b("VAR_HANDLE", container="", shared_name="seed")
    b("ASSIGN_VARIABLE", handle, np.ones(2, np.float32))
    graph.outputs = [h]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert "ASSIGN_VARIABLE" in [op.type for op in graph.ops]


def zeros(b: Builder, x: Tensor, cells: int, value: float = 0.0) -> Tensor:
    """Zeros [rows of x, cells], as sources spell them."""
    place, one = np.array([0], np.int32), np.array([1], np.int32)
    rows = b("STRIDED_SLICE", b("SHAPE", x, out_type="INT32"), place, one, one, shrink_axis_mask=1)
    sizes = b("PACK", rows, np.array(cells, np.int32), values_count=2)
    filled: Tensor = b("FILL", sizes, np.array(value, np.float32))
    return filled


def from_fill(x: Tensor, b: Builder, value: float = 0.0) -> Tensor:
    h, c = zeros(b, x, CELLS, value), zeros(b, x, CELLS, value)
    for part in b("UNPACK", x, num=TIME, axis=1):
        h, c = lstm(b, part, h, c, joined=False)
    result: Tensor = b("NEG", h)
    return result


def by_rows(x: np.ndarray, value: float = 0.0) -> np.ndarray:
    h = c = np.full((len(x), CELLS), value, np.float32)
    for step in range(TIME):
        i, g, f, o = np.split(x[:, step] @ W.T + h @ R.T + B, 4, 1)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    return -h


def test_nothing_is_computed_to_size_a_state() -> None:
    """Sources size states by steps that they run for that alone, and states by others."""
    graph = Graph("main")
    b = Builder(graph)
    x = graph.add_input("x", (None, TIME, INPUTS), FLOAT)
    parts = b("UNPACK", x, num=TIME, axis=1)
    h = zeros(b, b("EXP", parts[0]), CELLS)
    c = zeros(b, b("SIN", h), CELLS)
    for part in parts:
        h, c = lstm(b, part, h, c, joined=False)
    graph.outputs = [b("NEG", h)]
    types = check(graph, [MANY[:3]], [by_rows(MANY[:3])])
    assert not {"EXP", "SIN"} & set(types)
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in types


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_states_of_an_open_batch_are_sized_before_the_model_runs(
    kind: OpResolverType, value: float
) -> None:
    graph = Graph("main")
    graph.outputs = [
        from_fill(graph.add_input("x", (None, TIME, INPUTS), FLOAT), Builder(graph), value)
    ]
    model = Model([graph])
    run_stages(model, FLOAT_STAGES, check=True)
    assert [op.type for op in graph.ops].count("UNIDIRECTIONAL_SEQUENCE_LSTM") == 1
    states = [t.name for op in graph.ops for t in op.outputs if t.variable]
    interpreter = Interpreter(
        model_content=bytes(serialize(model)), experimental_op_resolver_type=kind
    )
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for rows in (ROWS, 2, 7):
        interpreter.resize_tensor_input(entry["index"], (rows, TIME, INPUTS))
        interpreter.allocate_tensors()
        sizes = {d["name"]: tuple(d["shape"]) for d in interpreter.get_tensor_details()}
        assert [sizes[name] for name in states] == [(rows, CELLS)] * 2
        for _ in range(2):
            interpreter.set_tensor(entry["index"], MANY[:rows])
            interpreter.invoke()
            have = interpreter.get_tensor(result["index"])
            np.testing.assert_allclose(have, by_rows(MANY[:rows], value), rtol=0, atol=2e-6)


@pytest.mark.parametrize("is_before", [True, False])
def test_steps_stay_where_the_rows_are_counted_while_the_model_runs(is_before: bool) -> None:
    """A WHERE on the way to the states, or elsewhere in the graph, decides when LiteRT knows."""
    graph = Graph("main")
    b = Builder(graph)
    x = graph.add_input("x", (None, TIME, INPUTS), FLOAT)
    first = b(
        "STRIDED_SLICE",
        x,
        *(np.array(v, np.int32) for v in ([0] * 3, [0, 1, 1], [1] * 3)),
        begin_mask=1,
        end_mask=1,
        shrink_axis_mask=6,
    )
    places = b("WHERE", b("GREATER", first, np.array(0, np.float32)))
    chosen = b(
        "GATHER",
        x,
        b(
            "RESHAPE",
            b("CAST", places, in_data_type="INT64", out_data_type="INT32"),
            np.array([-1], np.int32),
        ),
        axis=0,
    )
    if is_before:
        graph.outputs = [from_fill(chosen, b)]
        want = [by_rows(MANY[MANY[:, 0, 0] > 0])]
    else:
        graph.outputs = [b("NEG", chosen), from_fill(x, b)]
        want = [-MANY[MANY[:, 0, 0] > 0], by_rows(MANY)]
    model = Model([graph])
    run_stages(model, FLOAT_STAGES, check=True)
    assert not [op for op in graph.ops if op.type.startswith("UNIDIRECTIONAL")]
    for kind in KERNELS:
        interpreter = Interpreter(
            model_content=bytes(serialize(model)), experimental_op_resolver_type=kind
        )
        entry = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(entry["index"], MANY.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], MANY)
        interpreter.invoke()
        for detail, values in zip(interpreter.get_output_details(), want, strict=True):
            have = interpreter.get_tensor(detail["index"])
            np.testing.assert_allclose(have, values, rtol=0, atol=2e-6)
