"""Finding: largest, distinct, sorted-in, and set differences."""

from __future__ import annotations

import numpy as np

from tqconv.compose.integers import UINT64, bitcast
from tqconv.compose.operands import in_order, int32_of, out_of_order, with_kernel
from tqconv.compose.sizes import inserted
from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import type_name

INT32 = np.dtype(np.int32)


@handles("TopKV2")
def top_k_v2(
    b: TFBuilder,
    x: Tensor,
    k: Tensor,
    *,
    sorted: bool = True,
    index_type: TypeNumber | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row, in order even if not `sorted`, and their places."""
    largest, places = b("TOPK_V2", in_order(b, x), int32_of(b, k))
    return out_of_order(b, largest, x.dtype), b.cast(
        places, INT32 if index_type is None else index_type.dtype
    )


@handles("TopK")
def top_k(b: TFBuilder, x: Tensor, *, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """Return the k largest elements of each row and their places."""
    return top_k_v2(b, x, b.const(k, INT32, "k"))


@handles("Unique")
def unique(b: TFBuilder, x: Tensor, *, out_idx: TypeNumber | None = None) -> tuple[Tensor, Tensor]:
    """Return the distinct elements as they first occur, and where each input element is there."""
    dtype = INT32 if out_idx is None else out_idx.dtype
    distinct, places = b("UNIQUE", with_kernel(b, x), idx_out_type=type_name(dtype))
    return bitcast(b, distinct, x.dtype) if x.dtype == UINT64 else distinct, places


@handles("UniqueV2")
def unique_v2(
    b: TFBuilder, x: Tensor, axis: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor]:
    """Return the distinct elements of a vector; slices along an axis are not told apart."""
    _check_vector(x, axis)
    return unique(b, x, out_idx=out_idx)


@handles("UniqueWithCounts")
def unique_with_counts(
    b: TFBuilder, x: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct elements, where each input element is, and how often each occurs."""
    dtype = INT32 if out_idx is None else out_idx.dtype
    distinct, places = unique(b, x, out_idx=out_idx)
    ones = b("FILL", b.shape_of(x), np.ones((), dtype))
    counts = b("SCATTER_ND", inserted(b, b.cast(places, INT32), 1), ones, b.shape_of(distinct))
    return distinct, places, counts


@handles("UniqueWithCountsV2")
def unique_with_counts_v2(
    b: TFBuilder, x: Tensor, axis: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what UniqueWithCounts does for a vector."""
    _check_vector(x, axis)
    return unique_with_counts(b, x, out_idx=out_idx)


def _check_vector(x: Tensor, axis: Tensor) -> None:
    if x.rank != 1 or axis.size not in (0, 1):
        raise Unsupported(f"distinct slices of a tensor of rank {x.rank}: the kernel takes vectors")


@handles("ListDiff")
def list_diff(
    b: TFBuilder, x: Tensor, y: Tensor, *, out_idx: TypeNumber | None = None
) -> tuple[Tensor, Tensor]:
    """Return the elements of `x` that are not in `y`, and their places in `x`."""
    differs = b("NOT_EQUAL", inserted(b, with_kernel(b, x), 1), inserted(b, with_kernel(b, y), 0))
    places = b("WHERE", b("REDUCE_ALL", differs, np.array([1], INT32)))
    kept = b("GATHER_ND", x, places)
    dtype = INT32 if out_idx is None else out_idx.dtype
    return kept, b.reshape(b.cast(places, dtype), (None,))


@handles("Bucketize")
def bucketize(b: TFBuilder, x: Tensor, *, boundaries: list[float] | None = None) -> Tensor:
    """Return how many boundaries are not above each element."""
    return b("BUCKETIZE", x, boundaries=[float(v) for v in boundaries or ()])


@handles("LowerBound", "UpperBound")
def bound(
    b: TFBuilder, rows: Tensor, wanted: Tensor, *, out_type: TypeNumber | None = None
) -> Tensor:
    """Return how many elements of each sorted row are below (or equal to) each wanted value.

    rows: [batch, n]; wanted: [batch, m]; y: [batch, m].
    """
    before = "LESS" if b.node.op == "LowerBound" else "LESS_EQUAL"
    rows, wanted = in_order(b, rows), in_order(b, wanted)
    smaller = b(before, inserted(b, rows, 1), inserted(b, wanted, 2))
    dtype = INT32 if out_type is None else out_type.dtype
    count = b("SUM", b.cast(smaller, INT32), np.array([2], INT32))
    return b.cast(count, dtype)


@handles("UnravelIndex")
def unravel_index(b: TFBuilder, indices: Tensor, dims: Tensor) -> Tensor:
    """Return the coordinates of flat places: [rank] or [rank, n]."""
    sizes = b.ints(dims, "dims")
    strides = np.cumprod([1, *reversed(sizes[1:])], dtype=np.int64)[::-1]
    column = (len(sizes), *[1] * indices.rank)
    steps = b("FLOOR_DIV", indices, strides.astype(indices.dtype).reshape(column))
    return b("FLOOR_MOD", steps, np.array(sizes, indices.dtype).reshape(column))
