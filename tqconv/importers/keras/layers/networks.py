"""Operations of Keras 3 that networks are made of, where no layer of the name is."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import conv as convolutions
from tqconv.compose.windows import Window
from tqconv.importers.keras.layers import pooling
from tqconv.importers.keras.layers.convolution import FIRST, many, spread, windows_of
from tqconv.importers.keras.layers.operations import operands
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor

F = np.float32


@operations(AdaptiveAveragePool="MEAN", AdaptiveMaxPool="REDUCE_MAX")
def adaptive_pool(
    b: KerasBuilder, type: str, x: Tensor, *, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Reduce parts of each axis."""
    return pooling.adaptive_pool(b, type, x, output_size=output_size, data_format=data_format)


@handles("ops.ConvTranspose")
def conv_transpose(
    b: KerasBuilder,
    *xs: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    args: Any = None,
) -> Tensor:
    """Spread each element by a tensor [spatial…, out, in]."""
    x, w = operands(b, xs, args)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, "valid")
    extra = None if output_padding is None else many(output_padding, len(windows))
    same = padding == "same"
    return b.channels_last(
        b.real(x), data_format == FIRST, lambda t: spread(b, t, w, windows, same, extra)
    )


@handles("ops.SeparableConv")
def separable(
    b: KerasBuilder,
    *xs: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    args: Any = None,
) -> Tensor:
    """Convolve each channel by itself, then mix the channels."""
    x, w, mix = operands(b, xs, args)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    one = [Window(1)] * len(windows)

    def made(t: Tensor) -> Tensor:
        return convolutions.conv(b, convolutions.depthwise(b, t, w, windows), mix, one)

    return b.channels_last(b.real(x), data_format == FIRST, made)


@operations(DepthToSpace="DEPTH_TO_SPACE", SpaceToDepth="SPACE_TO_DEPTH")
def blocks(
    b: KerasBuilder, type: str, x: Tensor, *, block_size: int, data_format: str = "channels_last"
) -> Tensor:
    """Move blocks of space into channels, or back."""
    first = data_format == FIRST
    return b.channels_last(x, first, lambda t: b(type, t, block_size=block_size))


@handles("ops.BatchNorm")
def batch_norm(
    b: KerasBuilder,
    *xs: Tensor,
    axis: int,
    epsilon: float = 1e-3,
    offset: Any = None,
    scale: Any = None,
    args: Any = None,
) -> Tensor:
    """Return (x - mean) * scale / sqrt(variance + epsilon) + offset."""
    x, mean, variance, *rest = [*in_order(b, xs, args)]
    offset = rest[0] if rest else offset
    scale = rest[1] if len(rest) > 1 else scale
    x = b.real(x)

    def shaped(value: Any, what: str) -> Tensor:
        flat = b.real(tensor(b, value, F, what))
        sizes = [1] * x.rank
        sizes[axis % x.rank] = flat.shape[0] or 1
        return b.reshape(flat, sizes)

    factor = b("RSQRT", b("ADD", shaped(variance, "variance"), np.array(epsilon, F)))
    factor = factor if scale is None else b("MUL", factor, shaped(scale, "scale"))
    y = b("MUL", b("SUB", x, shaped(mean, "mean")), factor)
    return y if offset is None else b("ADD", y, shaped(offset, "offset"))
