"""Reading and writing elements at computed places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Op
from tqconv.ir.types import STRING, Shape
from tqconv.ops import stops
from tqconv.ops.rules import (
    FLOAT32,
    INT32,
    axis_of,
    has_shape,
    same_as,
    same_shape,
    same_size,
    scalar,
    values,
)
from tqconv.ops.spec import (
    ELEMENTWISE,
    GATHERS,
    NUMBERS,
    ONE_OF_DATA,
    SAME,
    SCALAR_OF_DATA,
    WIDE_INDEX,
    QuantRule,
    Takes,
    Typed,
    by_type,
    op,
)
from tqconv.ops.tensor import described_shape

_PLACES = Takes(WIDE_INDEX | {"int16"})
# Element types are those of the values, not of the places; ranks are measured with LiteRT 2.3.0.
_WRITTEN = NUMBERS - {"int16"}


def _gather_axes(op: Op) -> tuple[int, int]:
    """Return axis and number of batch dimensions, both non-negative."""
    x, indices = op.input(0), op.input(1)
    if x.rank == 0:
        raise UnsupportedError("cannot gather from a scalar")
    if x.rank > 1 and x.dtype == STRING and not x.is_constant:
        raise UnsupportedError(f"'{x.name}' has rank {x.rank}, strings are gathered from a list")
    axis = axis_of(int(op.options.get("axis", 0)), x.rank)
    batch = int(op.options.get("batch_dims", 0))
    batch = batch + indices.rank if batch < 0 else batch
    if batch > min(axis, indices.rank):
        raise UnsupportedError(f"{batch} batch dimensions before axis {axis}")
    return axis, batch


def _gathered(op: Op) -> list[Typed]:
    x, indices = op.input(0), op.input(1)
    axis, batch = _gather_axes(op)
    shared = same_shape((x.shape[:batch], indices.shape[:batch]))
    if x.shape[axis] == 0 and 0 not in indices.shape and indices.is_static:
        raise UnsupportedError(f"cannot gather along axis {axis} of {shaped(x.shape)}")
    shape = (*shared, *x.shape[batch:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
    return [(shape, x.dtype)]


def _inside(indices: NDArray[Any], size: int) -> bool:
    return bool(((indices >= 0) & (indices < size)).all())


def _gather(op: Op) -> NDArray[Any] | None:
    """Places outside the tensor are left to the kernel, which refuses them."""
    x, indices = values(op, 0), values(op, 1)
    axis, batch = _gather_axes(op)
    if not _inside(indices, x.shape[axis]):
        return None
    if batch == 0:
        return np.take(x, indices, axis)
    rows = x.reshape(-1, *x.shape[batch:])
    places = indices.reshape(-1, *indices.shape[batch:])
    taken = [np.take(row, place, axis - batch) for row, place in zip(rows, places, strict=True)]
    return np.stack(taken).reshape(*x.shape[:batch], *taken[0].shape)


def _gather_version(op: Op) -> int:
    if op.input(1).dtype == np.int16:
        return 6
    if op.options.get("batch_dims", 0):
        return 5
    return by_type(int16=4, bool=3, int8=2)(op)


op(
    "GATHER",
    "x indices -> y",
    shape=_gathered,
    fold=_gather,
    layout=GATHERS,
    quant=SAME,
    version=_gather_version,
    stops=stops.outside_axis,
    polynomial=True,
    copies="chosen",
    category="gather",
    takes={"indices": _PLACES},
    types=NUMBERS | {"bool"},
    strings=True,
)


def _gathered_nd(op: Op) -> list[Typed]:
    x, indices = op.input(0), op.input(1)
    depth = indices.shape[-1] if indices.rank else None
    if depth is None or depth > x.rank:
        raise UnsupportedError(
            f"coordinates of shape {shaped(indices.shape)} in a tensor of rank {x.rank}"
        )
    if 0 in x.shape[:depth] and 0 not in indices.shape and indices.is_static:
        raise UnsupportedError(f"cannot gather from {shaped(x.shape)}, which has no elements")
    return [((*indices.shape[:-1], *x.shape[depth:]), x.dtype)]


def _gather_nd(op: Op) -> NDArray[Any] | None:
    x, indices = values(op, 0), values(op, 1)
    columns = np.moveaxis(indices, -1, 0)
    if not all(_inside(c, size) for c, size in zip(columns, x.shape, strict=False)):
        return None
    return np.asarray(x[tuple(columns)])


def _gather_nd_version(op: Op) -> int:
    if op.input(0).dtype == np.bool_:
        return 5
    if op.input(1).dtype == np.int16:
        return 4
    return by_type(int16=3, object=2)(op)


op(
    "GATHER_ND",
    "x indices -> y",
    shape=_gathered_nd,
    fold=_gather_nd,
    quant=SAME,
    version=_gather_nd_version,
    stops=stops.outside_sizes,
    polynomial=True,
    copies="chosen",
    category="gather",
    takes={"indices": _PLACES},
    types=NUMBERS | {"bool"},
    strings=True,
)


def _scattered(op: Op) -> list[Typed]:
    """indices: [..., d]; updates: [..., the sizes behind the first d of the shape]."""
    indices, updates, shape = op.input(0), op.input(1), described_shape(op.input(2))
    depth = indices.shape[-1] if indices.rank else None
    if depth is None and indices.rank:
        return [(shape, updates.dtype)]
    if depth is None or depth > len(shape):
        raise UnsupportedError(
            f"places of shape {shaped(indices.shape)} in a result of {shaped(shape)}"
        )
    has_shape(updates, (*indices.shape[:-1], *shape[depth:]))
    return [(shape, updates.dtype)]


def _scatter(op: Op) -> NDArray[Any] | None:
    """Updates of the same place add up."""
    indices, updates = values(op, 0), values(op, 1)
    y = np.zeros([int(d) for d in values(op, 2)], updates.dtype)
    columns = np.moveaxis(indices, -1, 0)
    if not all(_inside(c, size) for c, size in zip(columns, y.shape, strict=False)):
        return None
    np.add.at(y, tuple(columns), updates)
    return y


# The background is a stored 0, which is a real 0 only where the zero point is 0.
_CENTERED = QuantRule(same=True, centered=("updates", "diagonal"), types=frozenset({"INT8"}))
op(
    "SCATTER_ND",
    "indices updates shape -> y",
    shape=_scattered,
    fold=_scatter,
    quant=replace(_CENTERED, averages=True),  # updates of one place are added
    stops=stops.outside_result,
    category="gather",
    types=_WRITTEN | {"bool"},
)


def _dense_shape(op: Op) -> list[Typed]:
    """indices: [n, rank], [n] where the rank is 1, or one; value: [n], or one for all."""
    indices, value, shape = op.input(0), op.input(2), described_shape(op.input(1))
    if indices.rank > 2 or (indices.rank < 2 and len(shape) != 1):
        raise UnsupportedError(f"places of rank {indices.rank} in a result of rank {len(shape)}")
    if indices.rank == 2:
        same_size(indices.shape[1], len(shape))
    if value.rank:
        has_shape(value, indices.shape[:1] or (1,))
    return [(shape, value.dtype)]


def _dense(op: Op) -> NDArray[Any] | None:
    indices, shape, value, default = (values(op, i) for i in range(4))
    y = np.full([int(d) for d in shape], default.reshape(-1)[0], value.dtype)
    columns = indices.reshape(-1, y.ndim).T
    if not all(_inside(c, size) for c, size in zip(columns, y.shape, strict=True)):
        return None
    y[tuple(columns)] = value
    return y


op(
    "SPARSE_TO_DENSE",
    "indices shape value default -> y",
    shape=_dense_shape,
    fold=_dense,
    quant=QuantRule(same=True, types=frozenset({"INT8", "UINT8"})),
    version=by_type(operand=2, int8=3, uint8=3, int64=2),
    stops=stops.outside_dense,
    copies="filled",
    category="gather",
    takes={
        "indices": Takes(WIDE_INDEX),
        "shape": Takes(WIDE_INDEX, ranks=(1,)),
        "default": ONE_OF_DATA,
    },
    types=_WRITTEN,
    max_rank=4,
)


def _one_hot_axis(op: Op) -> int:
    """Return the new axis; of those that count from the end the kernel knows the last alone."""
    if int(op.options.get("axis", 0)) < -1:
        raise UnsupportedError(f"an axis of {op.options['axis']}")
    return axis_of(int(op.options.get("axis", 0)), op.input(0).rank + 1)


def _one_hot_shape(op: Op) -> list[Typed]:
    indices, axis = op.input(0), _one_hot_axis(op)
    shape = (*indices.shape[:axis], scalar(op, 1), *indices.shape[axis:])
    return [(shape, op.input(2).dtype)]


def _one_hot(op: Op) -> NDArray[Any]:
    indices, depth, on, off = (values(op, i) for i in range(4))
    hits = indices[..., np.newaxis] == np.arange(int(depth.reshape(-1)[0]))
    chosen = np.where(hits, on.reshape(-1)[0], off.reshape(-1)[0])
    return np.moveaxis(chosen, -1, _one_hot_axis(op))


op(
    "ONE_HOT",
    "indices depth on off -> y",
    shape=_one_hot_shape,
    fold=_one_hot,
    quant=QuantRule(same=True, types=frozenset({"INT8", "UINT8"})),
    copies="filled",
    category="gather",
    takes={"indices": Takes(WIDE_INDEX), "on": ONE_OF_DATA, "off": ONE_OF_DATA},
    types=_WRITTEN | {"bool"},
)


def _diagonal_shape(op: Op) -> list[Typed]:
    x = op.input(0)
    if not x.rank:
        raise UnsupportedError("the diagonal of a scalar")
    return [((*x.shape, x.shape[-1]), x.dtype)]


def _diagonal(op: Op) -> NDArray[Any]:
    x = values(op, 0)
    return np.asarray(np.eye(x.shape[-1], dtype=x.dtype) * x[..., np.newaxis, :], x.dtype)


op(
    "MATRIX_DIAG",
    "diagonal -> y",
    shape=_diagonal_shape,
    fold=_diagonal,
    quant=replace(_CENTERED, types=frozenset({"INT8", "INT16"})),
    copies="filled",
    category="gather",
    types=NUMBERS | {"uint32"},
)


def _with_diagonal(op: Op) -> list[Typed]:
    x = op.input(0)
    if x.rank < 2:
        raise UnsupportedError(f"the diagonal of a tensor of rank {x.rank}")
    sides = x.shape[-2:]
    shorter = None if None in sides else min(d or 0 for d in sides)
    has_shape(op.input(1), (*x.shape[:-2], shorter))
    return [(x.shape, x.dtype)]


def _set_diagonal(op: Op) -> NDArray[Any]:
    y, diagonal = values(op, 0).copy(), values(op, 1)
    places = np.arange(min(y.shape[-2:]))
    y[..., places, places] = diagonal
    return y


op(
    "MATRIX_SET_DIAG",
    "x diagonal -> y",
    shape=_with_diagonal,
    fold=_set_diagonal,
    quant=SAME,
    copies="filled",
    category="gather",
    types=NUMBERS | {"uint32"},
)


def _bucketize(op: Op) -> NDArray[Any]:
    boundaries = np.asarray(op.options.get("boundaries", ()), np.float32)
    return np.searchsorted(boundaries, values(op, 0), side="right").astype(np.int32)


op(
    "BUCKETIZE",
    "x -> y",
    shape=same_as(INT32),
    fold=_bucketize,
    layout=ELEMENTWISE,
    category="gather",
    types=frozenset({"float32", "int32", "int64"}),
)


def _kept(op: Op) -> Shape:
    boxes = op.input(0)
    if boxes.rank != 2:
        raise UnsupportedError(f"boxes of rank {boxes.rank}, expected [n, 4]")
    has_shape(boxes, (None, 4))
    has_shape(op.input(1), boxes.shape[:1])
    return (scalar(op, 2),)


def _kept_boxes(op: Op) -> list[Typed]:
    return [(_kept(op), INT32), ((), INT32)]


def _kept_and_scored_boxes(op: Op) -> list[Typed]:
    return [(_kept(op), INT32), (_kept(op), FLOAT32), ((), INT32)]


_THRESHOLDS = dict.fromkeys(("iou_threshold", "score_threshold", "soft_nms_sigma"), SCALAR_OF_DATA)
_SUPPRESSION = "boxes scores max_output_size iou_threshold score_threshold"
op(
    "NON_MAX_SUPPRESSION_V4",
    f"{_SUPPRESSION} -> indices count",
    shape=_kept_boxes,
    category="gather",
    takes=_THRESHOLDS,
    types=frozenset({"float32"}),
)
op(
    "NON_MAX_SUPPRESSION_V5",
    f"{_SUPPRESSION} soft_nms_sigma -> indices scores count",
    shape=_kept_and_scored_boxes,
    category="gather",
    takes=_THRESHOLDS,
    types=frozenset({"float32"}),
)
