"""Matrices: diagonals, bands and vector products.

Rearrangements are one GATHER by a constant map over the flattened matrices, followed by a RESHAPE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, inserted, operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.match import is_zero

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)
Map = NDArray[np.int32]
ALIGNMENTS = ("LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT")


def of_diagonals(
    b: Builder,
    diagonals: Tensor,
    low: int,
    high: int,
    sizes: tuple[int, int],
    padding: Tensor,
    align: str = ALIGNMENTS[0],
) -> Tensor:
    """Matrices with these diagonals, the lowest and highest of which have these numbers.

    sizes: rows and columns, -1: as few as there can be; `align`: see `diagonal_places`.
    """
    if (low, high) == (0, 0) and sizes == (-1, -1) and is_zero(padding):
        return b("MATRIX_DIAG", diagonals)
    longest = static_size(diagonals, -1)
    rows, columns = _sizes(longest, low, high, *sizes)
    if (low, high) == (0, 0) and rows == columns and is_zero(padding):
        return b("MATRIX_DIAG", diagonals)
    b.pay(rows * columns, "diagonals")
    places = diagonal_places(rows, columns, low, high, align)
    count = places.shape[0] * places.shape[1]
    taken = np.full(rows * columns, count, np.int32)
    for index, place in enumerate(places.reshape(-1)):
        if place >= 0:
            taken[place] = index
    batch = sizes_of(b, diagonals)[: diagonals.rank - (1 if low == high else 2)]
    flat = reshaped(b, diagonals, [*batch, count])
    return _gathered(b, flat, taken, padding, [*batch, rows, columns])


def _sizes(longest: int, low: int, high: int, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns where -1 leaves them open."""
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    elif rows == -1:
        rows = least_rows
    elif columns == -1:
        columns = least_columns
    return rows, columns


def diagonals_of(
    b: Builder, x: Tensor, low: int, high: int, padding: Tensor, align: str = ALIGNMENTS[0]
) -> Tensor:
    """The diagonals from number `low` to `high`, the highest first."""
    if low == high == 0 and None in x.shape[-2:]:
        return _main_diagonal(b, x)
    rows, columns = static_size(x, -2), static_size(x, -1)
    b.pay(2 * (high - low + 1) * min(rows, columns), "diagonals")
    places = diagonal_places(rows, columns, low, high, align)
    taken = np.where(places < 0, rows * columns, places).astype(np.int32)
    batch = sizes_of(b, x)[:-2]
    flat = reshaped(b, x, [*batch, rows * columns])
    shape = places.shape if low != high else places.shape[1:]
    return _gathered(b, flat, taken.reshape(-1), padding, [*batch, *shape])


def _main_diagonal(b: Builder, x: Tensor) -> Tensor:
    """The main diagonal of matrices whose sizes are open: one of columns + 1 elements."""
    *batch, rows, columns = sizes_of(b, x)
    flat = reshaped(b, x, [*batch, calculate(b, "MUL", rows, columns)])
    steps = b("RANGE", ZERO, operand(calculate(b, "MINIMUM", rows, columns)), ONE)
    places = b("MUL", steps, operand(calculate(b, "ADD", columns, 1)))
    return b("GATHER", flat, places, axis=x.rank - 2)


def with_diagonals(
    b: Builder, x: Tensor, diagonals: Tensor, low: int, high: int, align: str = ALIGNMENTS[0]
) -> Tensor:
    """`x` with other diagonals from number `low` to `high`."""
    if low == high == 0:
        return b("MATRIX_SET_DIAG", x, diagonals)
    rows, columns = static_size(x, -2), static_size(x, -1)
    b.pay(rows * columns, "diagonals")
    places = diagonal_places(rows, columns, low, high, align)
    taken = np.arange(rows * columns, dtype=np.int32)
    for index, place in enumerate(places.reshape(-1)):
        if place >= 0:
            taken[place] = rows * columns + index
    batch = sizes_of(b, x)[:-2]
    both = b(
        "CONCATENATION",
        reshaped(b, x, [*batch, rows * columns]),
        reshaped(b, diagonals, [*batch, places.size]),
        axis=x.rank - 2,
    )
    return reshaped(b, b("GATHER", both, taken, axis=x.rank - 2), sizes_of(b, x))


