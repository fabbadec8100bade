"""Functions that reduce along axes, scan, and reduce segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.compose import norm, reduce
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.reductions import vector_norm
from tqconv.importers.keras.nodes import function, kind, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import axes_of, tensor
from tqconv.ir.graph import Tensor

REDUCTIONS: Mapping[str, str] = {
    "math.reduce_all": "All",
    "math.reduce_any": "Any",
    "math.reduce_euclidean_norm": "EuclideanNorm",
    "math.reduce_max": "Max",
    "math.reduce_mean": "Mean",
    "math.reduce_min": "Min",
    "math.reduce_prod": "Prod",
    "math.reduce_sum": "Sum",
}


def _along(x: Tensor, axis: Any, others: Sequence[Any]) -> list[int]:
    given = next((a for a in (axis, *others) if a is not None), None)
    return axes_of(given, x.rank)


@function(**REDUCTIONS)
def reduced(
    b: KerasBuilder,
    op: str,
    x: Any,
    *,
    axis: Any = None,
    keepdims: bool | None = None,
    reduction_indices: Any = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """Reduce along axes, all of them where none are named."""
    x = tensor(b, x)
    axes = _along(x, axis, [reduction_indices])
    return node(b, op, x, axes, keep_dims=bool(keepdims or keep_dims))


@function("math.reduce_variance", "math.reduce_std")
def variance(b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance along axes, or its root."""
    axes = axes_of(axis, x.rank)
    spread = _variance(b, x, axes, keepdims)
    return b("SQRT", spread) if b.layer.op.endswith("std") else spread


def _variance(b: KerasBuilder, x: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    middle = node(b, "Mean", x, axes, keep_dims=True)
    return node(b, "Mean", node(b, "SquaredDifference", x, middle), axes, keep_dims=keepdims)


@function("math.reduce_logsumexp")
def log_sum_exp(b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials along axes."""
    return reduce.log_sum_exp(b, x, axes_of(axis, x.rank), keep_dims=keepdims)


@function("nn.moments")
def moments(
    b: KerasBuilder,
    x: Tensor,
    *,
    axes: Any,
    shift: Any = None,
    keepdims: bool | None = False,
    keep_dims: bool | None = None,
) -> Sequence[Tensor]:
    """The mean and the variance along axes."""
    along, kept = axes_of(axes, x.rank), bool(keepdims or keep_dims)
    return [node(b, "Mean", x, along, keep_dims=kept), _variance(b, x, along, kept)]


@function("math.count_nonzero")
def count_nonzero(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis: Any = None,
    keepdims: bool | None = False,
    dtype: Any = "int64",
) -> Tensor:
    """How many elements along axes are not zero."""
    flags = x if x.dtype == np.bool_ else node(b, "NotEqual", x, 0)
    counts = b.cast(flags, np.int32)
    total = node(b, "Sum", counts, axes_of(axis, x.rank), keep_dims=bool(keepdims))
    return b.cast(total, kind(dtype).dtype)


@function("math.zero_fraction")
def zero_fraction(b: KerasBuilder, x: Tensor) -> Tensor:
    """Which part of all elements is zero."""
    zeros = b.cast(node(b, "Equal", x, 0), np.float32)
    return node(b, "Mean", zeros, list(range(x.rank)))


@function(**{"math.argmax": "ArgMax", "math.argmin": "ArgMin"})
def place(
    b: KerasBuilder,
    op: str,
    x: Tensor,
    *,
    axis: Any = None,
    dimension: Any = None,
    output_type: Any = "int64",
) -> Tensor:
    """The place of the largest or smallest element along an axis, the first where none is named."""
    along = next((a for a in (axis, dimension) if a is not None), 0)
    return node(b, op, x, along, output_type=kind(output_type))


@function(
    **{
        "math.cumsum": "Cumsum",
        "math.cumprod": "Cumprod",
        "math.cumulative_logsumexp": "CumulativeLogsumexp",
    }
)
def running(
    b: KerasBuilder,
    op: str,
    x: Tensor,
    *,
    axis: Any = 0,
    exclusive: bool = False,
    reverse: bool = False,
) -> Tensor:
    """Sums, products, or logarithms of sums of exponentials up to each element."""
    return node(b, op, x, axis, exclusive=exclusive, reverse=reverse)


SEGMENTS: Mapping[str, str] = {
    f"math.segment_{name.lower()}": f"Segment{name}"
    for name in ("Max", "Mean", "Min", "Prod", "Sum")
}


@function(**SEGMENTS)
def segments(b: KerasBuilder, op: str, x: Any, *, segment_ids: Any) -> Tensor:
    """Reduce rows that follow each other and have one number."""
    return node(b, op, x, segment_ids)


UNSORTED: Mapping[str, str] = {
    f"math.unsorted_segment_{name.lower()}": f"UnsortedSegment{name}"
    for name in ("Max", "Min", "Prod", "Sum")
}


@function(**UNSORTED)
def unsorted_segments(
    b: KerasBuilder, op: str, x: Any, *, segment_ids: Any, num_segments: Any
) -> Tensor:
    """Reduce rows that have one number."""
    return node(b, op, x, segment_ids, num_segments)


@function("norm")
def norm_of(
    b: KerasBuilder,
    x: Tensor,
    *,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """The norm of vectors, or of everything."""
    return vector_norm(b, x, ord=ord, axis=axis, keepdims=bool(keepdims or keep_dims))


@function("linalg.normalize")
def normalize(
    b: KerasBuilder, x: Tensor, *, ord: Any = "euclidean", axis: Any = None
) -> Sequence[Tensor]:
    """Divide by the norm, and the norm."""
    size = vector_norm(b, x, ord=ord, axis=axis, keepdims=True)
    return [b("DIV", x, size), size]


@function("math.l2_normalize")
def l2_normalize(
    b: KerasBuilder, x: Tensor, *, axis: Any = None, epsilon: float = 1e-12, dim: Any = None
) -> Tensor:
    """Divide by the Euclidean norm along axes."""
    return norm.unit_norm(b, x, _along(x, axis, [dim]), epsilon)


@function("clip_by_norm")
def clip_by_norm(b: KerasBuilder, x: Tensor, *, clip_norm: Any, axes: Any = None) -> Tensor:
    """Shorten what is longer than a norm."""
    if isinstance(clip_norm, Tensor):
        raise UnsupportedError("clip_by_norm with a norm that is computed")
    size = reduce.euclidean_norm(b, x, axes_of(axes, x.rank), keep_dims=True)
    limit = np.array(clip_norm, np.float32)
    return b("DIV", b("MUL", x, limit), b("MAXIMUM", size, limit))
