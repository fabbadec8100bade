"""Functions of `tf.nn`: activations, convolutions, pooling, normalization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import activations, pool
from tqconv.compose import conv as convolutions
from tqconv.compose.windows import Window, windows_over
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import windows_of
from tqconv.importers.keras.nodes import function, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import ints, tensor
from tqconv.ir.graph import Tensor


@function("nn.leaky_relu")
def leaky_relu(b: KerasBuilder, x: Tensor, *, alpha: float = 0.2) -> Tensor:
    """Return x where it is positive, else a multiple."""
    return node(b, "LeakyRelu", x, alpha=alpha)


@function("nn.gelu")
def gelu(b: KerasBuilder, x: Tensor, *, approximate: bool = False) -> Tensor:
    """x times the normal distribution at x."""
    return activations.gelu(b, x, approximate)


@function("nn.silu")
def silu(b: KerasBuilder, x: Tensor, *, beta: Any = 1.0) -> Tensor:
    """x times the sigmoid of beta * x."""
    plain = not isinstance(beta, Tensor) and beta == 1
    inner = x if plain else node(b, "Mul", x, beta)
    return node(b, "Mul", x, node(b, "Sigmoid", inner))


@function("nn.crelu")
def crelu(b: KerasBuilder, x: Tensor, *, axis: int = -1) -> Tensor:
    """The positive part of x, and that of -x behind it."""
    return node(b, "Relu", node(b, "ConcatV2", [x, node(b, "Neg", x)], axis))


@function(**{"nn.softmax": activations.softmax, "nn.log_softmax": activations.log_softmax})
def softmax(
    b: KerasBuilder,
    make: Callable[..., Tensor],
    x: Tensor,
    *,
    axis: int | None = None,
    dim: int | None = None,
) -> Tensor:
    """Softmax along an axis, or its logarithm."""
    along = next((a for a in (axis, dim) if a is not None), -1)
    return make(b, x, along)


@function("nn.bias_add")
def bias_add(b: KerasBuilder, x: Tensor, *, bias: Any, data_format: str | None = None) -> Tensor:
    """Add a number to each channel."""
    layout = "NCHW" if (data_format or "").startswith("NC") else "NHWC"
    return node(b, "BiasAdd", x, bias, data_format=layout)


@function("nn.batch_normalization")
def batch_normalization(
    b: KerasBuilder,
    x: Tensor,
    *,
    mean: Any,
    variance: Any,
    variance_epsilon: Any,
    offset: Any = None,
    scale: Any = None,
) -> Tensor:
    """Return (x - mean) * scale / sqrt(variance + epsilon) + offset."""
    factor = node(b, "Rsqrt", node(b, "AddV2", b.real(tensor(b, variance)), variance_epsilon))
    factor = factor if scale is None else node(b, "Mul", factor, scale)
    shift = node(b, "Mul", mean, factor)
    shift = node(b, "Neg", shift) if offset is None else node(b, "Sub", offset, shift)
    return node(b, "AddV2", node(b, "Mul", x, factor), shift)


@function("nn.local_response_normalization")
def local_response_normalization(
    b: KerasBuilder,
    x: Tensor,
    *,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Tensor:
    """Divide by a power of the sum of squares of channels nearby."""
    sizes = {"bias": float(bias), "alpha": float(alpha), "beta": float(beta)}
    return node(b, "LRN", x, depth_radius=depth_radius, **sizes)


@function(**{"nn.depth_to_space": "DepthToSpace", "nn.space_to_depth": "SpaceToDepth"})
def blocks(
    b: KerasBuilder, op: str, x: Tensor, *, block_size: int, data_format: str = "NHWC"
) -> Tensor:
    """Move blocks of space into channels, or back."""
    return node(b, op, x, block_size=block_size, data_format=data_format)


def spatial(value: Any, count: int, first: bool) -> list[int]:
    """Return one number for each axis of space; those of batch and channels may be there, too."""
    if value is None:
        return [1] * count
    numbers = ints(value, "strides")
    if len(numbers) == 1:
        return numbers * count
    if len(numbers) == count + 2:
        return numbers[2:] if first else numbers[1:-1]
    if len(numbers) != count:
        raise UnsupportedError(f"{numbers} for {count} axes")
    return numbers


def _windows(
    kernel: Sequence[int | None], strides: Any, rates: Any, padding: Any, first: bool
) -> list[Window]:
    """Return windows; padding is `SAME`, `VALID`, or what is added at both ends of each axis."""
    count = len(kernel)
    steps, spread = spatial(strides, count, first), spatial(rates, count, first)
    if isinstance(padding, str):
        return windows_of(kernel, steps, spread, padding.lower())
    pairs = [(int(before), int(after)) for before, after in padding]
    return windows_over(kernel, steps, spread, pairs[2:] if first else pairs[1:-1])


def _is_first(data_format: str | None) -> bool:
    return (data_format or "").startswith("NC")


Convolution = Callable[..., Tensor]
CONVOLUTIONS: dict[str, Convolution] = {
    **{f"nn.{name}": convolutions.conv for name in ("conv1d", "conv2d", "conv3d", "convolution")},
    "nn.atrous_conv2d": convolutions.conv,
    "nn.depthwise_conv2d": convolutions.depthwise,
}


@function(**CONVOLUTIONS)
def convolution(
    b: KerasBuilder,
    make: Convolution,
    x: Tensor,
    *,
    filters: Any = None,
    filter: Any = None,
    strides: Any = None,
    stride: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    dilation_rate: Any = None,
    rate: Any = None,
) -> Tensor:
    """Convolve; filters are [spatial…, in, out]."""
    w = tensor(b, filter if filters is None else filters, np.float32, "filters")
    rates = next((r for r in (dilations, dilation_rate, rate) if r is not None), None)
    first = _is_first(data_format)
    steps = stride if strides is None else strides
    windows = _windows(w.shape[: x.rank - 2], steps, rates, padding, first)
    return b.channels_last(x, first, lambda t: make(b, t, w, windows))


@function("nn.separable_conv2d")
def separable(
    b: KerasBuilder,
    x: Tensor,
    *,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    rate: Any = None,
) -> Tensor:
    """Convolve each channel by itself, then mix the channels."""
    first = _is_first(data_format)
    w = tensor(b, depthwise_filter, np.float32, "depthwise")
    mix = tensor(b, pointwise_filter, np.float32, "pointwise")
    rates = rate if dilations is None else dilations
    windows = _windows(w.shape[:2], strides, rates, padding, first)

    def made(t: Tensor) -> Tensor:
        return convolutions.conv(b, convolutions.depthwise(b, t, w, windows), mix, [Window(1)] * 2)

    return b.channels_last(x, first, made)


@function(
    **{"nn.conv2d_transpose": "Conv2DBackpropInput", "nn.conv3d_transpose": "Conv3DBackpropInputV2"}
)
def transposed(
    b: KerasBuilder,
    op: str,
    x: Tensor,
    *,
    output_shape: Any,
    strides: Any,
    filters: Any = None,
    filter: Any = None,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """Spread each element by the filter, which is [spatial…, out, in]."""
    w = tensor(b, filter if filters is None else filters, np.float32, "filters")
    first, count = _is_first(data_format), x.rank - 2
    steps, rates = spatial(strides, count, first), spatial(dilations, count, first)
    ends = [[1, 1, *part] if first else [1, *part, 1] for part in (steps, rates)]
    layout = data_format or ("NHWC" if count == 2 else "NDHWC")
    options = {"strides": ends[0], "dilations": ends[1], "data_format": layout}
    return node(b, op, output_shape, w, x, padding=padding, **options)


POOLS: dict[str, pool.Pool] = {
    **{f"nn.max_pool{end}": pool.max_pool for end in ("", "1d", "2d", "3d")},
    **{f"nn.avg_pool{end}": pool.average_pool for end in ("", "1d", "2d", "3d")},
}


@function(**POOLS)
def pooled(
    b: KerasBuilder,
    make: pool.Pool,
    x: Tensor,
    *,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
) -> Tensor:
    """The largest element, or the mean, of each window."""
    first = _is_first(data_format)
    kernel = spatial(ksize, x.rank - 2, first)
    windows = _windows(kernel, strides, None, padding, first)
    return b.channels_last(x, first, lambda t: make(b, t, windows))


@function("nn.pool")
def pooled_by_name(
    b: KerasBuilder,
    x: Tensor,
    *,
    window_shape: Any,
    pooling_type: str,
    padding: str = "VALID",
    strides: Any = None,
    dilations: Any = None,
    dilation_rate: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Pool by `MAX` or `AVG`."""
    rates = dilation_rate if dilations is None else dilations
    if rates is not None and any(rate != 1 for rate in ints(rates, "dilations")):
        raise UnsupportedError("pooling with dilations")
    kinds = {"MAX": pool.max_pool, "AVG": pool.average_pool}
    if pooling_type not in kinds:
        raise UnsupportedError(f"pooling of type `{pooling_type}`")
    options = {"ksize": window_shape, "strides": strides, "padding": padding}
    return pooled(b, kinds[pooling_type], x, **options, data_format=data_format)
