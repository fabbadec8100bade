"""Convolutions in two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.products import integer_product
from tqconv.compose.sizes import Size, size_of, vector
from tqconv.compose.windows import Window, pad_explicitly, pad_for
from tqconv.errors import Unsupported
from tqconv.importers.tf.handlers.patches import joined_taps
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
    options = window_options(b, strides, dilations, data_format)
    x, options["padding"] = pad_explicitly(b, x, padding, explicit_paddings, data_format)
    if x.dtype.kind in "iu":
        return b.from_nhwc(_integer_conv(b, x, w, options), data_format)
    y = b(
        "CONV_2D",
        x,
        b.transpose(w, (3, 0, 1, 2)),
        zero_bias(b, size_of(b, w, 3), x.dtype),
        **options,
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
    options = window_options(b, strides, dilations, data_format)
    x, options["padding"] = pad_explicitly(b, x, padding, explicit_paddings, data_format)
    kernel_h, kernel_w, channels, multiplier = w.shape
    if channels is None or multiplier is None:
        raise Unsupported("the channels of input `filter` are unknown", hint="give it a shape")
    y = b(
        "DEPTHWISE_CONV_2D",
        x,
        b.reshape(w, (1, kernel_h, kernel_w, channels * multiplier)),
        zero_bias(b, channels * multiplier, x.dtype),
        depth_multiplier=multiplier,
        **options,
    )
    return b.from_nhwc(y, data_format)


@handles("Conv3D")
def conv3d(
    b: TFBuilder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NDHWC",
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Convolve `x: [n, d, h, w, c]` with `w: [kd, kh, kw, in, out]`."""
    x = b.to_nhwc(x, data_format)
    options = window_options(b, strides, dilations, data_format)
    x, options["padding"] = pad_explicitly(b, x, padding, explicit_paddings, data_format)
    y = b("CONV_3D", x, w, zero_bias(b, size_of(b, w, 4), x.dtype), **options)
    return b.from_nhwc(y, data_format)


def window_options(
    b: TFBuilder, strides: Sequence[int], dilations: Sequence[int] | None, data_format: str
) -> dict[str, Any]:
    """Return strides and dilations as kernel options; None: the kernel has no dilations."""
    inner = b.spatial(list(strides), data_format)
    axes = "dhw"[-len(inner) :]
    options: dict[str, Any] = {f"stride_{a}": s for a, s in zip(axes, inner, strict=True)}
    if dilations is not None:
        factors = b.spatial(list(dilations), data_format)
        options |= {f"dilation_{a}_factor": d for a, d in zip(axes, factors, strict=True)}
    return options


def zero_bias(b: TFBuilder, channels: Size, dtype: np.dtype) -> Tensor | NDArray[Any]:
    """Return the zero bias that the kernels ask for."""
    if isinstance(channels, int):
        return np.zeros(channels, dtype)
    return b("FILL", vector(b, [channels]), np.zeros((), dtype))


def _integer_conv(b: TFBuilder, x: Tensor, w: Tensor, options: dict[str, Any]) -> Tensor:
    """Convolve integers as a product of patches and weights: CONV_2D takes reals only."""
    kernel_h, kernel_w, depth, channels = w.shape
    if kernel_h is None or kernel_w is None or depth is None or depth != x.shape[3]:
        raise Unsupported(f"a convolution of {x.dtype} with groups or a filter of unknown size")
    windows = [
        Window(kernel, options[f"stride_{axis}"], options[f"dilation_{axis}_factor"])
        for axis, kernel in (("h", kernel_h), ("w", kernel_w))
    ]
    patches = joined_taps(b, pad_for(b, x, options["padding"], windows), windows)
    return integer_product(b, patches, b.reshape(w, (kernel_h * kernel_w * depth, channels)))
