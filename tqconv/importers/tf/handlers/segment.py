"""Sums, extremes and products over segments, and counts."""

from __future__ import annotations

import numpy as np

from tqconv.compose.arithmetic import divide
from tqconv.compose.integers import INT64, UINT32
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, calculate, inserted, operand, reshaped, size_of, sizes_of
from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)

_REDUCTIONS = {"Max": "REDUCE_MAX", "Min": "REDUCE_MIN", "Prod": "REDUCE_PROD", "Sum": "SUM"}


@handles(*(f"UnsortedSegment{kind}" for kind in _REDUCTIONS))
def unsorted_segments(b: TFBuilder, x: Tensor, ids: Tensor, count: Tensor) -> Tensor:
    """Combine what has one segment number; elements with a negative one are dropped."""
    return segments(b, b.node.op.removeprefix("UnsortedSegment"), x, ids, _scalar(b, count))


@handles("SegmentMax", "SegmentMin", "SegmentProd", "SegmentSum", "SegmentMean")
def sorted_segments(b: TFBuilder, x: Tensor, ids: Tensor) -> Tensor:
    """Combine runs of one segment number; without elements a segment is 0, a product 1."""
    return _complete(b, b.node.op.removeprefix("Segment"), x, ids, _last(b, ids))


_SPARSE = [f"SparseSegment{kind}" for kind in ("Sum", "Mean", "SqrtN")]


@handles(*_SPARSE)
def chosen_segments(
    b: TFBuilder, x: Tensor, rows: Tensor, ids: Tensor, *, sparse_gradient: bool = False
) -> Tensor:
    """Combine chosen rows of `x` by their segment numbers."""
    kind = b.node.op.removeprefix("SparseSegment")
    return _complete(b, kind, b("GATHER", x, int32_of(b, rows), axis=0), ids, _last(b, ids))


@handles(*(f"{name}WithNumSegments" for name in _SPARSE))
def chosen_of_many_segments(
    b: TFBuilder,
    x: Tensor,
    rows: Tensor,
    ids: Tensor,
    count: Tensor,
    *,
    sparse_gradient: bool = False,
) -> Tensor:
    """Combine chosen rows of `x` into a given number of segments."""
    kind = b.node.op.removeprefix("SparseSegment").removesuffix("WithNumSegments")
    chosen = b("GATHER", x, int32_of(b, rows), axis=0)
    return _complete(b, kind, chosen, ids, _scalar(b, count))


def segments(b: TFBuilder, kind: str, x: Tensor, ids: Tensor, count: Size) -> Tensor:
    """Combine into `count` segments; one without elements gets the neutral element of the type."""
    numbers = int32_of(b, ids)
    if x.dtype in (np.float32, np.int32):
        return b(f"UNSORTED_SEGMENT_{kind.upper()}", x, numbers, operand(count))
    if x.dtype in (INT64, UINT32):
        wide = _dense_segments(b, kind, b.cast(x, INT64), b.cast(ids, INT32), count, x.dtype)
        return b.cast(wide, x.dtype)
    if x.dtype.kind not in "iu" or x.dtype.itemsize > 2:
        raise Unsupported(f"{b.node.op} of {x.dtype}")
    y = b(f"UNSORTED_SEGMENT_{kind.upper()}", b.cast(x, INT32), numbers, operand(count))
    limits = np.iinfo(x.dtype)
    if kind in ("Max", "Min"):
        # Segments without elements hold the limit of int32.
        bounds = {"Max": ("MAXIMUM", limits.min), "Min": ("MINIMUM", limits.max)}[kind]
        y = b(bounds[0], y, np.array(bounds[1], INT32))
    return b.cast(y, x.dtype)


