"""Operations of Keras 3 that reduce, scan and sort along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.compose import arithmetic, gather, norm, reduce, search
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import reshaped, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.operations import added_up, along_one, axes_of, type_of
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.ir.graph import Tensor

F = np.float32


@operations(
    Sum="SUM",
    Mean="MEAN",
    Max="REDUCE_MAX",
    Min="REDUCE_MIN",
    Amax="REDUCE_MAX",
    Amin="REDUCE_MIN",
    Prod="REDUCE_PROD",
    Any="REDUCE_ANY",
    All="REDUCE_ALL",
)
def reduced(
    b: KerasBuilder,
    type: str,
    x: Tensor,
    *,
    axis: Any = None,
    keepdims: bool = False,
    initial: float | None = None,
    dtype: Any = None,
) -> Tensor:
    """Reduce along axes."""
    if dtype is not None:
        x = b.cast(x, type_of(dtype))
    elif type in ("SUM", "REDUCE_PROD"):
        x = added_up(b, x)
    x = gather.truth(b, x) if type in ("REDUCE_ANY", "REDUCE_ALL") else x
    x = b.real(x) if type == "MEAN" else x
    y = reduce.reduced(b, type, x, axes_of(axis, x.rank), keep_dims=keepdims)
    if initial is None:
        return y
    return b("MAXIMUM" if type == "REDUCE_MAX" else "MINIMUM", y, np.array(initial, y.dtype))


@handles("ops.Var", "ops.Std")
def variance(b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance of all elements along axes, or its root."""
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    y = norm.statistics(b, x, axes)[1]
    y = (
        y
        if keepdims
        else reshaped(b, y, [s for i, s in enumerate(sizes_of(b, y)) if i not in axes])
    )
    return b("SQRT", y) if b.layer.op == "ops.Std" else y


@handles("ops.Logsumexp")
def logsumexp(b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials."""
    x = b.real(x)
    return reduce.log_sum_exp(b, x, axes_of(axis, x.rank), keep_dims=keepdims)


@handles("ops.CountNonzero")
def count_nonzero(b: KerasBuilder, x: Tensor, *, axis: Any = None) -> Tensor:
    """How many elements along axes are not zero."""
    found = b.cast(gather.truth(b, x), np.int32)
    return reduce.reduced(b, "SUM", found, axes_of(axis, x.rank))


@operations(Argmax="ARG_MAX", Argmin="ARG_MIN")
def place(
    b: KerasBuilder, type: str, x: Tensor, *, axis: int | None = None, keepdims: bool = False
) -> Tensor:
    """The place of the largest or smallest element along an axis."""
    rank = x.rank
    x, along = along_one(b, x, axis)
    y = reduce.place_of_extreme(b, type, x, along, np.dtype(np.int32))
    if not keepdims:
        return y
    if axis is None:
        return b.reshape(y, [1] * rank)
    return b("EXPAND_DIMS", y, np.array(along, np.int32))


@handles("ops.Norm")
def vector_norm(
    b: KerasBuilder, x: Tensor, *, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Tensor:
    """The norm of vectors: Euclidean, sum of sizes, or the largest size."""
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    if ord in (None, 2, "fro", "euclidean") and (len(axes) == 1 or ord != 2):
        return reduce.euclidean_norm(b, x, axes, keep_dims=keepdims)
    size = b("ABS", x)
    kinds = {1: "SUM", float("inf"): "REDUCE_MAX", float("-inf"): "REDUCE_MIN"}
    order = float(ord) if isinstance(ord, str) and ord not in ("fro", "nuc") else ord
    if len(axes) == 1 and order in kinds:
        return reduce.reduced(b, kinds[order], size, axes, keep_dims=keepdims)
    if len(axes) == 1 and order == 0:
        count = b.cast(b("NOT_EQUAL", x, np.array(0, F)), F)
        return reduce.reduced(b, "SUM", count, axes, keep_dims=keepdims)
    if len(axes) == 1 and isinstance(order, int | float):
        power = arithmetic.power(b, size, b.const(order, F, "order"))
        total = reduce.reduced(b, "SUM", power, axes, keep_dims=keepdims)
        return arithmetic.power(b, total, b.const(1 / order, F, "root"))
    if len(axes) == 2 and order in (1, float("inf"), -1, float("-inf")):
        rows = (axis[0] if abs(order) == 1 else axis[1]) % x.rank
        sums = reduce.reduced(b, "SUM", size, [rows], keep_dims=True)
        rest = [a for a in axes if a != rows]
        type = "REDUCE_MAX" if order > 0 else "REDUCE_MIN"
        found = reduce.reduced(b, type, sums, rest, keep_dims=True)
        if keepdims:
            return found
        return reshaped(b, found, [s for i, s in enumerate(sizes_of(b, found)) if i not in axes])
    raise UnsupportedError(f"the norm of order {ord} over the axes {axes}")


@handles("ops.Normalize")
def normalize(
    b: KerasBuilder, x: Tensor, *, axis: Any = -1, order: Any = 2, epsilon: float | None = None
) -> Tensor:
    """Divide by the Euclidean norm along an axis."""
    x = b.real(x)
    least = 1e-12 if epsilon is None else epsilon
    if order != 2:
        size = vector_norm(b, x, ord=order, axis=axis, keepdims=True)
        return b("DIV", x, b("MAXIMUM", size, np.array(least, F)))
    return norm.unit_norm(b, x, axes_of(axis, x.rank), least)


Running = Callable[[Builder, Tensor, int], Tensor]


@operations(Cumsum=reduce.running_sum, Cumprod=reduce.running_product)
def running(
    b: KerasBuilder, make: Running, x: Tensor, *, axis: int | None = None, dtype: Any = None
) -> Tensor:
    """Sums, or products, of all elements up to each."""
    wanted = (np.int32 if x.dtype == np.bool_ else x.dtype) if dtype is None else type_of(dtype)
    x, along = along_one(b, b.cast(x, np.dtype(wanted)), axis)
    return make(b, x, along)


@handles("ops.Sort")
def sort(b: KerasBuilder, x: Tensor, *, axis: int | None = -1) -> Tensor:
    """Sort along an axis, the smallest first."""
    x, along = along_one(b, x, axis)

    def ordered(t: Tensor) -> Tensor:
        size = t.shape[-1]
        if size is None:
            raise UnsupportedError("sorting along an axis of unknown size")
        largest, _ = search.top_k(b, t, b.const(size, np.int32, "k"))
        return b("REVERSE_V2", largest, np.array([t.rank - 1], np.int32))

    return b.on_last_axis(x, along, ordered)
