"""Normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import norm
from tqconv.compose.sizes import reshaped, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
LEAST = 1e-12
"""The least sum of squares that UnitNormalization divides by (tf.math.l2_normalize's epsilon)."""


def axes_of(axis: Any, rank: int) -> list[int]:
    """Return axes in [0, rank), ascending."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    if any(not -rank <= a < rank for a in axes):
        raise UnsupportedError(f"axis {axis} of a tensor of rank {rank}")
    return sorted({a % rank for a in axes})


def along(b: KerasBuilder, name: str, x: Tensor, axes: Sequence[int]) -> Tensor | None:
    """Return a weight over some axes in a shape that broadcasts to `x`; None if there is none.

    Keras stores it in the order in which the layer names the axes, and reshapes it all the same.
    """
    found = b.weights.get(name)
    if found is None:
        return None
    known = [x.shape[axis] for axis in axes]
    sizes = iter(found.shape if None in known else known)
    shape = [next(sizes) if i in axes else 1 for i in range(x.rank)]
    while shape and shape[0] == 1 and len(shape) > 1:
        shape = shape[1:]
    return b.reshape(found, shape)


@handles("BatchNormalization", "SyncBatchNormalization")
def batch_norm(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    training: bool | None = False,
    fused: bool | None = None,
    virtual_batch_size: int | None = None,
) -> Tensor:
    """Normalize each channel with stored statistics, or those of the batch where it is told to."""
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    if virtual_batch_size is not None:
        raise UnsupportedError("a batch normalization with virtual batches")
    gamma, beta = b.weights.get("gamma"), b.weights.get("beta")
    if training:
        others = [i for i in range(x.rank) if i not in axes]
        shaped = [along(b, name, x, axes) for name in ("gamma", "beta")]
        return norm.by_own_statistics(b, x, others, shaped[0], shaped[1], epsilon)
    mean, variance = b.weight("moving_mean"), b.weight("moving_variance")
    if len(axes) == 1:
        return norm.normalized(b, x, gamma, beta, mean, variance, epsilon, axes[0])
    factor = b("RSQRT", b("ADD", variance, np.array(epsilon, F)))
    factor = factor if gamma is None else b("MUL", factor, gamma)
    shift = b("MUL", mean, factor)
    shift = b("NEG", shift) if beta is None else b("SUB", beta, shift)
    sizes = [x.shape[i] if i in axes else 1 for i in range(x.rank)]
    factor, shift = b.reshape(factor, sizes), b.reshape(shift, sizes)
    return b("ADD", b("MUL", x, factor), shift)


@handles("LayerNormalization")
def layer_norm(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
    rms_scaling: bool = False,
) -> Tensor:
    """Normalize over some axes of each element."""
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    gamma, beta = along(b, "gamma", x, axes), along(b, "beta", x, axes)
    if rms_scaling:
        average = norm.statistics(b, x, axes)[1]
        factor = b("RSQRT", b("ADD", average, np.array(epsilon, F)))
        return norm.scaled(b, x, factor, gamma, None)
    return norm.by_own_statistics(b, x, axes, gamma, beta, epsilon)


@handles("RMSNormalization")
def rms_norm(b: KerasBuilder, x: Tensor, *, axis: Any = -1, epsilon: float = 1e-6) -> Tensor:
    """Divide by the root mean square over some axes.

    Keras multiplies by the scale without moving it to these axes: it stands along the last ones.
    """
    x = b.real(x)
    return norm.rms_norm(b, x, axes_of(axis, x.rank), b.weight("scale"), epsilon)


@handles("GroupNormalization")
def group_norm(
    b: KerasBuilder,
    x: Tensor,
    *,
    groups: int,
    axis: Any = -1,
    epsilon: float = 1e-3,
    center: bool = True,
    scale: bool = True,
) -> Tensor:
    """Normalize each group of channels of each element; -1: each channel is a group."""
    (channels,) = axes_of(axis, x.rank)
    gamma, beta = b.weights.get("gamma"), b.weights.get("beta")

    def normalized(t: Tensor) -> Tensor:
        count = t.shape[-1] if groups == -1 else groups
        if count is None:
            raise UnsupportedError("the number of channels is unknown")
        if t.rank == 2:  # the kernel of group_norm needs places between batch and channels
            sizes = sizes_of(b, t)
            wide = reshaped(b, t, [sizes[0], 1, sizes[1]])
            return reshaped(b, norm.group_norm(b, wide, count, gamma, beta, epsilon), sizes)
        return norm.group_norm(b, t, count, gamma, beta, epsilon)

    return b.on_last_axis(b.real(x), channels, normalized)


@handles("UnitNormalization")
def unit_norm(b: KerasBuilder, x: Tensor, *, axis: Any = -1) -> Tensor:
    """Divide by the Euclidean norm over some axes."""
    x = b.real(x)
    return norm.unit_norm(b, x, axes_of(axis, x.rank), LEAST)
