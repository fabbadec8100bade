"""Cutting a part out of a tensor, and writing one into it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, counted, shaped
from tqconv.ir.graph import Op
from tqconv.ir.types import Shape
from tqconv.ops.rules import elements, elements_or_unknown, has_shape, values
from tqconv.ops.spec import (
    MOVED,
    SAME,
    WIDE_INDEX,
    Takes,
    Typed,
    by_type,
    op,
    rows_input,
)
from tqconv.records import dataclass

_PLACES = Takes(WIDE_INDEX, ranks=(1,))


def _sliced(op: Op) -> list[Typed]:
    x = op.input(0)
    begin, size = elements_or_unknown(op.input(1), x.rank), elements_or_unknown(op.input(2), x.rank)
    if not len(begin) == len(size) == x.rank:
        raise UnsupportedError(
            f"a slice of {counted(len(size), 'size')} from a tensor of rank {x.rank}"
        )
    dims = zip(x.shape, begin, size, strict=True)
    return [(tuple(_slice_size(*parts) for parts in dims), x.dtype)]


def _slice_size(dim: int | None, begin: int | None, size: int | None) -> int | None:
    """A size of -1 takes all that is left."""
    if (begin is not None and begin < 0) or (size is not None and size < -1):
        raise UnsupportedError(f"{size} elements from {begin} on")
    if size == -1 and dim is not None and begin is not None and begin > dim:
        raise UnsupportedError(f"what follows {begin} elements in a size of {dim}")
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
    quant=SAME,
    version=_slice_version,
    polynomial=True,
    copies="chosen",
    category="movement",
    takes={"begin": _PLACES, "size": _PLACES},
    strings=True,
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
    place: int | None = None
    """Where the operands say so; None for what is taken whole without a word."""

    def bounds(self) -> tuple[int, int, int] | None:
        """Return begin, end and stride as strided_slice_logic.h clamps them, or None."""
        self._check()
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
        stop = last if self.to_end else clamp(end)
        return start, stop, self.stride

    def _check(self) -> None:
        """Raise where TensorFlow does; the kernel reads outside of the tensor there."""
        if self.stride == 0 or (self.shrink and (self.stride or 1) < 0):
            raise UnsupportedError(f"a slice with a stride of {self.stride}")
        if not self.shrink or self.from_start or self.begin is None or self.size is None:
            return
        if not -self.size <= self.begin < self.size:
            raise UnsupportedError(f"element {self.begin} of a dimension of size {self.size}")

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


_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _cuts(op: Op) -> list[_Cut]:
    """Expand the masks to one cut per dimension of the input or new axis, as strided_slice.cc does.

    An ellipsis bit wins over a new-axis bit, and that over a shrink bit; without an ellipsis the
    missing dimensions are taken whole at the end.
    """
    x = op.input(0)
    count = _spec_length(op)
    for index in (1, 2, 3):
        has_shape(op.input(index), (count,))
    begin, end, strides = (elements_or_unknown(op.input(i), count) for i in (1, 2, 3))
    if -(2**31) in strides:  # it has no positive counterpart in 32 bits, which the kernel asks for
        raise UnsupportedError(f"strides of {list(strides)}")
    ellipsis = _mask(op, "ellipsis_mask", count)
    bits = _mask(op, "new_axis_mask", count)
    new = [bit and not other for bit, other in zip(bits, ellipsis, strict=True)]
    whole = max(0, x.rank - (count - sum(new) - sum(ellipsis)))
    if int(op.options.get("ellipsis_mask", 0)).bit_count() > 1:
        raise UnsupportedError("a slice with more than one ellipsis")
    if any(ellipsis) and not whole and not x.is_constant:
        raise UnsupportedError("an ellipsis for no dimension, which the kernel takes for one")
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
                raise UnsupportedError(f"a slice in more dimensions than {shaped(x.shape)} has")
            from_start, to_end, shrink = (mask[i] for mask in masks)
            cuts.append(
                _Cut(size, begin[i], end[i], strides[i], from_start, to_end, shrink, place=i)
            )
    return cuts + [_Cut(size) for size in sizes]


def _spec_length(op: Op) -> int:
    for index in (1, 2, 3):
        tensor = op.input(index)
        if tensor.rank == 1 and tensor.shape[0] is not None:
            return tensor.shape[0]
    raise UnsupportedError(f"in how many dimensions '{op.input(0).name}' is sliced is not known")


def _mask(op: Op, name: str, count: int) -> list[bool]:
    return [bool(int(op.options.get(name, 0)) >> i & 1) for i in range(count)]


def _strided(op: Op) -> list[Typed]:
    x = op.input(0)
    if op.options.get("offset", False):
        return [(_offset_shape(op), x.dtype)]
    lengths = [(cut.length(), cut.shrink) for cut in _cuts(op)]
    return [(tuple(length for length, shrink in lengths if not shrink), x.dtype)]


def _offset_shape(op: Op) -> Shape:
    """With `offset` the ends count from the begins; the kernel then gets masks and steps wrong."""
    x = op.input(0)
    for index in (1, 2, 3):
        has_shape(op.input(index), (x.rank,))
    strides = elements(op.input(3))
    plain = strides is not None and all(s == 1 for s in strides) and len(strides) == x.rank
    if not plain or any(op.options.get(name, 0) for name in _MASKS):
        raise UnsupportedError("a slice with `offset` and masks, steps, or fewer dimensions")
    sizes = elements_or_unknown(op.input(2), x.rank)
    places = zip(x.shape, elements_or_unknown(op.input(1), x.rank), sizes, strict=True)
    for dim, begin, size in places:
        inside = begin is None or size is None or dim is None or 0 <= begin <= dim - size
        if not inside or (size is not None and size < 0):
            raise UnsupportedError(f"{size} elements from {begin} on in a dimension of {dim}")
    return sizes


def _strided_slice(op: Op) -> NDArray[Any]:
    if op.options.get("offset", False):
        begin, size = values(op, 1), values(op, 2)
        cuts = tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))
        return values(op, 0)[cuts]
    return np.asarray(values(op, 0)[tuple(cut.index() for cut in _cuts(op))])


def _strided_version(op: Op) -> int:
    x = op.input(0)
    if op.options.get("offset", False):
        return 8
    if x.dtype == np.uint32:
        return 7
    if op.options.get("ellipsis_mask", 0) or op.options.get("new_axis_mask", 0):
        return 6
    if x.dtype == np.object_:
        return 5
    return 4 if x.rank > 4 else by_type(bool=3, int8=2)(op)


def taking_nothing(op: Op) -> tuple[int, int] | None:
    """Return where a SLICE or STRIDED_SLICE takes no elements of a dimension that has some.

    The place in its operands and the axis of its result; the first there is, or None.
    """
    if op.type == "SLICE":
        sizes = elements_or_unknown(op.input(2), op.input(0).rank)
        axes = [
            axis for axis, size in enumerate(sizes) if size == 0 and op.input(0).shape[axis] != 0
        ]
        return (axes[0], axes[0]) if axes else None
    if op.options.get("offset", False):
        return None
    kept = [cut for cut in _cuts(op) if not cut.shrink]
    for axis, cut in enumerate(kept):
        if cut.place is not None and cut.size and cut.length() == 0:
            return cut.place, axis
    return None


op(
    "STRIDED_SLICE",
    "x begin end strides -> y",
    shape=_strided,
    fold=_strided_slice,
    layout=rows_input(1, 2, 3),
    quant=SAME,
    version=_strided_version,
    polynomial=True,
    copies="chosen",
    category="movement",
    strings=True,
)


def _updated(op: Op) -> list[Typed]:
    x, update = op.input(0), op.input(1)
    if x.rank > MOVED:
        raise UnsupportedError(f"DYNAMIC_UPDATE_SLICE takes at most {MOVED} dimensions")
    if x.rank != update.rank:
        raise UnsupportedError(f"an update of rank {update.rank} for a tensor of rank {x.rank}")
    has_shape(op.input(2), (x.rank,))
    pairs = zip(update.shape, x.shape, strict=True)
    if any(a is not None and b is not None and a > b for a, b in pairs):
        raise UnsupportedError(f"an update of {shaped(update.shape)} in {shaped(x.shape)}")
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
    quant=SAME,
    version=_update_version,
    copies="filled",
    category="movement",
    takes={"start": _PLACES},
)
