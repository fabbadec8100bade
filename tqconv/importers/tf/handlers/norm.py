"""Biases and normalizations."""

from __future__ import annotations

import numpy as np

from tqconv.compose import norm
from tqconv.compose.builder import Builder
from tqconv.compose.integers import as_signed
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import direct, handles
from tqconv.ir.graph import Tensor

direct(BiasAddV1="ADD")


@handles("BiasAdd")
def bias_add(b: Builder, x: Tensor, bias: Tensor, *, data_format: str = "NHWC") -> Tensor:
    """Add one number per channel."""
    along = norm.per_channel(b, bias, x.rank, _axis(data_format))
    return as_signed(b, lambda y, shift: b("ADD", y, shift), x, along)


@handles("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
def batch_norm(
    b: Builder,
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
    channels = _axis(data_format)
    if not is_training:
        y = norm.normalized(b, x, scale, offset, mean, variance, epsilon, channels)
        return y, mean, variance, mean, variance, b.const(0, np.float32, "reserved")
    axes = [axis for axis in range(x.rank) if axis != channels % x.rank]
    mean_kept, spread_kept, centered = norm.statistics(b, x, axes)
    factor = b("RSQRT", b("ADD", spread_kept, np.array(epsilon, np.float32)))
    scale, shift = (_along(b, t, x.rank, channels) for t in (scale, offset))
    y = norm.scaled(b, centered, factor, scale, shift)
    now, spread = (_flat(b, t) for t in (mean_kept, spread_kept))
    unbiased = b("MUL", spread, norm.bessel(b, x, axes))
    kept = [now, unbiased]
    if exponential_avg_factor != 1.0:
        kept = [
            norm.moving_average(b, old, new, exponential_avg_factor)
            for old, new in ((mean, now), (variance, unbiased))
        ]
    return y, *kept, now, spread, b.const(0, np.float32, "reserved")


def _axis(data_format: str) -> int:
    """Return where the channels are; TensorFlow names formats of images for other ranks, too."""
    return 1 if data_format.startswith("NC") else -1


def _along(b: Builder, vector: Tensor, rank: int, axis: int) -> Tensor:
    """Return one number per channel in a shape that broadcasts: of equal ones the number itself."""
    made = vector.producer
    if made is not None and made.type == "FILL" and made.input(1).is_constant:
        return made.input(1)
    return norm.per_channel(b, vector, rank, axis)


def _flat(b: Builder, statistics: Tensor) -> Tensor:
    return b("RESHAPE", statistics, np.array([-1], np.int32))


@handles("BatchNormWithGlobalNormalization")
def batch_norm_with_global_normalization(
    b: Builder,
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
    return norm.normalized(b, x, scale, beta, mean, variance, variance_epsilon)


@handles("LRN")
def local_response_normalization(
    b: Builder,
    x: Tensor,
    *,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Tensor:
    """Divide by (bias + alpha * sum of squares of the channels within the radius) ^ beta."""
    return norm.local_response(b, x, depth_radius, bias, alpha, beta)
