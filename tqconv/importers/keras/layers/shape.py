"""Layers that move elements: reshaping, padding, cropping, repeating."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import resize
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, sizes_of, vector
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST, many
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Flatten")
def flatten(b: KerasBuilder, x: Tensor, *, data_format: str | None = None) -> Tensor:
    """Put everything of an element into one axis, channels last."""
    if data_format == FIRST and x.rank > 2:
        x = b.to_channels_last(x)
    sizes = sizes_of(b, x)
    if x.rank < 2:
        return reshaped(b, x, [*sizes, 1])
    return reshaped(b, x, [sizes[0], calculate(b, "MUL", 1, *sizes[1:])])


@handles("Reshape")
def reshape(b: KerasBuilder, x: Tensor, *, target_shape: Sequence[int]) -> Tensor:
    """Reshape each element; -1 is what is left."""
    target: list[Size] = list(target_shape)
    if -1 in target:
        rest = [size for size in target if size != -1]
        total = calculate(b, "MUL", 1, *sizes_of(b, x)[1:])
        known = int(np.prod([size for size in rest if isinstance(size, int)]))
        missing = calculate(b, "FLOOR_DIV", total, known)
        target[target.index(-1)] = missing
    return reshaped(b, x, [size_of(b, x, 0), *target])


@handles("Permute")
def permute(b: KerasBuilder, x: Tensor, *, dims: Sequence[int]) -> Tensor:
    """Permute the axes of each element, which count from 1."""
    return b.transpose(x, (0, *dims))


@handles("RepeatVector")
def repeat_vector(b: KerasBuilder, x: Tensor, *, n: int) -> Tensor:
    """Repeat [batch, c] as [batch, n, c]."""
    n_rows, channels = sizes_of(b, x)
    return b("TILE", reshaped(b, x, [n_rows, 1, channels]), np.array([1, n, 1], np.int32))


def pairs_of(value: Any, count: int) -> list[tuple[int, int]]:
    """Return (before, after) of each axis: of one number, one each, or one pair each."""
    if isinstance(value, int):
        return [(value, value)] * count
    items = list(value)
    if count == 1 and len(items) == 2 and all(isinstance(i, int) for i in items):
        items = [items]
    if len(items) != count:
        raise UnsupportedError(f"{value} for {count} axes")
    return [(i, i) if isinstance(i, int) else (int(i[0]), int(i[1])) for i in items]


@handles("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(
    b: KerasBuilder, x: Tensor, *, padding: Any, data_format: str | None = None
) -> Tensor:
    """Surround with zeros."""
    first = 2 if data_format == FIRST else 1
    amounts = np.zeros((x.rank, 2), np.int32)
    amounts[first : first + x.rank - 2] = pairs_of(padding, x.rank - 2)
    return b("PAD", x, amounts) if amounts.any() else x


@handles("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(
    b: KerasBuilder, x: Tensor, *, cropping: Any, data_format: str | None = None
) -> Tensor:
    """Cut off at both ends of each axis."""
    first = 2 if data_format == FIRST else 1
    pairs = enumerate(pairs_of(cropping, x.rank - 2), first)
    return cut(b, x, {a: (start, -stop if stop else None, 1) for a, (start, stop) in pairs})


@handles("UpSampling1D", "UpSampling3D")
def repeated(b: KerasBuilder, x: Tensor, *, size: Any, data_format: str | None = None) -> Tensor:
    """Repeat each element along each axis."""
    first = 2 if data_format == FIRST else 1
    for axis, count in enumerate(many(size, x.rank - 2), first):
        x = repeat(b, x, axis, count)
    return x


def repeat(b: KerasBuilder, x: Tensor, axis: int, count: int) -> Tensor:
    """Repeat each element along an axis so many times."""
    sizes = sizes_of(b, x)
    wide = reshaped(b, x, [*sizes[: axis + 1], 1, *sizes[axis + 1 :]])
    multiples = np.ones(x.rank + 1, np.int32)
    multiples[axis + 1] = count
    sizes[axis] = calculate(b, "MUL", sizes[axis], count)
    return reshaped(b, b("TILE", wide, multiples), sizes)


@handles("UpSampling2D")
def up_sampling(
    b: KerasBuilder,
    x: Tensor,
    *,
    size: Any,
    data_format: str | None = None,
    interpolation: str = "nearest",
) -> Tensor:
    """Resize by whole factors."""
    factors = many(size, 2)
    x = b.real(x)

    def resized(t: Tensor) -> Tensor:
        wanted = [calculate(b, "MUL", size_of(b, t, a), f) for a, f in enumerate(factors, 1)]
        return resize_to(b, t, wanted, interpolation)

    return b.channels_last(x, data_format == FIRST, resized)


def resize_to(
    b: KerasBuilder, x: Tensor, size: Sequence[Size], interpolation: str, antialias: bool = False
) -> Tensor:
    """Resize x: [n, h, w, c] as `tf.image.resize` does: centers of pixels count.

    antialias: kernels are as wide as what they shrink; `nearest` and `area` are the same with it.
    """
    if interpolation == "nearest" or (interpolation == "bilinear" and not antialias):
        wanted = vector(b, list(size))
        tensor = wanted if isinstance(wanted, Tensor) else b.const(wanted, np.int32, "size")
        make = resize.nearest if interpolation == "nearest" else resize.bilinear
        return make(b, x, tensor, half_pixel_centers=True)
    if interpolation == "area":
        return resize.area(b, x, size)
    if interpolation == "bicubic" and not antialias:
        return resize.bicubic(b, x, size, half_pixel_centers=True)
    kernel = {"bilinear": "triangle", "bicubic": "keyscubic", "mitchellcubic": "mitchellcubic"}
    return resize.by_kernel(b, x, size, kernel.get(interpolation, interpolation), antialias)
