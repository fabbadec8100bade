"""Operations of Keras 3 that reduce: without what is no number, by order, with weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import compare, gather, norm, reduce, search
from tqconv.compose.operands import static_size
from tqconv.compose.segments import combined
from tqconv.compose.sizes import reshaped, sizes_of
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.elementwise import nan_to_num
from tqconv.importers.keras.layers.operations import axes_of
from tqconv.importers.keras.layers.reductions import Running, place, reduced, running, variance
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32


@operations(Nansum=("SUM", 0.0), Nanprod=("REDUCE_PROD", 1.0))
def without_nan(
    b: KerasBuilder,
    told: tuple[str, float],
    x: Tensor,
    *,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """Reduce what is a number."""
    type, neutral = told
    if x.dtype.kind == "f":
        x = b("SELECT_V2", compare.is_nan(b, x), np.array(neutral, x.dtype), x)
    return reduced(b, type, x, axis=axis, keepdims=keepdims)


@operations(Nanmax=("REDUCE_MAX", -np.inf), Nanmin=("REDUCE_MIN", np.inf))
def extreme_without_nan(
    b: KerasBuilder,
    told: tuple[str, float],
    x: Tensor,
    *,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The largest or smallest number; none where there is none."""
    type, lowest = told
    if x.dtype.kind != "f":
        return reduced(b, type, x, axis=axis, keepdims=keepdims)
    none = np.array(np.nan, x.dtype)
    return _of_numbers(b, reduced, type, x, lowest, none, axis=axis, keepdims=keepdims)


def _of_numbers(
    b: KerasBuilder,
    make: Callable[..., Tensor],
    type: str,
    x: Tensor,
    lowest: float,
    none: NDArray[Any],
    **over: Any,
) -> Tensor:
    """Reduce reals of which those that are no number stand last; `none` where all are such."""
    hidden = compare.is_nan(b, x)
    shown = b("SELECT_V2", hidden, np.array(lowest, x.dtype), x)
    made = make(b, type, shown, **over)
    return b("SELECT_V2", reduced(b, "REDUCE_ALL", hidden, **over), none, made)


@operations(
    Nancumsum=(reduce.running_sum, 0.0),
    Nancumprod=(reduce.running_product, 1.0),
)
def running_without_nan(
    b: KerasBuilder,
    told: tuple[Running, float],
    x: Tensor,
    *,
    axis: int | None = None,
    dtype: Any = None,
) -> Tensor:
    """Sums, or products, of all numbers up to each place."""
    make, neutral = told
    return running(b, make, nan_to_num(b, x, nan=neutral), axis=axis, dtype=dtype)


@operations(Nanargmax=("ARG_MAX", -np.inf), Nanargmin=("ARG_MIN", np.inf))
def place_without_nan(
    b: KerasBuilder,
    told: tuple[str, float],
    x: Tensor,
    *,
    axis: int | None = None,
    keepdims: bool = False,
) -> Tensor:
    """The place of the largest or smallest number; -1 where there is none."""
    type, lowest = told
    if x.dtype.kind != "f":
        return place(b, type, x, axis=axis, keepdims=keepdims)
    none = np.array(-1, np.int32)
    return _of_numbers(b, place, type, x, lowest, none, axis=axis, keepdims=keepdims)


@handles("ops.Nanmean", "ops.Nanvar", "ops.Nanstd")
def mean_without_nan(
    b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False
) -> Tensor:
    """The mean, variance or deviation of what is a number."""
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    shown = b("LOGICAL_NOT", compare.is_nan(b, x))
    zero = np.array(0, F)
    is_mean = b.layer.op == "ops.Nanmean"
    count = reduce.reduced(b, "SUM", b.cast(shown, F), axes, keep_dims=True)
    numbers = b("SELECT_V2", shown, x, zero)
    mean = b("DIV", reduce.reduced(b, "SUM", numbers, axes, keep_dims=True), count)
    if is_mean:
        return mean if keepdims else _without(b, mean, axes)
    apart = b("SELECT_V2", shown, b("SQUARE", b("SUB", x, mean)), zero)
    spread = b("DIV", reduce.reduced(b, "SUM", apart, axes, keep_dims=True), count)
    spread = b("SQRT", spread) if b.layer.op == "ops.Nanstd" else spread
    return spread if keepdims else _without(b, spread, axes)


