"""Finding: largest, distinct, sorted-in, and set differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.integers import UINT64, bitcast
from tqconv.compose.operands import in_order, int32_of, out_of_order, with_kernel
from tqconv.compose.rearrange import invert_permutation, reversed_along
from tqconv.compose.segments import combined
from tqconv.compose.sizes import Size, calculate, inserted, operand, reshaped, size_of
from tqconv.ir.graph import Tensor
from tqconv.ir.types import type_name

INT32 = np.dtype(np.int32)
ZERO = np.array(0, INT32)


def top_k(b: Builder, x: Tensor, k: Tensor, dtype: np.dtype = INT32) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row, in order, and their places, whose type is `dtype`."""
    largest, places = b("TOPK_V2", in_order(b, x), int32_of(b, k))
    return out_of_order(b, largest, x.dtype), b.cast(places, dtype)


def is_among_best(b: Builder, predictions: Tensor, targets: Tensor, k: Tensor) -> Tensor:
    """Fewer than k classes are better than the target; false beside NaN, inf, unknown classes."""
    classes = operand(size_of(b, predictions, 1))
    numbers = b.cast(targets, INT32)
    known = b("LOGICAL_AND", b("GREATER_EQUAL", numbers, ZERO), b("LESS", numbers, classes))
    place = inserted(b, b("SELECT_V2", known, numbers, ZERO), 1)
    own = b("GATHER", predictions, place, axis=1, batch_dims=1)
    better = b.cast(b("GREATER", predictions, own), INT32)
    among = b("LESS", b("SUM", better, np.array([1], INT32)), b.cast(k, INT32))
    finite = b("LESS", b("ABS", predictions), np.float32(np.inf))
    finite = b("REDUCE_ALL", finite, np.array([1], INT32))
    return b("LOGICAL_AND", among, b("LOGICAL_AND", known, finite))


def unique(b: Builder, x: Tensor, dtype: np.dtype = INT32) -> tuple[Tensor, Tensor]:
    """Return the distinct elements of a vector as they first occur, and where each one is there.

    dtype: that of the places.
    """
    distinct, places = b("UNIQUE", with_kernel(b, x), idx_out_type=type_name(dtype))
    return bitcast(b, distinct, x.dtype) if x.dtype == UINT64 else distinct, places


