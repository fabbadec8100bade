"""Reductions along axes, places of extremes, and running sums and products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import complex
from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64, UINT32, UINT64, as_ordered, as_signed, ordered
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.types import type_name
from tqconv.ops.rules import axis_of

INT32 = np.dtype(np.int32)
LOWEST = np.float32(np.finfo(np.float32).min)


def reduced(
    b: Builder, type: str, x: Tensor, axes: Sequence[int], *, keep_dims: bool = False
) -> Tensor:
    """Reduce along axes by an operator, each axis once; without any, `x` as it is.

    type: SUM, MEAN or REDUCE_*; of complex numbers sums and means, which treat the parts alike.
    """
    along = list(dict.fromkeys(axis_of(axis, x.rank) for axis in axes))
    if not along:
        return x
    if any(x.shape[axis] == 0 for axis in along):
        return _of_nothing(b, type, x, along, keep_dims)
    numbers = np.array(along, np.int32)

    def compute(t: Tensor) -> Tensor:
        return b(type, t, numbers, keep_dims=keep_dims)

    if x.dtype.kind == "c":
        if type not in ("SUM", "MEAN"):
            raise UnsupportedError(f"{b.source.op_type} of {x.dtype}")
        return complex.on_pairs(b, compute, x)
    if x.dtype == UINT64 and type == "MEAN":
        raise UnsupportedError("the mean of uint64")
    return (as_signed if type in ("SUM", "REDUCE_PROD") else as_ordered)(b, compute, x)


def _of_nothing(b: Builder, type: str, x: Tensor, along: Sequence[int], keep_dims: bool) -> Tensor:
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
    kept = [i for i in range(x.rank) if keep_dims or i not in along]
    sizes = vector(b, [1 if i in along else size_of(b, x, i) for i in kept])
    return b("FILL", sizes, np.array(start, x.dtype))


def euclidean_norm(
    b: Builder, x: Tensor, axes: Sequence[int], *, keep_dims: bool = False
) -> Tensor:
    """Square root of the sum of squares of reals."""
    if x.dtype.kind != "f":
        raise UnsupportedError(f"the norm of {x.dtype}")
    return b("SQRT", reduced(b, "SUM", b("SQUARE", x), axes, keep_dims=keep_dims))


def log_sum_exp(b: Builder, x: Tensor, axes: Sequence[int], *, keep_dims: bool = False) -> Tensor:
    """Logarithm of the sum of exponentials of reals, which do not overflow."""
    # The floor keeps -inf - -inf, which is NaN, from arising.
    top = b("MAXIMUM", reduced(b, "REDUCE_MAX", x, axes, keep_dims=True), LOWEST)
    total = reduced(b, "SUM", b("EXP", b("SUB", x, top)), axes, keep_dims=True)
    y = b("ADD", b("LOG", total), top)
    return y if keep_dims or not axes else reduced(b, "REDUCE_MAX", y, axes)


def place_of_extreme(
    b: Builder, type: str, x: Tensor, axis: int, dtype: np.dtype, *, last: bool = False
) -> Tensor:
    """The first place (or the last one) of the largest or smallest element along an axis.

    type: ARG_MAX or ARG_MIN; dtype: that of the places.
    """
    along = axis_of(axis, x.rank)
    if last:
        turned = b("REVERSE_V2", x, np.array([along], np.int32))
        found = place_of_extreme(b, type, turned, along, dtype)
        end = calculate(b, "SUB", size_of(b, x, along), 1)
        final = b.const(end, dtype, "last") if isinstance(end, int) else b.cast(end, dtype)
        return b("SUB", final, found)
    x = b.cast(x, INT64) if x.dtype == UINT32 else ordered(b, x)
    if x.dtype == INT64:
        # No kernel: the first place that holds the extreme.
        reduction = {"ARG_MAX": "REDUCE_MAX", "ARG_MIN": "REDUCE_MIN"}[type]
        extreme = b(reduction, x, np.array([along], np.int32), keep_dims=True)
        x, type = b("EQUAL", x, extreme), "ARG_MAX"
    made = dtype if dtype in (INT32, INT64) else INT32
    found = b(type, x, np.array(along, np.int32), output_type=type_name(made))
    return b.cast(found, dtype)


def running_sum(
    b: Builder, x: Tensor, axis: int, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Sums of all elements up to each one."""
    along = np.array(axis_of(axis, x.rank), np.int32)

    def summed(t: Tensor) -> Tensor:
        return b("CUMSUM", t, along, exclusive=exclusive, reverse=reverse)

    if x.dtype.kind == "c":
        return complex.on_pairs(b, summed, x)
    return as_signed(b, summed, x)


def running_product(
    b: Builder, x: Tensor, axis: int, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Products of all elements up to each one."""
    along = axis_of(axis, x.rank)

    def scanned(t: Tensor) -> Tensor:
        one = np.array(1, t.dtype)
        return scan(b, t, along, exclusive, reverse, one, lambda p, q: b("MUL", p, q))

    return as_signed(b, scanned, x)


def running_log_sum(
    b: Builder, x: Tensor, axis: int, *, exclusive: bool = False, reverse: bool = False
) -> Tensor:
    """Logarithms of running sums of exponentials."""

    def log_sum(p: Tensor, q: Tensor) -> Tensor:
        # The floor keeps -inf - -inf, which is NaN, from arising.
        top = b("MAXIMUM", b("MAXIMUM", p, q), LOWEST)
        total = b("ADD", b("EXP", b("SUB", p, top)), b("EXP", b("SUB", q, top)))
        return b("ADD", top, b("LOG", total))

    along = axis_of(axis, x.rank)
    y = scan(b, x, along, exclusive, reverse, np.array(-np.inf, x.dtype), log_sum)
    # Without XNNPACK the kernel of ADD stops at the lowest number.
    return b("SELECT_V2", b("LESS_EQUAL", y, LOWEST), np.float32(-np.inf), y)


def scan(
    b: Builder,
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


def _shifted(b: Builder, x: Tensor, axis: int, by: int, reverse: bool, neutral: Any) -> Tensor:
    """Move elements along an axis, away from its start (its end with `reverse`), and fill up."""
    begin = np.zeros(x.rank, np.int32)
    size = np.full(x.rank, -1, np.int32)
    size[axis] = static_size(x, axis) - by
    begin[axis] = by if reverse else 0
    paddings = np.zeros((x.rank, 2), np.int32)
    paddings[axis] = (0, by) if reverse else (by, 0)
    return b("PADV2", b("SLICE", x, begin, size), paddings, neutral)
