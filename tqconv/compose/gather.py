"""Reading elements at computed places, and choosing by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.dims import Dim, dim_origin
from tqconv.compose.operands import int32_of, with_kernel
from tqconv.compose.sizes import Size, operand, size_of, vector
from tqconv.ir.graph import Tensor
from tqconv.ir.types import STRING

INT32 = np.dtype(np.int32)


def gathered(b: Builder, x: Tensor, indices: Tensor, axis: int, batch_dims: int = 0) -> Tensor:
    """Take elements along an axis in [0, rank)."""
    if batch_dims < 0:
        batch_dims += indices.rank
    return b("GATHER", x, indices, axis=axis, batch_dims=batch_dims)


def gather_nd(b: Builder, x: Tensor, indices: Tensor) -> Tensor:
    """Take the slices at coordinates: the last dimension of `indices`."""
    if indices.rank and indices.shape[-1] == 0:
        return _everywhere(b, x, indices)
    return b("GATHER_ND", x, indices)


def within_batches(b: Builder, indices: Tensor, count: int) -> Tensor:
    """Return coordinates [*batch, …, n] with those of their own place in `count` batch axes."""
    whole = b("SLICE", b.shape_of(indices), _vector(0), _vector(indices.rank - 1))
    parts = [indices]
    for axis in reversed(range(count)):
        numbers = b("RANGE", _number(0), operand(size_of(b, indices, axis)), _number(1))
        shape = [-1 if i == axis else 1 for i in range(indices.rank - 1)]
        part = b("BROADCAST_TO", b("RESHAPE", numbers, np.array(shape, INT32)), whole)
        part = b("EXPAND_DIMS", part, _number(indices.rank - 1))
        parts.insert(0, b.cast(part, indices.dtype))
    return b("CONCATENATION", *parts, axis=indices.rank - 1)


def _number(value: int) -> Any:
    return np.array(value, INT32)


def _vector(value: int) -> Any:
    return np.array([value], INT32)


def _everywhere(b: Builder, x: Tensor, indices: Tensor) -> Tensor:
    """Coordinates of length 0 take the whole of `x`, once for each."""
    head = b(
        "SLICE", b.shape_of(indices), np.array([0], INT32), np.array([indices.rank - 1], INT32)
    )
    return b("BROADCAST_TO", x, b("CONCATENATION", head, b.shape_of(x), axis=0))


def truth(b: Builder, x: Tensor) -> Tensor:
    """Return which elements are not 0, or texts that are not empty; NaN is not 0."""
    if x.dtype == np.bool_:
        return x
    if x.dtype == STRING:
        return b("NOT_EQUAL", x, np.array(b"", STRING))
    x = with_kernel(b, x)
    return b("NOT_EQUAL", x, np.zeros((), x.dtype))


def one_hot(
    b: Builder, indices: Tensor, depth: Tensor, on: Tensor, off: Tensor, axis: int
) -> Tensor:
    """Put `on` where the new axis, in [0, rank], counts to the index, `off` elsewhere."""
    if indices.dtype not in (np.int32, np.int64):
        indices = b.cast(indices, INT32)
    return b("ONE_HOT", indices, int32_of(b, depth), on, off, axis=axis)


def from_start(b: Builder, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Return indices along an axis of `x`; negative ones, which count from its end, made plain."""
    if indices.data is not None and bool((indices.data >= 0).all()):
        return indices
    size = b.cast(_scalar(b, size_of(b, x, axis)), indices.dtype)
    zero = np.array(0, indices.dtype)
    return b("SELECT_V2", b("LESS", indices, zero), b("ADD", indices, size), indices)


def _scalar(b: Builder, size: Size) -> Tensor:
    return b.const(size, INT32, "size") if isinstance(size, int) else size


def as_wide_as(b: Builder, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Return the first elements of `x`, as many as `indices` has along all other axes."""
    others = [i for i in range(x.rank) if i != axis]
    if all(_is_alike(Dim(x, i), Dim(indices, i)) for i in others):
        return x
    sizes = [size_of(b, indices, i) if i in others else size_of(b, x, i) for i in range(x.rank)]
    return b("SLICE", x, np.zeros(x.rank, np.int32), vector(b, sizes))


def _is_alike(dim: Dim, other: Dim) -> bool:
    """Whether two sizes are equal, or one that is not known can be taken to be the known one.

    The kernel stops where it is not.
    """
    size, wanted = (d.tensor.shape[d.axis] for d in (dim, other))
    if size is None:
        return wanted is None and dim_origin(dim) == dim_origin(other)
    return wanted in (size, None)


def taken_along(b: Builder, x: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Return y with y[…, i, …] = x[…, indices[…, i, …], …] along an axis in [0, rank).

    The other dimensions of `indices` are those of `x`.
    """
    order = [i for i in range(x.rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(x.rank)]
    x, indices = b.transpose(x, order), b.transpose(indices, order)
    last = x.rank - 1
    return b.transpose(b("GATHER", x, indices, axis=last, batch_dims=last), back)
