"""Operations of Keras 3 that join, cut, choose and put elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import gather, matrices, rearrange, search
from tqconv.compose import scatter as scattering
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import element_count, sizes_of, vector
from tqconv.compose.slices import cut, sliced
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.moves import split
from tqconv.importers.keras.layers.operations import (
    added_up,
    along_one,
    axes_of,
    flattened,
    operands,
    same_type,
    type_of,
)
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32


def in_order(b: KerasBuilder, xs: Sequence[Tensor], args: Any) -> list[Any]:
    """Return what a call got by position: tensors, and values in their places."""
    return list(xs if args is None else args)


@handles("ops.Append")
def append(b: KerasBuilder, *xs: Tensor, axis: int | None = None, args: Any = None) -> Tensor:
    """Put one tensor behind another; without an axis both flat."""
    parts = operands(b, xs, args)
    if axis is None:
        parts = [flattened(b, x) for x in parts]
    return rearrange.joined(b, parts, axis_of(axis or 0, parts[0].rank))


@operations(Hstack=1, Vstack=0, Dstack=2)
def joined(b: KerasBuilder, axis: int, *xs: Tensor) -> Tensor:
    """Put tensors one behind the other along an axis of their own."""
    parts = same_type(b, list(xs))
    if b.layer.op == "ops.Dstack":
        parts = [_deep(b, x) for x in parts]
    return rearrange.joined(b, parts, min(axis, parts[0].rank - 1))


def _deep(b: KerasBuilder, x: Tensor) -> Tensor:
    """Return a tensor of at least three axes: [n] -> [1, n, 1], [m, n] -> [m, n, 1]."""
    if x.rank == 1:
        x = b("EXPAND_DIMS", x, np.array(0, np.int32))
    return b("EXPAND_DIMS", x, np.array(2, np.int32)) if x.rank == 2 else x


@operations(Hsplit=1, Vsplit=0, Dsplit=2)
def divided(b: KerasBuilder, axis: int, x: Tensor, *, indices_or_sections: Any) -> Sequence[Tensor]:
    """Cut along an axis of their own."""
    return split(b, x, indices_or_sections=indices_or_sections, axis=axis)


@handles("ops.ArraySplit")
def array_split(
    b: KerasBuilder, x: Tensor, *, indices_or_sections: Any, axis: int = 0
) -> Sequence[Tensor]:
    """Cut into parts of nearly one size, the larger ones first."""
    if not isinstance(indices_or_sections, int):
        return split(b, x, indices_or_sections=indices_or_sections, axis=axis)
    size = static_size(x, axis_of(axis, x.rank))
    b.graph.budget.expand(indices_or_sections, f"a split into {indices_or_sections} parts")
    each, more = divmod(size, indices_or_sections)
    ends = np.cumsum([each + (i < more) for i in range(indices_or_sections)])
    return split(b, x, indices_or_sections=ends[:-1].tolist(), axis=axis)


@operations(Fliplr=1, Flipud=0)
def mirrored(b: KerasBuilder, axis: int, x: Tensor) -> Tensor:
    """Turn an axis around."""
    return rearrange.reversed_along(b, x, [axis])


@handles("ops.Rot90")
def rotated(b: KerasBuilder, x: Tensor, *, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turn by quarters in the plane of two axes."""
    first, second = (axis_of(a, x.rank) for a in axes)
    if first == second:
        raise UnsupportedError(f"a turn in the plane of the axes {axes}")
    for _ in range(k % 4):
        order = list(range(x.rank))
        order[first], order[second] = second, first
        x = b.transpose(rearrange.reversed_along(b, x, [second]), order)
    return x


@handles("ops.BroadcastTo")
def broadcast(b: KerasBuilder, x: Tensor, *, shape: Any) -> Tensor:
    """Repeat elements up to a shape."""
    wanted = [1 if size is None else int(size) for size in shape]
    return x if x.shape == tuple(wanted) else b("BROADCAST_TO", x, np.array(wanted, np.int32))


