"""Convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Conv2D")
def conv2d(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Convolve `x` with `w: [kh, kw, in / groups, out]`."""
    x = b.to_nhwc(x, data_format)
    stride_h, stride_w = b.spatial(strides, data_format)
    dilation_h, dilation_w = b.spatial(list(dilations), data_format)
    x, padding = pad_explicitly(b, x, padding, explicit_paddings, data_format)
    y = b(
        "CONV_2D",
        x,
        b.transpose(w, (3, 0, 1, 2)),
        zero_bias(w.shape[3]),
        padding=padding,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h_factor=dilation_h,
        dilation_w_factor=dilation_w,
    )
    return b.from_nhwc(y, data_format)


@handles("DepthwiseConv2dNative")
def depthwise_conv2d(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Convolve each channel of `x` with `w: [kh, kw, in, multiplier]`."""
    x = b.to_nhwc(x, data_format)
    stride_h, stride_w = b.spatial(strides, data_format)
    dilation_h, dilation_w = b.spatial(list(dilations), data_format)
    x, padding = pad_explicitly(b, x, padding, explicit_paddings, data_format)
    kernel_h, kernel_w, channels, multiplier = w.shape
    if channels is None or multiplier is None:
        raise Unsupported("the filter's channels are unknown")
    y = b(
        "DEPTHWISE_CONV_2D",
        x,
        b.reshape(w, (1, kernel_h, kernel_w, channels * multiplier)),
        zero_bias(channels * multiplier),
        padding=padding,
        stride_h=stride_h,
        stride_w=stride_w,
        dilation_h_factor=dilation_h,
        dilation_w_factor=dilation_w,
        depth_multiplier=multiplier,
    )
    return b.from_nhwc(y, data_format)


@handles("MaxPool", "AvgPool")
def pool(
    b: TFBuilder,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Pool over windows; padding never counts."""
    kind = {"MaxPool": "MAX_POOL_2D", "AvgPool": "AVERAGE_POOL_2D"}[b.node.op]
    x = b.to_nhwc(x, data_format)
    filter_height, filter_width = b.spatial(ksize, data_format)
    stride_h, stride_w = b.spatial(strides, data_format)
    x, padding = pad_explicitly(b, x, padding, explicit_paddings, data_format, value=-np.inf)
    y = b(
        kind,
        x,
        padding=padding,
        stride_h=stride_h,
        stride_w=stride_w,
        filter_height=filter_height,
        filter_width=filter_width,
    )
    return b.from_nhwc(y, data_format)


def zero_bias(channels: int | None) -> Any:
    """Return the zero bias that the affine kernels read when there is none."""
    if channels is None:
        raise Unsupported("the number of output channels is unknown")
    return np.zeros(channels, np.float32)


def pad_explicitly(
    b: TFBuilder,
    x: Tensor,
    padding: str,
    amounts: Sequence[int],
    data_format: str,
    value: float = 0.0,
) -> tuple[Tensor, str]:
    """Return `x` (channels last) with EXPLICIT padding applied, and the padding that is left to do.

    `amounts`: before and after for each dimension, in the order of `data_format`.
    """
    if padding != "EXPLICIT":
        return x, padding
    pairs = np.array(amounts, np.int32).reshape(-1, 2)
    if data_format.startswith("NC"):
        pairs = np.concatenate([pairs[:1], pairs[2:], pairs[1:2]])
    if not pairs.any():
        return x, "VALID"
    if value == 0.0:
        return b("PAD", x, pairs), "VALID"
    return b("PADV2", x, pairs, np.array(value, np.float32)), "VALID"