def _without(b: KerasBuilder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return a tensor without axes that have one element."""
    return reshaped(b, x, [size for i, size in enumerate(sizes_of(b, x)) if i not in axes])


@handles("ops.Ptp")
def extent(b: KerasBuilder, x: Tensor, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The distance of the largest and the smallest element."""
    ends = [reduced(b, t, x, axis=axis, keepdims=keepdims) for t in ("REDUCE_MAX", "REDUCE_MIN")]
    return b("SUB", *ends)


@handles("ops.Average")
def average(
    b: KerasBuilder, *xs: Tensor, axis: Any = None, weights: Any = None, args: Any = None
) -> Tensor:
    """The mean, with weights if there are any."""
    given = [*in_order(b, xs, args), weights]
    x, found = b.real(given[0]), given[1]
    if found is None:
        return reduced(b, "MEAN", x, axis=axis)
    w = b.real(tensor(b, found, F, "weights"))
    axes = axes_of(axis, x.rank)
    if w.rank < x.rank and len(axes) == 1:
        w = b.reshape(w, [w.shape[0] if i == axes[0] else 1 for i in range(x.rank)])
    total = reduce.reduced(b, "SUM", b("MUL", x, w), axes)
    ones = b("ADD", b("MUL", x, np.array(0, F)), w)
    return b("DIV", total, reduce.reduced(b, "SUM", ones, axes))


METHODS: Mapping[str, Callable[[float], float]] = {
    "linear": lambda place: place,
    "lower": np.floor,
    "higher": np.ceil,
    "nearest": np.rint,
    "midpoint": lambda place: (np.floor(place) + np.ceil(place)) / 2,
}
"""Which place counts where one lies between two elements."""


def _parts(b: KerasBuilder, q: Any, method: str) -> NDArray[np.float64]:
    """Return the parts, from 0 to 1, that a quantile or percentile asks for."""
    if q is None or method not in METHODS:
        raise UnsupportedError(f"{b.layer.op} of a computed part, or by the method `{method}`")
    whole = 100 if b.layer.op in ("ops.Percentile", "ops.Nanpercentile") else 1
    parts = np.asarray(q, F) / F(whole)  # in float32, as Keras divides
    if not np.all((parts >= 0) & (parts <= 1)):
        raise UnsupportedError(f"{b.layer.op} of parts that are not between 0 and {whole}")
    return np.asarray(parts, np.float64)


def _sorted(b: KerasBuilder, x: Tensor) -> Tensor:
    """Return x with the last axis in order, the smallest first."""
    count = b.const(static_size(x, -1), np.int32, "k")
    largest, _ = search.top_k(b, x, count)
    return b("REVERSE_V2", largest, np.array([x.rank - 1], np.int32))


@handles("ops.Median", "ops.Quantile", "ops.Percentile")
def quantile(
    b: KerasBuilder,
    x: Tensor,
    *others: Tensor,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
    q: Any = 0.5,
    args: Any = None,
) -> Tensor:
    """What a part of all elements is below; the method says what counts between two of them.

    Quantile of Keras 3.15 forgets its method, so that only the usual one is translated.
    """
    q = args[1] if args is not None else others[0].data if others else q
    if b.layer.op == "ops.Quantile" and method != "linear":
        raise UnsupportedError(f"Quantile by the method `{method}`")
    parts = _parts(b, q, method)
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    rest = [i for i in range(x.rank) if i not in axes]
    sizes = sizes_of(b, x)
    count = int(np.prod([static_size(x, i) for i in axes]))
    flat = reshaped(b, b.transpose(x, (*rest, *axes)), [*(sizes[i] for i in rest), count])
    ordered = _sorted(b, flat)
    places = [METHODS[method](part * (count - 1)) for part in parts.reshape(-1)]
    found = [_between(b, ordered, place) for place in places]
    shape = [1 if i in axes else size for i, size in enumerate(sizes)]
    if keepdims:
        found = [reshaped(b, y, shape) for y in found]
    return found[0] if parts.ndim == 0 else b("PACK", *found, axis=0, values_count=len(found))


def _between(b: KerasBuilder, x: Tensor, place: float) -> Tensor:
    """Return the element at a place along the last axis, or one between two of them."""
    low = int(np.floor(place))
    last = x.rank - 1
    first = b("GATHER", x, np.array(low, np.int32), axis=last)
    if place == low:
        return first
    second = b("GATHER", x, np.array(low + 1, np.int32), axis=last)
    rest = b("MUL", b("SUB", second, first), np.array(place - low, F))
    return b("ADD", first, rest)


@handles("ops.Nanmedian", "ops.Nanquantile", "ops.Nanpercentile")
def quantile_without_nan(
    b: KerasBuilder,
    x: Tensor,
    *others: Tensor,
    axis: Any = None,
    method: str = "linear",
    keepdims: bool = False,
    args: Any = None,
) -> Tensor:
    """What a part of all numbers is below; none where there is none."""
    parts = _parts(b, args[1] if args is not None else others[0].data if others else 0.5, method)
    x = b.real(x)
    axes = axes_of(axis, x.rank)
    rest = [i for i in range(x.rank) if i not in axes]
    sizes = sizes_of(b, x)
    count = int(np.prod([static_size(x, i) for i in axes]))
    flat = reshaped(b, b.transpose(x, (*rest, *axes)), [*(sizes[i] for i in rest), count])
    hidden = compare.is_nan(b, flat)
    ordered = _sorted(b, b("SELECT_V2", hidden, np.array(np.inf, F), flat))
    shown = b.cast(b("LOGICAL_NOT", hidden), F)
    last = np.array([flat.rank - 1], np.int32)
    final = b("SUB", b("SUM", shown, last, keep_dims=True), np.array(1, F))
    shape = [1 if i in axes else size for i, size in enumerate(sizes)] if keepdims else None
    shape = [sizes[i] for i in rest] if shape is None else shape
    found = [reshaped(b, _at(b, ordered, final, part, method), shape) for part in parts.reshape(-1)]
    return found[0] if parts.ndim == 0 else b("PACK", *found, axis=0, values_count=len(found))


def _at(b: KerasBuilder, ordered: Tensor, final: Tensor, part: Any, method: str) -> Tensor:
    """Return the element at a part of the way to the final place, -1 where there is none."""
    zero = np.array(0, F)
    place = b("MUL", b("MAXIMUM", final, zero), np.array(part, F))

    def element(round: str) -> Tensor:
        return gather.taken_along(b, ordered, b.cast(b(round, place), np.int32), ordered.rank - 1)

    if method == "nearest":
        y = element("ROUND")
    elif method in ("lower", "higher"):
        y = element("FLOOR" if method == "lower" else "CEIL")
    else:
        first, second = element("FLOOR"), element("CEIL")
        share = b("SUB", place, b("FLOOR", place)) if method == "linear" else np.array(0.5, F)
        y = b("ADD", first, b("MUL", b("SUB", second, first), share))
    return b("SELECT_V2", b("LESS", final, zero), np.array(np.nan, F), y)


@handles("ops.Moments")
def moments(
    b: KerasBuilder, x: Tensor, *, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> Sequence[Tensor]:
    """The mean and the variance along axes."""
    mean = reduced(b, "MEAN", x, axis=axes, keepdims=keepdims)
    return [mean, variance(b, x, axis=axes, keepdims=keepdims)]


@handles("ops.Trapezoid")
def trapezoid(
    b: KerasBuilder, y: Tensor, *, x: Any = None, dx: float = 1.0, axis: int = -1
) -> Tensor:
    """The area below a line through points."""
    along = axis_of(axis, y.rank)
    y = b.real(y)
    ends = b("ADD", cut(b, y, {along: (1, None, 1)}), cut(b, y, {along: (None, -1, 1)}))
    if x is None:
        return b("MUL", reduce.reduced(b, "SUM", ends, [along]), np.array(dx / 2, F))
    places = np.asarray(x, F)
    if places.ndim == 1:
        places = places.reshape([-1 if i == along else 1 for i in range(y.rank)])
    widths = b.const(np.diff(places, axis=along) / 2, F, "widths")
    return reduce.reduced(b, "SUM", b("MUL", ends, widths), [along])


@handles("ops.Bincount")
def bincount(b: KerasBuilder, x: Tensor, *, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each number occurs, along the last axis."""
    if weights is not None or not minlength:
        raise UnsupportedError("Bincount with weights, or of a size that depends on the data")
    one, zero = b.const(1, F, "one"), b.const(0, F, "zero")
    hot = gather.one_hot(b, x, b.const(minlength, np.int32, "depth"), one, zero, x.rank)
    return b.cast(reduce.reduced(b, "SUM", hot, [x.rank - 1]), np.int32)


@operations(SegmentSum="Sum", SegmentMax="Max", SegmentMin="Min", SegmentProd="Prod")
def segments(
    b: KerasBuilder,
    kind: str,
    x: Tensor,
    *others: Tensor,
    num_segments: int | None = None,
    sorted: bool = False,
    args: Any = None,
) -> Tensor:
    """Reduce rows that have one number."""
    rows, ids = in_order(b, (x, *others), args)
    known = tensor(b, ids, np.int32, "ids")
    count = num_segments
    if count is None:
        if known.data is None:
            raise UnsupportedError(f"{b.layer.op} into a number of segments that is computed")
        count = int(known.data.max()) + 1
    return combined(b, kind, tensor(b, rows), known, count)


@handles("ops.LayerNorm")
def layer_norm(
    b: KerasBuilder,
    *xs: Tensor,
    axis: Any = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
    gamma: Any = None,
    beta: Any = None,
    args: Any = None,
) -> Tensor:
    """Normalize over axes."""
    given = in_order(b, xs, args)
    x, *scales = (*given, *(gamma, beta)[len(given) - 1 :])
    x, axes = b.real(x), sorted(axes_of(axis, x.rank))
    scale, offset = (_of_axes(b, x, axes, s) for s in scales)
    least = 1e-7 if epsilon is None else epsilon
    if not rms_scaling:
        return norm.by_own_statistics(b, x, axes, scale, offset, least)
    factor = b("RSQRT", b("ADD", norm.statistics(b, x, axes)[1], np.array(least, F)))
    return norm.scaled(b, x, factor, scale, None)


def _of_axes(b: KerasBuilder, x: Tensor, axes: list[int], scale: Any) -> Tensor | None:
    """Return a scale in a shape that broadcasts: that of the axes, unless these are the last."""
    if scale is None:
        return None
    known = b.real(tensor(b, scale, F, "scale"))
    if known.rank == x.rank or axes == [x.rank - 1]:
        return known
    return reshaped(b, known, [s if i in axes else 1 for i, s in enumerate(sizes_of(b, x))])


@handles("ops.RMSNorm")
def rms_norm(
    b: KerasBuilder,
    *xs: Tensor,
    axis: Any = -1,
    epsilon: float | None = None,
    scale: Any = None,
    args: Any = None,
) -> Tensor:
    """Divide by the root mean square over axes."""
    x, factor = [*in_order(b, xs, args), scale][:2]
    least = 1e-7 if epsilon is None else epsilon
    known = None if factor is None else b.real(tensor(b, factor, F, "scale"))
    return norm.rms_norm(b, b.real(x), axes_of(axis, x.rank), known, least)
