"""Tensors without elements: what is made of them, for every row."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from arrays import stored
from conftest import run_litert
from graph_text import parse
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from op_example import Example
from test_table import EXAMPLES

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import inserted, removed
from tqconv.errors import UnsupportedError
from tqconv.importers.borders import add_output
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.ops.empty import is_empty
from tqconv.ops.operands import is_data
from tqconv.ops.table import spec
from tqconv.passes.driver import run_stage
from tqconv.passes.pipeline import STAGES

INF, NAN = np.inf, np.nan
FLOAT = np.dtype(np.float32)


def made(type: str, *operands: Any, dtype: Any = np.float32, **options: Any) -> Tensor:
    """Emit an operator; a tuple is the shape of an input of the graph, a list a constant."""
    graph = Graph("main")
    tensors = [
        graph.add_input(f"x{i}", o, np.dtype(dtype)) if isinstance(o, tuple) else stored(o)
        for i, o in enumerate(operands)
    ]
    y = emit(graph, type, *tensors, name="y", **options)
    assert not graph.ops
    result: Tensor = y[0] if isinstance(y, tuple) else y
    return result


@pytest.mark.parametrize(
    ("type", "real", "whole"),
    [
        ("SUM", 0.0, 0),
        ("REDUCE_PROD", 1.0, 1),
        ("REDUCE_MAX", -INF, -(2**31)),
        ("REDUCE_MIN", INF, 2**31 - 1),
        ("MEAN", NAN, 0),
    ],
)
def test_a_reduction_of_nothing_is_where_it_starts(type: str, real: float, whole: int) -> None:
    for dtype, start in ((np.float32, real), (np.int32, whole)):
        y = made(type, (2, 0, 3), [1], dtype=dtype)
        np.testing.assert_array_equal(y.data, np.full((2, 3), start, dtype))


def test_logic_of_nothing() -> None:
    assert not made("REDUCE_ANY", (2, 0), [1], dtype=np.bool_).data.any()
    assert made("REDUCE_ALL", (2, 0), [1], dtype=np.bool_).data.all()


@pytest.mark.parametrize(
    ("type", "operands", "options", "result"),
    [
        ("BATCH_MATMUL", ((2, 0), (0, 3)), {}, np.zeros((2, 3))),
        ("FULLY_CONNECTED", ((2, 0), (2, 0), [1.0, -5.0]), {}, [[1.0, -5.0]] * 2),
        ("PADV2", ((2, 0), [[0, 0], [1, 1]], [7.0]), {}, np.full((2, 2), 7.0)),
        ("SCATTER_ND", ([[0]][:0], (0, 2), [3, 2]), {}, np.zeros((3, 2))),
        ("UNSORTED_SEGMENT_PROD", ((0, 2), [1][:0], 2), {}, np.ones((2, 2))),
    ],
)
def test_what_is_made_of_nothing(
    type: str, operands: tuple[Any, ...], options: dict[str, Any], result: Any
) -> None:
    if type == "SCATTER_ND":
        operands = (np.empty((0, 1), np.int32), *operands[1:])
    if type == "UNSORTED_SEGMENT_PROD":
        operands = (operands[0], np.empty(0, np.int32), operands[2])
    np.testing.assert_array_equal(made(type, *operands, **options).data, np.float32(result))


def test_the_place_of_an_extreme_among_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="among no elements"):
        made("ARG_MAX", (2, 0), 1, output_type="INT32")


@pytest.mark.parametrize(
    "statement",
    [
        "y = REVERSE_V2(x, [0])",
        "y = LOG_SOFTMAX(x)",
        "y, v = UNPACK(x) {num=2, axis=0}",
        "y = STRIDED_SLICE(x, [-7, 0], [9, 0], [1, 1])",
        "y = TILE(x, [2, 2])",
        "y = RANDOM_UNIFORM([2, 0])",
        "y = BATCH_MATMUL(x, f32[0,0])",
    ],
)
def test_no_operator_makes_a_result_without_elements(statement: str) -> None:
    graph = parse(f"x: f32[2,0] -> z\n{statement}\nz = RELU(y)")
    assert not graph.ops
    assert graph.outputs[0].data is not None
    assert graph.outputs[0].size == 0


def test_what_is_joined_has_elements() -> None:
    graph = parse(
        """
        x: f32[2,0], w: f32[2,3], v: f32[2,1] -> z
        y = CONCATENATION(x, w, v, x) {axis=1}
        z = RELU(y)
        """
    )
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    assert [t.name for t in graph.ops[0].inputs if t is not None] == ["w", "v"]
    w, v = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    inputs = {"x": np.ones((2, 0), np.float32), "w": w, "v": v}
    np.testing.assert_array_equal(run_litert(graph, inputs)[0], np.ones((2, 4)))


def test_an_operator_that_a_file_holds_is_dropped_too() -> None:
    graph = parse("x: f32[2,3] -> y, z\ny = RELU(x)\nz = REVERSE_V2(x, [0])")
    for tensor in graph.tensors():
        if not tensor.is_constant:
            tensor.shape = (2, 0)
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    assert not graph.ops
    assert [(t.name, t.shape, t.is_constant) for t in graph.outputs] == [
        ("y", (2, 0), True),
        ("z", (2, 0), True),
    ]


@pytest.mark.parametrize(
    ("statement", "axis"),
    [
        ("SLICE(x, [0,0,0], [-1,0,2])", 1),
        ("SLICE(x, [0,1,0], [-1,0,-1])", 1),
        ("STRIDED_SLICE(x, [0,1,0], [0,1,2], [1,1,1]) {end_mask=1}", 1),
        ("STRIDED_SLICE(x, [0,2,1], [0,2,9], [1,1,1]) {end_mask=1, shrink_axis_mask=4}", 1),
        ("STRIDED_SLICE(x, [0,2,0], [9,2,0], [1,1,1]) {ellipsis_mask=1, new_axis_mask=4}", 2),
        ("STRIDED_SLICE(x, [0,2,0], [0,-1,0], [1,2,1]) {end_mask=1, shrink_axis_mask=4}", 1),
    ],
)
def test_no_elements_of_an_unknown_number_of_rows(statement: str, axis: int) -> None:
    graph = parse(f"x: f32[?,3,4] -> y\ny = {statement}")
    wanted = graph.outputs[0].shape
    assert wanted[axis] == 0
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    assert graph.outputs[0].shape == wanted
    for rows in (2, 1):
        shape = tuple(rows if d is None else d for d in wanted)
        for delegate in (True, False):
            (y,) = run_litert(graph, [np.ones((rows, 3, 4), np.float32)], delegate)
            assert y.shape == shape


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("y, z = UNPACK(e) {num=2, axis=1}", [(3, 0), (3, 0)]),
        ("y = SOFTMAX(e) {beta=1.0}\nz = LOG_SOFTMAX(e)", [(3, 2, 0), (3, 2, 0)]),
        ("y = REVERSE_V2(e, [0])\nz = NEG(e)", [(3, 2, 0)]),
        ("y = CONCATENATION(e, f32[1,2,0], f32[4,2,0]) {axis=0}\nz = NEG(e)", [(8, 2, 0)]),
    ],
)
def test_what_reads_no_elements_of_rows(statement: str, rows: list[tuple[int, ...]]) -> None:
    text = f"x: f32[?,2,3] -> y, z\ne = SLICE(x, [0,0,0], [-1,2,0])\n{statement}"
    graph = parse(text)
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    for delegate in (True, False):
        made = run_litert(graph, [np.ones((3, 2, 3), np.float32)], delegate)
        assert [y.shape for y in made][: len(rows)] == rows


@pytest.mark.parametrize(
    ("inputs", "product", "shapes"),
    [
        ("x: f32[?,2,0]", "BATCH_MATMUL(x, f32[0,3])", [(5, 2, 0)]),
        ("x: f32[?,2,0]", "BATCH_MATMUL(x, f32[4,0,3])", [(4, 2, 0)]),
        ("x: f32[?,2,0], w: f32[?,0,?]", "BATCH_MATMUL(x, w)", [(5, 2, 0), (5, 0, 3)]),
        ("x: f32[?,2,0], w: f32[?,0,3]", "BATCH_MATMUL(x, w)", [(1, 2, 0), (5, 0, 3)]),
        ("x: f32[?,0,?]", "BATCH_MATMUL(x, f32[3,0]) {adj_x=true, adj_y=true}", [(5, 0, 2)]),
        ("x: f32[?,0,4]", "BATCH_MATMUL(x, f32[4,3])", [(5, 0, 4)]),
    ],
)
def test_products_of_an_unknown_number_of_nothing(
    inputs: str, product: str, shapes: list[tuple[int, ...]]
) -> None:
    graph = parse(f"{inputs} -> z\ny = {product}\nz = NEG(y)")
    adjoint = "adj_x" in product
    given_ = [np.zeros(shape, np.float32) for shape in shapes]
    other = given_[1] if len(given_) > 1 else np.zeros(graph.ops[0].input(1).shape, np.float32)
    left = given_[0].swapaxes(1, 2) if adjoint else given_[0]
    want = np.matmul(left, other.swapaxes(-1, -2) if adjoint else other)
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    for delegate in (True, False):
        (y,) = run_litert(graph, given_, delegate)
        np.testing.assert_array_equal(y, want)


def test_no_size_is_guessed_from_no_elements() -> None:
    """LiteRT reshapes to [-1,0] with one row, however many there are."""
    text = "x: f32[?,2,3] -> z\ny = STRIDED_SLICE(x, [-1,0,0], [0,0,1], [-1,1,1])"
    graph = parse(f"{text}\nz = TRANSPOSE(y, [0,2,1])")
    for stage in STAGES:
        run_stage(stage, graph, check=True)
    for rows in (1, 3):
        for delegate in (True, False):
            (z,) = run_litert(graph, [np.ones((rows, 2, 3), np.float32)], delegate)
            assert z.shape == (rows - 1, 1, 0)
    graph = Graph("main")
    b = Builder(graph, Source("t", "y", "ExpandDims"), "y")
    e = b("TRANSPOSE", graph.add_input("x", (None, 2, 0), FLOAT), np.array([2, 0, 1], np.int32))
    graph.outputs[:] = [removed(b, inserted(b, e, 1, 3), 3)]
    (z,) = run_litert(graph, [np.ones((3, 2, 0), np.float32)])
    assert z.shape == (0, 1, 3, 2)
    with pytest.raises(UnsupportedError, match="does not follow from no elements"):
        parse("x: f32[?,2] -> y\ny = RESHAPE(x, [-1,0])")


def test_an_output_of_open_size_without_elements_is_copied() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (None, 2, 0), FLOAT)
    for name in ("y", "z"):
        add_output(graph, x, name, FLOAT)
    for delegate in (True, False):
        for got in run_litert(graph, [np.ones((3, 2, 0), np.float32)], delegate):
            assert got.shape == (3, 2, 0)


def emptied(example: Example, size: int) -> Example:
    """Return the example with every dimension of this size in its data made 0."""
    row = spec(example.type)
    operands = list(example.operands)
    for index, array in enumerate(operands):
        if array is not None and is_data(row, index):
            cut = tuple(slice(0, 0) if n == size else slice(None) for n in array.shape)
            operands[index] = array[cut]
    return dataclasses.replace(example, operands=tuple(operands))


PURE = [e for e in EXAMPLES if spec(e.type).pure and e.type not in ("SHAPE", "RANK")]


@seed(20_240_801)
@settings(max_examples=200, deadline=None, database=None)
@given(st.sampled_from(PURE), st.integers(1, 6))
def test_litert_runs_what_is_left_of_any_operator(example: Example, size: int) -> None:
    graph = Graph("main")
    case = emptied(example, size)
    try:
        outputs = case.build(graph)
    except UnsupportedError:
        return  # TensorFlow refuses it too: dimensions that no longer agree
    assert all(t.is_constant for t in outputs if is_empty(t.shape)) or len(outputs) > 1
    computed = [t for t in outputs if not t.is_constant]
    if not computed:
        return
    graph.outputs[:] = computed
    for delegate in (True, False):
        measured = run_litert(graph, case.arrays(), delegate)
        assert [a.shape for a in measured] == [t.shape for t in computed]
