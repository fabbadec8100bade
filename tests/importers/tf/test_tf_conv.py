"""Convolutions and transposed convolutions, against loops in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op, const, graph, model_of, node, placeholder, results
from numpy.typing import NDArray
from window_reference import conv, transposed

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # sums of up to 100 products of numbers about 1 in float32


X, W = numbers(2, 7, 8, 4), numbers(3, 2, 4, 5, seed=1)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv2d(stride: int, padding: str, dynamic: bool) -> None:
    expected = conv(X, W, (stride, stride), padding)
    attrs = {"strides": [1, stride, stride, 1], "padding": padding}
    if dynamic:
        x = placeholder("x", np.float32, (None, None, None, 4))
        message = graph(x, const("w", W), node("y", "Conv2D", "x", "w", **attrs))
        for (have,) in results(message, {"x": X}, ["y"]):
            np.testing.assert_allclose(have, expected, **CLOSE)
        return
    assert_op("Conv2D", (X, W), expected, constants=(1,), **attrs, **CLOSE)


@pytest.mark.parametrize(
    ("w", "strides", "padding", "rates"),
    [
        (numbers(3, 3, 1, 8), (1, 1), "SAME", (1, 1)),
        (numbers(3, 3, 2, 6), (2, 2), "VALID", (1, 1)),
        (numbers(3, 3, 2, 6), (1, 1), "VALID", (2, 2)),
        (numbers(3, 3, 4, 5), (1, 1), "SAME", (2, 3)),
        (numbers(3, 3, 4, 5), (1, 2), "SAME", (1, 1)),
        (numbers(9, 11, 4, 2), (2, 2), "SAME", (1, 1)),
    ],
    ids=["depthwise-like", "groups", "dilated groups", "dilated", "uneven strides", "wide"],
)
def test_conv2d_of_each_shape_of_window(w: Array, strides: Any, padding: str, rates: Any) -> None:
    attrs = {"strides": [1, *strides, 1], "padding": padding, "dilations": [1, *rates, 1]}
    expected = conv(X, w, strides, padding, rates)
    assert_op("Conv2D", (X, w), expected, constants=(1,), **attrs, **CLOSE)


def test_conv2d_with_explicit_padding() -> None:
    attrs: Any = {"strides": [1, 2, 1, 1], "padding": "EXPLICIT"}
    expected = conv(X, W, (2, 1), [(1, 2), (0, 3)])
    amounts = [0, 0, 1, 2, 0, 3, 0, 0]
    assert_op(
        "Conv2D", (X, W), expected, constants=(1,), explicit_paddings=amounts, **attrs, **CLOSE
    )


def test_conv2d_with_channels_first() -> None:
    x = X.transpose(0, 3, 1, 2).copy()
    expected = conv(X, W, (2, 1), [(1, 2), (0, 3)]).transpose(0, 3, 1, 2)
    assert_op(
        "Conv2D",
        (x, W),
        expected,
        constants=(1,),
        strides=[1, 1, 2, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, 0, 0, 1, 2, 0, 3],
        data_format="NCHW",
        **CLOSE,
    )


def test_conv2d_with_a_filter_that_is_an_input() -> None:
    expected = conv(X, W, (1, 1), "SAME")
    assert_op("Conv2D", (X, W), expected, strides=[1, 1, 1, 1], padding="SAME", **CLOSE)


def test_conv2d_with_a_filter_of_unknown_size() -> None:
    nodes = [
        placeholder("x", np.float32, X.shape),
        placeholder("w", np.float32, (None, None, 4, None)),
    ]
    conv_node = node("y", "Conv2D", "x", "w", strides=[1, 1, 1, 1], padding="SAME")
    for (have,) in results(graph(*nodes, conv_node), {"x": X, "w": W}, ["y"]):
        np.testing.assert_allclose(have, conv(X, W, (1, 1), "SAME"), **CLOSE)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_conv2d_of_integers_is_exact(padding: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-(2**20), 2**20, (2, 5, 6, 4), np.int32)
    w = rng.integers(-99, 99, (3, 2, 4, 5), np.int32)
    expected = conv(x, w, (2, 1), padding)
    assert_op("Conv2D", (x, w), expected, constants=(1,), strides=[1, 2, 1, 1], padding=padding)


def test_conv2d_refuses_a_stride_over_the_batch() -> None:
    nodes = [placeholder("x", np.float32, X.shape), const("w", W)]
    conv_node = node("y", "Conv2D", "x", "w", strides=[2, 1, 1, 1], padding="SAME")
    with pytest.raises(UnsupportedError, match="window over the batch"):
        model_of(graph(*nodes, conv_node), ["y"])


def depthwise(x: Array, w: Array, strides: Any, padding: Any, rates: Any = None) -> Array:
    """w: [kh, kw, in, multiplier]."""
    grouped = w.reshape(*w.shape[:2], 1, -1)
    return conv(x, grouped, strides, padding, rates)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("multiplier", [1, 2, 3])
def test_depthwise(multiplier: int, padding: str) -> None:
    w = numbers(3, 2, 4, multiplier, seed=2)
    expected = depthwise(X, w, (2, 2), padding)
    attrs = {"strides": [1, 2, 2, 1], "padding": padding}
    assert_op("DepthwiseConv2dNative", (X, w), expected, constants=(1,), **attrs, **CLOSE)
    assert_op("DepthwiseConv2dNative", (X, w), expected, **attrs, **CLOSE)


def test_depthwise_dilated_and_padded() -> None:
    w = numbers(3, 2, 4, 2)
    expected = depthwise(X, w, (1, 1), [(2, 1), (0, 2)], (2, 3))
    assert_op(
        "DepthwiseConv2dNative",
        (X, w),
        expected,
        constants=(1,),
        strides=[1, 1, 1, 1],
        dilations=[1, 2, 3, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, 2, 1, 0, 2, 0, 0],
        **CLOSE,
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "less"), [(1, 0), (2, 0), (2, 1), (3, 1)])
def test_conv2d_backprop_input(stride: int, less: int, padding: str) -> None:
    x, w = numbers(2, 4, 5, 3), numbers(3, 2, 4, 3)
    if padding == "SAME":
        height, width = 4 * stride - less, 5 * stride - less
    else:
        height, width = 3 * stride + 3 + less, 4 * stride + 2 + less
    sizes = np.array([2, height, width, 4], np.int32)
    expected = transposed(x, w, (height, width), (stride, stride), padding)
    attrs = {"strides": [1, stride, stride, 1], "padding": padding}
    operands = (sizes, w, x)
    assert_op("Conv2DBackpropInput", operands, expected, constants=(0, 1), **attrs, **CLOSE)
    assert_op("Conv2DBackpropInput", operands, expected, constants=(0,), **attrs, **CLOSE)


def test_conv2d_backprop_input_with_sizes_of_the_image_alone() -> None:
    x, w = numbers(2, 4, 5, 3), numbers(3, 2, 4, 3)
    expected = transposed(x, w, (8, 10), (2, 2))
    attrs = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    operands = (np.array([8, 10], np.int32), w, x)
    assert_op("Conv2DBackpropInput", operands, expected, constants=(0, 1), **attrs, **CLOSE)


def test_conv2d_backprop_input_with_sizes_at_run_time() -> None:
    x, w = numbers(2, 4, 5, 3), numbers(3, 2, 4, 3)
    expected = transposed(x, w, (8, 10), (2, 2))
    attrs = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    operands = (np.array([2, 8, 10, 4], np.int32), w, x)
    assert_op("Conv2DBackpropInput", operands, expected, constants=(1,), **attrs, **CLOSE)


@pytest.mark.parametrize("first", [False, True], ids=["NHWC", "NCHW"])
def test_conv2d_backprop_input_with_explicit_padding(first: bool) -> None:
    x, w = numbers(2, 4, 5, 3), numbers(3, 3, 4, 3)
    expected = transposed(x, w, (7, 10), (2, 2), [(1, 1), (0, 1)])
    sizes, strides, amounts = [2, 7, 10, 4], [1, 2, 2, 1], [0, 0, 1, 1, 0, 1, 0, 0]
    if first:
        x, expected = (t.transpose(0, 3, 1, 2).copy() for t in (x, expected))
        sizes, strides, amounts = [2, 4, 7, 10], [1, 1, 2, 2], [0, 0, 0, 0, 1, 1, 0, 1]
    assert_op(
        "Conv2DBackpropInput",
        (np.array(sizes, np.int32), w, x),
        expected,
        constants=(0, 1),
        strides=strides,
        padding="EXPLICIT",
        explicit_paddings=amounts,
        data_format="NCHW" if first else "NHWC",
        **CLOSE,
    )


def test_conv2d_backprop_input_dilates_the_filter() -> None:
    x, w = numbers(2, 4, 5, 3), numbers(3, 3, 4, 3)
    wide = np.zeros((5, 7, 4, 3), np.float32)
    wide[::2, ::3] = w
    expected = transposed(x, wide, (8, 11), (1, 1), "VALID")
    assert_op(
        "Conv2DBackpropInput",
        (np.array([2, 8, 11, 4], np.int32), w, x),
        expected,
        constants=(0, 1),
        strides=[1, 1, 1, 1],
        dilations=[1, 2, 3, 1],
        padding="VALID",
        **CLOSE,
    )


def test_conv2d_backprop_input_in_groups() -> None:
    x, w = numbers(2, 4, 5, 4), numbers(3, 3, 3, 4)
    parts = zip(np.split(x, 2, -1), np.split(w, 2, -1), strict=True)
    expected = np.concatenate([transposed(a, f, (8, 10), (2, 2)) for a, f in parts], -1)
    attrs = {"strides": [1, 2, 2, 1], "padding": "SAME"}
    operands = (np.array([2, 8, 10, 6], np.int32), w, x)
    assert_op("Conv2DBackpropInput", operands, expected, constants=(0, 1), **attrs, **CLOSE)


@pytest.mark.parametrize(
    ("sizes", "stride", "padding"),
    [((8, 10), 2, "SAME"), ((7, 9), 2, "SAME"), ((4, 5), 1, "SAME"), ((10, 11), 2, "VALID")],
)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_backprop_input(multiplier: int, sizes: Any, stride: int, padding: str) -> None:
    x, w = numbers(2, 4, 5, 3 * multiplier), numbers(3, 2, 3, multiplier)
    parts = [
        transposed(a, w[:, :, i : i + 1], sizes, (stride, stride), padding)
        for i, a in enumerate(np.split(x, 3, -1))
    ]
    assert_op(
        "DepthwiseConv2dNativeBackpropInput",
        (np.array([2, *sizes, 3], np.int32), w, x),
        np.concatenate(parts, -1),
        constants=(0, 1),
        strides=[1, stride, stride, 1],
        padding=padding,
        **CLOSE,
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_conv3d_and_its_transpose(padding: str) -> None:
    x, w = numbers(1, 4, 5, 6, 3), numbers(2, 3, 3, 3, 4)
    attrs = {"strides": [1, 2, 1, 2, 1], "padding": padding}
    y = conv(x, w, (2, 1, 2), padding)
    assert_op("Conv3D", (x, w), y, constants=(1,), **attrs, **CLOSE)
    back = transposed(y, w, (4, 5, 6), (2, 1, 2), padding)
    sizes = np.array([1, 4, 5, 6, 3], np.int64)
    attrs["strides"] = [1, 2, 1, 2, 1]
    assert_op("Conv3DBackpropInputV2", (sizes, w, y), back, constants=(0, 1), **attrs, **CLOSE)


def test_conv3d_dilated() -> None:
    x, w = numbers(1, 4, 6, 7, 3), numbers(2, 3, 3, 3, 4)
    expected = conv(x, w, (1, 1, 1), "VALID", (1, 2, 3))
    attrs = {"strides": [1] * 5, "dilations": [1, 1, 2, 3, 1], "padding": "VALID"}
    assert_op("Conv3D", (x, w), expected, constants=(1,), **attrs, **CLOSE)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"strides": [1, 1, 1]}, r"strides \[1\] for a window over 2 axes"),
        ({"strides": [1, 1, 1, 1, 1]}, r"strides \[1, 1, 1\] for a window over 2 axes"),
        ({"strides": [2]}, "says nothing about height and width"),
        ({"strides": [1, 0, 1, 1]}, r"strides \[0, 1\]"),
        ({"strides": [1, 2**31, 1, 1]}, "`stride_h` cannot be 2147483648"),
        ({"dilations": [1, 1, -1, 1]}, r"dilations \[1, -1\]"),
        ({"padding": "EXPLICIT", "explicit_paddings": [0, 0, -1, 1, 1, 1, 0, 0]}, "paddings"),
        ({"padding": "NHWC"}, "padding `NHWC`"),
    ],
)
def test_windows_that_tensorflow_refuses_are_refused(
    attributes: dict[str, Any], words: str
) -> None:
    options = {"strides": [1, 1, 1, 1], "padding": "SAME", "T": np.float32, **attributes}
    x, w = np.ones((1, 8, 8, 2), np.float32), np.ones((3, 3, 2, 4), np.float32)
    nodes = [placeholder("x", np.float32, x.shape), const("w", w)]
    with pytest.raises(UnsupportedError, match=words):
        model_of(graph(*nodes, node("y", "Conv2D", "x", "w", **options)), ["y"])
