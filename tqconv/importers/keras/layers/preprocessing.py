"""Layers that prepare data: numbers and images."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.activations import clamp
from tqconv.compose.sizes import Size, calculate, operand, size_of, vector
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST
from tqconv.importers.keras.layers.normalization import axes_of
from tqconv.importers.keras.layers.shape import resize_to
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
Extent = tuple[Size, Size]
"""Height and width, each a number or computed."""
LEAST = 1e-7
"""The least standard deviation that Normalization divides by (`backend.epsilon()`)."""


@handles("Rescaling")
def rescaling(b: KerasBuilder, x: Tensor, *, scale: Any, offset: Any = 0.0) -> Tensor:
    """Return x * scale + offset, each one number or one per channel."""
    y = b("MUL", b.real(x), np.asarray(scale, F))
    return y if np.all(np.asarray(offset) == 0) else b("ADD", y, np.asarray(offset, F))


@handles("Normalization")
def normalization(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    invert: bool = False,
) -> Tensor:
    """Return (x - mean) / max(sqrt(variance), 1e-7), or the inverse of that."""
    x = b.real(x)
    axes = axes_of(axis, x.rank) if axis is not None else []
    center, spread = (
        np.asarray(b.layer.weights.get(name) if value is None else value, F)
        for name, value in (("mean", mean), ("variance", variance))
    )
    shape = [x.shape[i] if i in axes else 1 for i in range(x.rank)] if axes else [1] * x.rank
    if None in shape:
        raise UnsupportedError("the number of features is unknown")
    sizes = [size or 1 for size in shape]
    center, spread = (
        np.broadcast_to(a, sizes) if a.size == 1 else a.reshape(sizes) for a in (center, spread)
    )
    deviation = np.maximum(np.sqrt(spread), F(LEAST))
    if invert:
        return b("ADD", b("MUL", x, deviation), center)
    return b("MUL", b("SUB", x, center), F(1) / deviation)


@handles("Resizing")
def resizing(
    b: KerasBuilder,
    x: Tensor,
    *,
    height: int,
    width: int,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: str | None = None,
    training: bool | None = None,
) -> Tensor:
    """Resize images to a size; the proportions are kept by cutting or filling both sides.

    Integers stay what they are in Keras 3: results are rounded.
    """
    if fill_mode != "constant":
        raise UnsupportedError(f"Resizing with fill_mode `{fill_mode}`")
    size = (height, width)

    def resized(t: Tensor) -> Tensor:
        if crop_to_aspect_ratio:
            t = cut_to(b, t, size)
        elif pad_to_aspect_ratio:
            t = filled_to(b, t, size, fill_value)
        return resize_to(b, t, size, interpolation, antialias)

    y = b.channels_last(b.real(x), data_format == FIRST, resized)
    if b.major < 3 or x.dtype.kind == "f":
        return y
    limits = np.iinfo(x.dtype)
    return b.cast(clamp(b, b("ROUND", y), float(limits.min), float(limits.max)), x.dtype)


def _extent(b: KerasBuilder, x: Tensor) -> Extent:
    """Return height and width of x: [n, h, w, c]."""
    return size_of(b, x, -3), size_of(b, x, -2)


def _in_proportion(b: KerasBuilder, have: Extent, want: tuple[int, int]) -> Extent:
    """Return the height that goes with the width, and the width that goes with the height."""
    (height, width), (tall, wide) = have, want
    return _ratio(b, width, tall, wide), _ratio(b, height, wide, tall)


def _ratio(b: KerasBuilder, size: Size, times: int, part: int) -> Size:
    """Return size * times / part in float32, without what comes behind the point."""
    if isinstance(size, int):
        return int(F(size * times) / F(part))
    product = size if times == 1 else b("MUL", size, operand(times))
    return b.cast(b("DIV", b.cast(product, F), np.array(part, F)), np.int32)


def cut_to(b: KerasBuilder, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the largest middle part with the proportions of a size (`smart_resize`)."""
    have = _extent(b, x)
    return _middle(b, x, have, _largest(b, have, size))


def _largest(b: KerasBuilder, have: Extent, size: tuple[int, int]) -> Extent:
    """Return the largest part of an extent that has the proportions of a size."""
    fits = _in_proportion(b, have, size)
    kept = [
        calculate(b, "MAXIMUM", calculate(b, "MINIMUM", h, f), 1)
        for h, f in zip(have, fits, strict=True)
    ]
    return kept[0], kept[1]