def unique_with_counts(
    b: Builder, x: Tensor, dtype: np.dtype = INT32
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct elements, where each input element is, and how often each occurs."""
    distinct, places = unique(b, x, dtype)
    ones = b("FILL", b.shape_of(x), np.ones((), dtype))
    counts = b("SCATTER_ND", inserted(b, b.cast(places, INT32), 1), ones, b.shape_of(distinct))
    return distinct, places, counts


def difference(b: Builder, x: Tensor, y: Tensor, dtype: np.dtype = INT32) -> tuple[Tensor, Tensor]:
    """Return the elements of a vector that are not in another, and their places in it."""
    differs = b("NOT_EQUAL", inserted(b, with_kernel(b, x), 1), inserted(b, with_kernel(b, y), 0))
    places = b("WHERE", b("REDUCE_ALL", differs, np.array([1], INT32)))
    kept = b("GATHER_ND", x, places)
    return kept, b.reshape(b.cast(places, dtype), (None,))


def bound(b: Builder, before: str, rows: Tensor, wanted: Tensor, dtype: np.dtype = INT32) -> Tensor:
    """Return how many elements of each sorted row are below (or equal to) each wanted value.

    before: LESS or LESS_EQUAL; rows: [batch, n]; wanted: [batch, m]; y: [batch, m].
    """
    rows, wanted = in_order(b, rows), in_order(b, wanted)
    smaller = b(before, inserted(b, rows, 1), inserted(b, wanted, 2))
    count = b("SUM", b.cast(smaller, INT32), np.array([2], INT32))
    return b.cast(count, dtype)


def coordinates(b: Builder, indices: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the coordinates of flat places in a tensor of known sizes: [rank] or [rank, n]."""
    strides = np.cumprod([1, *reversed(sizes[1:])], dtype=np.int64)[::-1]
    column = (len(sizes), *[1] * indices.rank)
    steps = b("FLOOR_DIV", indices, strides.astype(indices.dtype).reshape(column))
    return b("FLOOR_MOD", steps, np.array(sizes, indices.dtype).reshape(column))


class Distinct(NamedTuple):
    """The distinct elements of a vector, or slices of a tensor; the numbers are int32."""

    values: Tensor
    first: Tensor
    """Where each of them first occurs."""
    places: Tensor
    """Which of them each element of the operand is."""
    counts: Tensor


def distinct(b: Builder, x: Tensor, *, in_order: bool) -> Distinct:
    """Return the distinct elements of a vector in ascending order, or as they first occur."""
    values, places, counts = unique_with_counts(b, x)
    zero, one = np.array(0, INT32), np.array(1, INT32)
    numbers = b("RANGE", zero, operand(size_of(b, x, 0)), one)
    first = combined(b, "Min", numbers, places, size_of(b, values, 0))
    if not in_order:
        return Distinct(values, first, places, counts)
    count = operand(size_of(b, values, 0))
    values, order = top_k(b, values, b.const(count) if isinstance(count, np.ndarray) else count)
    values, order = (reversed_along(b, t, [0]) for t in (values, order))
    first, counts = (b("GATHER", t, order, axis=0) for t in (first, counts))
    return Distinct(
        values, first, b("GATHER", invert_permutation(b, order), places, axis=0), counts
    )


def distinct_slices(b: Builder, x: Tensor, axis: int, *, in_order: bool) -> Distinct:
    """Return the distinct slices along an axis in lexical order, or as they first occur.

    Every slice is compared with every other one.
    """
    moved = b.transpose(x, (axis, *(i for i in range(x.rank) if i != axis)))
    rows = reshaped(b, moved, _rows(b, x, axis))
    mine, others = inserted(b, rows, 1), inserted(b, rows, 0)
    differs = b("NOT_EQUAL", mine, others)
    last = np.array([2], INT32)
    same = b("LOGICAL_NOT", b("REDUCE_ANY", differs, last))
    zero, one = np.array(0, INT32), np.array(1, INT32)
    numbers = b("RANGE", zero, operand(size_of(b, rows, 0)), one)
    earliest = b("ARG_MAX", b.cast(same, INT32), one, output_type="INT32")
    is_first = b("EQUAL", earliest, numbers)
    if in_order:
        at = b("ARG_MAX", b.cast(differs, INT32), np.array(2, INT32), output_type="INT32")
        below = b("GATHER", b("LESS", others, mine), at, axis=2, batch_dims=2)
    else:
        below = b("LESS", inserted(b, numbers, 0), inserted(b, numbers, 1))
    # Its place: how many other slices, each counted once, come before it.
    before = b.cast(b("LOGICAL_AND", below, inserted(b, is_first, 0)), INT32)
    places = b("SUM", before, np.array([1], INT32))
    places = b("GATHER", places, earliest, axis=0)
    kept = b.reshape(b.cast(b("WHERE", is_first), INT32), (None,))
    count = b.shape_of(kept)
    order = inserted(b, b("GATHER", places, kept, axis=0), 1)
    first = b("SCATTER_ND", order, kept, count)
    ones = b("FILL", b.shape_of(places), np.ones((), INT32))
    counts = b("SCATTER_ND", inserted(b, places, 1), ones, count)
    return Distinct(b("GATHER", x, first, axis=axis), first, places, counts)


def _rows(b: Builder, x: Tensor, axis: int) -> list[Size]:
    others = [size_of(b, x, i) for i in range(x.rank) if i != axis]
    return [size_of(b, x, axis), calculate(b, "MUL", 1, *others)]
