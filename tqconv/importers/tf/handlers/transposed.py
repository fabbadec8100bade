"""Transposed convolutions, which TensorFlow calls gradients with respect to the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, calculate, element, reshaped, size_of, vector
from tqconv.compose.windows import explicit_pairs
from tqconv.errors import Unsupported
from tqconv.importers.tf.handlers.conv import window_options
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

ROWS, COLUMNS = np.array([0], np.int32), np.array([1], np.int32)


@handles("Conv2DBackpropInput")
def conv2d_backprop_input(
    b: TFBuilder,
    input_sizes: Tensor,
    w: Tensor,
    x: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Spread `x` by `w: [kh, kw, out / groups, in]` into a tensor of `input_sizes`."""
    x = b.to_nhwc(x, data_format)
    sizes = _output_sizes(b, input_sizes, w, x, data_format)
    options = window_options(b, strides, None, data_format)
    w = _dilated(b, w, b.spatial(list(dilations), data_format))
    if padding != "EXPLICIT":
        y = _transpose_conv(b, sizes, w, x, padding=padding, **options)
        return b.from_nhwc(y, data_format)
    pairs = explicit_pairs(explicit_paddings, data_format)
    whole = [calculate(b, "ADD", s, int(p)) for s, p in zip(sizes, pairs.sum(axis=1), strict=True)]
    y = _transpose_conv(b, whole, w, x, padding="VALID", **options)
    if pairs.any():
        y = b("SLICE", y, pairs[:, 0].copy(), vector(b, sizes))
    return b.from_nhwc(y, data_format)