@handles("ops.Full", "ops.FullLike")
def full(
    b: KerasBuilder,
    *xs: Tensor,
    shape: Any = None,
    dtype: Any = None,
    fill_value: Any = None,
    args: Any = None,
) -> Tensor:
    """One value everywhere."""
    given = in_order(b, xs, args)
    value = given[-1] if fill_value is None else fill_value
    named = dtype or (given[0].dtype.name if b.layer.op == "ops.FullLike" else "float32")
    filler = b.cast(tensor(b, value, type_of(named), "value"), type_of(named))
    sizes = list(shape) if b.layer.op == "ops.Full" else sizes_of(b, given[0])
    return b("BROADCAST_TO", filler, vector(b, sizes))


@operations(ZerosLike=0, OnesLike=1, EmptyLike=0)
def all_alike(b: KerasBuilder, value: int, x: Tensor, *, dtype: Any = None) -> Tensor:
    """Zeros or ones, as many as a tensor has elements; of its type, or of another."""
    wanted = x.dtype if dtype is None else type_of(dtype)
    return b("BROADCAST_TO", np.array(value, wanted), vector(b, sizes_of(b, x)))


@handles("ops.Diff")
def difference(b: KerasBuilder, x: Tensor, *, n: int = 1, axis: int = -1) -> Tensor:
    """The distance of neighbours along an axis, several times."""
    along = axis_of(axis, x.rank)
    b.graph.budget.expand(n, f"{n} differences")
    for _ in range(n):
        x = b("SUB", cut(b, x, {along: (1, None, 1)}), cut(b, x, {along: (None, -1, 1)}))
    return x


@handles("ops.Argsort")
def argsort(b: KerasBuilder, x: Tensor, *, axis: int | None = -1) -> Tensor:
    """The places of the elements in their order, the smallest first."""
    x, along = along_one(b, b.cast(x, np.int32) if x.dtype == np.bool_ else x, axis)

    def ordered(t: Tensor) -> Tensor:
        opposite = b("NEG", t) if t.dtype.kind == "f" else b("SUB", np.zeros((), t.dtype), t)
        return search.top_k(b, opposite, b.const(static_size(t, -1), np.int32, "k"))[1]

    return b.on_last_axis(x, along, ordered)


@handles("ops.TopK")
def top_k(b: KerasBuilder, x: Tensor, *, k: int, sorted: bool = True) -> Sequence[Tensor]:
    """The largest elements along the last axis, and their places."""
    return search.top_k(b, x, b.const(k, np.int32, "k"))


@handles("ops.InTopK")
def in_top_k(b: KerasBuilder, targets: Tensor, predictions: Tensor, *, k: int) -> Tensor:
    """Whether the prediction of the target is among the largest."""
    return search.is_among_best(b, predictions, targets, b.const(k, np.int32, "k"))


