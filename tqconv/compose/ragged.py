"""Ragged tensors: rows of values one after the other, and where each row begins or whose it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64
from tqconv.compose.sizes import (
    Size,
    calculate,
    element,
    inserted,
    operand,
    size_of,
    sizes_of,
    vector,
    wide_vector,
)
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)


@dataclass(frozen=True)
class Rows:
    """A partition of values into `count` rows: where each begins, and how long it is; int32."""

    starts: Tensor
    lengths: Tensor
    count: Size


def by_splits(b: Builder, splits: Tensor) -> Rows:
    """Return the rows whose ends are given: 0 first, the number of values last."""
    splits = b.cast(splits, INT32)
    starts = along(b, splits, 0, None, -1)
    lengths = b("SUB", along(b, splits, 0, 1, None), starts)
    return Rows(starts, lengths, calculate(b, "SUB", size_of(b, splits, 0), 1))


def by_lengths(b: Builder, lengths: Tensor, count: Size) -> Rows:
    """Return rows of some lengths."""
    return Rows(b("CUMSUM", lengths, ZERO, exclusive=True), lengths, count)


def by_numbers(b: Builder, numbers: Tensor, count: Size) -> Rows:
    """Return `count` rows, given the number of each value's row."""
    ones = b("FILL", b.shape_of(numbers), ONE)
    lengths = b("UNSORTED_SEGMENT_SUM", ones, b.cast(numbers, INT32), operand(count))
    return by_lengths(b, lengths, count)


def value_count(b: Builder, rows: Rows) -> Size:
    """Return how many values there are: as many as rows of the next dimension."""
    total: Tensor = b("SUM", rows.lengths, np.array([0], INT32))
    return total if total.data is None else int(total.data)


def splits_of(b: Builder, rows: Rows, dtype: np.dtype) -> Tensor:
    """Return where rows begin, and where the last one ends."""
    ends = b("CUMSUM", rows.lengths, ZERO)
    splits: Tensor = b("PAD", ends, np.array([[1, 0]], INT32))
    return b.cast(splits, dtype)


def places(b: Builder, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the number of each value's row, and its place in the row."""
    values = b("RANGE", ZERO, operand(value_count(b, rows)), ONE)
    ends = b("CUMSUM", rows.lengths, ZERO)
    before = b("LESS_EQUAL", inserted(b, ends, 0), inserted(b, values, 1))
    numbers = b("SUM", b.cast(before, INT32), np.array([1], INT32))
    return numbers, b("SUB", values, b("GATHER", rows.starts, numbers, axis=0))


def dense(
    b: Builder, values: Tensor, partitions: Sequence[Rows], wanted: Sequence[Size], default: Tensor
) -> Tensor:
    """Return values as a tensor whose rows are filled up with a default, or cut.

    partitions: the outermost first; wanted: the sizes of the dimensions that they make, -1 for as
    many as there are.
    """
    for rows, size in zip(reversed(partitions), reversed(wanted[1:]), strict=True):
        values = _filled(b, values, rows, size, default)
    count = partitions[0].count
    if wanted[0] in (-1, count):
        return values
    return _with_rows(b, values, _given(b, wanted[0], operand(count)), default)


def _filled(b: Builder, values: Tensor, rows: Rows, wanted: Size, default: Tensor) -> Tensor:
    """Gather [rows, columns, …] from the values and one default behind them."""
    most = operand(_given(b, wanted, _longest(b, rows)))
    steps = inserted(b, b("RANGE", ZERO, most, ONE), 0)
    taken = b("ADD", inserted(b, rows.starts, 1), steps)
    there = b("LESS", steps, inserted(b, rows.lengths, 1))
    both, beyond = _followed(b, values, default)
    return b("GATHER", both, b("SELECT_V2", there, taken, operand(beyond)), axis=0)


def _longest(b: Builder, rows: Rows) -> Tensor:
    """Return how many values the longest row has; 0 where there are no rows."""
    found: Tensor = b("MAXIMUM", b("REDUCE_MAX", rows.lengths, np.array([0], INT32)), ZERO)
    return found


def _with_rows(b: Builder, values: Tensor, count: Size, default: Tensor) -> Tensor:
    both, beyond = _followed(b, values, default)
    rows = b("RANGE", ZERO, operand(count), ONE)
    return b("GATHER", both, b("MINIMUM", rows, operand(beyond)), axis=0)


def _followed(b: Builder, values: Tensor, default: Tensor) -> tuple[Tensor, Size]:
    """Return the values with one default behind them, and its place."""
    row = vector(b, [1, *sizes_of(b, values)[1:]])
    one = b("FILL", row, default) if default.rank == 0 else b("BROADCAST_TO", default, row)
    return b("CONCATENATION", values, one, axis=0), size_of(b, values, 0)


def _given(b: Builder, size: Size, otherwise: Tensor | NDArray[np.int32]) -> Size:
    """Return a size, or another where it is negative."""
    if isinstance(size, int) and size >= 0:
        return size
    if isinstance(size, int):
        return int(otherwise) if isinstance(otherwise, np.ndarray) else otherwise
    chosen: Tensor = b("SELECT_V2", b("LESS", size, ZERO), otherwise, size)
    return chosen


def gathered(b: Builder, values: Tensor, rows: Rows, indices: Tensor) -> tuple[Rows, Tensor]:
    """Return some of the rows, and their values."""
    if indices.rank != 1:
        raise UnsupportedError(f"rows that a tensor of rank {indices.rank} chooses")
    indices = b.cast(indices, INT32)
    starts, lengths = (b("GATHER", t, indices, axis=0) for t in (rows.starts, rows.lengths))
    chosen = by_lengths(b, lengths, size_of(b, indices, 0))
    numbers, steps = places(b, chosen)
    taken = b("ADD", b("GATHER", starts, numbers, axis=0), steps)
    return chosen, b("GATHER", values, taken, axis=0)


def ranges(b: Builder, starts: Tensor, limits: Tensor, steps: Tensor) -> tuple[Rows, Tensor]:
    """Return rows start, start + step, … below the limit, of int32."""
    width = b("SUB", b("ADD", limits, steps), starts)
    last = b("SUB", width, b("SIGN", steps))
    lengths = b("MAXIMUM", b("FLOOR_DIV", last, steps), ZERO)
    if lengths.rank == 0:
        lengths = inserted(b, lengths, 0)
    rows = by_lengths(b, lengths, size_of(b, lengths, 0))
    numbers, places_ = places(b, rows)

    def of_row(t: Tensor) -> Tensor:
        return b("GATHER", t, numbers, axis=0) if t.rank else t

    return rows, b("ADD", of_row(starts), b("MUL", places_, of_row(steps)))


def coordinates(b: Builder, rows: Rows) -> tuple[Tensor, Tensor]:
    """Return the places of all values as a sparse tensor's, and the shape of that, int64."""
    numbers, steps = places(b, rows)
    both = b("PACK", numbers, steps, axis=1, values_count=2)
    return b.cast(both, INT64), wide_vector(b, [rows.count, _longest(b, rows)])


def sizes_in(b: Builder, shape: Tensor, count: int) -> list[Size]:
    """Return the first sizes of a wanted shape; a single -1 leaves all open."""
    return [element(b, shape, i) for i in range(count)] if shape.rank else [-1] * count