def diagonal_places(rows: int, columns: int, low: int, high: int, align: str) -> Map:
    """Return where each element of the stored diagonals lies in the flat matrix; -1: padding.

    [high - low + 1, longest]; the first row is diagonal `high`. `align` says where superdiagonals
    (first word) and subdiagonals (second word) stand in their rows.
    """
    if not (-rows < low <= high < columns or rows == 0 or columns == 0):
        raise UnsupportedError(f"diagonals {low} to {high} of a {rows} x {columns} matrix")
    lengths = {d: min(rows + min(d, 0), columns - max(d, 0)) for d in range(low, high + 1)}
    longest = max(lengths.values())
    places = np.full((high - low + 1, longest), -1, np.int32)
    upper, lower = align.split("_")
    for d, length in lengths.items():
        side = upper if d >= 0 else lower
        start = longest - length if side == "RIGHT" else 0
        steps = np.arange(length)
        places[high - d, start : start + length] = (
            (steps + max(-d, 0)) * columns + steps + max(d, 0)
        )
    return places


def _gathered(b: Builder, flat: Tensor, taken: Map, padding: Tensor, shape: list[Any]) -> Tensor:
    """Take elements of the last dimension; one past its end stands for the padding."""
    size = static_size(flat, -1)
    if (taken == size).any():
        amounts = np.zeros((flat.rank, 2), np.int32)
        amounts[-1, 1] = 1
        flat = b("PADV2", flat, amounts, b.reshape(padding, ()))
    return reshaped(b, b("GATHER", flat, taken, axis=flat.rank - 1), shape)


def band(b: Builder, x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Zero outside a band: `lower` below and `upper` above the diagonal, all when negative."""
    rows, columns = (b("RANGE", ZERO, operand(size_of(b, x, axis)), ONE) for axis in (-2, -1))
    below = b("SUB", inserted(b, rows, 1), inserted(b, columns, 0))
    inside = b(
        "LOGICAL_AND",
        _within(b, below, b.cast(lower, INT32)),
        _within(b, b("NEG", below), b.cast(upper, INT32)),
    )
    return b("SELECT_V2", inside, x, np.array(0, x.dtype))


def _within(b: Builder, distance: Tensor, limit: Tensor) -> Tensor:
    return b("LOGICAL_OR", b("LESS", limit, ZERO), b("LESS_EQUAL", distance, limit))


def as_diagonal(b: Builder, x: Tensor) -> Tensor:
    """A tensor of twice the rank with `x` on its diagonal."""
    matrix = b("MATRIX_DIAG", reshaped(b, x, [-1]) if x.rank != 1 else x)
    return reshaped(b, matrix, [*sizes_of(b, x), *sizes_of(b, x)])


def diagonal_of(b: Builder, x: Tensor) -> Tensor:
    """The diagonal of a tensor whose first half of dimensions equals the second."""
    half = sizes_of(b, x)[: x.rank // 2]
    count = int(np.prod([static_size(x, axis) for axis in range(x.rank // 2)]))
    flat = reshaped(b, x, [count * count])
    return reshaped(
        b, b("GATHER", flat, np.arange(count, dtype=np.int32) * (count + 1), axis=0), half
    )


def cross(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """The vector product along a last dimension of three."""
    turned = [[b("GATHER", t, np.array(p, INT32), axis=t.rank - 1) for t in (x, y)] for p in _TURNS]
    (x1, y1), (x2, y2) = turned
    return b("SUB", b("MUL", x1, y2), b("MUL", x2, y1))


_TURNS = ([1, 2, 0], [2, 0, 1])