@handles("DepthwiseConv2dNativeBackpropInput")
def depthwise_conv2d_backprop_input(
    b: TFBuilder,
    input_sizes: Tensor,
    w: Tensor,
    x: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Spread each channel of `x` by `w: [kh, kw, out, multiplier]`.

    TRANSPOSE_CONV has no groups, so `x` gets zeros between its elements and meets `w` turned.
    """
    x = b.to_nhwc(x, data_format)
    sizes = _output_sizes(b, input_sizes, w, x, data_format)
    w = _dilated(b, w, b.spatial(list(dilations), data_format))
    pairs = explicit_pairs(explicit_paddings, data_format) if padding == "EXPLICIT" else None
    steps = b.spatial(strides, data_format)
    spread = _with_gaps(b, x, steps)
    for axis, step in enumerate(steps, 1):
        wanted, reach = sizes[axis], static_size(w, axis - 1)
        if not isinstance(wanted, int):
            raise Unsupported("input `input_sizes` is not a constant")
        before = 0 if pairs is None else int(pairs[axis, 0])
        if padding == "SAME":
            before = max((static_size(x, axis) - 1) * step + reach - wanted, 0) // 2
        spread = _framed(b, spread, axis, reach - 1 - before, wanted + reach - 1)
    turned = b("REVERSE_V2", b("REVERSE_V2", w, ROWS), COLUMNS)
    return b.from_nhwc(_convolve_channels(b, spread, turned), data_format)


@handles("Conv3DBackpropInputV2")
def conv3d_backprop_input(
    b: TFBuilder,
    input_sizes: Tensor,
    w: Tensor,
    x: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NDHWC",
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
) -> Tensor:
    """Spread `x` by `w: [kd, kh, kw, out, in]` into a tensor of `input_sizes`."""
    x = b.to_nhwc(x, data_format)
    sizes = vector(b, _output_sizes(b, input_sizes, w, x, data_format))
    options = window_options(b, strides, dilations, data_format)
    y = b("CONV_3D_TRANSPOSE", sizes, w, x, padding=padding, **options)
    return b.from_nhwc(y, data_format)


def _output_sizes(
    b: TFBuilder, given: Tensor, w: Tensor, x: Tensor, data_format: str
) -> list[Size]:
    """Return the sizes of the result, channels last; `given` may leave out batch and channels."""
    inner = x.rank - 2
    count = given.shape[0]
    if count is None:
        raise Unsupported("the length of input `input_sizes` is unknown")
    sizes = [element(b, given, index) for index in range(count)]
    if count == inner:
        return [size_of(b, x, 0), *sizes, size_of(b, w, -2)]
    return [sizes[0], *sizes[2:], sizes[1]] if data_format.startswith("NC") else sizes


def _transpose_conv(
    b: TFBuilder, sizes: Sequence[Size], w: Tensor, x: Tensor, **options: Any
) -> Tensor:
    """Emit one TRANSPOSE_CONV for each group of `w: [kh, kw, out / groups, in]`."""
    each, all_ = w.shape[2], sizes[3]
    groups = all_ // each if isinstance(all_, int) and each else 1
    axis = np.array(3, np.int32)
    if groups == 1:
        pieces = [(w, x)]
    else:
        filters = b("SPLIT", axis, w, num_splits=groups)
        pieces = list(zip(filters, b("SPLIT", axis, x, num_splits=groups), strict=True))
    size = vector(b, sizes if groups == 1 or each is None else [*sizes[:3], each])
    parts = [
        b("TRANSPOSE_CONV", size, b.transpose(f, (2, 0, 1, 3)), part, **options)
        for f, part in pieces
    ]
    return parts[0] if groups == 1 else b("CONCATENATION", *parts, axis=3)


def _dilated(b: TFBuilder, w: Tensor, rates: Sequence[int]) -> Tensor:
    """Return the filter with zeros between its taps, which stand for a dilation."""
    if all(rate == 1 for rate in rates):
        return w
    height, width = static_size(w, 0), static_size(w, 1)
    flat = b.reshape(w, (1, height, width, static_size(w, 2) * static_size(w, 3)))
    spread = _with_gaps(b, flat, rates)
    for axis, (size, rate) in enumerate(zip((height, width), rates, strict=True), 1):
        spread = _framed(b, spread, axis, 0, (size - 1) * rate + 1)
    return b.reshape(spread, (*spread.shape[1:3], *w.shape[2:]))


def _with_gaps(b: TFBuilder, x: Tensor, steps: Sequence[int]) -> Tensor:
    """Return `x: [n, h, w, c]` with step - 1 zeros behind each row and column."""
    if all(step == 1 for step in steps):
        return x
    n, (height, width, c) = size_of(b, x, 0), (static_size(x, axis) for axis in (1, 2, 3))
    cells = reshaped(b, x, [calculate(b, "MUL", n, height), 1, width, 1, c])
    after = np.zeros((5, 2), np.int32)
    after[1, 1], after[3, 1] = steps[0] - 1, steps[1] - 1
    return reshaped(b, b("PAD", cells, after), [n, height * steps[0], width * steps[1], c])


def _framed(b: TFBuilder, x: Tensor, axis: int, before: int, length: int) -> Tensor:
    """Return `x` with `before` zeros in front of an axis (cut off if negative), `length` in all."""
    after = length - before - static_size(x, axis)
    if before < 0 or after < 0:
        begin, size = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
        begin[axis] = max(-before, 0)
        size[axis] = static_size(x, axis) - max(-before, 0) - max(-after, 0)
        x = b("SLICE", x, begin, size)
    pairs = np.zeros((x.rank, 2), np.int32)
    pairs[axis] = max(before, 0), max(after, 0)
    return b("PAD", x, pairs) if pairs.any() else x


def _convolve_channels(b: TFBuilder, x: Tensor, w: Tensor) -> Tensor:
    """Sum the `multiplier` channels that belong to each output: w: [kh, kw, out, multiplier]."""
    height, width, channels, multiplier = (static_size(w, axis) for axis in range(4))
    bias = np.zeros(channels, np.float32)
    options: dict[str, Any] = {"padding": "VALID", "stride_h": 1, "stride_w": 1}
    if multiplier > 1:
        return b("CONV_2D", x, b.transpose(w, (2, 0, 1, 3)), bias, **options)
    flat = b.reshape(w, (1, height, width, channels))
    return b("DEPTHWISE_CONV_2D", x, flat, bias, depth_multiplier=1, **options)
