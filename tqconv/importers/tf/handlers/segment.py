"""Sums, extremes and products over segments, and counts."""

from __future__ import annotations

from tqconv.compose import search
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.compose.segments import (
    INT32,
    combined,
    complete,
    count_of,
    counted,
    counted_in_rows,
)
from tqconv.compose.sizes import Size
from tqconv.importers.tf.registry import composed, handles
from tqconv.ir.graph import Tensor


@handles(
    UnsortedSegmentMax="Max",
    UnsortedSegmentMin="Min",
    UnsortedSegmentProd="Prod",
    UnsortedSegmentSum="Sum",
)
def unsorted_segments(b: Builder, kind: str, x: Tensor, ids: Tensor, count: Tensor) -> Tensor:
    """Combine what has one segment number; elements with a negative one are dropped."""
    return combined(b, kind, x, ids, _scalar(b, count))


@handles(
    SegmentMax="Max",
    SegmentMean="Mean",
    SegmentMin="Min",
    SegmentProd="Prod",
    SegmentSum="Sum",
)
def sorted_segments(b: Builder, kind: str, x: Tensor, ids: Tensor) -> Tensor:
    """Combine runs of one segment number; without elements a segment is 0, a product 1."""
    return complete(b, kind, x, ids, count_of(b, ids))


@handles(SparseSegmentMean="Mean", SparseSegmentSqrtN="SqrtN", SparseSegmentSum="Sum")
def chosen_segments(
    b: Builder, kind: str, x: Tensor, rows: Tensor, ids: Tensor, *, sparse_gradient: bool = False
) -> Tensor:
    """Combine chosen rows of `x` by their segment numbers."""
    return complete(b, kind, b("GATHER", x, int32_of(b, rows), axis=0), ids, count_of(b, ids))


@handles(
    SparseSegmentMeanWithNumSegments="Mean",
    SparseSegmentSqrtNWithNumSegments="SqrtN",
    SparseSegmentSumWithNumSegments="Sum",
)
def chosen_of_many_segments(
    b: Builder,
    kind: str,
    x: Tensor,
    rows: Tensor,
    ids: Tensor,
    count: Tensor,
    *,
    sparse_gradient: bool = False,
) -> Tensor:
    """Combine chosen rows of `x` into a given number of segments."""
    chosen = b("GATHER", x, int32_of(b, rows), axis=0)
    return complete(b, kind, chosen, ids, _scalar(b, count))


def _scalar(b: Builder, count: Tensor) -> Size:
    return int(b.scalar(count, "num_segments")) if count.is_constant else b.cast(count, INT32)


@handles("Bincount")
def bincount(b: Builder, x: Tensor, size: Tensor, weights: Tensor) -> Tensor:
    """Count, or add weights of, the values below `size`."""
    flat = b.reshape(b.cast(x, INT32), (-1,)) if x.rank != 1 else x
    return counted(b, flat, _scalar(b, size), weights)


@handles("DenseBincount")
def dense_bincount(
    b: Builder, x: Tensor, size: Tensor, weights: Tensor, *, binary_output: bool = False
) -> Tensor:
    """Count the values below `size`, for each row of a matrix apart."""
    return counted_in_rows(b, x, _scalar(b, size), weights, binary_output)


@handles("InTopK")
def in_top_k(b: Builder, predictions: Tensor, targets: Tensor, *, k: int) -> Tensor:
    """Whether a row's target class is among the k best."""
    return search.is_among_best(b, predictions, targets, b.const(k, INT32, "k"))


composed(InTopKV2=search.is_among_best)
