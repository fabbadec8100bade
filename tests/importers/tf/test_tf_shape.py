"""Shapes: changed, read, filled; and batch-dynamic graphs, whose shapes become constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_close, assert_op, const, graph, model_of, node, placeholder, results

from tqconv.errors import UnsupportedError

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
I32, I64 = np.int32, np.int64

CASES: list[tuple[str, list[Any], Any, dict[str, Any]]] = [
    ("Reshape", [X, np.array([4, -1], I64)], X.reshape(4, 6), {"constants": [1]}),
    ("Reshape", [X, np.array([4, 6], I32)], X.reshape(4, 6), {}),
    ("Reshape", [X[:1, :1, :1], np.zeros(0, I32)], X[0, 0, 0], {"constants": [1]}),
    ("Squeeze", [X[:1, :, :1]], X[0, :, 0], {}),
    ("Squeeze", [X[:1, :, :1]], X[:1, :, 0], {"squeeze_dims": [-1]}),
    ("ExpandDims", [X, np.array(-2, I64)], X[:, :, None], {"constants": [1]}),
    ("ExpandDims", [X, np.array(1, I32)], X[:, None], {"constants": [1], "dynamic": True}),
    ("Shape", [X], np.array([2, 3, 4], I64), {"out_type": I64, "dynamic": True}),
    ("ShapeN", [X, X[0]], (np.array([2, 3, 4], I32), np.array([3, 4], I32)), {"dynamic": True}),
    ("Size", [X], np.array(24, I64), {"out_type": I64, "dynamic": True}),
    ("Size", [X], np.array(24, I32), {}),
    ("Rank", [X], np.array(3, I32), {"dynamic": True}),
    ("EnsureShape", [X], X, {"shape": (None, 3, 4), "dynamic": True}),
    ("BroadcastTo", [X[:1], np.array([2, 3, 4], I64)], np.stack([X[0], X[0]]), {}),
    ("BroadcastTo", [X, np.array([2, 3, 4], I32)], X, {"constants": [1]}),
    ("BroadcastArgs", [np.array([3, 1], I32), np.array([2, 1, 4], I32)],
     np.array([2, 3, 4], I32), {}),
    ("Fill", [np.array([2, 3], I64), np.array(7, I32)], np.full((2, 3), 7, I32),
     {"index_type": I64}),
    ("Empty", [np.array([2, 3], I32)], np.zeros((2, 3), I64), {"dtype": I64, "init": True}),
    ("BroadcastGradientArgs", [np.array([2, 1, 3], I32), np.array([1, 3], I32)],
     (np.array([1], I32), np.array([0, 1], I32)), {"constants": [0, 1]}),
    ("BroadcastGradientArgs", [np.array([1, 3], I64), np.array([1, 3], I64)],
     (np.zeros(0, I64), np.zeros(0, I64)), {"constants": [0, 1]}),
    ("VariableShape", [X], np.array([2, 3, 4], I64), {"out_type": I64, "dynamic": True}),
    ("VariableShape", [X], np.array([2, 3, 4], I32), {"constants": [0]}),
    ("Range", [np.array(9, I32), np.array(1, I32), np.array(-3, I32)],
     np.array([9, 6, 3], I32), {}),
    ("ConcatOffset", [np.array(1, I32), np.array([2, 3], I32), np.array([2, 5], I32)],
     (np.array([0, 0], I32), np.array([0, 3], I32)), {"constants": [0], "shape_type": I32}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "operands", "expected", "more"), CASES)
def test_shape_operators(op: str, operands: list[Any], expected: Any, more: dict[str, Any]) -> None:
    assert_op(op, operands, expected, **more)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_lin_space_with_a_computed_count(count: int) -> None:
    start, stop = np.float32(1), np.float32(-3)
    expected = np.linspace(1, -3, count).astype(np.float32)
    # start + step * i: two roundings of numbers up to 4.
    assert_op("LinSpace", [start, stop, np.array(count, I32)], expected, atol=2**-21)


def test_squeeze_without_axes_needs_known_sizes() -> None:
    message = graph(placeholder("x", np.float32, (None, 1)), node("y", "Squeeze", "x"))
    with pytest.raises(UnsupportedError, match="which sizes of"):
        model_of(message, ["y"])


def flattened(*shape_parts: Any, before: str = "x") -> Any:
    """Return a graph that reshapes `before` to [Shape(x)[0], *shape_parts]."""
    zero, one = const("zero", np.array([0], I32)), const("one", np.array([1], I32))
    parts = [const(f"part{i}", np.array(part, I32)) for i, part in enumerate(shape_parts)]
    names = [f"part{i}" for i in range(len(parts))]
    return graph(
        placeholder("x", np.float32, (None, 3, 4)),
        *(zero, one, *parts),
        node("shape", "Shape", "x"),
        node("batch", "StridedSlice", "shape", "zero", "one", "one", shrink_axis_mask=1),
        node("sizes", "Pack", "batch", *names, axis=0),
        node("relu", "Relu", "x"),
        node("doubled", "AddV2", "relu", "x"),
        node("perm", "Const", dtype=np.dtype(I32), value=np.array([0, 2, 1], I32)),
        node("turned", "Transpose", "doubled", "perm"),
        const("limit", np.array([1_200], I32)),
        node("cut", "StridedSlice", "doubled", "zero", "limit", "one", begin_mask=1),
        node("y", "Reshape", before, "sizes"),
    )


@pytest.mark.parametrize("parts", [(12,), (-1,), (2, 6), (2, -1)])
@pytest.mark.parametrize("before", ["x", "relu", "doubled", "turned"])
def test_a_shape_with_the_batch_of_the_operand_becomes_a_constant(
    parts: tuple[int, ...], before: str
) -> None:
    message = flattened(*parts, before=before)
    model = model_of(message, ["y"])
    (reshape,) = [op for op in model.main.ops if op.type == "RESHAPE"]
    assert reshape.input(1).data is not None
    assert reshape.input(1).data[0] == -1
    assert not any(op.type in ("SHAPE", "PACK") for op in model.main.ops)
    assert model.main.outputs[0].shape[0] is None
    assert model.main.outputs[0].is_static is False
    value = {"x": X, "relu": X, "doubled": 2 * X, "turned": 2 * X.transpose(0, 2, 1)}[before]
    for (measured,) in results(message, {"x": X}, ["y"]):
        assert_close(measured, value.reshape(2, *parts))


def test_a_shape_with_another_batch_stays_computed() -> None:
    """The batch of the second input need not be that of the first: -1 is not known."""
    message = graph(
        placeholder("x", np.float32, (None, 12)),
        placeholder("z", np.float32, (None, 5)),
        const("zero", np.array([0], I32)),
        const("one", np.array([1], I32)),
        const("rest", np.array(-1, I32)),
        node("shape", "Shape", "z"),
        node("batch", "StridedSlice", "shape", "zero", "one", "one", shrink_axis_mask=1),
        node("sizes", "Pack", "batch", "rest", axis=0),
        node("y", "Reshape", "x", "sizes"),
    )
    x, z = np.arange(24, dtype=np.float32).reshape(2, 12), np.zeros((6, 5), np.float32)
    for (measured,) in results(message, {"x": x, "z": z}, ["y"]):
        assert_close(measured, x.reshape(6, 4))


def test_a_bounded_slice_does_not_keep_the_batch() -> None:
    """1200 rows at most: the batch of what is left is that of the operand for small inputs only."""
    model = model_of(flattened(-1, before="cut"), ["y"])
    assert any(op.type == "SHAPE" for op in model.main.ops)
