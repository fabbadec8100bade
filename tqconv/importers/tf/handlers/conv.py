"""Convolutions in two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqconv.compose import conv
from tqconv.compose.builder import Builder
from tqconv.compose.windows import Window
from tqconv.importers.tf.formats import channels_first, windows_of
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("Conv2D")
def conv2d(
    b: Builder,
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
    windows = windows_of(w.shape[:2], strides, padding, data_format, dilations, explicit_paddings)
    return _convolved(b, conv.conv, x, w, windows, data_format)


@handles("DepthwiseConv2dNative")
def depthwise_conv2d(
    b: Builder,
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
    windows = windows_of(w.shape[:2], strides, padding, data_format, dilations, explicit_paddings)
    return _convolved(b, conv.depthwise, x, w, windows, data_format)


@handles("Conv3D")
def conv3d(
    b: Builder,
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
    windows = windows_of(w.shape[:3], strides, padding, data_format, dilations, explicit_paddings)
    return _convolved(b, conv.conv, x, w, windows, data_format)


def _convolved(
    b: Builder,
    make: Callable[[Builder, Tensor, Tensor, Sequence[Window]], Tensor],
    x: Tensor,
    w: Tensor,
    windows: Sequence[Window],
    data_format: str,
) -> Tensor:
    return b.channels_last(x, channels_first(data_format), lambda x: make(b, x, w, windows))
