"""Reductions along axes, places of extremes, and running sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.compose import complex
from tqconv.compose.integers import INT64, UINT32, UINT64, as_ordered, as_signed, ordered
from tqconv.compose.operands import axes_operand, axis_operand, int32_of, static_size
from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import type_name

INT32 = np.dtype(np.int32)
LOWEST = np.float32(np.finfo(np.float32).min)

_REDUCTIONS = {
    "All": "REDUCE_ALL",
    "Any": "REDUCE_ANY",
    "Max": "REDUCE_MAX",
    "Mean": "MEAN",
    "Min": "REDUCE_MIN",
    "Prod": "REDUCE_PROD",
    "Sum": "SUM",
}


@handles(*_REDUCTIONS)
def reduction(b: TFBuilder, x: Tensor, axes: Tensor, *, keep_dims: bool = False) -> Tensor:
    """Reduce along axes; without any, `x` as it is."""
    return reduced(b, _REDUCTIONS[b.node.op], x, axes, keep_dims)


def reduced(b: TFBuilder, type: str, x: Tensor, axes: Tensor, keep_dims: bool) -> Tensor:
    """Emit a reduction; of complex numbers only sums and means, which treat the parts alike."""
    if not axes.is_constant:
        return b(type, x, int32_of(b, axes), keep_dims=keep_dims)
    along = axes_operand(b, axes, x.rank)
    if not along:
        return x
    if any(x.shape[axis] == 0 for axis in along):
        return _of_nothing(b, type, x, along, keep_dims)
    numbers = np.array(along, np.int32)

    def compute(t: Tensor) -> Tensor:
        return b(type, t, numbers, keep_dims=keep_dims)

    if x.dtype.kind == "c":
        if type not in ("SUM", "MEAN"):
            raise Unsupported(f"{b.node.op} of {x.dtype}")
        return complex.on_pairs(b, compute, x)
    if x.dtype == UINT64 and type == "MEAN":
        raise Unsupported("the mean of uint64")
    return (as_signed if type in ("SUM", "REDUCE_PROD") else as_ordered)(b, compute, x)


def _of_nothing(b: TFBuilder, type: str, x: Tensor, along: list[int], keep_dims: bool) -> Tensor:
    """What a reduction of no elements is; the kernels leave the output as it was."""
    if x.dtype.kind == "f":
        low, high = -np.inf, np.inf
    else:
        limits = np.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        low, high = (limits.min, limits.max) if limits is not None else (0, 0)
    start = {
        **{"SUM": 0, "REDUCE_PROD": 1, "REDUCE_MAX": low, "REDUCE_MIN": high},
        **{"MEAN": np.nan if x.dtype.kind == "f" else 0, "REDUCE_ALL": True, "REDUCE_ANY": False},
    }[type]
    sizes = [1 if i in along else d for i, d in enumerate(x.shape) if keep_dims or i not in along]
    if None in sizes:
        raise Unsupported(f"{b.node.op} of no elements, in a shape that is unknown")
    return b("FILL", np.array(sizes, np.int32), np.array(start, x.dtype))


@handles("EuclideanNorm")
def euclidean_norm(b: TFBuilder, x: Tensor, axes: Tensor, *, keep_dims: bool = False) -> Tensor:
    """Square root of the sum of squares."""
    if x.dtype.kind != "f":
        raise Unsupported(f"the norm of {x.dtype}")
    return b("SQRT", reduced(b, "SUM", b("SQUARE", x), axes, keep_dims))


@handles("L2Loss")
def l2_loss(b: TFBuilder, x: Tensor) -> Tensor:
    """Half the sum of squares of all elements."""
    total = reduced(b, "SUM", b("SQUARE", x), b.const(range(x.rank), INT32, "axes"), False)
    return b("MUL", total, np.float32(0.5))


@handles("ArgMax", "ArgMin")
def place_of_extreme(
    b: TFBuilder,
    x: Tensor,
    axis: Tensor,
    *,
    output_type: TypeNumber = TypeNumber(9),  # noqa: B008
) -> Tensor:
    """The first place of the largest or smallest element along an axis."""
    along = axis_operand(b, axis, x.rank, "dimension")
    is_max = b.node.op == "ArgMax"
    x = b.cast(x, INT64) if x.dtype == UINT32 else ordered(b, x)
    if x.dtype == INT64:
        # No kernel: the first place that holds the extreme.
        numbers = np.array([along], np.int32)
        extreme = b("REDUCE_MAX" if is_max else "REDUCE_MIN", x, numbers, keep_dims=True)
        x, is_max = b("EQUAL", x, extreme), True
    dtype = output_type.dtype if output_type.dtype in (INT32, INT64) else INT32
    type = "ARG_MAX" if is_max else "ARG_MIN"
    found = b(type, x, np.array(along, np.int32), output_type=type_name(dtype))
    return b.cast(found, output_type.dtype)


@handles("Cumsum")
def running_sum(
    b: TFBuilder, x: Tensor, axis: Tensor, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Sums of all elements up to each one."""
    along = np.array(axis_operand(b, axis, x.rank), np.int32)

    def summed(t: Tensor) -> Tensor:
        return b("CUMSUM", t, along, exclusive=exclusive, reverse=reverse)

    if x.dtype.kind == "c":
        return complex.on_pairs(b, summed, x)
    return as_signed(b, summed, x)


