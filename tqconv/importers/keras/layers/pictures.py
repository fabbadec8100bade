"""Operations of Keras 3 on images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import color, linalg, patches, rearrange
from tqconv.compose import conv as convolutions
from tqconv.compose import resize as resizing
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, reshaped, size_of, sizes_of
from tqconv.compose.slices import cut
from tqconv.compose.warp import projected
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.functions.images import GRAY
from tqconv.importers.keras.layers.convolution import FIRST, many, windows_of
from tqconv.importers.keras.layers.preprocessing import cut_to, filled_to
from tqconv.importers.keras.layers.products import tensordot
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.layers.shape import resize_to
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import ints, tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32


def of_images(
    b: KerasBuilder, x: Tensor, data_format: str | None, make: Callable[[Tensor], Tensor]
) -> Tensor:
    """Apply `make` to images: [n, h, w, c]; x may be one image, and have its channels first."""
    x = b.real(x)
    images = b("EXPAND_DIMS", x, np.array(0, np.int32)) if x.rank == 3 else x
    y = b.channels_last(images, data_format == FIRST, make)
    return b("SQUEEZE", y, squeeze_dims=[0]) if x.rank == 3 else y


@operations(RGBToHSV=color.rgb_to_hsv, HSVToRGB=color.hsv_to_rgb)
def colors(
    b: KerasBuilder,
    change: Callable[[Builder, Tensor], Tensor],
    x: Tensor,
    *,
    data_format: str | None = None,
) -> Tensor:
    """Change the space of colors."""
    return of_images(b, x, data_format, lambda t: change(b, t))


@handles("ops.RGBToGrayscale")
def gray(b: KerasBuilder, x: Tensor, *, data_format: str | None = None) -> Tensor:
    """The brightness of colors."""
    weights = b.const([[w] for w in GRAY], F, "weights")

    def made(t: Tensor) -> Tensor:
        return t if t.shape[-1] == 1 else tensordot(b, t, weights, axes=1)

    return of_images(b, x, data_format, made)


@handles("ops.ExtractPatches")
def extract_patches(
    b: KerasBuilder,
    x: Tensor,
    *,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Put the elements of each window into the channels."""
    rank = 2 if isinstance(size, int) else len(size)
    kernel = many(size, rank)
    steps, rates = many(strides or kernel, rank), many(dilation_rate, rank)
    windows = windows_of(kernel, steps, rates, padding)

    def taken(t: Tensor) -> Tensor:
        if rank == 2:
            return patches.patches(b, t, windows)
        channels = static_size(t, -1)
        b.pay((channels * int(np.prod(kernel))) ** 2, "size")
        each = np.eye(channels * int(np.prod(kernel)), dtype=F).reshape(*kernel, channels, -1)
        return convolutions.conv(b, t, b.const(each, F, "each"), windows)

    return of_images(b, x, data_format, taken)


def _ends(total: Any, before: Any, after: Any, target: Any, sign: int) -> tuple[int, int]:
    """Return what goes before and after an axis; one of three is what the others leave."""
    if not isinstance(total, int):
        raise UnsupportedError("images of unknown size")
    if before is None:
        before = sign * (target - total) - after
    if after is None:
        after = sign * (target - total) - before
    if before < 0 or after < 0:
        raise UnsupportedError("paddings, or cuts, of less than nothing")
    return int(before), int(after)


