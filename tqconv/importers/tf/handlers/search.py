"""Finding: largest, distinct, sorted-in, and set differences."""

from __future__ import annotations

import numpy as np

from tqconv.compose import search
from tqconv.compose.builder import Builder
from tqconv.compose.search import INT32
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of


@handles("TopKV2")
def top_k_v2(
    b: Builder,
    x: Tensor,
    k: Tensor,
    *,
    sorted: bool = True,
    index_type: TypeNumber | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row, in order even if not `sorted`, and their places."""
    return search.top_k(b, x, k, _type(index_type))


@handles("TopK")
def top_k(b: Builder, x: Tensor, *, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """Return the k largest elements of each row and their places."""
    return search.top_k(b, x, b.const(k, INT32, "k"))


@handles("ApproxTopK")
def approximately_top_k(
    b: Builder,
    x: Tensor,
    *,
    k: int,
    reduction_dimension: int = -1,
    recall_target: float = 0.95,
    is_max_k: bool = True,
    reduction_input_size_override: int = -1,
    aggregate_to_topk: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the k largest (smallest) along a dimension, all of them right, and their places."""
    axis = axis_of(reduction_dimension, x.rank)
    if not aggregate_to_topk:
        raise UnsupportedError("candidates for the largest elements, as many as hardware likes")
    order = list(range(x.rank))
    order[axis], order[-1] = order[-1], order[axis]
    last = b.transpose(x if is_max_k else b("NEG", x), order)
    found, places = search.top_k(b, last, b.const(k, INT32, "k"))
    found, places = b.transpose(found, order), b.transpose(places, order)
    return found if is_max_k else b("NEG", found), places


@handles("Unique")
def unique(b: Builder, x: Tensor, *, out_idx: TypeNumber | None = None) -> tuple[Tensor, Tensor]:
    """Return the distinct elements as they first occur, and where each input element is there."""
    return search.unique(b, x, _type(out_idx))


@handles("UniqueV2")
def unique_v2(
    b: Builder, x: Tensor, axis: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor]:
    """Return the distinct elements of a vector; slices along an axis are not told apart."""
    _check_vector(x, axis)
    return search.unique(b, x, _type(out_idx))


@handles("UniqueWithCounts")
def unique_with_counts(
    b: Builder, x: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct elements, where each input element is, and how often each occurs."""
    return search.unique_with_counts(b, x, _type(out_idx))


@handles("UniqueWithCountsV2")
def unique_with_counts_v2(
    b: Builder, x: Tensor, axis: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what UniqueWithCounts does for a vector."""
    _check_vector(x, axis)
    return search.unique_with_counts(b, x, _type(out_idx))


def _check_vector(x: Tensor, axis: Tensor) -> None:
    if x.rank != 1 or axis.size not in (0, 1):
        raise UnsupportedError(
            f"distinct slices of a tensor of rank {x.rank}: the kernel takes vectors"
        )


def _type(number: TypeNumber | None) -> np.dtype:
    return INT32 if number is None else number.dtype


@handles("ListDiff")
def list_diff(
    b: Builder, x: Tensor, y: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor]:
    """Return the elements of `x` that are not in `y`, and their places in `x`."""
    return search.difference(b, x, y, _type(out_idx))


@handles("Bucketize")
def bucketize(b: Builder, x: Tensor, *, boundaries: list[float] | None = None) -> Tensor:
    """Return how many boundaries are not above each element."""
    return b("BUCKETIZE", x, boundaries=[float(v) for v in boundaries or ()])


@handles(LowerBound="LESS", UpperBound="LESS_EQUAL")
def bound(
    b: Builder, before: str, rows: Tensor, wanted: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Return how many elements of each sorted row are below (or equal to) each wanted value."""
    return search.bound(b, before, rows, wanted, _type(out_type))


@handles("UnravelIndex")
def unravel_index(b: Builder, indices: Tensor, dims: Tensor) -> Tensor:
    """Return the coordinates of flat places: [rank] or [rank, n]."""
    return search.coordinates(b, indices, b.ints(dims, "dims"))
