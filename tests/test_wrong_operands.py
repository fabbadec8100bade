"""Random operators with random wrong operands: `emit` names the node, or LiteRT takes the file."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from arrays import stored
from hypothesis import given, settings
from hypothesis import strategies as st
from op_example import Example
from test_table import EXAMPLES

from tqconv.errors import UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import STRING, Source
from tqconv.ops.emit import emit
from tqconv.ops.table import spec
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES

NODE = Source("model.pb", "y", "Node")
TYPES = (np.float32, np.float64, np.int8, np.uint8, np.int16, np.int32, np.int64, np.bool_)
LOWER = [stage for stage in STAGES if stage.name == "lower"]


def wrong(example: Example, rng: random.Random) -> Example:
    """Return the example with an operand or an option that may not fit."""
    operands, options = list(example.operands), dict(example.options)
    constants = set(example.constants)
    index = rng.randrange(len(operands))
    array = operands[index]
    how = rng.randrange(8)
    if how == 0 and options:
        name = rng.choice(sorted(options))
        if isinstance(options[name], int):
            options[name] = rng.choice([-2, -1, 0, 1, 2, 3, 100])
    elif how == 1:
        operands[index] = None
    elif array is None or array.dtype == STRING:
        return example
    elif how == 2:
        operands[index] = array.real.astype(rng.choice(TYPES))
    elif how == 3:
        operands[index] = rng.choice([array[None], array.reshape(-1)])
    elif how == 4 and array.size:
        operands[index] = array.reshape(-1)[:1].reshape(())
    elif how == 5 and array.ndim:
        axis = rng.randrange(array.ndim)
        operands[index] = np.concatenate([array, array.take([-1], axis)], axis)
    elif how == 6 and array.ndim:
        axis = rng.randrange(array.ndim)
        operands[index] = array.take(range(array.shape[axis] - 1), axis)
    elif how == 7:
        constants ^= {index}
    arrays = tuple(None if a is None else np.asarray(a) for a in operands)
    return dataclasses.replace(
        example, operands=arrays, options=options, constants=frozenset(constants)
    )


def is_right(example: Example) -> bool:
    """Whether `emit` or the target refuse the operator and say where, or LiteRT takes it."""
    graph = Graph("main")
    inputs: list[Any] = []
    for index, array in enumerate(example.operands):
        if array is None or index in example.constants:
            inputs.append(array)
        elif index in example.states:
            inputs.append(Tensor(f"state{index}", array.shape, array.dtype, variable=True))
        else:
            inputs.append(graph.add_input(f"input{index}", array.shape, array.dtype))
    try:
        made = emit(graph, example.type, *inputs, name="y", source=NODE, **example.options)
        graph.outputs = list(made) if isinstance(made, tuple) else [made]
        model = Model([graph])
        run_stages(model, LOWER)
        content = bytes(serialize(model))
    except UnsupportedError as error:
        return error.where is not None
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    return True


@given(st.sampled_from(EXAMPLES), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_wrong_operands_are_refused_or_right_for_litert(example: Example, seed: int) -> None:
    assert is_right(wrong(example, random.Random(seed)))


X = np.zeros((2, 3), np.float32)
NONE = np.zeros(0, np.int32)
IMAGE, FILTER = np.zeros((1, 4, 4, 2), np.float32), np.zeros((3, 3, 3, 2), np.float32)


@pytest.mark.parametrize(
    ("type", "operands", "options", "words"),
    [
        ("REVERSE_V2", (X, [0, 0]), {}, "name one twice"),
        ("PAD", (X, [[1, 0, 0], [1, 1, 0]]), {}, "has shape"),
        ("STRIDED_SLICE", (X, [0, 0], [1], [1, 1]), {"offset": True}, "has shape"),
        ("STRIDED_SLICE", (X, [0, 0], [1, 1], [1, 1]), {"ellipsis_mask": 3}, "one ellipsis"),
        ("ONE_HOT", ([0, 1], 3, 1.0, 0.0), {"axis": -2}, "an axis of -2"),
        ("SOFTMAX", (np.float32(1),), {"beta": 1.0}, "no last axis"),
        ("PRELU", (np.float32(1), [1.0, 2.0]), {}, "has shape"),
        ("ADD_N", (X,), {}, "one tensor"),
        ("MATRIX_DIAG", (np.float32(1),), {}, "the diagonal of a scalar"),
        ("CONCATENATION", (X, None, X), {"axis": 0}, "operand `xs1` .* is missing"),
        ("MUL", (None, X), {}, "operand `a` of MUL is missing"),
        (
            "TRANSPOSE_CONV",
            ([1, 9, 9, 3], FILTER, IMAGE),
            {"stride_h": 2, "stride_w": 2},
            "sizes 5 and 4 should be equal",
        ),
        (
            "TRANSPOSE_CONV",
            ([1, 8, 8, 3], FILTER, IMAGE),
            {"stride_h": -2, "stride_w": 2},
            "not positive",
        ),
        (
            "DEPTHWISE_CONV_2D",
            (IMAGE, FILTER[:1, ..., :2], None),
            {"stride_h": 1, "stride_w": 1},
            "`b`",
        ),
        ("RESIZE_BILINEAR", (IMAGE, NONE), {}, "holds 0 numbers, not 2"),
        ("TILE", (IMAGE, NONE), {}, "holds 0 numbers, not 4"),
        ("SLICE", (IMAGE, [0] * 4, [1]), {}, "holds 1 number, not 4"),
        ("BATCH_TO_SPACE_ND", (IMAGE, [1, 1], [[0, -1], [0, 0]]), {}, "crops"),
    ],
)
def test_operands_that_do_not_fit_are_said(
    type: str, operands: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    graph = Graph("main")
    first = next(i for i, o in enumerate(operands) if o is not None and np.ndim(o) != 1)
    arrays: list[Any] = [None if o is None else stored(o) for o in operands]
    if isinstance(arrays[first], np.ndarray) and arrays[first].dtype == np.float32:
        arrays[first] = graph.add_input("x", arrays[first].shape, arrays[first].dtype)
    with pytest.raises(UnsupportedError, match=words) as caught:
        emit(graph, type, *arrays, name="y", source=NODE, **options)
    assert caught.value.where == NODE


def test_strings_are_gathered_from_a_list_alone() -> None:
    graph = Graph("main")
    words = graph.add_input("words", (2, 3), np.dtype(object))
    with pytest.raises(UnsupportedError, match="strings are gathered from a list"):
        emit(graph, "GATHER", words, np.array([1], np.int32), name="y", axis=0)


@pytest.mark.parametrize("place", [1, 5, 8, 13, 15])
def test_a_gate_of_an_lstm_is_whole(place: int) -> None:
    example = next(e for e in EXAMPLES if e.type == "UNIDIRECTIONAL_SEQUENCE_LSTM")
    operands = tuple(None if i == place else a for i, a in enumerate(example.operands))
    with pytest.raises(UnsupportedError, match=r"the operand `.*` of .* (is missing|does not go)"):
        dataclasses.replace(example, operands=operands).build(Graph("main"))


def test_a_basic_lstm_takes_rows() -> None:
    example = next(e for e in EXAMPLES if e.options.get("kernel_type") == "BASIC")
    x, *others = example.operands
    assert x is not None
    assert spec(example.type).operands.names[0] == "x"
    with pytest.raises(UnsupportedError, match="has rank 3, the kernel takes 2"):
        dataclasses.replace(example, operands=(x[None], *others)).build(Graph("main"))
