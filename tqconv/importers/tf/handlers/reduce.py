"""Reductions along axes, places of extremes, and running sums and products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tqconv.compose import reduce
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles(
    All="REDUCE_ALL",
    Any="REDUCE_ANY",
    Max="REDUCE_MAX",
    Mean="MEAN",
    Min="REDUCE_MIN",
    Prod="REDUCE_PROD",
    Sum="SUM",
)
def reduction(b: Builder, type: str, x: Tensor, axes: Tensor, *, keep_dims: bool = False) -> Tensor:
    """Reduce along axes; without any, `x` as it is."""
    if not axes.is_constant:
        return b(type, x, int32_of(b, axes), keep_dims=keep_dims)
    return reduce.reduced(b, type, x, b.ints(axes, "axis"), keep_dims=keep_dims)


@handles("EuclideanNorm")
def euclidean_norm(b: Builder, x: Tensor, axes: Tensor, *, keep_dims: bool = False) -> Tensor:
    """Square root of the sum of squares."""
    if not axes.is_constant and x.dtype.kind == "f":
        return b("SQRT", reduction(b, "SUM", b("SQUARE", x), axes, keep_dims=keep_dims))
    return reduce.euclidean_norm(b, x, b.ints(axes, "axis"), keep_dims=keep_dims)


@handles("L2Loss")
def l2_loss(b: Builder, x: Tensor) -> Tensor:
    """Half the sum of squares of all elements."""
    return b("MUL", reduce.reduced(b, "SUM", b("SQUARE", x), range(x.rank)), np.float32(0.5))


@handles(ArgMax="ARG_MAX", ArgMin="ARG_MIN")
def place_of_extreme(
    b: Builder,
    type: str,
    x: Tensor,
    axis: Tensor,
    *,
    output_type: TypeNumber = TypeNumber(9),  # noqa: B008
) -> Tensor:
    """The first place of the largest or smallest element along an axis."""
    return reduce.place_of_extreme(b, type, x, b.scalar(axis, "dimension"), output_type.dtype)


@handles(
    Cumsum=reduce.running_sum,
    Cumprod=reduce.running_product,
    CumulativeLogsumexp=reduce.running_log_sum,
)
def running(
    b: Builder,
    compute: Callable[..., Tensor],
    x: Tensor,
    axis: Tensor,
    *,
    exclusive: bool = False,
    reverse: bool = False,
) -> Tensor:
    """Sums, products or logarithms of sums of exponentials of all elements up to each one."""
    return compute(b, x, b.scalar(axis, "axis"), exclusive=exclusive, reverse=reverse)
