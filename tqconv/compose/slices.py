"""Slices by ranges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import inserted
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)


def takes_all(
    x: Tensor, begin: tuple[int | None, ...] | None, size: tuple[int | None, ...] | None
) -> bool:
    """Whether a slice is known to take everything."""
    if begin is None or size is None or any(start != 0 for start in begin):
        return False
    return all(n == -1 or (n is not None and n == d) for n, d in zip(size, x.shape, strict=True))


@dataclass(frozen=True)
class Masks:
    """The five bit masks of a strided slice."""

    begin: int
    end: int
    ellipsis: int
    new_axis: int
    shrink_axis: int

    def options(self) -> dict[str, int]:
        """Return the masks as options of STRIDED_SLICE."""
        return {f"{name}_mask": bits for name, bits in vars(self).items() if bits}

    def without(self, place: int) -> Masks:
        """Return the masks of the entries that are left when one is taken out."""
        low = (1 << place) - 1
        return Masks(*(bits & low | (bits >> place + 1) << place for bits in vars(self).values()))


@dataclass(frozen=True)
class Layout:
    """What the entries of a strided slice do.

    `cuts`: the entry for each dimension of the input, None where it is taken whole;
    `new`: places of new axes in the result.
    """

    cuts: tuple[int | None, ...]
    new: tuple[int, ...]


def int32_of_constant(tensor: Tensor) -> NDArray[Any]:
    """Return a constant vector, clipped to int32."""
    limits = np.iinfo(np.int32)
    return np.clip(np.asarray(tensor.data).reshape(-1), limits.min, limits.max)


def layout_of(count: int, masks: Masks, rank: int) -> Layout:
    """Expand `count` entries over `rank` dimensions.

    An ellipsis bit wins over a new-axis bit, and that over a shrink bit. Without an ellipsis the
    dimensions that have no entry are taken whole at the end.
    """
    bits = range(count)
    ellipsis = next((i for i in bits if masks.ellipsis >> i & 1), count)
    new = [i for i in bits if masks.new_axis >> i & 1 and i != ellipsis]
    used = count - len(new) - (ellipsis < count)
    if used > rank:
        raise UnsupportedError(f"a slice in {used} dimensions of a tensor of rank {rank}")
    cuts: list[int | None] = []
    places: list[int] = []
    length = 0
    for i in range(count + (ellipsis == count)):
        if i == ellipsis:
            cuts += [None] * (rank - used)
            length += rank - used
        elif i in new:
            places.append(length)
            length += 1
        else:
            cuts.append(i)
            length += not masks.shrink_axis >> i & 1
    return Layout(tuple(cuts), tuple(places))


def _cut(b: Builder, x: Tensor, layout: Layout, bounds: list[NDArray[Any]], masks: Masks) -> Tensor:
    """Return the slice with one entry for each dimension."""
    begin, end, shrink = 0, 0, 0
    dense = np.array([[0] * x.rank, [0] * x.rank, [1] * x.rank], INT32)
    for axis, entry in enumerate(layout.cuts):
        if entry is None:
            begin, end = begin | 1 << axis, end | 1 << axis
            continue
        dense[:, axis] = [vector[entry] for vector in bounds]
        begin |= (masks.begin >> entry & 1) << axis
        end |= (masks.end >> entry & 1) << axis
        shrink |= (masks.shrink_axis >> entry & 1) << axis
    if not shrink and all(_is_whole(x, axis, dense, begin, end) for axis in range(x.rank)):
        return x
    cut = Masks(begin & ~shrink, end & ~shrink, 0, 0, shrink)
    return b("STRIDED_SLICE", x, *dense, **cut.options())


def _is_whole(x: Tensor, axis: int, dense: NDArray[Any], begin: int, end: int) -> bool:
    first, last, stride = (int(v) for v in dense[:, axis])
    size = x.shape[axis]
    from_start = bool(begin >> axis & 1) or first == 0 or (size is not None and first <= -size)
    to_end = bool(end >> axis & 1) or (size is not None and last >= size)
    return stride == 1 and from_start and to_end


def sliced(b: Builder, x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """Take `size` elements from `begin` on in each dimension; a size of -1 takes the rest."""
    if takes_all(x, b.known(begin), b.known(size)):
        return x
    return b("SLICE", x, int32_of(b, begin), int32_of(b, size))


def strided(
    b: Builder, x: Tensor, begin: Tensor, end: Tensor, strides: Tensor, masks: Masks
) -> Tensor:
    """Slice with constant bounds by one operator without ellipsis and new axes, then reshape.

    Bounds that are computed go to the kernel as they are; it takes an ellipsis for one dimension at
    least, so one for none is left out.
    """
    if begin.data is None or end.data is None or strides.data is None:
        bounds = [int32_of(b, t) for t in (begin, end, strides)]
        place = _ellipsis_for_nothing(begin, masks, x.rank)
        if place is not None:
            kept = np.delete(np.arange(begin.shape[0] or 0, dtype=INT32), place)
            bounds = [b("GATHER", t, kept, axis=0) for t in bounds]
            masks = masks.without(place)
        return b("STRIDED_SLICE", x, *bounds, **masks.options())
    layout = layout_of(begin.size, masks, x.rank)
    arrays = [np.asarray(int32_of_constant(t), INT32) for t in (begin, end, strides)]
    return inserted(b, _cut(b, x, layout, arrays, masks), *layout.new)


def _ellipsis_for_nothing(begin: Tensor, masks: Masks, rank: int) -> int | None:
    """Return which entry is an ellipsis that stands for no dimension, or None."""
    count = begin.shape[0]
    if not masks.ellipsis or count is None:
        return None
    place = (masks.ellipsis & -masks.ellipsis).bit_length() - 1
    return place if None not in layout_of(count, masks, rank).cuts else None


def along(
    b: Builder, x: Tensor, axis: int, start: int | None, stop: int | None, step: int = 1
) -> Tensor:
    """Return x[start:stop:step] along an axis, as Python understands it."""
    return cut(b, x, {axis: (start, stop, step)})


def cut(b: Builder, x: Tensor, ranges: Mapping[int, tuple[int | None, int | None, int]]) -> Tensor:
    """Return `x` cut along some axes to (start, stop, step), as Python understands them."""
    dense = np.array([[0] * x.rank, [0] * x.rank, [1] * x.rank], INT32)
    begin_mask = end_mask = (1 << x.rank) - 1
    limits = np.iinfo(np.int32)
    for axis, (start, stop, step) in ranges.items():
        place = axis_of(axis, x.rank)
        if start is not None:
            begin_mask &= ~(1 << place)
        if stop is not None:
            end_mask &= ~(1 << place)
        bounds = np.clip([start or 0, stop or 0], limits.min, limits.max)
        dense[:, place] = [*bounds, step]
    if all(_is_whole(x, axis, dense, begin_mask, end_mask) for axis in range(x.rank)):
        return x
    return b("STRIDED_SLICE", x, *dense, begin_mask=begin_mask, end_mask=end_mask)


def with_slice(
    b: Builder,
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    strides: Tensor,
    value: Tensor,
    masks: Masks,
) -> Tensor:
    """Put `value` in the place of a slice: one gather from `x` followed by `value`."""
    if not x.is_static:
        raise UnsupportedError(f"the shape of '{x.name}' is unknown")
    b.pay(3 * x.size, "input")
    places = b.const(np.arange(x.size).reshape([d or 0 for d in x.shape]), INT32, "places")
    taken = b.value(strided(b, places, begin, end, strides, masks), "begin")
    if value.shape != taken.shape:
        value = b("BROADCAST_TO", value, np.array(taken.shape, INT32))
    order = np.arange(x.size, dtype=INT32)
    order[taken.reshape(-1)] = x.size + np.arange(taken.size)
    both = b("CONCATENATION", b.reshape(x, (-1,)), b.reshape(value, (-1,)), axis=0)
    return b.reshape(b("GATHER", both, order, axis=0), x.shape)
