"""Examples of operations on images."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from keras_rows import Draw, F, Known, Row, Table
from networks_keras import Array
from window_reference import windows

TABLE = Table()


def ordered(d: Draw, x: Array, y: Array) -> tuple[Array, Array, str]:
    """Return image and result in the order of axes that is drawn, some without a batch."""
    if d.number(0, 3) == 0:
        x, y = x[0], y[0]
    if d.number(0, 2):
        return x, y, "channels_last"
    return np.moveaxis(x, -1, -3).copy(), np.moveaxis(y, -1, -3).copy(), "channels_first"


def images(d: Draw, channels: int = 3, low: float = 0, high: float = 1) -> Array:
    return d.reals(2, d.number(4, 7), d.number(4, 7), channels, low=low, high=high)


@TABLE.examples("quantizers", "FakeQuantWithMinMaxVars", count=4)
def on_a_grid(d: Draw, op: str) -> Row:
    x = d.reals(3, 4)
    low, high = d.pick(-1.0, 0.0, -2.5), d.pick(2.0, 3.0)
    scale = (high - low) / 255
    zero = np.floor(-low / scale + 0.5)
    code = np.floor(np.clip(x, -zero * scale, (255 - zero) * scale) / scale + 0.5)
    known = d.pick((low, high), (Known(np.array(low, F)), Known(np.array(high, F))))
    config = {"num_bits": 8, "narrow_range": False, "axis": None}
    return Row([x, *known], F(code * scale), config)


@TABLE.examples("image", "RGBToHSV", "HSVToRGB", count=4)
def colors(d: Draw, op: str) -> Row:
    x = images(d)
    turn = colorsys.rgb_to_hsv if op == "RGBToHSV" else colorsys.hsv_to_rgb
    y = np.reshape([turn(*map(float, pixel)) for pixel in x.reshape(-1, 3)], x.shape)
    x, y, order = ordered(d, x, y)
    return Row([x], F(y), {"data_format": order}, fixed=x.ndim == 3)


@TABLE.examples("image", "RGBToGrayscale", count=4)
def gray(d: Draw, op: str) -> Row:
    x = images(d, d.pick(3, 3, 1))
    y = x if x.shape[-1] == 1 else x @ F([[0.2989], [0.587], [0.114]])
    x, y, order = ordered(d, x, y)
    return Row([x], y, {"data_format": order}, fixed=x.ndim == 3, close=2e-4)


@TABLE.examples("image", "ExtractPatches", count=8)
def patches(d: Draw, op: str) -> Row:
    rank = d.pick(2, 2, 3)
    x = d.reals(2, *[d.number(5, 7) for _ in range(rank)], 2)
    size = [d.number(1, 3) for _ in range(rank)]
    strides = d.pick(None, [d.number(1, 2) for _ in range(rank)])
    rate = d.pick(1, 2) if strides == [1] * rank else 1
    padding = d.pick("valid", "same")
    seen = windows(x, size, strides or size, padding.upper(), [rate] * rank)
    y = seen.reshape(*seen.shape[: 1 + rank], -1)
    order = "channels_last"
    if rank == 2:
        x, y, order = ordered(d, x, y)
    config = {"size": size, "strides": strides, "dilation_rate": rate, "padding": padding}
    return Row([x], y, {**config, "data_format": order}, fixed=x.ndim == 3)


@TABLE.examples("image", "PadImages", "CropImages", count=6)
def framed(d: Draw, op: str) -> Row:
    x = images(d, 2)
    word = "padding" if op == "PadImages" else "cropping"
    top, bottom, left, right = (d.number(0, 1 if op == "CropImages" else 3) for _ in range(4))
    height, width = x.shape[1:3]
    if op == "PadImages":
        y = np.pad(x, [(0, 0), (top, bottom), (left, right), (0, 0)])
    else:
        y = x[:, top : height - bottom, left : width - right]
    rows = d.pick((top, bottom, None), (None, bottom, y.shape[1]), (top, None, y.shape[1]))
    columns = d.pick((left, right, None), (None, right, y.shape[2]), (left, None, y.shape[2]))
    x, y, order = ordered(d, x, y)
    named = {f"top_{word}": rows[0], f"bottom_{word}": rows[1], "target_height": rows[2]}
    named |= {f"left_{word}": columns[0], f"right_{word}": columns[1], "target_width": columns[2]}
    return Row([x], y, {**named, "data_format": order}, fixed=x.ndim == 3)


@TABLE.examples("image", "GaussianBlur", count=4)
def blurred(d: Draw, op: str) -> Row:
    x = images(d, 2)
    sizes, widths = [d.pick(1, 3, 5) for _ in range(2)], [d.pick(0.5, 1.0, 2.0) for _ in range(2)]
    if sizes[0] != sizes[1]:
        sizes[1] = sizes[0]  # of unequal ones Keras shuffles the kernel
    bells = [
        np.exp(-0.5 * ((np.arange(s) - (s - 1) / 2) / w) ** 2)
        for s, w in zip(sizes, widths, strict=True)
    ]
    kernel = np.outer(bells[1] / bells[1].sum(), bells[0] / bells[0].sum())
    y = np.einsum("nhwuvc,uv->nhwc", windows(x, sizes, [1, 1], "SAME"), kernel)
    x, y, order = ordered(d, x, y)
    return Row(
        [x], F(y), {"kernel_size": sizes, "sigma": widths, "data_format": order}, fixed=x.ndim == 3
    )


def pixel(image: Array, row: int, column: int, mode: str, fill: float) -> Array:
    """Return a pixel [c], which may lie outside."""
    height, width, channels = image.shape
    if mode == "nearest":
        row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
    inside = 0 <= row < height and 0 <= column < width
    return image[row, column] if inside else np.full(channels, fill, F)


def moved(image: Array, how: Array, kind: str, mode: str, fill: float) -> Array:
    """Return image: [h, w, c] as seen through a projection of places: 8 numbers."""
    y = np.empty_like(image)
    for row, column in np.ndindex(*image.shape[:2]):
        depth = how[6] * column + how[7] * row + 1
        at = (how[3] * column + how[4] * row + how[5]) / depth
        along = (how[0] * column + how[1] * row + how[2]) / depth
        if kind == "nearest":
            y[row, column] = pixel(image, int(np.rint(at)), int(np.rint(along)), mode, fill)
            continue
        top, left = int(np.floor(at)), int(np.floor(along))
        y[row, column] = 0
        for down, right in itertools.product((0, 1), repeat=2):
            share = abs(1 - down - (at - top)) * abs(1 - right - (along - left))
            y[row, column] += share * pixel(image, top + down, left + right, mode, fill)
    return y


@TABLE.examples("image", "AffineTransform", count=6)
def transformed(d: Draw, op: str) -> Row:
    x = images(d, 2)
    how = F([1, 0, 0, 0, 1, 0, 0, 0]) + d.reals(2, 8, low=-0.4, high=0.4) * F(
        [1, 1, 5, 1, 1, 5, 0, 0]
    )
    how = how[:1] if d.number(0, 2) == 0 else how
    kind, mode, fill = d.pick("nearest", "bilinear"), d.pick("constant", "nearest"), d.pick(0, 0.5)
    y = np.stack([moved(image, how[i % len(how)], kind, mode, fill) for i, image in enumerate(x)])
    order = d.pick("channels_last", "channels_last", "channels_first")
    if order == "channels_first":
        x, y = np.moveaxis(x, -1, 1).copy(), np.moveaxis(y, -1, 1).copy()
    how = how[0] if len(how) == 1 else how
    config = {"interpolation": kind, "fill_mode": mode, "fill_value": fill, "data_format": order}
    return Row([x, d.pick(how, Known(how))], y, config, fixed=True, close=1e-4)


@TABLE.examples("image", "PerspectiveTransform", count=4)
def in_perspective(d: Draw, op: str) -> Row:
    x = images(d, 2)
    corners = F([[[0, 0], [5, 0], [0, 4], [5, 4]]])
    start = corners + d.reals(2, 4, 2, low=-0.7, high=0.7)
    end = corners + d.reals(2, 4, 2, low=-0.7, high=0.7)
    if d.number(0, 2) == 0:
        start, end = start[:1], end[:1]
    how = []
    for near, far in zip(start.astype(np.float64), end.astype(np.float64), strict=True):
        rows = []
        for (sx, sy), (ex, ey) in zip(near, far, strict=True):
            rows.append([ex, ey, 1, 0, 0, 0, -sx * ex, -sx * ey])
            rows.append([0, 0, 0, ex, ey, 1, -sy * ex, -sy * ey])
        how.append(np.linalg.solve(rows, near.reshape(8)))
    kind, fill = d.pick("nearest", "bilinear"), d.pick(0, 0.5)
    y = [moved(image, how[i % len(how)], kind, "constant", fill) for i, image in enumerate(x)]
    points = [start[0], end[0]] if len(start) == 1 else [start, end]
    known = d.flag()
    config = {"interpolation": kind, "fill_value": fill, "data_format": "channels_last"}
    args = [x, *(Known(p) if known else p for p in points)]
    return Row(args, np.stack(y), config, fixed=True, close=1e-3)


@TABLE.examples("image", "SobelEdges")
def edges(d: Draw, op: str) -> Row:
    x = images(d, 2)
    wide = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    down = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    seen = windows(wide, [3, 3], [1, 1])
    y = np.stack([np.einsum("nhwuvc,uv->nhwc", seen, k) for k in (down, down.T)], -1)
    order = d.pick("channels_last", "channels_first")
    if order == "channels_first":
        x, y = np.moveaxis(x, -1, 1).copy(), np.moveaxis(y, 3, 1).copy()
    return Row([x], F(y), {"data_format": order})


@TABLE.examples("nn", "Unfold", count=4)
def unfolded(d: Draw, op: str) -> Row:
    x = images(d, 2)
    size = [d.number(1, 3), d.number(1, 3)]
    step, edge = [d.number(1, 2), d.number(1, 2)], [d.number(0, 1), d.number(0, 1)]
    rate = d.pick(1, 2) if step == [1, 1] else 1
    seen = windows(x, size, step, [(edge[0],) * 2, (edge[1],) * 2], [rate] * 2)
    y = seen.transpose(0, 5, 3, 4, 1, 2).reshape(2, 2 * size[0] * size[1], -1)
    config = {"kernel_size": size, "dilation": rate, "padding": edge, "stride": step}
    return Row([np.moveaxis(x, -1, 1).copy()], y, config)


@TABLE.examples("nn", "Fold", count=4)
def folded(d: Draw, op: str) -> Row:
    size, edge = [d.number(1, 3), d.number(1, 3)], d.number(0, 1)
    step, rate = d.pick((1, 2), (2, 1), (1, 1))
    whole = [d.number(5, 7), d.number(5, 7)]
    counts = [
        (w + 2 * edge - rate * (k - 1) - 1) // step + 1 for w, k in zip(whole, size, strict=True)
    ]
    x = d.reals(2, 3, *size, *counts)
    y = np.zeros((2, 3, *(w + 2 * edge for w in whole)), F)
    for row, column in np.ndindex(*counts):
        for down, right in np.ndindex(*size):
            at = row * step + down * rate, column * step + right * rate
            y[:, :, at[0], at[1]] += x[:, :, down, right, row, column]
    y = y[:, :, edge : edge + whole[0], edge : edge + whole[1]]
    config = {"output_size": whole, "kernel_size": size, "dilation": rate, "padding": edge}
    held = x.reshape(2, 3 * size[0] * size[1], -1)
    return Row([held], y, {**config, "stride": step})


def cubic(x: Array) -> Array:
    """The cubic of Keys with a = -0.5."""
    inner = 1.5 * x**3 - 2.5 * x**2 + 1
    return np.where(x < 1, inner, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))


def lanczos(count: int) -> Callable[[Array], Array]:
    return lambda x: np.where(x < count, np.sinc(x) * np.sinc(x / count), 0)


KERNELS: dict[str, Callable[[Array], Array]] = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "bicubic": cubic,
    "lanczos3": lanczos(3),
    "lanczos5": lanczos(5),
}


def resized(x: Array, size: int, axis: int, kind: str, smooth: bool) -> Array:
    """Return x with another size along an axis; centers of pixels count."""
    have = x.shape[axis]
    places = (np.arange(size) + 0.5) * have / size
    if kind == "nearest":
        return x.take(np.floor(places).astype(int), axis)
    if kind == "bicubic" and not smooth:
        places = np.rint((places - 0.5) * 1024) / 1024 + 0.5  # TensorFlow's table has 1024 rows
    wide = max(have / size, 1) if smooth else 1
    weights = KERNELS[kind](np.abs(places[:, None] - np.arange(have) - 0.5) / wide)
    weights /= weights.sum(1, keepdims=True)
    return np.moveaxis(np.tensordot(x, weights, [[axis], [1]]), -1, axis)


@TABLE.examples("image", "ScaleAndTranslate", count=6)
def scaled(d: Draw, op: str) -> Row:
    x = images(d, 2)
    size, smooth = [d.number(3, 8), d.number(3, 8)], d.flag()
    scale, shift = d.reals(2, low=0.5, high=2), d.reals(2, low=-1, high=1)
    name, kind = d.pick(("linear", "bilinear"), ("bicubic", "bicubic"), ("lanczos3", "lanczos3"))
    y = x.astype(np.float64)
    for axis in (1, 2):
        have, by = x.shape[axis], scale[axis - 1]
        at = (np.arange(size[axis - 1]) + 0.5 - shift[axis - 1]) / by - 0.5
        wide = max(1 / by, 1) if smooth else 1
        weights = KERNELS[kind](np.abs(at[:, None] - np.arange(have)) / wide)
        total = weights.sum(1, keepdims=True)
        weights = weights / np.where(total == 0, 1, total)
        weights[(at < -0.5) | (at > have - 0.5)] = 0
        y = np.moveaxis(np.tensordot(y, weights, [[axis], [1]]), -1, axis)
    config = {"spatial_dims": [1, 2], "method": name, "antialias": smooth}
    args = [x, [2, *size, 2], Known(scale), Known(shift)]
    return Row(args, F(y), config, fixed=True, close=1e-4)


@TABLE.examples("image", "Resize", count=16)
def resizes(d: Draw, op: str) -> Row:
    x = images(d, 2)
    size = [d.number(2, 10), d.number(2, 10)]
    kind = d.pick("bilinear", "nearest", *KERNELS)
    smooth = d.flag()
    ratio, fill = d.pick(None, None, "crop", "pad"), d.pick(0.0, 0.5)
    y = x
    height, width = x.shape[1:3]
    inner = [int(width * size[0] / size[1]), int(height * size[1] / size[0])]
    if ratio == "crop":
        kept = [max(min(have, want), 1) for have, want in zip((height, width), inner, strict=True)]
        top, left = (height - kept[0]) // 2, (width - kept[1]) // 2
        y = x[:, top : top + kept[0], left : left + kept[1]]
    if ratio == "pad":
        more = [
            (max(want, have) - have) // 2 for have, want in zip((height, width), inner, strict=True)
        ]
        y = np.pad(x, [(0, 0), (more[0],) * 2, (more[1],) * 2, (0, 0)], constant_values=fill)
    for axis in (1, 2):
        y = resized(y, size[axis - 1], axis, kind, smooth)
    x, y, order = ordered(d, x, F(y))
    config: dict[str, Any] = {"size": size, "interpolation": kind, "antialias": smooth}
    config |= {"crop_to_aspect_ratio": ratio == "crop", "pad_to_aspect_ratio": ratio == "pad"}
    config |= {"fill_mode": "constant", "fill_value": fill, "data_format": order}
    return Row([x], y, config, fixed=x.ndim == 3, close=1e-4)