@handles("ops.Unfold")
def unfolded(
    b: KerasBuilder,
    x: Tensor,
    *,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Put windows of x: [n, c, h, w] beside each other: [n, c * size of a window, windows]."""
    kernel, rates, steps, edges = (many(v, 2) for v in (kernel_size, dilation, stride, padding))
    amounts = np.array([[0, 0], *[(edge, edge) for edge in edges], [0, 0]], np.int32)
    t = b.to_channels_last(b.real(x))
    t = b("PAD", t, amounts) if amounts.any() else t
    found = patches.patches(b, t, windows_of(kernel, steps, rates, "valid"))
    count, rows, columns, depth = sizes_of(b, found)
    places = calculate(b, "MUL", rows, columns)
    size, channels = kernel[0] * kernel[1], static_size(t, -1)
    apart = b.transpose(reshaped(b, found, [count, places, size, channels]), (0, 3, 2, 1))
    return reshaped(b, apart, [count, depth, places])


@handles("ops.Fold")
def folded(
    b: KerasBuilder,
    x: Tensor,
    *,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """Add up what windows hold, [n, c * size of a window, windows], to images [n, c, h, w]."""
    options = (many(value, 2) for value in (kernel_size, stride, dilation, padding))
    windows = [Window(k, s, r, (p, p)) for k, s, r, p in zip(*options, strict=True)]
    rows = static_size(x, 1)
    return patches.folded(b, b.real(x), rows, many(output_size, 2), windows)


SOBEL = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], F)


@handles("ops.SobelEdges")
def edges(b: KerasBuilder, x: Tensor, *, data_format: str | None = None) -> Tensor:
    """How the brightness changes along rows and columns, on a new last axis."""
    first = data_format == FIRST
    t = b.to_channels_last(b.real(x)) if first else b.real(x)
    channels = static_size(t, -1)
    kernel = np.repeat(np.stack([SOBEL, SOBEL.T], -1)[:, :, None], channels, 2)
    amounts = b.const([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32, "amounts")
    wide = rearrange.mirror_pad(b, t, amounts, "REFLECT")
    windows = windows_of((3, 3), 1, 1, "valid")
    found = convolutions.depthwise(b, wide, b.const(kernel, F, "kernel"), windows)
    y = reshaped(b, found, [*sizes_of(b, t), 2])
    return b.transpose(y, (0, 3, 1, 2, 4)) if first else y


@handles("ops.PerspectiveTransform")
def perspective(
    b: KerasBuilder,
    *xs: Tensor,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
    args: Any = None,
) -> Tensor:
    """Move images such that four points come to where four others are."""
    x, *corners = in_order(b, xs, args)
    start, end = (b.real(tensor(b, points, F, "points")) for points in corners)
    how = _homography(b, *(t if t.rank == 3 else _one(b, t) for t in (start, end)))
    options = {"interpolation": interpolation, "fill_value": fill_value, "data_format": data_format}
    return affine_transform(b, x, how, **options)


def _one(b: KerasBuilder, x: Tensor) -> Tensor:
    return b("EXPAND_DIMS", x, np.array(0, np.int32))


def _homography(b: KerasBuilder, start: Tensor, end: Tensor) -> Tensor:
    """Return the 8 numbers of the projections that map `end` to `start`, both [n, 4, 2]."""
    xs, ys = b("SPLIT", np.array(2, np.int32), start, num_splits=2)
    nothing = b("MUL", end, np.array(0, F))
    one = b("ADD", b("MUL", xs, np.array(0, F)), np.array(1, F))
    none = b("MUL", xs, np.array(0, F))
    rows = [
        b("CONCATENATION", *left, b("NEG", b("MUL", end, known)), axis=2)
        for left, known in (
            ((end, one, nothing, none), xs),
            ((nothing, none, end, one), ys),
        )
    ]
    system = b("CONCATENATION", *rows, axis=1)
    found = linalg.matrix_solve(b, system, b("CONCATENATION", xs, ys, axis=1))
    return b("SQUEEZE", found, squeeze_dims=[2])


@handles("ops.ScaleAndTranslate")
def scale_and_translate(
    b: KerasBuilder,
    *xs: Tensor,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
    args: Any = None,
) -> Tensor:
    """Resize and move along axes, with a kernel."""
    x, shape, scale, shift = in_order(b, xs, args)
    axes = [axis_of(a, x.rank) for a in spatial_dims]
    if x.rank != 4 or axes != [1, 2]:
        raise UnsupportedError(f"ScaleAndTranslate along the axes {axes} of rank {x.rank}")
    kinds = {"linear": "triangle", "bilinear": "triangle", "trilinear": "triangle"}
    kinds |= dict.fromkeys(("cubic", "bicubic", "tricubic"), "keyscubic")
    size = [ints(shape, "output_shape")[a] for a in axes]
    kernel = kinds.get(method, method)
    shifts = b.value(tensor(b, shift, F, "translation"), "translation").reshape(-1).tolist()
    scales = tensor(b, scale, F, "scale")
    return resizing.by_kernel(b, b.real(x), size, kernel, antialias, scales, shifts)


@handles("ops.PadImages", "ops.CropImages")
def framed(
    b: KerasBuilder,
    x: Tensor,
    *,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
    **given: int | None,
) -> Tensor:
    """Surround images with zeros, or cut off their sides."""
    pads = b.layer.op == "ops.PadImages"
    word, sign = ("padding", 1) if pads else ("cropping", -1)
    first = x.rank - 2 if data_format == FIRST else x.rank - 3
    rows = _ends(x.shape[first], given[f"top_{word}"], given[f"bottom_{word}"], target_height, sign)
    left, right = given[f"left_{word}"], given[f"right_{word}"]
    columns = _ends(x.shape[first + 1], left, right, target_width, sign)
    if pads:
        amounts = np.zeros((x.rank, 2), np.int32)
        amounts[first], amounts[first + 1] = rows, columns
        return b("PAD", x, amounts) if amounts.any() else x
    pairs = ((first, rows), (first + 1, columns))
    return cut(b, x, {axis: (start, -end or None, 1) for axis, (start, end) in pairs})


@handles("ops.GaussianBlur")
def gaussian_blur(
    b: KerasBuilder,
    x: Tensor,
    *,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> Tensor:
    """Average by a bell around each pixel; what lies outside is zero."""
    b.pay(int(np.prod([max(int(size), 1) for size in kernel_size])), "kernel_size")
    bells = []
    for size, width in zip(kernel_size, sigma, strict=True):
        places = np.arange(int(size)) - (int(size) - 1) / 2
        bell = np.exp(-0.5 * (places / width) ** 2)
        bells.append(bell / bell.sum())
    kernel = np.multiply.outer(bells[1], bells[0]).reshape(int(kernel_size[0]), -1)

    def blurred(t: Tensor) -> Tensor:
        channels = size_of(b, t, -1)
        if not isinstance(channels, int):
            raise UnsupportedError("images with an unknown number of channels")
        w = np.repeat(kernel[:, :, None, None], channels, 2).astype(F)
        windows = windows_of(w.shape[:2], 1, 1, "same")
        return convolutions.depthwise(b, t, b.const(w, F, "kernel"), windows)

    return of_images(b, x, data_format, blurred)


@handles("ops.AffineTransform")
def affine_transform(
    b: KerasBuilder,
    *xs: Tensor,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
    args: Any = None,
) -> Tensor:
    """Move, turn and shear images."""
    x, given = in_order(b, xs, args)
    how = b.real(tensor(b, given, F, "transform"))
    how = b("EXPAND_DIMS", how, np.array(0, np.int32)) if how.rank == 1 else how

    def moved(t: Tensor) -> Tensor:
        size = [static_size(t, 1), static_size(t, 2)]
        modes = {"interpolation": interpolation.upper(), "fill_mode": fill_mode.upper()}
        return projected(b, t, how, size, b.const(fill_value, F, "fill_value"), **modes)

    return of_images(b, x, data_format, moved)


@handles("ops.Resize")
def resize(
    b: KerasBuilder,
    x: Tensor,
    *,
    size: Any,
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Tensor:
    """Resize images."""
    wanted = (int(size[0]), int(size[1]))
    if antialias or interpolation not in ("nearest", "bilinear"):  # by a matrix on either side
        b.pay(sum(wanted) * max(size or 1 for size in x.shape), "size")

    def resized(t: Tensor) -> Tensor:
        if crop_to_aspect_ratio:
            t = cut_to(b, t, wanted)
        elif pad_to_aspect_ratio:
            t = filled_to(b, t, wanted, fill_value)
        return resize_to(b, t, wanted, interpolation, antialias)

    return of_images(b, x, data_format, resized)
