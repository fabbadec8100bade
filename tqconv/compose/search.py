"""Finding: largest, distinct, sorted-in, and set differences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.integers import UINT64, bitcast
from tqconv.compose.operands import in_order, int32_of, out_of_order, with_kernel
from tqconv.compose.sizes import inserted
from tqconv.ir.graph import Tensor
from tqconv.ir.types import type_name

INT32 = np.dtype(np.int32)


def top_k(b: Builder, x: Tensor, k: Tensor, dtype: np.dtype = INT32) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row, in order, and their places, whose type is `dtype`."""
    largest, places = b("TOPK_V2", in_order(b, x), int32_of(b, k))
    return out_of_order(b, largest, x.dtype), b.cast(places, dtype)


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