def _dense_segments(
    b: TFBuilder, kind: str, x: Tensor, ids: Tensor, count: Size, dtype: np.dtype
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


def _scalar(b: TFBuilder, count: Tensor) -> Size:
    return int(b.scalar(count, "num_segments")) if count.is_constant else b.cast(count, INT32)


def _last(b: TFBuilder, ids: Tensor) -> Size:
    """The number of segments: one more than the last number."""
    if ids.data is not None:
        return int(ids.data.max(initial=-1)) + 1
    last = b("REDUCE_MAX", b.cast(ids, INT32), np.array([0], INT32))
    return calculate(b, "ADD", last, 1)


def _complete(b: TFBuilder, kind: str, x: Tensor, ids: Tensor, count: Size) -> Tensor:
    """Combine, divide for a mean, and put 0 where a segment has no elements."""
    if kind in ("Prod", "Sum"):
        return segments(b, kind, x, ids, count)
    y = segments(b, "Sum" if kind in ("Mean", "SqrtN") else kind, x, ids, count)
    ones = b("FILL", b.shape_of(ids), ONE)
    sizes = b("UNSORTED_SEGMENT_SUM", ones, int32_of(b, ids), operand(count))
    sizes = inserted(b, sizes, *range(1, x.rank))
    if kind in ("Max", "Min"):
        if sizes.data is not None and sizes.data.all():
            return y
        return b("SELECT_V2", b("EQUAL", sizes, ZERO), np.array(0, x.dtype), y)
    divisor = b.cast(b("MAXIMUM", sizes, ONE), x.dtype)
    return divide(b, y, b("SQRT", divisor) if kind == "SqrtN" else divisor)


@handles("Bincount")
def bincount(b: TFBuilder, x: Tensor, size: Tensor, weights: Tensor) -> Tensor:
    """Count, or add weights of, the values below `size`."""
    flat = b.reshape(b.cast(x, INT32), (-1,)) if x.rank != 1 else x
    return _counted(b, flat, _scalar(b, size), _flat_weights(b, flat, weights), False)


@handles("DenseBincount")
def dense_bincount(
    b: TFBuilder, x: Tensor, size: Tensor, weights: Tensor, *, binary_output: bool = False
) -> Tensor:
    """Count the values below `size`, for each row of a matrix apart."""
    bins = _scalar(b, size)
    if x.rank < 2:
        return _counted(b, x, bins, _flat_weights(b, x, weights), binary_output)
    values = b.cast(x, INT32)
    rows = size_of(b, x, 0)
    start = b("MUL", inserted(b, b("RANGE", ZERO, operand(rows), ONE), 1), operand(bins))
    inside = b("LESS", values, operand(bins))
    places = b("SELECT_V2", inside, b("ADD", values, start), np.array(-1, INT32))
    flat = reshaped(b, places, [-1])
    total = calculate(b, "MUL", rows, bins)
    counts = _counted(b, flat, total, _flat_weights(b, flat, weights), binary_output)
    return reshaped(b, counts, [rows, bins])


def _flat_weights(b: TFBuilder, values: Tensor, weights: Tensor) -> Tensor:
    """One weight for each value: ones when `weights` is empty."""
    if 0 in weights.shape:
        return b("FILL", b.shape_of(values), np.array(1, weights.dtype))
    return reshaped(b, weights, [-1])


def _counted(b: TFBuilder, values: Tensor, size: Size, weights: Tensor, binary: bool) -> Tensor:
    numbers = b.cast(values, INT32)
    below = b("SELECT_V2", b("LESS", numbers, operand(size)), numbers, np.array(-1, INT32))
    if not binary:
        return segments(b, "Sum", weights, below, size)
    seen = b("UNSORTED_SEGMENT_SUM", b("FILL", b.shape_of(numbers), ONE), below, operand(size))
    return b.cast(b("MINIMUM", seen, ONE), weights.dtype)


@handles("InTopK")
def in_top_k(b: TFBuilder, predictions: Tensor, targets: Tensor, *, k: int) -> Tensor:
    """Whether a row's target class is among the k best."""
    return in_top_k_v2(b, predictions, targets, b.const(k, INT32, "k"))


@handles("InTopKV2")
def in_top_k_v2(b: TFBuilder, predictions: Tensor, targets: Tensor, k: Tensor) -> Tensor:
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
