"""Biases and normalizations."""

from __future__ import annotations

import numpy as np

from tqconv.compose.integers import as_signed
from tqconv.compose.sizes import Size, calculate, size_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, direct, handles
from tqconv.ir.graph import Tensor

direct(BiasAddV1="ADD")


@handles("BiasAdd")
def bias_add(b: TFBuilder, x: Tensor, bias: Tensor, *, data_format: str = "NHWC") -> Tensor:
    """Add one number per channel."""
    along = per_channel(b, bias, x.rank, data_format)
    return as_signed(b, lambda y, shift: b("ADD", y, shift), x, along)


@handles("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(
    b: TFBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-4,
    exponential_avg_factor: float = 1.0,
    data_format: str = "NHWC",
    is_training: bool = True,
    U: TypeNumber | None = None,  # noqa: N803  (the attribute's name)
) -> tuple[Tensor, ...]:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + offset, and the statistics.

    In training, `x` itself gives them, and `mean` and `variance` are old running values.
    """
    if not is_training:
        y = normalized(b, x, scale, offset, mean, variance, epsilon, data_format)
        return y, mean, variance, mean, variance, b.const(0, np.float32, "reserved")
    axes, mean_kept, spread_kept, centered = batch_statistics(b, x, data_format)
    factor = b("RSQRT", b("ADD", spread_kept, np.array(epsilon, np.float32)))
    scale, shift = (per_channel(b, t, x.rank, data_format) for t in (scale, offset))
    y = b("ADD", b("MUL", centered, b("MUL", factor, scale)), shift)
    now, spread = (_flat(b, t) for t in (mean_kept, spread_kept))
    unbiased = b("MUL", spread, _bessel(b, x, axes))
    kept = [now, unbiased]
    if exponential_avg_factor != 1.0:
        kept = [
            _moved(b, old, new, exponential_avg_factor)
            for old, new in ((mean, now), (variance, unbiased))
        ]
    return y, *kept, now, spread, b.const(0, np.float32, "reserved")


@handles("BatchNormWithGlobalNormalization")
def batch_norm_with_global_normalization(
    b: TFBuilder,
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    beta: Tensor,
    gamma: Tensor,
    *,
    variance_epsilon: float,
    scale_after_normalization: bool,
) -> Tensor:
    """Return the batch normalization of TensorFlow before 1.0; `gamma` counts only if asked for."""
    scale = gamma if scale_after_normalization else None
    return normalized(b, x, scale, beta, mean, variance, variance_epsilon, "NHWC")


@handles("LRN")
def local_response_normalization(
    b: TFBuilder,
    x: Tensor,
    *,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Tensor:
    """Divide by (bias + alpha * sum of squares of the channels within the radius) ^ beta."""
    options = {"radius": depth_radius, "bias": bias, "alpha": alpha, "beta": beta}
    return b("LOCAL_RESPONSE_NORMALIZATION", x, **options)


def per_channel(b: TFBuilder, vector: Tensor, rank: int, data_format: str) -> Tensor:
    """Return one number per channel in a shape that broadcasts to a tensor of `rank`."""
    if not data_format.startswith("NC") or rank < 3:
        return vector
    return b.reshape(vector, (*vector.shape, *(1,) * (rank - 2)))


def normalized(
    b: TFBuilder,
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    data_format: str,
) -> Tensor:
    """Return x * factor + shift: two operators, which fold into a convolution before them."""
    factor = b("RSQRT", b("ADD", variance, np.array(epsilon, np.float32)))
    if scale is not None:
        factor = b("MUL", factor, scale)
    shift = b("SUB", offset, b("MUL", mean, factor))
    factor, shift = (per_channel(b, t, x.rank, data_format) for t in (factor, shift))
    return b("ADD", b("MUL", x, factor), shift)


def batch_statistics(
    b: TFBuilder, x: Tensor, data_format: str
) -> tuple[list[int], Tensor, Tensor, Tensor]:
    """Return the axes that are not the channels', mean and variance over them, and x - mean.

    Mean and variance keep their dimensions. Normalizing x - mean rather than x keeps the digits
    that x shares with its mean.
    """
    channels = 1 if data_format.startswith("NC") else x.rank - 1
    axes = [axis for axis in range(x.rank) if axis != channels]
    mean = _mean(b, x, axes)
    centered = b("SUB", x, mean)
    return axes, mean, _mean(b, b("SQUARE", centered), axes), centered


def _flat(b: TFBuilder, statistics: Tensor) -> Tensor:
    y: Tensor = b("RESHAPE", statistics, np.array([-1], np.int32))
    return y


def _mean(b: TFBuilder, x: Tensor, axes: list[int]) -> Tensor:
    """Return the mean over the axes, which are kept, one axis at a time.

    The kernel adds one element after the other in float32: over the 19,200 pixels of a 120 x 160
    picture it loses 5e-5 of a variance, row by row 1e-6 (measured).
    """
    for axis in reversed(axes):
        x = b("MEAN", x, np.array([axis], np.int32), keep_dims=True)
    return x


def _bessel(b: TFBuilder, x: Tensor, axes: list[int]) -> Tensor:
    """Return n / (n - 1), n elements per channel: TensorFlow's running variance is unbiased."""
    count: Size = calculate(b, "MUL", *(size_of(b, x, axis) for axis in axes))
    rest = calculate(b, "MAXIMUM", calculate(b, "SUB", count, 1), 1)
    above, below = (b.cast(_scalar(b, size), np.float32) for size in (count, rest))
    return b("DIV", above, below)


def _scalar(b: TFBuilder, size: Size) -> Tensor:
    return b.const(size, np.int32, "size") if isinstance(size, int) else size


def _moved(b: TFBuilder, old: Tensor, new: Tensor, factor: float) -> Tensor:
    """Return the moving average of an old and a new value."""
    kept = b("MUL", old, np.array(1.0 - factor, np.float32))
    return b("ADD", kept, b("MUL", new, np.array(factor, np.float32)))
