"""Dimensions that an operator leaves alone are collapsed where its kernel takes fewer."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph
from tqconv.ops.emit import emit
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.legal.ranks import (
    collapse_joined,
    collapse_padded,
    collapse_permuted,
    collapse_reduced,
    collapse_reversed,
    collapse_rows,
)

STAGE = Stage(
    "ranks",
    (
        collapse_padded,
        collapse_joined,
        collapse_reduced,
        collapse_reversed,
        collapse_permuted,
        collapse_rows,
    ),
)
DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
SHAPE = (2, 3, 1, 2, 2, 3, 2)
X = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)


def amounts(**padded: tuple[int, int]) -> np.ndarray:
    """Return paddings of seven dimensions; `d3=(1, 2)` pads dimension 3."""
    return np.array([padded.get(f"d{axis}", (0, 0)) for axis in range(7)], np.int32)


PADDINGS = {
    "one axis": (amounts(d6=(1, 2)), 1),
    "neighbours": (amounts(d2=(1, 2), d3=(0, 1), d4=(1, 0)), 1),
    "apart": (amounts(d1=(1, 2), d3=(0, 1), d5=(1, 0)), 2),
    "all": (np.ones((7, 2), np.int32), 2),
}


@DELEGATES
@pytest.mark.parametrize("name", PADDINGS)
def test_padding_of_seven_dimensions(name: str, delegate: bool) -> None:
    pads, steps = PADDINGS[name]
    graph = Graph("main")
    x = graph.add_input("x", SHAPE, np.dtype(np.float32))
    graph.outputs.append(emit(graph, "PADV2", x, pads, np.float32(-1), name="y"))
    run_stage(STAGE, graph, check=True)
    made = [op for op in graph.ops if op.type == "PADV2"]
    assert len(made) == steps
    assert all(op.input(0).rank <= 5 for op in made)
    (got,) = run_litert(graph, [X], delegate)
    np.testing.assert_array_equal(got, np.pad(X, pads, constant_values=-1))


@DELEGATES
@pytest.mark.parametrize("axis", [0, 3, 6])
def test_joining_and_splitting_seven_dimensions(axis: int, delegate: bool) -> None:
    graph = Graph("main")
    x = graph.add_input("x", SHAPE, np.dtype(np.float32))
    joined = emit(graph, "CONCATENATION", x, x, name="joined", axis=axis)
    parts = emit(graph, "SPLIT", np.array(axis, np.int32), joined, name="parts", num_splits=2)
    graph.outputs += [joined, *parts]
    run_stage(STAGE, graph, check=True)
    assert all(op.input(1).rank <= 3 for op in graph.ops if op.type != "RESHAPE")
    measured = run_litert(graph, [X], delegate)
    for got, want in zip(measured, [np.concatenate([X, X], axis), X, X], strict=True):
        np.testing.assert_array_equal(got, want)


def test_computed_paddings_of_many_dimensions_are_an_error() -> None:
    graph = parse("""x: f32[1,1,1,1,1,2], p: i32[6,2] -> y
        y = PAD(x, p)""")
    with pytest.raises(UnsupportedError, match="takes at most 5 dimensions"):
        run_stage(STAGE, graph)


@DELEGATES
@pytest.mark.parametrize("keep_dims", [True, False])
@pytest.mark.parametrize(
    ("type", "axes"),
    [
        ("SUM", [1, 2]),
        ("MEAN", [-1]),
        ("REDUCE_MAX", [0, 1, 2, 3, 4, 5, 6]),
        ("REDUCE_MIN", [3, 6]),
    ],
)
def test_reducing_seven_dimensions(
    type: str, axes: list[int], keep_dims: bool, delegate: bool
) -> None:
    """The delegate fails to prepare more than six, and with it the whole model."""
    graph = Graph("main")
    x = graph.add_input("x", SHAPE, np.dtype(np.float32))
    y = emit(graph, type, x, np.array(axes, np.int32), name="y", keep_dims=keep_dims)
    graph.outputs.append(y)
    run_stage(STAGE, graph, check=True)
    function = {"SUM": np.sum, "MEAN": np.mean, "REDUCE_MAX": np.max, "REDUCE_MIN": np.min}[type]
    (got,) = run_litert(graph, [X], delegate)
    np.testing.assert_allclose(got, function(X, tuple(axes), keepdims=keep_dims), rtol=1e-6)


@DELEGATES
def test_rows_of_seven_dimensions(delegate: bool) -> None:
    graph = Graph("main")
    x = graph.add_input("x", SHAPE, np.dtype(np.float32))
    w, b = np.array([[1, 2], [3, 4], [5, 6]], np.float32), np.ones(3, np.float32)
    graph.outputs += [
        emit(graph, "SOFTMAX", x, name="s", beta=0.5),
        emit(graph, "FULLY_CONNECTED", x, w, b, name="d", keep_num_dims=True),
        emit(graph, "FULLY_CONNECTED", x, w, b, name="f"),
    ]
    run_stage(STAGE, graph, check=True)
    small = X / X.max()
    soft, dense, flat = run_litert(graph, [small], delegate)
    wanted = np.exp(small / 2)
    np.testing.assert_allclose(soft, wanted / wanted.sum(-1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(dense, small @ w.T + b, rtol=1e-5)
    np.testing.assert_allclose(flat, (small @ w.T + b).reshape(-1, 3), rtol=1e-5)


MANY = (2, 3, 1, 2, 2, 1, 2, 2, 3, 2, 1, 2)
Y = np.arange(np.prod(MANY), dtype=np.float32).reshape(MANY)


@DELEGATES
@pytest.mark.parametrize("keep_dims", [True, False])
@pytest.mark.parametrize("type", ["SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize("first", [0, 1])
def test_reducing_every_other_of_twelve_dimensions(
    type: str, first: int, keep_dims: bool, delegate: bool
) -> None:
    axes = tuple(range(first, 12, 2))
    graph = Graph("main")
    x = graph.add_input("x", MANY, np.dtype(np.float32))
    y = emit(graph, type, x, np.array(axes, np.int32), name="y", keep_dims=keep_dims)
    graph.outputs.append(y)
    run_stage(STAGE, graph, check=True)
    function = {"SUM": np.sum, "MEAN": np.mean, "REDUCE_MAX": np.max, "REDUCE_MIN": np.min}[type]
    (got,) = run_litert(graph, [Y], delegate)
    np.testing.assert_allclose(got, function(Y, axes, keepdims=keep_dims), rtol=1e-6)


@DELEGATES
@pytest.mark.parametrize("axes", [(0,), (3, 4, 5), tuple(range(12)), (11, 10)])
def test_reversing_twelve_dimensions(axes: tuple[int, ...], delegate: bool) -> None:
    graph = Graph("main")
    x = graph.add_input("x", MANY, np.dtype(np.float32))
    graph.outputs.append(emit(graph, "REVERSE_V2", x, np.array(axes, np.int32), name="y"))
    run_stage(STAGE, graph, check=True)
    (got,) = run_litert(graph, [Y], delegate)
    np.testing.assert_array_equal(got, np.flip(Y, axes))


@DELEGATES
@pytest.mark.parametrize("seed", range(12))
def test_permuting_many_dimensions(seed: int, delegate: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.choice([1, 2, 2, 3], int(rng.integers(9, 13)))
    perm = rng.permutation(shape.size) if seed > 1 else np.arange(shape.size)[::-1]
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    graph = Graph("main")
    x = graph.add_input("x", data.shape, np.dtype(np.float32))
    graph.outputs.append(emit(graph, "TRANSPOSE", x, perm.astype(np.int32), name="y"))
    run_stage(STAGE, graph, check=True)
    assert all(op.input(0).rank <= 8 for op in graph.ops if op.type == "TRANSPOSE")
    (got,) = run_litert(graph, [data], delegate)
    np.testing.assert_array_equal(got, data.transpose(perm))


def test_an_order_of_many_dimensions_that_is_computed_is_an_error() -> None:
    graph = Graph("main")
    x = graph.add_input("x", MANY, np.dtype(np.float32))
    places = graph.add_input("places", (12,), np.dtype(np.int32))
    graph.outputs.append(emit(graph, "TRANSPOSE", x, places, name="y"))
    with pytest.raises(UnsupportedError, match="TRANSPOSE takes at most 8 dimensions, and"):
        run_stage(STAGE, graph)


def test_an_update_of_many_dimensions_is_refused() -> None:
    """LiteRT loads it, and stops the first run."""
    graph = Graph("main")
    x = graph.add_input("x", MANY, np.dtype(np.float32))
    with pytest.raises(UnsupportedError, match="DYNAMIC_UPDATE_SLICE takes at most 8 dimensions"):
        emit(graph, "DYNAMIC_UPDATE_SLICE", x, Y[:1], np.zeros(12, np.int32), name="y")
