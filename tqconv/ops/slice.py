"""Taking tensors apart and putting them together along axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.rules import axis_of, constant_axis, elements, same_shape, values
from tqconv.ops.spec import QuantRule, Typed, by_type, moves, moves_input, op, rows_input

_SAME = QuantRule(same=True)
# Element types are measured with LiteRT 2.3.0; rows without take whatever loads.
_NUMBERS = frozenset({"float32", "int8", "int16", "int32", "int64", "uint8"})


def _known(tensor: Tensor, length: int) -> tuple[int | None, ...]:
    return elements(tensor) or (None,) * length


def _sliced(op: Op) -> list[Typed]:
    x = op.input(0)
    begin, size = _known(op.input(1), x.rank), _known(op.input(2), x.rank)
    if not len(begin) == len(size) == x.rank:
        raise UnsupportedError(f"a slice of {len(size)} sizes from a tensor of rank {x.rank}")
    dims = zip(x.shape, begin, size, strict=True)
    return [(tuple(_slice_size(*parts) for parts in dims), x.dtype)]


def _slice_size(dim: int | None, begin: int | None, size: int | None) -> int | None:
    """A size of -1 takes all that is left."""
    if size == -1:
        return None if dim is None or begin is None else dim - begin
    if None not in (dim, begin, size) and (begin or 0) + (size or 0) > (dim or 0):
        raise UnsupportedError(f"{size} elements from {begin} on are not in a size of {dim}")
    return size


def _slice(op: Op) -> NDArray[Any]:
    x, begin, size = values(op, 0), values(op, 1), values(op, 2)
    cuts = (
        slice(int(b), None if s == -1 else int(b) + int(s))
        for b, s in zip(begin, size, strict=True)
    )
    return x[tuple(cuts)]


def _slice_version(op: Op) -> int:
    x = op.input(0)
    if x.dtype == np.uint32:
        return 6
    return 5 if x.rank > 4 else by_type(int16=4, object=3, int8=2)(op)


op(
    "SLICE",
    "x begin size -> y",
    shape=_sliced,
    fold=_slice,
    layout=rows_input(1, 2),
    quant=_SAME,
    version=_slice_version,
    polynomial=True,
    category="movement",
)


@dataclass(frozen=True)
class _Cut:
    """What a strided slice does with one dimension; None is not known."""

    size: int | None
    begin: int | None = 0
    end: int | None = 0
    stride: int | None = 1
    from_start: bool = True
    to_end: bool = True
    shrink: bool = False
    new: bool = False
    offset: bool = False

    def bounds(self) -> tuple[int, int, int] | None:
        """Return begin, end and stride as the kernel clamps them (strided_slice_logic.h), or None."""
        if self.stride == 0:
            raise UnsupportedError("a slice with a stride of 0")
        begin = 0 if self.from_start else self.begin
        end = 0 if self.to_end or self.shrink else self.end
        if self.size is None or self.stride is None or begin is None or end is None:
            return None
        low, high = (0, self.size) if self.stride > 0 else (-1, self.size - 1)
        first, last = (low, high) if self.stride > 0 else (high, low)

        def clamp(position: int, size: int = self.size) -> int:
            return min(max(position + size if position < 0 else position, low), high)

        start = first if self.from_start else clamp(begin)
        if self.shrink:
            return start, start + 1, 1
        stop = last if self.to_end else clamp(end + start if self.offset else end)
        return start, stop, self.stride

    def length(self) -> int | None:
        """Return the size of the result along this dimension, or None."""
        if self.new:
            return 1
        bounds = self.bounds()
        return None if bounds is None else len(range(*bounds))

    def index(self) -> Any:
        """Return what numpy takes for this dimension."""
        bounds = self.bounds()
        if self.new or bounds is None:
            return np.newaxis
        begin, end, stride = bounds
        if self.shrink:
            return begin
        if not range(begin, end, stride):
            return slice(0, 0)
        return slice(begin, None if end < 0 else end, stride)


def _cuts(op: Op) -> list[_Cut]:
    """Expand the masks to one cut per dimension of the input or new axis, as strided_slice.cc does.

    An ellipsis bit wins over a new-axis bit, and that over a shrink bit; without an ellipsis the missing
    dimensions are taken whole at the end.
    """
    x = op.input(0)
    count = _spec_length(op)
    begin, end, strides = (_known(op.input(i), count) for i in (1, 2, 3))
    ellipsis = _mask(op, "ellipsis_mask", count)
    new = [
        bit and not other
        for bit, other in zip(_mask(op, "new_axis_mask", count), ellipsis, strict=True)
    ]
    whole = max(0, x.rank - (count - sum(new) - sum(ellipsis)))
    masks = [_mask(op, f"{what}_mask", count) for what in ("begin", "end", "shrink_axis")]
    sizes = iter(x.shape)
    cuts: list[_Cut] = []
    for i in range(count):
        if ellipsis[i]:
            cuts += [_Cut(next(sizes)) for _ in range(whole)]
        elif new[i]:
            cuts.append(_Cut(1, new=True))
        else:
            size = next(sizes, -1)
            if size == -1:
                raise UnsupportedError(f"a slice in more dimensions than {list(x.shape)} has")
            flags = [mask[i] for mask in masks]
            cuts.append(_Cut(size, begin[i], end[i], strides[i], *flags, False, _offset(op)))
    return cuts + [_Cut(size) for size in sizes]


def _spec_length(op: Op) -> int:
    for index in (1, 2, 3):
        tensor = op.input(index)
        if tensor.rank == 1 and tensor.shape[0] is not None:
            return tensor.shape[0]
    raise UnsupportedError(f"in how many dimensions '{op.input(0).name}' is sliced is not known")


def _mask(op: Op, name: str, count: int) -> list[bool]:
    return [bool(int(op.options.get(name, 0)) >> i & 1) for i in range(count)]


def _offset(op: Op) -> bool:
    """Whether the ends count from the begins."""
    return bool(op.options.get("offset", False))


def _strided(op: Op) -> list[Typed]:
    shape = tuple(cut.length() for cut in _cuts(op) if cut.new or not cut.shrink)
    return [(shape, op.input(0).dtype)]


def _strided_slice(op: Op) -> NDArray[Any] | None:
    cuts = _cuts(op)
    for cut in cuts:
        bounds = cut.bounds()
        if cut.shrink and cut.size is not None and bounds is not None and bounds[0] >= cut.size:
            raise UnsupportedError(f"element {cut.begin} of a dimension of size {cut.size}")
    return np.asarray(values(op, 0)[tuple(cut.index() for cut in cuts)])


def _strided_version(op: Op) -> int:
    x = op.input(0)
    if _offset(op):
        return 8
    if x.dtype == np.uint32:
        return 7
    if op.options.get("ellipsis_mask", 0) or op.options.get("new_axis_mask", 0):
        return 6
    if x.dtype == np.object_:
        return 5
    return 4 if x.rank > 4 else by_type(bool=3, int8=2)(op)


op(
    "STRIDED_SLICE",
    "x begin end strides -> y",
    shape=_strided,
    fold=_strided_slice,
    quant=_SAME,
    version=_strided_version,
    polynomial=True,
    category="movement",
)


def _split_shape(op: Op) -> list[Typed]:
    axis_tensor, x = op.input(0), op.input(1)
    count = int(op.options.get("num_splits", 0))
    if count <= 0:
        raise UnsupportedError(f"a split into {count} parts")
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
    quant=_SAME,
    version=by_type(operand=1, int16=4, int32=3, int8=2),
    polynomial=True,
    category="movement",
    types=_NUMBERS,
)


def _parts(op: Op, size: int | None) -> list[int | None]:
    """Return the sizes of a SPLIT_V; -1 stands for what the others leave."""
    count = int(op.options.get("num_splits", 0)) or op.input(1).shape[0] or 0
    sizes = list(_known(op.input(1), count))
    if len(sizes) != count:
        raise UnsupportedError(f"{len(sizes)} sizes for {count} parts")
    if -1 in sizes:
        others = [s for s in sizes if s != -1]
        total = sum(s for s in others if s is not None)
        open_ = size is None or None in others
        sizes[sizes.index(-1)] = None if open_ else (size or 0) - total
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
    quant=_SAME,
    version=by_type(int8=2),
    polynomial=True,
    category="movement",
    types=_NUMBERS,
)


def _present(op: Op) -> list[Tensor]:
    return [t for t in op.inputs if t is not None]


def _joined(op: Op) -> list[Typed]:
    xs = _present(op)
    axis = axis_of(int(op.options.get("axis", 0)), xs[0].rank)
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
    quant=QuantRule(same=True, same_except=frozenset({"UINT8"})),
    version=by_type(uint32=4, int16=3, int8=2),
    polynomial=True,
    category="movement",
    types=_NUMBERS | {"uint32", "bool"},
)


def _packed(op: Op) -> list[Typed]:
    xs = _present(op)
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
    quant=_SAME,
    version=by_type(int8=2, int16=3, uint32=4),
    polynomial=True,
    category="movement",
    types=_NUMBERS | {"uint32"},
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
    quant=_SAME,
    version=by_type(int8=2, uint8=2, bool=3, int16=4),
    polynomial=True,
    category="movement",
    types=_NUMBERS - {"int64"} | {"bool"},
)


def _updated(op: Op) -> list[Typed]:
    x, update = op.input(0), op.input(1)
    if x.rank != update.rank:
        raise UnsupportedError(f"an update of rank {update.rank} for a tensor of rank {x.rank}")
    return [(x.shape, x.dtype)]


def _update(op: Op) -> NDArray[Any]:
    """The start is moved so that the whole update lies inside."""
    y, part = values(op, 0).copy(), values(op, 1)
    room = np.array(y.shape) - np.array(part.shape)
    start = np.clip(values(op, 2).astype(np.int64), 0, room)
    y[tuple(slice(s, s + n) for s, n in zip(start, part.shape, strict=True))] = part
    return y


def _update_version(op: Op) -> int:
    if op.input(0).dtype == np.int16:
        return 4
    return by_type(operand=2, int64=2)(op)


op(
    "DYNAMIC_UPDATE_SLICE",
    "x update start -> y",
    shape=_updated,
    fold=_update,
    quant=_SAME,
    version=_update_version,
    category="movement",
)
