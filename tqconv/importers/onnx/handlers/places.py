"""Reading and writing elements at places."""

from __future__ import annotations

import numpy as np

from tqconv.compose import arithmetic, rearrange, scatter, search
from tqconv.compose import einsum as sums
from tqconv.compose import gather as gathering
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Gather")
def gather(b: ONNXBuilder, x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Take elements along an axis; negative indices count from its end."""
    axis = axis % x.rank
    return gathering.gathered(b, x, gathering.from_start(b, x, indices, axis), axis)


@handles("GatherElements")
def gather_elements(b: ONNXBuilder, x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Take elements along an axis, other ones at each place."""
    axis = axis % x.rank
    x = gathering.as_wide_as(b, x, indices, axis)
    return gathering.taken_along(b, x, gathering.from_start(b, x, indices, axis), axis)


@handles("GatherND", "com.microsoft:GatherND")
def gather_nd(b: ONNXBuilder, x: Tensor, indices: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Take slices at coordinates."""
    indices = _from_start_nd(b, x, indices, batch_dims)
    if batch_dims:
        indices = gathering.within_batches(b, indices, batch_dims)
    return gathering.gather_nd(b, x, indices)


def _from_start_nd(b: ONNXBuilder, x: Tensor, indices: Tensor, first: int = 0) -> Tensor:
    """Make negative coordinates of the axes from `first` on plain."""
    count = static_size(indices, indices.rank - 1)
    if indices.data is not None and bool((indices.data >= 0).all()):
        return indices
    own = vector(b, [size_of(b, x, axis) for axis in range(first, first + count)])
    sizes = b.cast(b.const(own) if isinstance(own, np.ndarray) else own, indices.dtype)
    below = b("LESS", indices, np.array(0, indices.dtype))
    return b("SELECT_V2", below, b("ADD", indices, sizes), indices)


@handles("OneHot")
def one_hot(
    b: ONNXBuilder, indices: Tensor, depth: Tensor, values: Tensor, *, axis: int = -1
) -> Tensor:
    """Put the second value where the new axis counts to the index, the first elsewhere."""
    off, on = rearrange.unstacked(b, values, 2)
    size = b.reshape(depth, ())
    place = axis % (indices.rank + 1)
    if indices.dtype.kind == "f":
        indices = b.cast(indices, np.int32)
    if size.data is not None:
        size = b.const(int(b.scalar(size, "depth")), np.int32, "depth")
    size = b.cast(size, np.int32)
    if indices.data is None or (indices.data < 0).any():
        below = b("LESS", indices, np.array(0, indices.dtype))
        turned = b("ADD", indices, b.cast(size, indices.dtype))
        indices = b("SELECT_V2", below, turned, indices)
    return gathering.one_hot(b, indices, size, on, off, place)


@handles("NonZero")
def non_zero(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Coordinates of the elements that are not 0: [rank, count]."""
    return b.transpose(b("WHERE", gathering.truth(b, x)), (1, 0))


@handles("TopK")
def top_k_1(b: ONNXBuilder, x: Tensor, *, k: int, axis: int = -1) -> tuple[Tensor, ...]:
    """The largest elements along an axis, and their places; their number is an attribute."""
    return _top_k(b, x, b.const(k, np.int32, "k"), axis, largest=True)


@handles("TopK", since=10)
def top_k(
    b: ONNXBuilder,
    x: Tensor,
    k: Tensor,
    *,
    axis: int = -1,
    largest: int = 1,
    sorted: int = 1,
) -> tuple[Tensor, ...]:
    """The largest (or smallest) elements along an axis, and their places."""
    return _top_k(b, x, b.reshape(k, ()), axis, largest=bool(largest))


def _top_k(
    b: ONNXBuilder, x: Tensor, count: Tensor, axis: int, *, largest: bool
) -> tuple[Tensor, ...]:
    axis = axis % x.rank
    order = [i for i in range(x.rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(x.rank)]
    moved = b.transpose(x, order)
    turned = moved if largest else arithmetic.negative(b, moved)
    values, places = search.top_k(b, turned, count)
    values = values if largest else arithmetic.negative(b, values)
    return b.transpose(values, back), b.cast(b.transpose(places, back), np.int64)


@handles("ScatterND")
def scatter_nd(
    b: ONNXBuilder, x: Tensor, indices: Tensor, updates: Tensor, *, reduction: str = "none"
) -> Tensor:
    """Replace slices at coordinates, or combine them with what is there."""
    return _combined(b, x, _from_start_nd(b, x, indices), updates, reduction)


def _combined(b: ONNXBuilder, x: Tensor, places: Tensor, updates: Tensor, reduction: str) -> Tensor:
    """Write updates to coordinates in one of ONNX's ways."""
    if reduction == "none":
        return scatter.with_updates(b, x, places, updates)
    if reduction == "add":
        return scatter.with_sums(b, "ADD", x, places, updates)
    if reduction == "mul":
        return scatter.with_products(b, x, places, updates)
    if reduction in ("max", "min"):
        larger = {"max": "MAXIMUM", "min": "MINIMUM"}[reduction]
        return scatter.with_extremes(b, larger, x, places, updates)
    raise UnsupportedError(f"reduction `{reduction}`")


@handles("ScatterElements", "Scatter")
def scatter_elements(
    b: ONNXBuilder,
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    axis: int = 0,
    reduction: str = "none",
) -> Tensor:
    """Replace elements along an axis, or combine them with what is there."""
    axis = axis % x.rank
    places = gathering.from_start(b, x, indices, axis)
    return _combined(b, x, scatter.places_along(b, places, axis), updates, reduction)


@handles("Einsum")
def einsum(b: ONNXBuilder, *xs: Tensor, equation: str) -> Tensor:
    """Sum products of elements with common labels."""
    return sums.einsum(b, equation, *xs)
