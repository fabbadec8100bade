"""Linear systems of small matrices, unrolled; LiteRT has no kernels for them."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import reshaped, sizes_of, vector
from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32
LARGEST = 16
"""Rows of the largest matrix: an elimination takes about 15 operators for each."""


def matrix_inverse(b: Builder, x: Tensor, *, adjoint: bool = False) -> Tensor:
    """Return the inverses of square matrices."""
    rows = _rows(b, x)
    identity = b("BROADCAST_TO", np.eye(rows, dtype=F), vector(b, sizes_of(b, x)))
    return _eliminated(b, _maybe_transposed(b, x, adjoint), identity).solution


def matrix_solve(b: Builder, x: Tensor, y: Tensor, *, adjoint: bool = False) -> Tensor:
    """Solve `x` z = y for z."""
    _rows(b, x)
    return _eliminated(b, _maybe_transposed(b, x, adjoint), y).solution


def matrix_triangular_solve(
    b: Builder, x: Tensor, y: Tensor, *, lower: bool = True, adjoint: bool = False
) -> Tensor:
    """Solve `x` z = y, where only one triangle of `x` counts."""
    rows = _rows(b, x)
    kept = np.tri(rows, dtype=bool) if lower else np.tri(rows, dtype=bool).T
    triangle = b("SELECT_V2", kept, x, F(0))
    triangle = _maybe_transposed(b, triangle, adjoint)
    triangle, y = _for_each(b, triangle, y), _for_each(b, y, x)
    if triangle.shape[:-2] != y.shape[:-2]:
        raise UnsupportedError(f"batches {shaped(x.shape[:-2])} and {shaped(y.shape[:-2])}")
    return _eliminated(b, triangle, y).solution


def _for_each(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """Repeat `x`, if it is one matrix, for each matrix of `y`."""
    if x.rank > 2 or y.rank == 2:
        return x
    return b("BROADCAST_TO", x, vector(b, [*sizes_of(b, y)[:-2], *sizes_of(b, x)]))


def matrix_determinant(b: Builder, x: Tensor) -> Tensor:
    """Return the determinants of square matrices."""
    pivots = _pivots(b, x)
    return b("REDUCE_PROD", pivots, np.array([pivots.rank - 1], np.int32))


def log_matrix_determinant(b: Builder, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return signs and logarithms of the sizes of determinants."""
    pivots = _pivots(b, x)
    last = np.array([pivots.rank - 1], np.int32)
    sizes = b("SUM", b("LOG", b("ABS", pivots)), last)
    return b("REDUCE_PROD", b("SIGN", pivots), last), sizes


def _pivots(b: Builder, x: Tensor) -> Tensor:
    """Return the pivots [..., rows] of an elimination, with the signs of its exchanges."""
    rows = _rows(b, x)
    pivots = b("CONCATENATION", *_eliminated(b, x, None).pivots, axis=x.rank - 2)
    return reshaped(b, pivots, [*sizes_of(b, x)[:-2], rows])


def cholesky(b: Builder, x: Tensor) -> Tensor:
    """Return the lower triangular factors: `x` = L Lᵀ. Only the lower triangle of `x` counts."""
    rows = _rows(b, x)
    columns = []
    for j in range(rows):
        below = (np.arange(rows) >= j)[:, np.newaxis]
        column = b("SELECT_V2", below, _part(b, x, -1, j), F(0))
        column = b("MUL", column, b("RSQRT", _part(b, column, -2, j)))
        columns.append(column)
        if j < rows - 1:
            x = b("SUB", x, b("MUL", column, _maybe_transposed(b, column, True)))
    return b("CONCATENATION", *columns, axis=x.rank - 1)


def _rows(b: Builder, x: Tensor) -> int:
    rows = static_size(x, -1)
    if x.dtype != np.float32:
        raise UnsupportedError(f"{b.source.op_type} of {x.dtype}")
    if rows != static_size(x, -2) or rows > LARGEST:
        raise UnsupportedError(
            f"{b.source.op_type} of {x.shape[-2]} x {rows} matrices: "
            f"it is unrolled up to {LARGEST} rows"
        )
    return rows


@dataclass(frozen=True)
class _Elimination:
    """What Gauss-Jordan elimination finds: z of x z = y, and signed pivots [..., 1, 1]."""

    solution: Tensor
    pivots: list[Tensor]


def _eliminated(b: Builder, x: Tensor, y: Tensor | None) -> _Elimination:
    """Reduce [x y] to [1 z], exchanging rows so that each pivot is the largest of its column."""
    rows = static_size(x, -1)
    state = x if y is None else b("CONCATENATION", x, y, axis=x.rank - 1)
    numbers = np.arange(rows, dtype=np.int32)[:, np.newaxis]
    pivots = []
    for j in range(rows):
        sizes = b("SELECT_V2", numbers >= j, b("ABS", _part(b, state, -1, j)), F(-1))
        place = b("ARG_MAX", sizes, np.array(x.rank - 2, np.int32), output_type="INT32")
        chosen = b("EQUAL", reshaped(b, place, [*sizes_of(b, x)[:-2], 1, 1]), numbers)
        row = b("SUM", b("SELECT_V2", chosen, state, F(0)), _axis(x), keep_dims=True)
        exchanged = b("SELECT_V2", chosen, _part(b, state, -2, j), state)
        pivot = _part(b, row, -1, j)
        unit = b("DIV", row, pivot)
        cleared = b("SUB", exchanged, b("MUL", _part(b, exchanged, -1, j), unit))
        state = b("SELECT_V2", numbers == j, unit, cleared)
        stayed = _part(b, chosen, -2, j)
        pivots.append(b("SELECT_V2", stayed, pivot, b("NEG", pivot)))
    if y is None:
        return _Elimination(state, pivots)
    begin, size = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
    begin[-1] = rows
    return _Elimination(b("SLICE", state, begin, size), pivots)


def _axis(x: Tensor) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array([x.rank - 2], np.int32)


def _part(b: Builder, x: Tensor, axis: int, place: int) -> Tensor:
    """Row or column `place`, with its dimension kept."""
    begin, size = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
    begin[axis], size[axis] = place, 1
    return b("SLICE", x, begin, size)


def _maybe_transposed(b: Builder, x: Tensor, swap: bool) -> Tensor:
    order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
    return b.transpose(x, order) if swap else x
