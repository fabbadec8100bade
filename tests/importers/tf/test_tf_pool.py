"""Pooling, patches and morphology, against loops in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op, const, graph, model_of, node, placeholder, results
from numpy.typing import NDArray
from window_reference import pads, windows

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # means of up to 100 numbers about 1


X = numbers(2, 7, 8, 4)


def largest(x: Array, kernel: Any, strides: Any, padding: Any) -> Array:
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    axes = tuple(range(1 + len(kernel), 1 + 2 * len(kernel)))
    return windows(x, kernel, strides, padding, value=least).max(axes)


def mean(x: Array, kernel: Any, strides: Any, padding: Any) -> Array:
    axes = tuple(range(1 + len(kernel), 1 + 2 * len(kernel)))
    ones = windows(np.ones_like(x, np.float64), kernel, strides, padding).sum(axes)
    total = windows(x.astype(np.float64), kernel, strides, padding).sum(axes)
    return (total / ones).astype(np.float32)


POOLS = {"MaxPool": largest, "AvgPool": mean}
SHAPES = [((2, 2), (2, 2)), ((3, 2), (1, 2)), ((1, 1), (2, 2)), ((3, 3), (4, 3))]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("kernel", "strides"), SHAPES)
@pytest.mark.parametrize("op", POOLS)
def test_pool(op: str, kernel: Any, strides: Any, padding: str) -> None:
    expected = POOLS[op](X, kernel, strides, padding)
    attrs = {"ksize": [1, *kernel, 1], "strides": [1, *strides, 1], "padding": padding}
    assert_op(op, (X,), expected, **attrs, **CLOSE)
    assert_op(op, (X,), expected, dynamic=True, **attrs, **CLOSE)


@pytest.mark.parametrize("op", POOLS)
def test_pool_window_larger_than_the_image(op: str) -> None:
    expected = POOLS[op](X, (9, 11), (1, 1), "SAME")
    attrs = {"ksize": [1, 9, 11, 1], "strides": [1, 1, 1, 1], "padding": "SAME"}
    assert_op(op, (X,), expected, **attrs, **CLOSE)


@pytest.mark.parametrize("op", POOLS)
def test_pool_with_channels_first(op: str) -> None:
    x = X.transpose(0, 3, 1, 2).copy()
    expected = POOLS[op](X, (3, 2), (2, 1), "SAME").transpose(0, 3, 1, 2)
    attrs = {"ksize": [1, 1, 3, 2], "strides": [1, 1, 2, 1], "padding": "SAME"}
    assert_op(op, (x,), expected, data_format="NCHW", **attrs, **CLOSE)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_max_pool_of_integers_is_exact(padding: str, dtype: Any) -> None:
    limits = np.iinfo(dtype)
    x = np.random.default_rng(1).integers(limits.min, limits.max, (2, 5, 6, 3), dtype)
    x.reshape(-1)[:2] = limits.min, limits.max
    expected = largest(x, (3, 2), (2, 1), padding)
    attrs = {"ksize": [1, 3, 2, 1], "strides": [1, 2, 1, 1], "padding": padding}
    assert_op("MaxPool", (x,), expected, **attrs)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.int32])
def test_max_pool_with_explicit_padding_of_negative_values(dtype: Any) -> None:
    x = (-np.abs(X) * 9 - 1).astype(dtype)
    expected = largest(x, (3, 3), (2, 1), [(1, 2), (0, 1)])
    amounts = [0, 0, 1, 2, 0, 1, 0, 0]
    attrs: Any = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 1, 1], "padding": "EXPLICIT"}
    assert_op("MaxPool", (x,), expected, explicit_paddings=amounts, **attrs)


def test_max_pool_over_channels() -> None:
    expected = X.reshape(2, 7, 8, 2, 2).max(-1)
    attrs = {"ksize": [1, 1, 1, 2], "strides": [1, 1, 1, 2], "padding": "VALID"}
    assert_op("MaxPool", (X,), expected, **attrs)


def test_max_pool_over_channels_and_more_is_refused() -> None:
    y = node("y", "MaxPool", "x", ksize=[1, 2, 1, 2], strides=[1, 2, 1, 2], padding="VALID")
    with pytest.raises(UnsupportedError, match="over channels and more"):
        model_of(graph(placeholder("x", np.float32, X.shape), y), ["y"])


def test_max_pool_v2() -> None:
    sizes, strides = np.array([1, 3, 2, 1], np.int32), np.array([1, 2, 2, 1], np.int32)
    expected = largest(X, (3, 2), (2, 2), "SAME")
    assert_op("MaxPoolV2", (X, sizes, strides), expected, constants=(1, 2), padding="SAME")


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((2, 2, 2), (2, 2, 2)), ((3, 2, 3), (1, 2, 2)), ((2, 3, 3), (3, 2, 1))]
)
@pytest.mark.parametrize("op", ["MaxPool3D", "AvgPool3D"])
def test_pool3d(op: str, kernel: Any, strides: Any, padding: str) -> None:
    x = numbers(2, 4, 5, 6, 3)
    expected = POOLS[op[:-2]](x, kernel, strides, padding)
    attrs = {"ksize": [1, *kernel, 1], "strides": [1, *strides, 1], "padding": padding}
    assert_op(op, (x,), expected, **attrs, **CLOSE)
    assert_op(op, (x,), expected, dynamic=True, **attrs, **CLOSE)


def places_of_largest(x: Array, kernel: Any, strides: Any, padding: str, batch: bool) -> Array:
    """The flat place of each maximum, the first one of equals."""
    _, h, w, c = x.shape
    numbered = (
        np.arange(x.size).reshape(x.shape) if batch else np.arange(h * w * c).reshape(1, h, w, c)
    )
    numbered = np.broadcast_to(numbered, x.shape)
    seen = windows(x, kernel, strides, padding, value=-np.inf)
    where = windows(numbered, kernel, strides, padding, value=-1)
    flat = (*seen.shape[:3], -1, c)
    best = seen.reshape(flat).argmax(3)
    return np.take_along_axis(where.reshape(flat), best[:, :, :, None], 3)[:, :, :, 0]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_max_pool_with_argmax(padding: str, batch: bool, dtype: Any) -> None:
    x = np.round(X)  # has ties
    values = largest(x, (3, 2), (2, 2), padding)
    places = places_of_largest(x, (3, 2), (2, 2), padding, batch).astype(dtype)
    assert_op(
        "MaxPoolWithArgmax",
        (x,),
        (values, places),
        ksize=[1, 3, 2, 1],
        strides=[1, 2, 2, 1],
        padding=padding,
        include_batch_in_index=batch,
        Targmax=dtype,
    )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.int64])
def test_extract_image_patches(dtype: Any, padding: str, dynamic: bool) -> None:
    x = np.abs(X * 9).astype(dtype)
    seen = windows(x, (3, 2), (2, 3), padding, (1, 2))
    attrs = {"ksizes": [1, 3, 2, 1], "strides": [1, 2, 3, 1], "rates": [1, 1, 2, 1]}
    expected = seen.reshape(*seen.shape[:3], -1)
    dims = (None, None, None, 4) if dynamic else x.shape
    y = node("y", "ExtractImagePatches", "x", padding=padding, **attrs)
    for (have,) in results(graph(placeholder("x", dtype, dims), y), {"x": x}, ["y"]):
        np.testing.assert_array_equal(have, expected)


def test_extract_volume_patches() -> None:
    x = numbers(2, 4, 5, 6, 3)
    seen = windows(x, (2, 3, 2), (2, 1, 3), "SAME")
    attrs = {"ksizes": [1, 2, 3, 2, 1], "strides": [1, 2, 1, 3, 1], "padding": "SAME"}
    assert_op("ExtractVolumePatches", (x,), seen.reshape(*seen.shape[:4], -1), **attrs)


def dilated(x: Array, w: Array, strides: Any, padding: Any, rates: Any) -> Array:
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min // 2
    around = pads(x.shape[1:-1], w.shape[:2], strides, rates, padding)
    return (windows(x, w.shape[:2], strides, around, rates, value=least) + w).max((3, 4))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_dilation2d(dtype: Any, padding: str) -> None:
    x, w = (X * 9).astype(dtype), (numbers(3, 2, 4) * 9).astype(dtype)
    expected = dilated(x, w, (2, 1), padding, (1, 2)).astype(dtype)
    attrs = {"strides": [1, 2, 1, 1], "rates": [1, 1, 2, 1], "padding": padding}
    assert_op("Dilation2D", (x, w), expected, constants=(1,), **attrs, **CLOSE)
    if dtype == np.float32:
        assert_op("Dilation2D", (x, w), expected, **attrs, **CLOSE)


def test_a_stride_over_the_batch_is_refused() -> None:
    y = node("y", "AvgPool", "x", ksize=[1, 2, 2, 1], strides=[2, 1, 1, 1], padding="SAME")
    message = graph(placeholder("x", np.float32, X.shape), const("unused", X), y)
    with pytest.raises(UnsupportedError, match="window over the batch"):
        model_of(message, ["y"])
