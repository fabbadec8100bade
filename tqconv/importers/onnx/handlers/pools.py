"""Pools over windows and over everything. Images have channels first: [n, c, …]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import pool
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import sizes_of
from tqconv.errors import UnsupportedError, shaped
from tqconv.importers.onnx.handlers.windows import AUTO_PADS, windows_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("MaxPool")
def max_pool(
    b: ONNXBuilder,
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Tensor | tuple[Tensor, ...]:
    """The largest element of each window, and where it stands in the whole tensor."""
    windows = windows_of(
        x,
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    if not b.wants(1):
        return b.channels_last(x, True, lambda t: pool.max_pool(b, t, windows))
    channels, *inner = (static_size(x, axis) for axis in range(1, x.rank))
    counted = inner[::-1] if storage_order else inner
    steps = [math.prod(counted[i + 1 :]) for i in range(len(counted))]
    steps = steps[::-1] if storage_order else steps
    plane = math.prod(inner)
    found = pool.max_pool_places(
        b, b.to_channels_last(x), windows, [channels * plane, *steps, plane]
    )
    return tuple(b.to_channels_first(t) for t in found)


@handles("com.microsoft:NhwcMaxPool")
def max_pool_of_images(b: ONNXBuilder, x: Tensor, **told: Any) -> Tensor:
    """The largest element of each window of images with channels last."""
    found = max_pool(b, b.to_channels_first(x), **told)
    assert isinstance(found, Tensor)
    return b.to_channels_last(found)


@handles("AveragePool")
def average_pool(
    b: ONNXBuilder,
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The mean of each window; the padding may count as zeros, but for what `ceil_mode` adds."""
    windows = windows_of(
        x,
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    if count_include_pad and auto_pad in AUTO_PADS:
        return b.channels_last(x, True, lambda t: pool.padded_mean(b, t, windows))
    counted = None
    if count_include_pad:
        amounts = list(pads) if pads else [0] * (2 * len(windows))
        counted = list(zip(amounts[: len(windows)], amounts[len(windows) :], strict=True))
    return b.channels_last(x, True, lambda t: pool.average_pool(b, t, windows, counted))


@handles("LpPool")
def power_pool(
    b: ONNXBuilder,
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    p: int = 2,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """The norm of each window."""
    windows = windows_of(
        x,
        kernel_shape,
        strides=strides,
        dilations=dilations,
        pads=pads,
        auto_pad=auto_pad,
        ceil_mode=ceil_mode,
    )
    powers = _power(b, x, p)
    total = b.channels_last(powers, True, lambda t: pool.sum_pool(b, t, windows))
    return _root(b, total, p)


def _power(b: Builder, x: Tensor, p: float) -> Tensor:
    """Return |x| to the power of p."""
    if p == 2:
        return b("SQUARE", x)
    return b("ABS", x) if p == 1 else b("POW", b("ABS", x), np.array(p, F))


def _root(b: Builder, x: Tensor, p: float) -> Tensor:
    if p == 2:
        return b("SQRT", x)
    return x if p == 1 else b("POW", x, np.array(1 / p, F))


@handles(GlobalAveragePool="MEAN", GlobalMaxPool="REDUCE_MAX")
def global_pool(b: ONNXBuilder, type: str, x: Tensor) -> Tensor:
    """Reduce all axes behind the channels, which stay as 1."""
    return b(type, x, np.arange(2, x.rank, dtype=np.int32), keep_dims=True)


@handles("GlobalLpPool")
def global_power_pool(b: ONNXBuilder, x: Tensor, *, p: int = 2) -> Tensor:
    """The norm of each channel."""
    total = b("SUM", _power(b, x, p), np.arange(2, x.rank, dtype=np.int32), keep_dims=True)
    return _root(b, total, p)


@handles("MaxUnpool")
def max_unpool(
    b: ONNXBuilder,
    x: Tensor,
    places: Tensor,
    output_shape: Tensor | None = None,
    *,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Put elements where they stood before a MaxPool, zeros elsewhere.

    Places count in the smallest tensor that the windows cover; a larger shape surrounds it.
    """
    windows = windows_of(
        x, kernel_shape, strides=strides, dilations=None, pads=pads, auto_pad="NOTSET"
    )
    sizes = sizes_of(b, x)[:2]
    for axis, window in enumerate(windows, 2):
        assert isinstance(window.padding, tuple)
        size = (static_size(x, axis) - 1) * window.stride + window.size - sum(window.padding)
        sizes.append(size)
    y = pool.unpooled(b, x, places, sizes)
    if output_shape is None:
        return y
    wanted = b.ints(output_shape, "output_shape")
    behind = np.zeros((x.rank, 2), np.int32)
    behind[2:, 1] = [w - static_size(y, axis) for axis, w in enumerate(wanted[2:], 2)]
    if (behind < 0).any():
        raise UnsupportedError(f"output_shape {wanted} is smaller than {shaped(y.shape)}")
    return b("PAD", y, behind) if behind.any() else y
