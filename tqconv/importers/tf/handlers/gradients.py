"""Gradients of layers: models that go on learning where they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.conv import conv
from tqconv.compose.operands import static_size
from tqconv.compose.windows import (
    Window,
    framed,
    known_amounts,
    lowest,
    windows_over,
)
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.formats import channels_first, spatial, windows_of
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("BiasAddGrad")
def bias_add_grad(b: Builder, dy: Tensor, *, data_format: str = "NHWC") -> Tensor:
    """Sum over all axes but the channels."""
    channels = 1 if dy.rank > 2 and channels_first(data_format) else dy.rank - 1
    axes = [axis for axis in range(dy.rank) if axis != channels]
    return b("SUM", dy, np.array(axes, np.int32), keep_dims=False)


@handles("Conv2DBackpropFilter")
def conv2d_backprop_filter(
    b: Builder,
    x: Tensor,
    sizes: Tensor,
    dy: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Convolve x with dy, channels and batch exchanged: steps are gaps then, and gaps steps."""
    *kernel, depth, _ = b.ints(sizes, "filter_sizes")
    if channels_first(data_format):
        x, dy = b.to_channels_last(x), b.to_channels_last(dy)
    if depth != x.shape[3]:
        raise UnsupportedError("the gradient of a filter for groups of channels")
    windows = windows_of(kernel, strides, padding, data_format, dilations, explicit_paddings)
    found = [static_size(dy, axis) for axis in (1, 2)]
    around = windows_over(found, [w.rate for w in windows], [w.stride for w in windows])
    images, filters = (
        b.transpose(framed(b, x, windows), (3, 1, 2, 0)),
        b.transpose(dy, (1, 2, 0, 3)),
    )
    made = conv(b, images, filters, around)
    ends = np.array([-1, *kernel, -1], np.int32)
    made = b("SLICE", made, np.zeros(4, np.int32), ends)
    return b.transpose(made, (1, 2, 0, 3))


@handles("MaxPoolGrad")
def max_pool_grad(
    b: Builder,
    x: Tensor,
    y: Tensor,
    dy: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Put each gradient where the first maximum of its window is; windows side by side only."""
    kernel = spatial(ksize, data_format)
    windows = windows_of(kernel, strides, padding, data_format, explicit_paddings=explicit_paddings)
    if any(w.stride != w.size for w in windows):
        raise UnsupportedError("the gradient of a maximum over windows that overlap")
    if channels_first(data_format):
        x, dy = b.to_channels_last(x), b.to_channels_last(dy)
        return b.to_channels_first(_to_maxima(b, x, dy, windows))
    return _to_maxima(b, x, dy, windows)


def _to_maxima(b: Builder, x: Tensor, dy: Tensor, windows: Sequence[Window]) -> Tensor:
    (kh, kw), (h, w) = (w.size for w in windows), (static_size(dy, axis) for axis in (1, 2))
    n, c = static_size(x, 0), static_size(x, 3)
    whole = _resized(b, framed(b, x, windows, lowest(x.dtype)), (h * kh, w * kw))
    apart = b.transpose(b.reshape(whole, (n, h, kh, w, kw, c)), (0, 1, 3, 5, 2, 4))
    flat = b.reshape(apart, (n, h, w, c, kh * kw))
    first = b("ARG_MAX", flat, np.array(4, np.int32), output_type="INT32")
    one, zero = np.array(1, x.dtype), np.array(0, x.dtype)
    places = b("ONE_HOT", first, np.array(kh * kw, np.int32), one, zero, axis=-1)
    spread = b("MUL", places, b.reshape(dy, (n, h, w, c, 1)))
    spread = b.transpose(b.reshape(spread, (n, h, w, c, kh, kw)), (0, 1, 4, 2, 5, 3))
    spread = b.reshape(spread, (n, h * kh, w * kw, c))
    before = [known_amounts(b, static_size(x, a), v)[0] for a, v in enumerate(windows, 1)]
    return _resized(b, spread, (static_size(x, 1), static_size(x, 2)), before)


def _resized(
    b: Builder, x: Tensor, size: tuple[int, int], before: Sequence[int] = (0, 0)
) -> Tensor:
    """Return the part of images behind `before`, with zeros where there are none."""
    have = (static_size(x, 1), static_size(x, 2))
    ends = [max(s + n - h, 0) for s, n, h in zip(size, before, have, strict=True)]
    pairs: Any = np.array([(0, 0), *((0, end) for end in ends), (0, 0)], np.int32)
    wide = b("PAD", x, pairs) if any(ends) else x
    begin, sizes = np.array([0, *before, 0], np.int32), np.array([-1, *size, -1], np.int32)
    return wide if wide.shape[1:3] == size else b("SLICE", wide, begin, sizes)
