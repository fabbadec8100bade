"""Linear systems against numpy in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op, model_of, one_op
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
F = np.float32
# Condition numbers of the matrices below stay under 100: 100 float32 roundings of results near 1.
ROUNDED = {"rtol": 1e-5, "atol": 1e-5}


def matrices(shape: tuple[int, ...]) -> Array:
    """Well-conditioned matrices whose pivots are not in order."""
    rng = np.random.default_rng(8)
    x = rng.uniform(-0.3, 0.3, shape) + np.eye(shape[-1])
    return np.roll(x, 1, -2).astype(F)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 3), (2, 2, 5, 5)], ids=str)
def test_systems(shape: tuple[int, ...]) -> None:
    x = matrices(shape)
    y = np.random.default_rng(9).uniform(-1, 1, (*shape[:-1], 2)).astype(F)
    exact = x.astype(np.float64)
    inverse, solution = np.linalg.inv(exact).astype(F), np.linalg.solve(exact, y).astype(F)
    for op in ("MatrixInverse", "BatchMatrixInverse"):
        assert_op(op, [x], inverse, **ROUNDED)
    want = np.linalg.inv(np.swapaxes(exact, -1, -2)).astype(F)
    assert_op("MatrixInverse", [x], want, adjoint=True, **ROUNDED)
    for op in ("MatrixSolve", "BatchMatrixSolve"):
        assert_op(op, [x, y], solution, **ROUNDED)
    sign, size = np.linalg.slogdet(exact)
    for op in ("MatrixDeterminant", "BatchMatrixDeterminant"):
        assert_op(op, [x], np.asarray(sign * np.exp(size), F), **ROUNDED)
    assert_op("LogMatrixDeterminant", [x], (np.asarray(sign, F), np.asarray(size, F)), **ROUNDED)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_only_one_triangle_counts(lower: bool, adjoint: bool) -> None:
    x = np.roll(matrices((2, 4, 4)), -1, -2)
    triangle = (np.tril if lower else np.triu)(x).astype(np.float64)
    y = np.random.default_rng(9).uniform(-1, 1, (2, 4, 3)).astype(F)
    want = np.linalg.solve(np.swapaxes(triangle, -1, -2) if adjoint else triangle, y).astype(F)
    options = {"lower": lower, "adjoint": adjoint}
    for op in ("MatrixTriangularSolve", "BatchMatrixTriangularSolve"):
        assert_op(op, [x, y], want, **options, **ROUNDED)


def test_one_triangle_or_one_right_side_stands_for_each_of_a_batch() -> None:
    """As in Gaussian processes: one factor of a covariance, and the points of each example."""
    triangles = np.tril(np.roll(matrices((3, 4, 4)), -1, -2))
    sides = np.random.default_rng(9).uniform(-1, 1, (3, 4, 2)).astype(F)
    for x, y, constant in ((triangles[0], sides, 0), (triangles, sides[0], 1)):
        want = np.linalg.solve(x.astype(np.float64), y).astype(F)
        for fixed in ([], [constant]):
            options = {"constants": fixed, "lower": True, **ROUNDED}
            open_sizes = fixed == [0]
            assert_op("MatrixTriangularSolve", [x, y], want, dynamic=open_sizes, **options)


def test_factors() -> None:
    half = matrices((2, 5, 5)).astype(np.float64)
    x = half @ np.swapaxes(half, -1, -2)
    want = np.linalg.cholesky(x).astype(F)
    for op in ("Cholesky", "BatchCholesky"):
        assert_op(op, [np.tril(x).astype(F)], want, **ROUNDED)


def test_large_matrices_are_refused() -> None:
    message = one_op("MatrixInverse", matrices((40, 40)))[0]
    with pytest.raises(UnsupportedError, match="unrolled up to 16 rows"):
        model_of(message)
