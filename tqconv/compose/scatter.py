"""Writing elements to computed places, and taking tensors apart and together by computed places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex
from tqconv.compose.arithmetic import combine
from tqconv.compose.builder import Builder
from tqconv.compose.integers import UINT64, as_signed
from tqconv.compose.operands import in_order, int32_of, out_of_order, static_size
from tqconv.compose.sizes import (
    Size,
    calculate,
    inserted,
    operand,
    reshaped,
    size_of,
    sizes_of,
    vector,
)
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.ops.table import spec
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)
WIDER = {np.dtype(t): INT32 for t in (np.int8, np.uint8, np.int16, np.uint16)}
"""Types whose extremes the int32 segment kernels compute exactly."""


def added_up(b: Builder, indices: Tensor, updates: Tensor, shape: Any) -> Tensor:
    """Add updates to zeros of an int32 shape at coordinates: the last dimension of `indices`."""

    def scatter(updates: Tensor) -> Tensor:
        return b("SCATTER_ND", int32_of(b, indices), updates, shape)

    if updates.dtype.kind == "c":
        shape = b("CONCATENATION", shape, np.array([2], INT32), axis=0)
        return complex.on_pairs(b, scatter, updates)
    return as_signed(b, scatter, updates)


def with_sums(b: Builder, type: str, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """ADD updates to `x`, or SUB them, at coordinates; updates of one place add up."""
    return combine(b, type, x, added_up(b, indices, updates, b.shape_of(x)))


def with_products(b: Builder, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Multiply `x` with the updates at coordinates; those of one place multiply each other."""
    dtype = WIDER.get(x.dtype, x.dtype)
    rows = rows_of(b, b.cast(x, dtype), indices, b.cast(updates, dtype))
    if dtype in (INT32, np.float32):
        found = b("UNSORTED_SEGMENT_PROD", rows.updates, rows.ids, rows.count)
        return b.cast(shaped_like(b, b("MUL", rows.x, found), x), x.dtype)
    raise UnsupportedError(f"products of {x.dtype} at computed places")


