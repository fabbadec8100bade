"""Arithmetic on sparse tensors, against dense arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op, model_of, one_op

I64, F32 = np.int64, np.float32
X = np.array([[0, 2, 0, -1], [0, 0, 0, 0], [3, 0, 0.5, 0]], F32)
Y = np.array([[1, -2, 0, 0], [0, 0, 0, 0], [0, 0, -4, 0.25]], F32)
D = np.arange(12, dtype=F32).reshape(3, 4) - 5


def sparse(x: Any) -> list[Any]:
    """Return places, values and shape of what is not 0, in the order of rows."""
    places = np.argwhere(x)
    return [places.astype(I64), x[tuple(places.T)], np.array(x.shape, I64)]


def union(x: Any, *masks: Any) -> tuple[Any, Any]:
    """Return the places where a mask is true, and what `x` holds there."""
    places = np.argwhere(np.any(masks, 0))
    return places.astype(I64), x[tuple(places.T)]


@pytest.mark.parametrize("constants", [(), (0, 1, 2), (2,)])
@pytest.mark.parametrize("adjoint", [(False, False), (True, False), (False, True), (True, True)])
def test_product_with_a_dense_matrix(constants: tuple[int, ...], adjoint: Any) -> None:
    a, b = (X.T if adjoint[0] else X), D.T[:, :2]
    b = np.ascontiguousarray(b if not adjoint[0] else D[:, :2])
    given = np.ascontiguousarray(b.T) if adjoint[1] else b
    flags = {"adjoint_a": adjoint[0], "adjoint_b": adjoint[1]}
    wanted = a @ b
    operands = [*sparse(X), given]
    assert_op("SparseTensorDenseMatMul", operands, wanted, rtol=1e-6, constants=constants, **flags)


def test_a_large_constant_matrix_is_not_spread_out() -> None:
    places = np.array([[0, 5], [399, 7], [399, 9]], I64)
    operands = [places, np.array([1, 2, 3], F32), np.array([400, 400], I64), np.ones((400, 2), F32)]
    message, feeds = one_op("SparseTensorDenseMatMul", *operands, constants=[0, 1, 2])
    model = model_of(message, ["y"], feeds)
    assert max(t.size for op in model.main.ops for t in op.inputs if t.is_constant) < 100
    wanted = np.zeros((400, 2), F32)
    wanted[0], wanted[399] = 1, 5
    assert_op("SparseTensorDenseMatMul", operands, wanted, constants=[0, 1, 2])


@pytest.mark.parametrize("constants", [(2,), ()])
def test_elements_in_the_order_of_rows(constants: tuple[int, ...]) -> None:
    places, values, shape = sparse(X)
    mixed = [2, 0, 3, 1]
    operands = [places[mixed], values[mixed], shape]
    assert_op("SparseReorder", operands, (places, values), constants=constants)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("constants", [(4, 5), ()])
def test_sparse_tensors_side_by_side(axis: int, constants: tuple[int, ...]) -> None:
    other = Y if axis else Y[:2]
    operands = [t for pair in zip(sparse(X), sparse(other), strict=True) for t in pair]
    wanted = tuple(sparse(np.concatenate([X, other], axis)))
    assert_op("SparseConcat", operands, wanted, constants=constants, concat_dim=axis, N=2)


def test_a_part_of_a_sparse_tensor() -> None:
    operands = [*sparse(X), np.array([1, 1], I64), np.array([5, 2], I64)]
    assert_op("SparseSlice", operands, tuple(sparse(X[1:, 1:3])), constants=[2, 3, 4])


@pytest.mark.parametrize("threshold", [0, 1.5])
def test_sums_keep_what_reaches_the_threshold(threshold: float) -> None:
    total = X + Y
    there = ((X != 0) | (Y != 0)) & (np.abs(total) >= threshold)
    operands = [*sparse(X), *sparse(Y), np.array(threshold, F32)]
    wanted = (*union(total, there), np.array(X.shape, I64))
    assert_op("SparseAdd", operands, wanted, constants=[2, 5, 6])


@pytest.mark.parametrize("op", ["SparseSparseMaximum", "SparseSparseMinimum"])
def test_extremes_of_two(op: str) -> None:
    larger = (np.maximum if "Max" in op else np.minimum)(X, Y)
    wanted = union(larger, X != 0, Y != 0)
    assert_op(op, [*sparse(X), *sparse(Y)], wanted, constants=[2, 5])


def test_sparse_and_dense() -> None:
    places, values, _ = sparse(X)
    there = tuple(places.T)
    assert_op("SparseTensorDenseAdd", [*sparse(X), D], X + D, constants=[2])
    row = np.array([2, 4, 5, -3], F32)
    for op, wanted in {
        "SparseDenseCwiseAdd": values + row[there[1]],
        "SparseDenseCwiseMul": values * row[there[1]],
        "SparseDenseCwiseDiv": values / row[there[1]],
    }.items():
        assert_op(op, [*sparse(X), row], wanted, rtol=1e-6, constants=[2])


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("axes", [[0], [-1], [0, 1]])
def test_reductions(axes: list[int], keep: bool) -> None:
    negative = -np.abs(X)
    masked = np.ma.masked_equal(negative, 0)
    along = tuple(axes)
    operands = [*sparse(negative), np.array(axes, np.int32)]
    flags = {"constants": [2, 3], "keep_dims": keep}
    assert_op("SparseReduceSum", operands, negative.sum(along, keepdims=keep), rtol=1e-6, **flags)
    largest = np.asarray(np.ma.filled(masked.max(along, keepdims=keep), 0), F32)
    assert_op("SparseReduceMax", operands, largest, **flags)


def test_shares_of_the_elements_of_a_row() -> None:
    places, values, _ = sparse(X)
    shares = np.exp(values)
    for row in range(len(X)):
        shares[places[:, 0] == row] /= shares[places[:, 0] == row].sum()
    assert_op("SparseSoftmax", sparse(X), shares, rtol=1e-5, constants=[2])
