"""Layers that prepare data: numbers and images."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.activations import clamp
from tqconv.compose.sizes import size_of
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST
from tqconv.importers.keras.layers.normalization import axes_of
from tqconv.importers.keras.layers.shape import resize_to
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
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


def _extent(b: KerasBuilder, x: Tensor) -> tuple[int, int]:
    """Return height and width of x: [n, h, w, c]."""
    sizes = [size for size in (size_of(b, x, -3), size_of(b, x, -2)) if isinstance(size, int)]
    if len(sizes) < 2:
        raise UnsupportedError(
            f"{b.layer.op} of images of unknown size",
            hint="give the inputs a shape with --input_shapes",
        )
    return sizes[0], sizes[1]


def _in_proportion(have: tuple[int, int], want: tuple[int, int]) -> tuple[int, int]:
    """Return the height that goes with the width, and the width that goes with the height."""
    ratios = F(have[1] * want[0]) / F(want[1]), F(have[0] * want[1]) / F(want[0])
    return int(ratios[0]), int(ratios[1])


def cut_to(b: KerasBuilder, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the largest middle part with the proportions of a size (`smart_resize`)."""
    have = _extent(b, x)
    kept = [max(min(h, f), 1) for h, f in zip(have, _in_proportion(have, size), strict=True)]
    return _middle(b, x, have, (kept[0], kept[1]))


def filled_to(b: KerasBuilder, x: Tensor, size: tuple[int, int], value: float) -> Tensor:
    """Return images with the proportions of a size, filled by the same amount on both sides."""
    have = _extent(b, x)
    amounts = np.zeros((x.rank, 2), np.int32)
    for axis, (h, f) in enumerate(zip(have, _in_proportion(have, size), strict=True), x.rank - 3):
        amounts[axis] = max(f - h, 0) // 2
    return b("PADV2", x, amounts, np.array(value, F)) if amounts.any() else x


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
        if have[0] >= height and have[1] >= width:
            return _middle(b, t, have, size)
        return resize_to(b, cut_to(b, t, size), size, "bilinear")

    return b.channels_last(b.real(x), data_format == FIRST, cropped)


def _middle(b: KerasBuilder, x: Tensor, have: tuple[int, int], want: tuple[int, int]) -> Tensor:
    ranges = {}
    for axis, size, wanted in zip((-3, -2), have, want, strict=True):
        start = (size - wanted) // 2
        ranges[axis % x.rank] = (start, start + wanted, 1)
    return cut(b, x, ranges)


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