def with_extremes(b: Builder, larger: str, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Take the larger (MAXIMUM) or smaller (MINIMUM) of `x` and the updates at coordinates.

    The updates of one place form a segment; a place without any gets the lowest (highest) number.
    """
    segments = {"MAXIMUM": "UNSORTED_SEGMENT_MAX", "MINIMUM": "UNSORTED_SEGMENT_MIN"}[larger]
    if x.dtype == UINT64:
        made = with_extremes(b, larger, in_order(b, x), indices, in_order(b, updates))
        return out_of_order(b, made, UINT64)
    dtype = WIDER.get(x.dtype, x.dtype)
    rows = rows_of(b, b.cast(x, dtype), indices, b.cast(updates, dtype))
    if dtype in (INT32, np.float32):
        found = b(segments, rows.updates, rows.ids, rows.count)
        return b.cast(shaped_like(b, b(larger, rows.x, found), x), x.dtype)
    return shaped_like(b, _extreme_by_mask(b, rows, larger), x)


def _extreme_by_mask(b: Builder, rows: Rows, larger: str) -> Tensor:
    """Compare every row with every update, for types that the segment kernels lack.

    [1, n, inner] updates, in places [count, n, 1] that are not theirs replaced by the row itself.
    """
    count, n, inner = (*rows.x.shape[:1], *rows.updates.shape)
    ids = b.reshape(rows.ids, (1, n, 1))
    theirs = b("EQUAL", ids, b.reshape(counted(b, rows.x), (count, 1, 1)))
    own = b.reshape(rows.x, (count, 1, inner))
    chosen = b("SELECT_V2", theirs, b.reshape(rows.updates, (1, n, inner)), own)
    reduce = {"MAXIMUM": "REDUCE_MAX", "MINIMUM": "REDUCE_MIN"}[larger]
    return b(larger, rows.x, b(reduce, chosen, np.array([1], INT32)))


def with_updates(b: Builder, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """Replace elements at coordinates; of several updates of one place the last one stays.

    Place i of the result is row i of `x`, or the last row written there: a gather from `x`
    followed by the updates.
    """
    rows = rows_of(b, x, indices, updates)
    places = counted(b, rows.x)
    last = b("UNSORTED_SEGMENT_MAX", counted(b, rows.updates, rows.count), rows.ids, rows.count)
    both = b("CONCATENATION", rows.x, rows.updates, axis=0)
    return shaped_like(b, b("GATHER", both, b("MAXIMUM", last, places), axis=0), x)


@dataclass(frozen=True)
class Rows:
    """A scatter in one dimension: x: [count, inner]; updates: [n, inner]; ids: [n]."""

    x: Tensor
    updates: Tensor
    ids: Tensor
    count: Tensor


def rows_of(b: Builder, x: Tensor, indices: Tensor, updates: Tensor) -> Rows:
    """Flatten the dimensions that the coordinates address, and those that they do not."""
    depth = static_size(indices, -1)
    sizes, several = sizes_of(b, x), calculate(b, "MUL", 1, *sizes_of(b, indices)[:-1])
    steps: list[Size] = [1]
    for size in sizes[depth - 1 : 0 : -1]:
        steps.insert(0, calculate(b, "MUL", steps[0], size))
    coordinates = reshaped(b, b.cast(indices, INT32), [several, depth])
    ids = b("SUM", b("MUL", coordinates, vector(b, steps[:depth])), np.array([1], INT32))
    inner = calculate(b, "MUL", 1, *sizes[depth:])
    flat = reshaped(b, x, [calculate(b, "MUL", 1, *sizes[:depth]), inner])
    updates = reshaped(b, updates, [several, inner])
    return Rows(flat, updates, ids, row_count(b, flat))


def _strides(shape: Shape) -> NDArray[Any]:
    """Return the distance of neighbours along each axis; the first size does not matter."""
    inner = [d or 0 for d in shape[:0:-1]]
    return np.cumprod([1, *inner], dtype=np.int64)[::-1][: len(shape)].astype(INT32)


def _size(shape: Shape) -> int | None:
    return None if None in shape else math.prod(d or 0 for d in shape)


def counted(b: Builder, x: Tensor, start: Tensor | None = None) -> Tensor:
    """Return start, start + 1, … (from 0 by default), one for each row of `x`."""
    rows = row_count(b, x)
    limit = rows if start is None else b("ADD", rows, start)
    return b("RANGE", ZERO if start is None else start, limit, ONE)


def row_count(b: Builder, x: Tensor) -> Tensor:
    """Return the size of the first dimension: int32, no dimension."""
    return b("GATHER", b.shape_of(x), ZERO, axis=0)


def shaped_like(b: Builder, y: Tensor, x: Tensor) -> Tensor:
    """Return `y` in the shape of `x`."""
    if x.shape.count(None) <= 1:
        return b.reshape(y, x.shape)
    return b("RESHAPE", y, b.shape_of(x))


def sparse_to_dense(
    b: Builder, indices: Tensor, shape: Tensor, values: Tensor, default: Tensor
) -> Tensor:
    """Put values into a tensor of one default value."""
    sizes = b.known(shape)
    most = spec("SPARSE_TO_DENSE").max_rank
    if sizes is not None and most is not None and len(sizes) > most:
        return _flat_to_dense(b, indices, sizes, values, default)
    return b("SPARSE_TO_DENSE", int32_of(b, indices), int32_of(b, shape), values, default)


def _flat_to_dense(
    b: Builder, indices: Tensor, sizes: Shape, values: Tensor, default: Tensor
) -> Tensor:
    if None in sizes:
        raise UnsupportedError(
            f"sparse elements in a shape of rank {len(sizes)} that is not a constant"
        )
    places = b("SUM", b("MUL", b.cast(indices, INT32), _strides(sizes)), np.array([1], INT32))
    count = np.array([_size(sizes)], INT32)
    return b.reshape(b("SPARSE_TO_DENSE", places, count, values, default), sizes)


def partitioned(b: Builder, x: Tensor, partitions: Tensor, count: int) -> tuple[Tensor, ...]:
    """Return the rows of each partition, in their order."""
    rank = partitions.rank
    if rank != 1:
        x = b.reshape(x, (_size(partitions.shape), *x.shape[rank:]))
        partitions = b.reshape(partitions, (_size(partitions.shape),))
    return tuple(
        b("GATHER_ND", x, b("WHERE", b("EQUAL", partitions, np.array(i, INT32))))
        for i in range(count)
    )


def stitched(b: Builder, indices: Sequence[Tensor], data: Sequence[Tensor]) -> Tensor:
    """Put row i of all data at place indices[i]; where a place stands twice, the last row stays.

    The result has as many rows as the largest index says. Rows that no index names are the first
    row.
    """
    ids = _end_to_end(b, [b.reshape(t, (_size(t.shape),)) for t in indices])
    rest = data[0].shape[indices[0].rank :]
    parts = zip(indices, data, strict=True)
    rows = _end_to_end(b, [b.reshape(d, (_size(i.shape), *rest)) for i, d in parts])
    size = b("ADD", b("REDUCE_MAX", ids, np.array([0], INT32)), ONE)
    last = b("UNSORTED_SEGMENT_MAX", counted(b, rows), ids, size)
    return b("GATHER", rows, b("MAXIMUM", last, ZERO), axis=0)


def _end_to_end(b: Builder, parts: Sequence[Tensor]) -> Tensor:
    if len(parts) == 1:
        return parts[0]
    return b("CONCATENATION", *parts, axis=0)


def places_along(b: Builder, indices: Tensor, axis: int) -> Tensor:
    """Return the coordinates [*indices, rank] of elements that indices name along an axis."""
    whole = b.shape_of(indices)
    parts = []
    for i in range(indices.rank):
        part = b.cast(indices, INT32)
        if i != axis:
            numbers = b("RANGE", ZERO, operand(size_of(b, indices, i)), ONE)
            shape = [1] * indices.rank
            shape[i] = -1
            part = b("BROADCAST_TO", b("RESHAPE", numbers, np.array(shape, INT32)), whole)
        parts.append(part)
    return b("PACK", *parts, axis=indices.rank, values_count=len(parts))


def with_rows_from(
    b: Builder, x: Tensor, rows: Tensor, start: Tensor | None, axis: int, *, circular: bool
) -> Tensor:
    """Return x: [n, …] with `rows` along an axis, from a place on that each image has: start [n].

    `circular`: what passes the end of the axis goes on at its beginning. Without `start`: from 0.
    """
    order = [0, axis, *(i for i in range(1, x.rank) if i != axis)]
    back = [order.index(i) for i in range(x.rank)]
    cache, new = b.transpose(x, order), b.transpose(rows, order)
    size, count = size_of(b, cache, 1), size_of(b, new, 1)
    places = inserted(b, b("RANGE", ZERO, operand(size), ONE), 0)
    if start is None:
        start = b("FILL", vector(b, [size_of(b, x, 0)]), ZERO)
    away = b("SUB", places, inserted(b, b.cast(start, INT32), 1))
    if circular:
        away = b("FLOOR_MOD", away, operand(size))
    last = operand(calculate(b, "SUB", count, 1))
    read = b("MINIMUM", b("MAXIMUM", away, ZERO), last)
    taken = b("GATHER", new, read, axis=1, batch_dims=1)
    inside = b("EQUAL", read, away)
    return b.transpose(b("SELECT_V2", inserted(b, inside, *range(2, x.rank)), taken, cache), back)
