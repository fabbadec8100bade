"""Reductions along axes and segments, extremes and their places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ir.types import Shape
from tqconv.ops import stops
from tqconv.ops.bounds import same_ends
from tqconv.ops.fineness import before_sum
from tqconv.ops.rules import (
    INT32,
    axes_of,
    constant_axis,
    count_type,
    same_size,
    scalar,
    values,
)
from tqconv.ops.spec import (
    ALL_TYPES,
    DELEGATED,
    INDEX,
    WIDE_INDEX,
    QuantRule,
    Takes,
    Typed,
    by_type,
    moves_input,
    op,
)


def _reduced(op: Op) -> list[Typed]:
    x = op.input(0)
    keep = op.options.get("keep_dims", False)
    if op.input(1).is_constant:
        axes = axes_of(op, 1)
        shape: Shape = tuple(
            1 if i in axes else d for i, d in enumerate(x.shape) if keep or i not in axes
        )
    elif keep:
        shape = (None,) * x.rank
    else:
        raise UnsupportedError(
            f"the axes '{op.input(1).name}' are not a constant, so the rank is unknown",
            hint="freeze the graph first",
        )
    return [(shape, x.dtype)]


def _fold(function: Any) -> Any:
    def fold(op: Op) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            y = function(values(op, 0), axes_of(op, 1), op.options.get("keep_dims", False))
        return np.asarray(y)

    return fold


def _sum(x: NDArray[Any], axes: tuple[int, ...], keep: bool) -> NDArray[Any]:
    return np.asarray(np.sum(x, axes, dtype=x.dtype, keepdims=keep))


def _product(x: NDArray[Any], axes: tuple[int, ...], keep: bool) -> NDArray[Any]:
    return np.asarray(np.prod(x, axes, dtype=x.dtype, keepdims=keep))


def _mean(x: NDArray[Any], axes: tuple[int, ...], keep: bool) -> NDArray[Any]:
    """Integer means truncate toward zero. The mean of nothing is not a number; of integers, 0."""
    count = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    if count == 0:
        return np.full_like(_sum(x, axes, keep), np.nan if x.dtype.kind == "f" else 0)
    if x.dtype.kind == "f":
        return np.asarray(np.mean(x, axes, dtype=x.dtype, keepdims=keep))
    total = np.sum(x, axes, dtype=np.int64, keepdims=keep)
    return np.asarray(np.sign(total) * (np.abs(total) // count), x.dtype)


def _largest_of(x: NDArray[Any], axes: tuple[int, ...], keep: bool) -> NDArray[Any]:
    """Of nothing, what every number is at least."""
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return np.asarray(np.max(x, axes, keepdims=keep, initial=least))


def _smallest_of(x: NDArray[Any], axes: tuple[int, ...], keep: bool) -> NDArray[Any]:
    """Of nothing, what every number is at most."""
    most = np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    return np.asarray(np.min(x, axes, keepdims=keep, initial=most))


# Element types here and below: measured with LiteRT 2.3.0. Sums and means of raw 8- and 16-bit
# integers come out wrong: the kernels take them for quantized ones without a scale.
_WIDE = frozenset({"float32", "int32", "int64"})
_NARROW = frozenset({"int8", "int16", "uint8"})
_LOGIC = frozenset({"bool"})
_PLACED = frozenset({"float32", "int8", "int32", "uint8", "bool"})
_REDUCTIONS: dict[str, dict[str, Any]] = {
    "SUM": {
        "carries": before_sum,
        "fold": _sum,
        "version": by_type(int8=2),
        "quant": QuantRule(),
        "polynomial": True,
        "types": _WIDE,
        "max_rank": DELEGATED,
    },
    "MEAN": {
        "interval": same_ends,
        "fold": _mean,
        "version": by_type(int8=2, int16=3),
        "quant": QuantRule(),
        "types": _WIDE,
        "max_rank": DELEGATED,
    },
    "REDUCE_MAX": {
        "fold": _largest_of,
        "version": by_type(int8=2, int16=3),
        "quant": QuantRule(same=True, insists=ALL_TYPES),
        "max_rank": DELEGATED,
    },
    "REDUCE_MIN": {
        "fold": _smallest_of,
        "version": by_type(int8=2, int16=3),
        "quant": QuantRule(same=True, insists=ALL_TYPES),
        "max_rank": DELEGATED,
    },
    "REDUCE_PROD": {
        "fold": _product,
        "version": by_type(int8=2, int16=2),
        # The int16 kernel is wrong when many elements are multiplied (measured on LiteRT 2.3).
        "quant": QuantRule(types=frozenset({"INT8"})),
        "polynomial": True,
    },
    "REDUCE_ANY": {"fold": lambda x, axes, keep: np.any(x, axes, keepdims=keep), "types": _LOGIC},
    "REDUCE_ALL": {"fold": lambda x, axes, keep: np.all(x, axes, keepdims=keep), "types": _LOGIC},
}
for name, columns in _REDUCTIONS.items():
    fixed = {"shape": _reduced, "layout": moves_input(1), "category": "reduce"}
    fixed["types"] = _WIDE | _NARROW
    op(name, "x axes -> y", **{**fixed, **columns, "fold": _fold(columns["fold"])})


def _place(op: Op) -> list[Typed]:
    x = op.input(0)
    axis = constant_axis(op, 1, x.rank)
    return [(x.shape[:axis] + x.shape[axis + 1 :], _place_type(op))]


def _place_type(op: Op) -> np.dtype:
    if "output_type" not in op.options:
        raise UnsupportedError(f"{op.type} needs `output_type`: the schema's default is FLOAT32")
    return count_type(op, "output_type", "INT32")


for name, find in {"ARG_MAX": np.argmax, "ARG_MIN": np.argmin}.items():

    def _find(op: Op, find: Any = find) -> NDArray[Any]:
        x = values(op, 0)
        if x.shape[constant_axis(op, 1, x.ndim)] == 0:
            raise UnsupportedError("the place of an extreme among no elements")
        return np.asarray(find(x, constant_axis(op, 1, x.ndim)))

    op(
        name,
        "x axis -> y",
        shape=_place,
        fold=_find,
        decides="row" if name == "ARG_MAX" else "each",
        layout=moves_input(1),
        quant=QuantRule(types=frozenset({"INT8", "UINT8"})),
        version=by_type(int8=2, bool=3),
        category="reduce",
        takes={"axis": Takes(WIDE_INDEX, size=1)},
        types=_PLACED,
    )


def _largest_shape(op: Op) -> list[Typed]:
    x = op.input(0)
    if x.rank == 0:
        raise UnsupportedError("the largest elements of a scalar")
    k = scalar(op, 1)
    last = x.shape[-1]
    if k is not None and last is not None and k > last:
        raise UnsupportedError(f"the {k} largest of {last} elements")
    shape = (*x.shape[:-1], k)
    return [(shape, x.dtype), (shape, INT32)]


def _largest(op: Op) -> list[NDArray[Any]]:
    x, k = values(op, 0), scalar(op, 1)
    # A stable ascending sort of the mirrored rows, read backward: equal elements keep their order.
    order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], kind="stable")[..., ::-1]
    places = order[..., :k]
    return [np.take_along_axis(x, places, -1), places]


op(
    "TOPK_V2",
    "x k -> y places",
    shape=_largest_shape,
    fold=_largest,
    quant=QuantRule(same=True),
    version=by_type(int8=2, int16=3),
    category="reduce",
    takes={"k": Takes(INDEX | {"int16"}, size=1)},
    types=_WIDE | _NARROW,
)


def _distinct_shape(op: Op) -> list[Typed]:
    x = op.input(0)
    if x.rank != 1:
        raise UnsupportedError(f"the distinct elements of a tensor of rank {x.rank}, not 1")
    return [((None,), x.dtype), (x.shape, count_type(op, "idx_out_type", "INT32"))]


def _distinct(op: Op) -> list[NDArray[Any]]:
    """Return the elements by first occurrence, and where each input element is among them."""
    x = values(op, 0)
    sorted_, first, inverse = np.unique(x, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return [sorted_[order], np.argsort(order)[inverse].reshape(x.shape)]


op(
    "UNIQUE",
    "x -> y places",
    shape=_distinct_shape,
    fold=_distinct,
    quant=QuantRule(same=True),
    category="reduce",
    types=_WIDE | _NARROW,
    max_rank=1,
)


def _segments_shape(op: Op) -> list[Typed]:
    x, ids = op.input(0), op.input(1)
    if x.rank == 0:
        raise UnsupportedError("segments of a scalar")
    same_size(x.shape[0], ids.shape[0])
    count = None
    if ids.data is not None:
        count = int(ids.data[-1]) + 1 if ids.data.size else 0
    return [((count, *x.shape[1:]), x.dtype)]


def _segment_sum(op: Op) -> NDArray[Any] | None:
    """The kernel wants segment numbers that start at 0 and grow by at most 1; it refuses others."""
    x, ids = values(op, 0), values(op, 1)
    if not np.isin(np.diff(ids, prepend=0), (0, 1)).all() or (ids.size and ids[0]):
        return None
    y = np.zeros((int(ids[-1]) + 1 if ids.size else 0, *x.shape[1:]), x.dtype)
    np.add.at(y, ids, x)
    return y


_NUMBERS = frozenset({"float32", "int32"})
op(
    "SEGMENT_SUM",
    "x ids -> y",
    shape=_segments_shape,
    fold=_segment_sum,
    stops=stops.torn_segments,
    category="reduce",
    takes={"ids": Takes(INDEX, ranks=(1,))},
    types=_NUMBERS,
)


def _unsorted_shape(op: Op) -> list[Typed]:
    x, ids = op.input(0), op.input(1)
    if ids.rank > x.rank:
        raise UnsupportedError(f"segment numbers of rank {ids.rank} for data of rank {x.rank}")
    for a, b in zip(ids.shape, x.shape, strict=False):
        same_size(a, b)
    return [((scalar(op, 2), *x.shape[ids.rank :]), x.dtype)]


def _lowest(dtype: np.dtype) -> Any:
    return np.finfo(dtype).min if dtype.kind == "f" else np.iinfo(dtype).min


def _highest(dtype: np.dtype) -> Any:
    return np.finfo(dtype).max if dtype.kind == "f" else np.iinfo(dtype).max


_UNSORTED = {
    "UNSORTED_SEGMENT_SUM": (np.add, lambda dtype: 0),
    "UNSORTED_SEGMENT_PROD": (np.multiply, lambda dtype: 1),
    "UNSORTED_SEGMENT_MAX": (np.maximum, _lowest),
    "UNSORTED_SEGMENT_MIN": (np.minimum, _highest),
}
for name, (combine, start) in _UNSORTED.items():

    def _combine(op: Op, combine: Any = combine, start: Any = start) -> NDArray[Any] | None:
        """Elements with a negative segment number are dropped; an empty segment holds `start`."""
        x, ids, count = values(op, 0), values(op, 1), int(values(op, 2).reshape(-1)[0])
        if (ids >= count).any():
            return None
        rest = x.shape[ids.ndim :]
        y = np.full((count, *rest), start(x.dtype), x.dtype)
        kept = ids.reshape(-1) >= 0
        combine.at(y, ids.reshape(-1)[kept], x.reshape(-1, *rest)[kept])
        return y

    op(
        name,
        "x ids count -> y",
        shape=_unsorted_shape,
        fold=_combine,
        stops=stops.outside_segments,
        category="reduce",
        types=_NUMBERS,
    )


def _summed(op: Op) -> list[Typed]:
    x = op.input(0)
    if op.input(1).data is not None:
        constant_axis(op, 1, x.rank)
    return [(x.shape, x.dtype)]


def _running_sum(op: Op) -> NDArray[Any]:
    x = values(op, 0)
    axis = constant_axis(op, 1, x.ndim)
    backward = op.options.get("reverse", False)
    x = np.flip(x, axis) if backward else x
    total = np.cumsum(x, axis, dtype=x.dtype)
    if op.options.get("exclusive", False):
        total = np.roll(total, 1, axis)
        total[(slice(None),) * axis + (slice(0, 1),)] = 0
    return np.flip(total, axis) if backward else total


op(
    "CUMSUM",
    "x axis -> y",
    shape=_summed,
    fold=_running_sum,
    layout=moves_input(1),
    category="arithmetic",
    types=_WIDE,
)
