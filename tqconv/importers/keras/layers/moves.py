"""Operations of Keras 3 that move elements, and those of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import conv as convolutions
from tqconv.compose import gather, pool, rearrange
from tqconv.compose.sizes import Size, calculate, reshaped, sizes_of
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST, many, windows_of
from tqconv.importers.keras.layers.operations import (
    along_one,
    axes_of,
    flattened,
    operands,
    type_of,
)
from tqconv.importers.keras.layers.shape import repeat
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of


@handles("ops.Reshape")
def reshape(b: KerasBuilder, x: Tensor, *, newshape: Any) -> Tensor:
    """Reshape; -1 (or null) is what is left."""
    target: list[Size] = [-1 if size is None else int(size) for size in newshape]
    sizes = sizes_of(b, x)
    if target.count(-1) == 1:
        known = int(np.prod([size for size in target if isinstance(size, int) and size != -1]))
        total = calculate(b, "MUL", 1, *sizes)
        target[target.index(-1)] = calculate(b, "FLOOR_DIV", total, max(known, 1))
    return reshaped(b, x, target)


@handles("ops.Transpose")
def transpose(b: KerasBuilder, x: Tensor, *, axes: Sequence[int] | None = None) -> Tensor:
    """Permute the axes; turn them around where none are given."""
    order = list(range(x.rank))[::-1] if axes is None else [axis_of(a, x.rank) for a in axes]
    return b.transpose(x, order)


@handles("ops.Swapaxes", "ops.Moveaxis")
def moved(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis1: int | None = None,
    axis2: int | None = None,
    source: Any = None,
    destination: Any = None,
) -> Tensor:
    """Exchange two axes, or move some."""
    order = list(range(x.rank))
    if axis1 is not None and axis2 is not None:
        first, second = axis_of(axis1, x.rank), axis_of(axis2, x.rank)
        order[first], order[second] = second, first
        return b.transpose(x, order)
    starts, ends = axes_of(source, x.rank), axes_of(destination, x.rank)
    rest = [i for i in order if i not in starts]
    for end, start in sorted(zip(ends, starts, strict=True)):
        rest.insert(end, start)
    return b.transpose(x, rest)


@handles("ops.ExpandDims", "ops.Squeeze")
def dims(b: KerasBuilder, x: Tensor, *, axis: Any = None) -> Tensor:
    """Insert axes of size 1, or take them away."""
    sizes = sizes_of(b, x)
    if b.layer.op == "ops.Squeeze":
        gone = [i for i, s in enumerate(sizes) if s == 1] if axis is None else axes_of(axis, x.rank)
        return reshaped(b, x, [s for i, s in enumerate(sizes) if i not in gone])
    places = [axis] if isinstance(axis, int) else list(axis)
    rank = x.rank + len(places)
    for place in sorted(axis_of(p, rank) for p in places):
        sizes.insert(place, 1)
    return reshaped(b, x, sizes)


@handles("ops.Concatenate", "ops.Stack")
def joined(b: KerasBuilder, *xs: Tensor, axis: int = 0) -> Tensor:
    """Put tensors one behind the other, or along a new axis."""
    parts = operands(b, xs, None)
    if b.layer.op == "ops.Stack":
        return rearrange.stacked(b, parts, axis)
    return rearrange.joined(b, parts, axis_of(axis, parts[0].rank))


@handles("ops.Split")
def split(
    b: KerasBuilder, x: Tensor, *, indices_or_sections: Any, axis: int = 0
) -> Sequence[Tensor]:
    """Cut into equal parts, or at places."""
    along = axis_of(axis, x.rank)
    if isinstance(indices_or_sections, int):
        return rearrange.split(b, x, indices_or_sections, along)
    places = [int(p) for p in indices_or_sections]
    ends = zip([None, *places], [*places, None], strict=True)
    return [cut(b, x, {along: (start, stop, 1)}) for start, stop in ends]


@handles("ops.Flip", "ops.Roll")
def turned(b: KerasBuilder, x: Tensor, *, axis: Any = None, shift: Any = None) -> Tensor:
    """Turn axes around, or shift along them."""
    axes = axes_of(axis, x.rank)
    if b.layer.op == "ops.Flip":
        return rearrange.reversed_along(b, x, axes)
    if axis is None:
        flat = rearrange.roll(b, flattened(b, x), b.const([shift], np.int32, "shift"), [0])
        return reshaped(b, flat, sizes_of(b, x))
    amounts = [shift] * len(axes) if isinstance(shift, int) else list(shift)
    return rearrange.roll(b, x, b.const(amounts, np.int32, "shift"), axes)


@handles("ops.Pad")
def pad(
    b: KerasBuilder,
    x: Tensor,
    *,
    pad_width: Any,
    mode: str = "constant",
    constant_values: float | None = None,
) -> Tensor:
    """Surround with a number, or with mirror images."""
    amounts = b.const(np.broadcast_to(pad_width, (x.rank, 2)), np.int32, "amounts")
    if mode in ("reflect", "symmetric"):
        return rearrange.mirror_pad(b, x, amounts, mode.upper())
    if mode != "constant":
        raise UnsupportedError(f"padding of mode `{mode}`")
    value = None if not constant_values else b.const(constant_values, x.dtype, "value")
    return rearrange.pad(b, x, amounts, value)


@handles("ops.Take")
def take(b: KerasBuilder, *xs: Tensor, axis: int | None = None, args: Any = None) -> Tensor:
    """Take elements along an axis by their numbers."""
    x, indices = _with_indices(b, xs, args)
    x, along = along_one(b, x, axis)
    return gather.gathered(b, x, gather.from_start(b, x, indices, along), along)


@handles("ops.TakeAlongAxis")
def take_along(b: KerasBuilder, *xs: Tensor, axis: int | None = None, args: Any = None) -> Tensor:
    """Take elements along an axis, other ones in each row."""
    x, indices = _with_indices(b, xs, args)
    x, along = along_one(b, x, axis)
    times = [1] * x.rank
    for place, (have, want) in enumerate(zip(indices.shape, x.shape, strict=True)):
        if place != along and have == 1 and want is not None:
            times[place] = want
    if any(time != 1 for time in times):
        indices = rearrange.tile(b, indices, b.const(times, np.int32, "times"))
    return gather.taken_along(b, x, gather.from_start(b, x, indices, along), along)


def _with_indices(b: KerasBuilder, xs: Sequence[Tensor], args: Any) -> tuple[Tensor, Tensor]:
    x, indices = xs if args is None else args
    return tensor(b, x, what="table"), tensor(b, indices, np.int32, "indices")


@handles("ops.OneHot")
def one_hot(
    b: KerasBuilder, x: Tensor, *, num_classes: int, axis: int = -1, dtype: Any = None
) -> Tensor:
    """Put 1 where the new axis counts to the index."""
    kind = type_of(dtype or "float32")
    place = axis_of(axis, x.rank + 1)
    one, zero = b.const(1, kind, "one"), b.const(0, kind, "zero")
    return gather.one_hot(b, x, b.const(num_classes, np.int32, "depth"), one, zero, place)


@handles("ops.Repeat", "ops.Tile")
def repeated(b: KerasBuilder, x: Tensor, *, repeats: Any = None, axis: int | None = None) -> Tensor:
    """Repeat each element along an axis, or everything along each axis."""
    if b.layer.op == "ops.Tile":
        times = [repeats] if isinstance(repeats, int) else list(repeats)
        if len(times) > x.rank:
            x = reshaped(b, x, [*[1] * (len(times) - x.rank), *sizes_of(b, x)])
        times = [1] * (x.rank - len(times)) + times
        return rearrange.tile(b, x, b.const(times, np.int32, "times"))
    x, along = along_one(b, x, axis)
    counts = [repeats] if isinstance(repeats, int) else [int(count) for count in repeats]
    if len(counts) == 1:
        return repeat(b, x, along, counts[0])
    b.pay(sum(counts), "repeats")
    places = np.repeat(np.arange(len(counts)), counts)
    return gather.gathered(b, x, b.const(places, np.int32, "places"), along)


@handles("ops.GetItem")
def get_item(b: KerasBuilder, x: Tensor, *, args: Any) -> Tensor:
    """Index as Python does: numbers, slices, an ellipsis and new axes."""
    key = args[-1]
    entries = list(key) if isinstance(key, tuple | list) else [key]
    return indexed(b, x, entries)


def indexed(b: KerasBuilder, x: Tensor, entries: list[Any]) -> Tensor:
    """Return x[entries]."""
    counted = [e for e in entries if e is not None and e is not Ellipsis]
    whole = [slice(None)] * (x.rank - len(counted))
    if Ellipsis in [e for e in entries if e is Ellipsis]:
        at = next(i for i, e in enumerate(entries) if e is Ellipsis)
        entries = [*entries[:at], *whole, *entries[at + 1 :]]
    else:
        entries = [*entries, *whole]
    ranges: dict[int, tuple[int | None, int | None, int]] = {}
    gone: list[int] = []
    axis = 0
    for entry in entries:
        if entry is None:
            continue
        if isinstance(entry, int):
            ranges[axis] = (entry, None if entry == -1 else entry + 1, 1)
            gone.append(axis)
        elif isinstance(entry, slice):
            if (entry.start, entry.stop, entry.step or 1) != (None, None, 1):
                ranges[axis] = (entry.start, entry.stop, entry.step or 1)
        else:
            raise UnsupportedError(f"indexing with {entry!r}")
        axis += 1
    y = cut(b, x, ranges) if ranges else x
    sizes = iter([(i, s) for i, s in enumerate(sizes_of(b, y))])
    shape: list[Size] = []
    for entry in entries:
        if entry is None:
            shape.append(1)
            continue
        number, size = next(sizes)
        if number not in gone:
            shape.append(size)
    return reshaped(b, y, shape)


@operations(MaxPool=pool.max_pool, AveragePool=pool.average_pool)
def pooled(
    b: KerasBuilder,
    make: pool.Pool,
    x: Tensor,
    *,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element, or the mean, of each window."""
    size = many(pool_size, x.rank - 2)
    windows = windows_of(size, size if strides is None else strides, 1, padding)
    return b.channels_last(b.real(x), data_format == FIRST, lambda t: make(b, t, windows))


@handles("ops.Conv", "ops.DepthwiseConv")
def conv(
    b: KerasBuilder,
    *xs: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    args: Any = None,
) -> Tensor:
    """Convolve with a tensor."""
    x, w = operands(b, xs, args)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    make = convolutions.conv if b.layer.op == "ops.Conv" else convolutions.depthwise
    return b.channels_last(b.real(x), data_format == FIRST, lambda t: make(b, t, w, windows))
