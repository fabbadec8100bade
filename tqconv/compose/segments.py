"""Sums, extremes and products over segments, and counts."""

from __future__ import annotations

import numpy as np

from tqconv.compose.arithmetic import divide
from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64, UINT32
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, calculate, inserted, operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)
_REDUCTIONS = {"Max": "REDUCE_MAX", "Min": "REDUCE_MIN", "Prod": "REDUCE_PROD", "Sum": "SUM"}


def combined(b: Builder, kind: str, x: Tensor, ids: Tensor, count: Size) -> Tensor:
    """Combine into `count` segments; one without elements gets the neutral element of the type.

    kind: Max, Min, Prod or Sum; ids: the numbers of the first dimensions of `x`, negative ones are
    dropped.
    """
    numbers = int32_of(b, ids)
    if x.dtype in (np.float32, np.int32):
        return b(f"UNSORTED_SEGMENT_{kind.upper()}", x, numbers, operand(count))
    if x.dtype in (INT64, UINT32):
        wide = _dense_segments(b, kind, b.cast(x, INT64), b.cast(ids, INT32), count, x.dtype)
        return b.cast(wide, x.dtype)
    if x.dtype.kind not in "iu" or x.dtype.itemsize > 2:
        raise UnsupportedError(f"{b.source.op_type} of {x.dtype}")
    y = b(f"UNSORTED_SEGMENT_{kind.upper()}", b.cast(x, INT32), numbers, operand(count))
    limits = np.iinfo(x.dtype)
    if kind in ("Max", "Min"):
        # Segments without elements hold the limit of int32.
        bounds = {"Max": ("MAXIMUM", limits.min), "Min": ("MINIMUM", limits.max)}[kind]
        y = b(bounds[0], y, np.array(bounds[1], INT32))
    return b.cast(y, x.dtype)


def _dense_segments(
    b: Builder, kind: str, x: Tensor, ids: Tensor, count: Size, dtype: np.dtype
) -> Tensor:
    """Segments of int64, which has no kernel: reduce [segments, elements, …], masked by number."""
    inner = sizes_of(b, x)[ids.rank :]
    flat = reshaped(b, x, [1, -1, *inner]) if ids.rank != 1 else inserted(b, x, 0)
    numbers = b.reshape(ids, (1, -1)) if ids.rank != 1 else inserted(b, ids, 0)
    places = b("RANGE", ZERO, operand(count), ONE)
    mask = inserted(b, b("EQUAL", inserted(b, places, 1), numbers), *range(2, flat.rank))
    limits = np.iinfo(dtype)
    neutral = {"Sum": 0, "Prod": 1, "Max": limits.min, "Min": limits.max}[kind]
    kept = b("SELECT_V2", mask, flat, np.array(neutral, x.dtype))
    return b(_REDUCTIONS[kind], kept, np.array([1], INT32))


def count_of(b: Builder, ids: Tensor) -> Size:
    """The number of segments: one more than the last number."""
    if ids.data is not None:
        return int(ids.data.max(initial=-1)) + 1
    last = b("REDUCE_MAX", b.cast(ids, INT32), np.array([0], INT32))
    return calculate(b, "ADD", last, 1)


def complete(b: Builder, kind: str, x: Tensor, ids: Tensor, count: Size) -> Tensor:
    """Combine, divide for a mean, and put 0 where a segment has no elements."""
    if kind in ("Prod", "Sum"):
        return combined(b, kind, x, ids, count)
    y = combined(b, "Sum" if kind in ("Mean", "SqrtN") else kind, x, ids, count)
    ones = b("FILL", b.shape_of(ids), ONE)
    sizes = b("UNSORTED_SEGMENT_SUM", ones, int32_of(b, ids), operand(count))
    sizes = inserted(b, sizes, *range(1, x.rank))
    if kind in ("Max", "Min"):
        if sizes.data is not None and sizes.data.all():
            return y
        return b("SELECT_V2", b("EQUAL", sizes, ZERO), np.array(0, x.dtype), y)
    divisor = b.cast(b("MAXIMUM", sizes, ONE), x.dtype)
    return divide(b, y, b("SQRT", divisor) if kind == "SqrtN" else divisor)


def _flat_weights(b: Builder, values: Tensor, weights: Tensor) -> Tensor:
    """One weight for each value: ones when `weights` is empty."""
    if 0 in weights.shape:
        return b("FILL", b.shape_of(values), np.array(1, weights.dtype))
    return reshaped(b, weights, [-1])


def counted(
    b: Builder, values: Tensor, size: Size, weights: Tensor, binary: bool = False
) -> Tensor:
    """Return how often each number below `size` stands in a vector, or the sum of its weights.

    weights: one for each value, or none; their type is the result's. `binary`: whether it is there.
    """
    weights = _flat_weights(b, values, weights)
    numbers = b.cast(values, INT32)
    below = b("SELECT_V2", b("LESS", numbers, operand(size)), numbers, np.array(-1, INT32))
    if not binary:
        return combined(b, "Sum", weights, below, size)
    seen = b("UNSORTED_SEGMENT_SUM", b("FILL", b.shape_of(numbers), ONE), below, operand(size))
    return b.cast(b("MINIMUM", seen, ONE), weights.dtype)


def counted_in_rows(
    b: Builder, x: Tensor, bins: Size, weights: Tensor, binary: bool = False
) -> Tensor:
    """Return what `counted` does, for each row of a matrix apart."""
    if x.rank < 2:
        return counted(b, x, bins, weights, binary)
    values = b.cast(x, INT32)
    rows = size_of(b, x, 0)
    start = b("MUL", inserted(b, b("RANGE", ZERO, operand(rows), ONE), 1), operand(bins))
    inside = b("LESS", values, operand(bins))
    places = b("SELECT_V2", inside, b("ADD", values, start), np.array(-1, INT32))
    flat = reshaped(b, places, [-1])
    total = calculate(b, "MUL", rows, bins)
    counts = counted(b, flat, total, weights, binary)
    return reshaped(b, counts, [rows, bins])