@handles("Cumprod")
def running_product(
    b: TFBuilder, x: Tensor, axis: Tensor, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Products of all elements up to each one."""
    along = axis_operand(b, axis, x.rank)

    def scanned(t: Tensor) -> Tensor:
        one = np.array(1, t.dtype)
        return _scan(b, t, along, exclusive, reverse, one, lambda p, q: b("MUL", p, q))

    return as_signed(b, scanned, x)


@handles("CumulativeLogsumexp")
def running_log_sum(
    b: TFBuilder, x: Tensor, axis: Tensor, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Logarithms of running sums of exponentials."""

    def log_sum(p: Tensor, q: Tensor) -> Tensor:
        # The floor keeps -inf - -inf, which is NaN, from arising.
        top = b("MAXIMUM", b("MAXIMUM", p, q), LOWEST)
        total = b("ADD", b("EXP", b("SUB", p, top)), b("EXP", b("SUB", q, top)))
        return b("ADD", top, b("LOG", total))

    along = axis_operand(b, axis, x.rank)
    y = _scan(b, x, along, exclusive, reverse, np.array(-np.inf, x.dtype), log_sum)
    # Without XNNPACK the kernel of ADD stops at the lowest number.
    return b("SELECT_V2", b("LESS_EQUAL", y, LOWEST), np.float32(-np.inf), y)


def _scan(
    b: TFBuilder,
    x: Tensor,
    axis: int,
    exclusive: bool,
    reverse: bool,
    neutral: Any,
    combine: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Combine each element with all before it: rounds over 1, 2, 4, … neighbours."""
    size = static_size(x, axis)
    y = _shifted(b, x, axis, 1, reverse, neutral) if exclusive and size else x
    reach = 1
    while reach < size:
        y = combine(y, _shifted(b, y, axis, reach, reverse, neutral))
        reach *= 2
    return y


def _shifted(b: TFBuilder, x: Tensor, axis: int, by: int, reverse: bool, neutral: Any) -> Tensor:
    """Move elements along an axis, away from its start (its end with `reverse`), and fill up."""
    begin = np.zeros(x.rank, np.int32)
    size = np.full(x.rank, -1, np.int32)
    size[axis] = static_size(x, axis) - by
    begin[axis] = by if reverse else 0
    paddings = np.zeros((x.rank, 2), np.int32)
    paddings[axis] = (0, by) if reverse else (by, 0)
    return b("PADV2", b("SLICE", x, begin, size), paddings, neutral)