def filled_to(b: KerasBuilder, x: Tensor, size: tuple[int, int], value: float) -> Tensor:
    """Return images with the proportions of a size, filled by the same amount on both sides."""
    have = _extent(b, x)
    amounts: list[Size] = [0] * (2 * x.rank)
    for axis, (h, f) in enumerate(zip(have, _in_proportion(b, have, size), strict=True)):
        less = calculate(b, "MAXIMUM", calculate(b, "SUB", f, h), 0)
        place = 2 * (x.rank - 3 + axis)
        amounts[place : place + 2] = [calculate(b, "FLOOR_DIV", less, 2)] * 2
    if amounts == [0] * len(amounts):
        return x
    table = vector(b, amounts)
    table = b.reshape(table, [-1, 2]) if isinstance(table, Tensor) else table.reshape(-1, 2)
    return b("PADV2", x, table, np.array(value, F))


@handles("RandomCrop")
def random_crop(
    b: KerasBuilder,
    x: Tensor,
    *,
    height: int,
    width: int,
    data_format: str | None = None,
    training: bool | None = None,
    **others: Any,
) -> Tensor:
    """Cut the middle out of images and resize it, as Keras 2 does in use; Keras 3 passes on."""
    if b.major >= 3:
        return x
    size = (height, width)
    return resize_to(b, cut_to(b, b.real(x), size), size, "bilinear")


@handles("CenterCrop")
def center_crop(
    b: KerasBuilder,
    x: Tensor,
    *,
    height: int,
    width: int,
    data_format: str | None = None,
    training: bool | None = None,
) -> Tensor:
    """Cut the middle out of images; smaller ones are resized to it, keeping the aspect ratio."""
    size = (height, width)

    def cropped(t: Tensor) -> Tensor:
        have = _extent(b, t)
        lack = calculate(
            b, "MAXIMUM", 0, *(calculate(b, "SUB", w, h) for h, w in zip(have, size, strict=True))
        )
        if lack == 0:
            return _middle(b, t, have, size)
        kept = _largest(b, have, size)
        if isinstance(lack, Tensor):  # what has its size already stays as it is when it is resized
            enough = b("EQUAL", lack, np.array(0, np.int32))
            pairs = [[operand(w), operand(k)] for w, k in zip(size, kept, strict=True)]
            kept = b("SELECT_V2", enough, *pairs[0]), b("SELECT_V2", enough, *pairs[1])
        return resize_to(b, _middle(b, t, have, kept), size, "bilinear")

    return b.channels_last(b.real(x), data_format == FIRST, cropped)


def _middle(b: KerasBuilder, x: Tensor, have: Extent, want: Extent) -> Tensor:
    """Return the middle of images; what does not go in half is behind it."""
    starts = [
        calculate(b, "FLOOR_DIV", calculate(b, "SUB", h, w), 2)
        for h, w in zip(have, want, strict=True)
    ]
    ranges = {}
    for axis, start, size in zip((x.rank - 3, x.rank - 2), starts, want, strict=True):
        if isinstance(start, int) and isinstance(size, int):
            ranges[axis] = (start, start + size, 1)
    if len(ranges) == 2:
        return cut(b, x, ranges)
    front: list[Size] = [0] * (x.rank - 3)
    begin = vector(b, [*front, *starts, 0])
    return b("SLICE", x, begin, vector(b, [*([-1] * len(front)), *want, -1]))


@handles("AutoContrast")
def auto_contrast(
    b: KerasBuilder, x: Tensor, *, value_range: Any, data_format: str | None = None
) -> Tensor:
    """Stretch each channel over the whole range of values; one without contrast stays as it is.

    Keras looks for the extremes along the axes 1 and 2 with channels first, too.
    """
    low, high = (float(v) for v in value_range)
    real = b.real(x)
    axes = np.array([1, 2], np.int32)
    least, most = (b(type, real, axes, keep_dims=True) for type in ("REDUCE_MIN", "REDUCE_MAX"))
    extent = b("SUB", most, least)
    part = b("DIV", b("SUB", real, least), b("MAXIMUM", extent, np.array(1e-30, F)))
    made = b("ADD", b("MUL", part, np.array(high - low, F)), np.array(low, F))
    return b("SELECT_V2", b("GREATER", extent, np.array(0, F)), made, real)