@handles("ops.Digitize")
def digitize(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """How many bounds are at most each number."""
    x, bins = in_order(b, xs, args)
    return _reached(b, x, bins, "GREATER_EQUAL")


@handles("ops.SearchSorted")
def search_sorted(b: KerasBuilder, *xs: Tensor, side: str = "left", args: Any = None) -> Tensor:
    """Where numbers belong in an ordered row."""
    rows, values = in_order(b, xs, args)
    return _reached(b, values, rows, "GREATER" if side == "left" else "GREATER_EQUAL")


def _reached(b: KerasBuilder, x: Any, bounds: Any, order: str) -> Tensor:
    x, limits = b.real(tensor(b, x)), b.real(tensor(b, bounds, F, "bounds"))
    wide = b("EXPAND_DIMS", x, np.array(x.rank, np.int32))
    flags = b.cast(b(order, wide, limits), np.int32)
    return b("SUM", flags, np.array([x.rank], np.int32), keep_dims=False)


@handles("ops.IsIn")
def is_in(
    b: KerasBuilder,
    *xs: Tensor,
    assume_unique: bool = False,
    invert: bool = False,
    args: Any = None,
) -> Tensor:
    """Whether each element is one of some."""
    x, some = in_order(b, xs, args)
    flat = tensor(b, some, x.dtype, "some")
    flat = flattened(b, flat)
    hit = b("EQUAL", b("EXPAND_DIMS", x, np.array(x.rank, np.int32)), flat)
    found = b("REDUCE_ANY", hit, np.array([x.rank], np.int32), keep_dims=False)
    return b("LOGICAL_NOT", found) if invert else found


@handles("ops.Select")
def select(
    b: KerasBuilder,
    *xs: Tensor,
    condlist: Any = None,
    choicelist: Any = None,
    default: Any = 0,
    args: Any = None,
) -> Tensor:
    """The choice of the first condition that holds."""
    given = list(args or ())
    conditions = given[0] if condlist is None else condlist
    choices = given[1] if choicelist is None else choicelist
    other = given[2] if len(given) > 2 else default
    if not conditions or not choices:
        raise UnsupportedError("Select whose conditions are one tensor")
    numbers = [v for v in (*choices, other) if not isinstance(v, Tensor)]
    plain = np.int32 if all(np.asarray(v).dtype.kind in "ib" for v in numbers) else F
    kind = next((c.dtype for c in choices if isinstance(c, Tensor)), np.dtype(plain))
    y = tensor(b, other, kind, "default")
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        y = b("SELECT_V2", gather.truth(b, condition), tensor(b, choice, kind, "choice"), y)
    return y


@handles("ops.Slice")
def slice_of(
    b: KerasBuilder,
    *xs: Tensor,
    shape: Any,
    start_indices: Any = None,
    args: Any = None,
) -> Tensor:
    """Cut a box of a shape out of a tensor."""
    given = in_order(b, xs, args)
    start = given[1] if len(given) > 1 else start_indices
    size = b.const([-1 if s is None else int(s) for s in shape], np.int32, "shape")
    return sliced(b, tensor(b, given[0]), tensor(b, start, np.int32, "start"), size)


@handles("ops.SliceUpdate")
def slice_update(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Put a box into a tensor."""
    inputs, start, updates = in_order(b, xs, args)
    x = tensor(b, inputs, what="inputs")
    part = b.cast(tensor(b, updates, x.dtype, "updates"), x.dtype)
    return b("DYNAMIC_UPDATE_SLICE", x, part, b.cast(tensor(b, start, np.int32, "start"), np.int32))


@handles("ops.Scatter")
def scatter(b: KerasBuilder, *xs: Tensor, shape: Any, args: Any = None) -> Tensor:
    """Put values into places of zeros."""
    indices, values = in_order(b, xs, args)
    where = tensor(b, indices, np.int32, "indices")
    return scattering.added_up(b, where, tensor(b, values), np.array(shape, np.int32))


@handles("ops.ScatterUpdate")
def scatter_update(
    b: KerasBuilder, *xs: Tensor, reduction: str | None = None, args: Any = None
) -> Tensor:
    """Put values into places of a tensor."""
    inputs, places, updates = in_order(b, xs, args)
    x = tensor(b, inputs, what="inputs")
    part = b.cast(tensor(b, updates, x.dtype, "updates"), x.dtype)
    indices = b.cast(tensor(b, places, np.int32, "indices"), np.int32)
    if reduction in ("max", "min"):
        larger = "MAXIMUM" if reduction == "max" else "MINIMUM"
        return scattering.with_extremes(b, larger, x, indices, part)
    if reduction == "add":
        return scattering.with_sums(b, "ADD", x, indices, part)
    if reduction == "mul":
        return scattering.with_products(b, x, indices, part)
    if reduction is not None:
        raise UnsupportedError(f"ScatterUpdate with the reduction `{reduction}`")
    return scattering.with_updates(b, x, indices, part)


@handles("ops.Unstack")
def unstack(b: KerasBuilder, x: Tensor, *, num: int | None = None, axis: int = 0) -> Sequence[Any]:
    """Take the elements along an axis apart."""
    count = static_size(x, axis_of(axis, x.rank)) if num is None else num
    return rearrange.unstacked(b, x, count, axis)


@handles("ops.MultiHot")
def multi_hot(
    b: KerasBuilder,
    x: Tensor,
    *,
    num_classes: int,
    axis: int = -1,
    dtype: Any = None,
    num_tokens: Any = None,
) -> Tensor:
    """Put 1 where the new axis counts to one of the indices along the last one."""
    one, zero = b.const(1, F, "one"), b.const(0, F, "zero")
    depth = b.const(num_classes, np.int32, "depth")
    hot = gather.one_hot(b, x, depth, one, zero, axis_of(axis, x.rank + 1))
    along = 1 if x.rank > 1 else 0
    y = b("REDUCE_MAX", hot, np.array([along], np.int32), keep_dims=False)
    return b.cast(y, type_of(dtype or "float32"))


@operations(Tril=True, Triu=False)
def triangle(b: KerasBuilder, lower: bool, x: Tensor, *, k: int = 0) -> Tensor:
    """Zero what is above, or below, a diagonal."""
    rows, columns = static_size(x, -2), static_size(x, -1)
    b.pay(rows * columns, "input")
    ones = np.ones((rows, columns), x.dtype if x.dtype != np.bool_ else np.int8)
    kept = np.tril(ones, k) if lower else np.triu(ones, k)
    return b("MUL", x, b.const(kept, x.dtype, "kept"))


@handles("ops.Diag", "ops.Diagflat")
def diag(b: KerasBuilder, x: Tensor, *, k: int = 0) -> Tensor:
    """A matrix with this diagonal, or the diagonal of a matrix."""
    if b.layer.op == "ops.Diagflat":
        x = flattened(b, x)
    if x.rank == 1:
        b.pay(((x.shape[0] or 1) + abs(k)) ** 2, "k")
        return matrices.of_diagonals(b, x, k, k, (-1, -1), _zero(b, x))
    return matrices.diagonals_of(b, x, k, k, _zero(b, x))


def _zero(b: KerasBuilder, x: Tensor) -> Tensor:
    return b.const(0, x.dtype, "padding")


def _diagonal(b: KerasBuilder, x: Tensor, offset: int, axis1: int, axis2: int) -> Tensor:
    pair = axes_of([axis1, axis2], x.rank)
    rest = [i for i in range(x.rank) if i not in pair]
    x = b.transpose(x, (*rest, *pair))
    return matrices.diagonals_of(b, x, offset, offset, _zero(b, x))


@handles("ops.Diagonal")
def diagonal(
    b: KerasBuilder, x: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1
) -> Tensor:
    """The diagonals of the matrices in two axes."""
    return _diagonal(b, x, offset, axis1, axis2)


@handles("ops.Trace")
def trace(b: KerasBuilder, x: Tensor, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sums of the diagonals of the matrices in two axes."""
    found = added_up(b, _diagonal(b, x, offset, axis1, axis2))
    return b("SUM", found, np.array([found.rank - 1], np.int32), keep_dims=False)


@handles("ops.Size", "ops.Ndim")
def known_number(b: KerasBuilder, x: Tensor) -> Tensor:
    """How many elements, or axes, a tensor has."""
    return element_count(b, x) if b.layer.op == "ops.Size" else b.const(x.rank, np.int32)


@handles("ops.Linspace")
def lin_space(
    b: KerasBuilder,
    *xs: Tensor,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    args: Any = None,
) -> Tensor:
    """So many numbers at equal distances."""
    ends = [b.real(tensor(b, v, F, "end")) for v in in_order(b, xs, args)]
    if retstep:
        raise UnsupportedError("Linspace that returns its step, too")
    b.pay(num, "num")
    parts = np.arange(num, dtype=F) / max(num - 1 if endpoint else num, 1)
    rank = max(end.rank for end in ends)
    place = axis_of(axis, rank + 1)
    shape = [1] * (rank + 1)
    shape[place] = num
    full = [
        b.reshape(e, [1] * (rank - e.rank) + list(e.shape)) if e.rank < rank else e for e in ends
    ]
    wide = [b("EXPAND_DIMS", t, np.array(place, np.int32)) for t in full]
    step = b("SUB", wide[1], wide[0])
    return b("ADD", wide[0], b("MUL", step, parts.astype(F).reshape(shape)))
