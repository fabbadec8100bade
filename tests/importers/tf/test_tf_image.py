"""Crops, warps and colors of images, against numpy and the standard library."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op, const, graph, model_of, node, placeholder
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # places of samples are rounded to 1e-6 of the image's size


X = numbers(2, 6, 8, 3)
BOXES = np.array(
    [[0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9], [-0.2, -0.1, 1.3, 1.2], [0.9, 0.8, 0.1, 0.2]], np.float32
)
NUMBERS = np.array([0, 1, 0, 1], np.int32)


def sampled(image: Array, y: float, x: float, method: str) -> Array:
    if method == "nearest":
        return image[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
    top, left = int(np.floor(y)), int(np.floor(x))
    bottom, right = int(np.ceil(y)), int(np.ceil(x))
    upper = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
    lower = image[bottom, left] * (1 - (x - left)) + image[bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def cropped(x: Array, size: Any, method: str, outside: float) -> Array:
    out = np.full((len(BOXES), *size, x.shape[-1]), outside, np.float32)
    for i, (box, number) in enumerate(zip(BOXES, NUMBERS, strict=True)):
        grids = []
        for axis in range(2):
            low, high, wanted = box[axis], box[axis + 2], size[axis]
            span = np.float32(x.shape[1 + axis] - 1)
            step = (high - low) * span / np.float32(max(wanted - 1, 1))
            middle = np.float32(0.5) * (low + high) * span
            every = low * span + np.arange(wanted, dtype=np.float32) * step
            grids.append(every if wanted > 1 else [middle])
        for row, y in enumerate(grids[0]):
            for column, at in enumerate(grids[1]):
                if 0 <= y <= x.shape[1] - 1 and 0 <= at <= x.shape[2] - 1:
                    out[i, row, column] = sampled(x[number], y, at, method)
    return out


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (1, 5), (7, 7)])
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_crop_and_resize(method: str, size: Any, dynamic: bool) -> None:
    operands = (X, BOXES, NUMBERS, np.array(size, np.int32))
    expected = cropped(X, size, method, -1.5)
    constants = (3,) if dynamic else (1, 2, 3)
    attrs: Any = {"method": method, "extrapolation_value": -1.5}
    op = "CropAndResize"
    assert_op(op, operands, expected, constants=constants, dynamic=dynamic, **attrs, **CLOSE)


def test_crop_and_resize_of_bytes_is_real() -> None:
    x = np.random.default_rng(0).integers(0, 255, X.shape, np.uint8)
    expected = cropped(x.astype(np.float32), (3, 4), "bilinear", 0)
    operands = (x, BOXES, NUMBERS, np.array([3, 4], np.int32))
    assert_op("CropAndResize", operands, expected, constants=(1, 2, 3), rtol=1e-5, atol=1e-3)


def test_crop_and_resize_refuses_other_methods() -> None:
    nodes = [placeholder("x", np.float32, X.shape), const("b", BOXES), const("n", NUMBERS)]
    nodes += [const("s", np.array([2, 2], np.int32))]
    nodes.append(node("y", "CropAndResize", "x", "b", "n", "s", method="lanczos"))
    with pytest.raises(UnsupportedError, match="method `lanczos`"):
        model_of(graph(*nodes), ["y"])


TURNED = np.array(
    [[1, 0.1, -0.5, -0.2, 0.9, 0.3, 0.01, -0.02], [0.5, 0, 1, 0, 0.5, 1, 0, 0]], np.float32
)


def warped(x: Array, transforms: Array, size: Any, fill: float, bilinear: bool) -> Array:
    def read(image: Array, row: int, column: int) -> Any:
        inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
        return image[row, column] if inside else np.full(image.shape[2], fill)

    out = np.empty((len(x), *size, x.shape[-1]), np.float64)
    for number, row, column in np.ndindex(len(x), *size):
        a = transforms[number % len(transforms)].astype(np.float64)
        k = a[6] * column + a[7] * row + 1
        at = (a[0] * column + a[1] * row + a[2]) / k
        down = (a[3] * column + a[4] * row + a[5]) / k
        if not bilinear:
            near = (int(np.floor(abs(v) + 0.5) * np.sign(v)) for v in (down, at))
            out[number, row, column] = read(x[number], *near)
            continue
        top, left = int(np.floor(down)), int(np.floor(at))
        total = 0
        for i, j in np.ndindex(2, 2):
            weight = abs(1 - i - (down - top)) * abs(1 - j - (at - left))
            total += weight * read(x[number], top + i, left + j)
        out[number, row, column] = total
    return out.astype(np.float32)


@pytest.mark.parametrize("interpolation", ["NEAREST", "BILINEAR"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_projective_transform(interpolation: str, dynamic: bool) -> None:
    expected = warped(X, TURNED, (5, 9), -2, interpolation == "BILINEAR")
    operands = (X, TURNED, np.array([5, 9], np.int32), np.float32(-2))
    constants = (2, 3) if dynamic else (1, 2, 3)
    attrs: Any = {"interpolation": interpolation, "fill_mode": "CONSTANT", "dtype": np.float32}
    op = "ImageProjectiveTransformV3"
    assert_op(op, operands, expected, constants=constants, **attrs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("fill_mode", "row"),
    [
        ("REFLECT", [2, 1, 0, 0, 1, 2, 3, 3, 2, 1]),
        # TensorFlow counts turns by three of the four elements, and cuts what is then outside.
        ("WRAP", [3, 2, 3, 0, 1, 2, 3, 0, 1, 0]),
        ("NEAREST", [0, 0, 0, 0, 1, 2, 3, 3, 3, 3]),
        ("CONSTANT", [0, 0, 0, 0, 1, 2, 3, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32])
def test_fill_mode_of_a_shift_by_three(dtype: Any, fill_mode: str, row: Any) -> None:
    x = np.arange(4, dtype=dtype).reshape(1, 1, 4, 1)
    shift = np.array([[1, 0, -3, 0, 1, 0, 0, 0]], np.float32)
    operands = (x, shift, np.array([1, 10], np.int32))
    expected = np.array(row, dtype).reshape(1, 1, 10, 1)
    attrs = {"interpolation": "NEAREST", "fill_mode": fill_mode, "dtype": dtype}
    assert_op("ImageProjectiveTransformV2", operands, expected, constants=(1, 2), **attrs)


def colors() -> Array:
    """All corners, grays, and random colors."""
    corners = np.array(list(np.ndindex(2, 2, 2)), np.float32)
    grays = np.repeat(np.linspace(0, 1, 5, dtype=np.float32)[:, None], 3, 1)
    drawn = np.random.default_rng(0).uniform(size=(50, 3)).astype(np.float32)
    return np.concatenate([corners, corners / 2, grays, drawn])


def each(convert: Any, x: Array) -> Array:
    flat = [convert(*map(float, row)) for row in x.reshape(-1, 3)]
    return np.array(flat, np.float32).reshape(x.shape)


@pytest.mark.parametrize("shape", [(-1, 3), (1, -1, 1, 3)])
def test_rgb_to_hsv_and_back(shape: Any) -> None:
    x = colors().reshape(shape)
    hsv = each(colorsys.rgb_to_hsv, x)
    assert_op("RGBToHSV", (x,), hsv, rtol=1e-5, atol=1e-6)
    assert_op("HSVToRGB", (hsv,), x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("delta", [0.3, -0.4])
def test_adjust_hue(delta: float) -> None:
    def turn(r: float, g: float, b: float) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb((h + delta) % 1, s, v)

    x = colors().reshape(1, 1, -1, 3)
    expected = each(turn, x)
    operands = (x, np.float32(delta))
    assert_op("AdjustHue", operands, expected, constants=(1,), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_adjust_saturation(scale: float) -> None:
    def scaled(r: float, g: float, b: float) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        return colorsys.hsv_to_rgb(h, min(s * scale, 1), v)

    x = colors().reshape(1, 1, -1, 3)
    expected = each(scaled, x)
    assert_op("AdjustSaturation", (x, np.float32(scale)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 8, 3), (2, 6, 8, 3), (1, 2, 6, 8, 3)])
def test_adjust_contrast(shape: Any) -> None:
    x = numbers(*shape)
    mean = x.mean((-3, -2), keepdims=True)
    expected = (x - mean) * np.float32(1.7) + mean
    assert_op("AdjustContrastv2", (x, np.float32(1.7)), expected, rtol=1e-5, atol=1e-6)
