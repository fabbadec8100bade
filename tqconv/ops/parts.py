"""Taking tensors apart and putting them together along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, counted
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.rules import (
    axis_of,
    constant_axis,
    elements_or_unknown,
    not_negative,
    same_shape,
    same_size,
    values,
)
from tqconv.ops.spec import (
    DELEGATED,
    INDEX,
    INSISTS,
    NUMBERS,
    SAME,
    WIDE_INDEX,
    QuantRule,
    Takes,
    Typed,
    by_type,
    moves,
    moves_input,
    op,
)


def _split_shape(op: Op) -> list[Typed]:
    axis_tensor, x = op.input(0), op.input(1)
    count = int(op.options.get("num_splits", 0))
    if count <= 0:
        raise UnsupportedError(f"a split into {counted(count, 'part')}")
    if axis_tensor.data is None:
        return [((None,) * x.rank, x.dtype)] * count
    axis = constant_axis(op, 0, x.rank)
    size = x.shape[axis]
    if size is not None and size % count:
        raise UnsupportedError(f"a size of {size} does not split into {count} equal parts")
    part = None if size is None else size // count
    return [((*x.shape[:axis], part, *x.shape[axis + 1 :]), x.dtype)] * count


def _split(op: Op) -> list[NDArray[Any]]:
    x = values(op, 1)
    return list(np.split(x, int(op.options["num_splits"]), constant_axis(op, 0, x.ndim)))


op(
    "SPLIT",
    "axis x -> *ys",
    shape=_split_shape,
    fold=_split,
    layout=moves_input(0),
    quant=SAME,
    version=by_type(operand=1, int16=4, int32=3, int8=2),
    polynomial=True,
    copies="chosen",
    category="movement",
    takes={"axis": Takes(INDEX, size=1, flat=True)},
    types=NUMBERS,
    max_rank=DELEGATED,
)


def _parts(op: Op, size: int | None) -> list[int | None]:
    """Return the sizes of a SPLIT_V; -1 stands for what the others leave."""
    count = int(op.options.get("num_splits", 0))
    if not op.outputs:  # one that is being made; the kernel reads the option
        count = count or op.input(1).shape[0] or 0
    sizes = list(elements_or_unknown(op.input(1), count))
    if len(sizes) != count:
        raise UnsupportedError(f"{counted(len(sizes), 'size')} for {counted(count, 'part')}")
    if -1 in sizes:
        others = [s for s in sizes if s != -1]
        total = sum(s for s in others if s is not None)
        open_ = size is None or None in others
        sizes[sizes.index(-1)] = None if open_ else (size or 0) - total
    not_negative(sizes, f"parts from a size of {size},")
    if size is not None and None not in sizes and sum(s or 0 for s in sizes) != size:
        raise UnsupportedError(f"parts of {sizes} from a size of {size}")
    return sizes


def _split_v_shape(op: Op) -> list[Typed]:
    x = op.input(0)
    if op.input(2).data is None:
        return [((None,) * x.rank, x.dtype)] * len(_parts(op, None))
    axis = constant_axis(op, 2, x.rank)
    sizes = _parts(op, x.shape[axis])
    return [((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes]


def _split_v(op: Op) -> list[NDArray[Any]]:
    x = values(op, 0)
    axis = constant_axis(op, 2, x.ndim)
    ends = np.cumsum([int(s or 0) for s in _parts(op, x.shape[axis])])
    return list(np.split(x, ends[:-1], axis))


op(
    "SPLIT_V",
    "x sizes axis -> *ys",
    shape=_split_v_shape,
    fold=_split_v,
    layout=moves_input(2),
    quant=SAME,
    version=by_type(int8=2),
    polynomial=True,
    copies="chosen",
    category="movement",
    takes={
        "sizes": Takes(WIDE_INDEX, ranks=(1,)),
        "axis": Takes(INDEX, size=1, flat=True),
    },
    types=NUMBERS,
    max_rank=DELEGATED,
)


def _present(op: Op) -> list[Tensor]:
    return [t for t in op.inputs if t is not None]


def _joined(op: Op) -> list[Typed]:
    xs = _present(op)
    axis = axis_of(int(op.options.get("axis", 0)), xs[0].rank)
    if any(t.rank != xs[0].rank for t in xs):
        raise UnsupportedError(f"ranks {[t.rank for t in xs]} should be equal")
    rest = same_shape((*t.shape[:axis], *t.shape[axis + 1 :]) for t in xs)
    sizes = [t.shape[axis] for t in xs]
    total = None if None in sizes else sum(s or 0 for s in sizes)
    return [((*rest[:axis], total, *rest[axis:]), xs[0].dtype)]


def _arrays(op: Op) -> Sequence[NDArray[Any]]:
    return [values(op, i) for i in range(len(op.inputs))]


def _join(op: Op) -> NDArray[Any] | None:
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        return None
    return np.concatenate(_arrays(op), int(op.options.get("axis", 0)))


op(
    "CONCATENATION",
    "*xs -> y",
    shape=_joined,
    fold=_join,
    layout=moves("axis"),
    quant=QuantRule(same=True, same_except=frozenset({"UINT8"}), insists=frozenset({"INT8"})),
    version=by_type(uint32=4, int16=3, int8=2),
    polynomial=True,
    copies="filled",
    category="movement",
    types=NUMBERS | {"uint32", "bool"},
    max_rank=DELEGATED,
)


def _packed(op: Op) -> list[Typed]:
    xs = _present(op)
    same_size(int(op.options.get("values_count", 0)), len(xs))
    shape = same_shape(t.shape for t in xs)
    axis = axis_of(int(op.options.get("axis", 0)), len(shape) + 1)
    return [((*shape[:axis], len(xs), *shape[axis:]), xs[0].dtype)]


def _pack(op: Op) -> NDArray[Any]:
    return np.stack(_arrays(op), int(op.options.get("axis", 0)))


op(
    "PACK",
    "*xs -> y",
    shape=_packed,
    fold=_pack,
    quant=INSISTS,
    version=by_type(int8=2, int16=3, uint32=4),
    polynomial=True,
    copies="filled",
    category="movement",
    types=NUMBERS | {"uint32"},
)


def _unpacked(op: Op) -> list[Typed]:
    x = op.input(0)
    axis = axis_of(int(op.options.get("axis", 0)), x.rank)
    count = int(op.options.get("num", 0))
    if x.shape[axis] not in (None, count):
        raise UnsupportedError(f"a size of {x.shape[axis]} does not unpack into {count}")
    return [(x.shape[:axis] + x.shape[axis + 1 :], x.dtype)] * count


def _unpack(op: Op) -> list[NDArray[Any]]:
    x = values(op, 0)
    axis = axis_of(int(op.options.get("axis", 0)), x.ndim)
    return [np.take(x, i, axis) for i in range(x.shape[axis])]


op(
    "UNPACK",
    "x -> *ys",
    shape=_unpacked,
    fold=_unpack,
    quant=INSISTS,
    version=by_type(int8=2, uint8=2, bool=3, int16=4),
    polynomial=True,
    copies="chosen",
    category="movement",
    types=NUMBERS - {"int64"} | {"bool"},
)
