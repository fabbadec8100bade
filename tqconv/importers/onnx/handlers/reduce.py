"""Reductions and scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.compose import arithmetic, reduce
from tqconv.compose.casts import converted
from tqconv.compose.sizes import calculate, operand, size_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)

Reduce = Callable[[ONNXBuilder, Tensor, Sequence[int], bool], Tensor]


def _by(type: str) -> Reduce:
    return lambda b, x, axes, keep: reduce.reduced(b, type, x, axes, keep_dims=keep)


def _square_sum(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    return reduce.reduced(b, "SUM", b("MUL", x, x), axes, keep_dims=keep)


def _size_sum(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    return reduce.reduced(b, "SUM", arithmetic.absolute(b, x), axes, keep_dims=keep)


def _norm(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    return _as_real(b, "SQRT", _square_sum(b, x, axes, keep))


def _log_sum(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    return _as_real(b, "LOG", reduce.reduced(b, "SUM", x, axes, keep_dims=keep))


def _log_sum_exp(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    real = x if x.dtype.kind == "f" else b.cast(x, np.float32)
    return converted(b, reduce.log_sum_exp(b, real, axes, keep_dims=keep), x.dtype)


def _as_real(b: ONNXBuilder, type: str, x: Tensor) -> Tensor:
    """Return a function of reals; of integers, without its fraction."""
    return b(type, x) if x.dtype.kind == "f" else b.cast(b(type, b.cast(x, np.float32)), x.dtype)


def _mean(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
    """Of integers: the sum divided towards zero."""
    if x.dtype.kind == "f":
        return reduce.reduced(b, "MEAN", x, axes, keep_dims=keep)
    total = reduce.reduced(b, "SUM", x, axes, keep_dims=keep)
    sizes = [size_of(b, x, axis) for axis in axes]
    count = operand(calculate(b, "MUL", 1, *sizes))
    count = count.astype(x.dtype) if isinstance(count, np.ndarray) else b.cast(count, x.dtype)
    return arithmetic.truncate_divide(
        b, total, b.const(count) if isinstance(count, np.ndarray) else count
    )


def _extreme(type: str, logical: str) -> Reduce:
    """Of truth values the largest is whether any holds, the smallest whether all do."""

    def made(b: ONNXBuilder, x: Tensor, axes: Sequence[int], keep: bool) -> Tensor:
        kind = logical if x.dtype == np.bool_ else type
        return reduce.reduced(b, kind, x, axes, keep_dims=keep)

    return made


REDUCTIONS: dict[str, Reduce] = {
    "ReduceL1": _size_sum,
    "ReduceL2": _norm,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": _extreme("REDUCE_MAX", "REDUCE_ANY"),
    "ReduceMean": _mean,
    "ReduceMin": _extreme("REDUCE_MIN", "REDUCE_ALL"),
    "ReduceProd": _by("REDUCE_PROD"),
    "ReduceSum": _by("SUM"),
    "ReduceSumSquare": _square_sum,
}
AXES_ARE_INPUT = {name: 13 if name == "ReduceSum" else 18 for name in REDUCTIONS}
"""First opset in which the axes are an input; attributes before."""


def _reduce(
    b: ONNXBuilder, made: Reduce, x: Tensor, axes: Sequence[int] | None, keep: int, nothing: bool
) -> Tensor:
    """Reduce `axes`; without any, all of them, or `nothing`: elements become what one makes."""
    if not axes:
        axes = () if nothing else range(x.rank)
    along = sorted({axis % x.rank for axis in axes}) if x.rank else []
    return made(b, x, along, bool(keep))


def _old(made: Reduce) -> Callable[..., Tensor]:
    def handler(
        b: ONNXBuilder, x: Tensor, *, axes: Sequence[int] | None = None, keepdims: int = 1
    ) -> Tensor:
        return _reduce(b, made, x, axes, keepdims, False)

    return handler


def _new(made: Reduce) -> Callable[..., Tensor]:
    def handler(
        b: ONNXBuilder,
        x: Tensor,
        axes: Tensor | None = None,
        *,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        numbers = None if axes is None else b.ints(axes, "axes")
        return _reduce(b, made, x, numbers, keepdims, bool(noop_with_empty_axes))

    return handler


for _name, _made in REDUCTIONS.items():
    handles(_name)(_old(_made))
    handles(_name, since=AXES_ARE_INPUT[_name])(_new(_made))


@handles(ArgMax="ARG_MAX", ArgMin="ARG_MIN")
def place_of_extreme(
    b: ONNXBuilder,
    type: str,
    x: Tensor,
    *,
    axis: int = 0,
    keepdims: int = 1,
    select_last_index: int = 0,
) -> Tensor:
    """The place of the largest or smallest element along an axis, int64."""
    along = axis % x.rank
    y = reduce.place_of_extreme(b, type, x, along, INT64, last=bool(select_last_index))
    return b("EXPAND_DIMS", y, np.array(along, np.int32)) if keepdims else y


@handles("CumSum")
def running_sum(
    b: ONNXBuilder, x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0
) -> Tensor:
    """Sums of all elements up to each one."""
    place = int(b.scalar(axis, "axis"))
    return reduce.running_sum(b, x, place, exclusive=bool(exclusive), reverse=bool(reverse))


@handles("CumProd")
def running_product(
    b: ONNXBuilder, x: Tensor, axis: Tensor, *, exclusive: int = 0, reverse: int = 0
) -> Tensor:
    """Products of all elements up to each one."""
    place = int(b.scalar(axis, "axis"))
    return reduce.running_product(b, x, place, exclusive=bool(exclusive), reverse=bool(reverse))
