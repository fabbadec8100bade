"""Sequences of tensors and optional values, as far as they are known at conversion time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import gather as gathering
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import joined, split_by_sizes, stacked
from tqconv.compose.sizes import calculate, inserted, removed, reshaped, size_of, sizes_of
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.sequences import Absent, Grown, Several, items_of
from tqconv.ir.graph import Tensor

MOST_PIECES = 1024
"""Parts of one tensor; each is a tensor of its own in the file."""


@handles("SequenceConstruct", since=11)
def construct(b: ONNXBuilder, *xs: Tensor) -> list[Several]:
    """Return a sequence of tensors."""
    return [Several(xs)]


@handles("SequenceEmpty", since=11)
def empty(b: ONNXBuilder, *, dtype: int = 1) -> list[Several]:
    """Return a sequence without tensors."""
    return [Several(())]


def _place(b: ONNXBuilder, sequence: tuple[Tensor, ...], position: Tensor, ends: int) -> int:
    """Return a position from the start; `ends`: how many there are behind the last tensor."""
    place, count = int(b.scalar(position, "position")), len(sequence)
    if not -count <= place < count + ends:
        raise FormatError(f"position {place} in a sequence of {count} tensors")
    return place % count if place < 0 else place


@handles("SequenceAt", since=11)
def at(b: ONNXBuilder, sequence: Any, position: Tensor) -> Tensor:
    """Return one tensor of a sequence."""
    if isinstance(sequence, Grown):
        place = gathering.from_start(b, sequence.stack, b.reshape(position, ()), 0)
        return gathering.gathered(b, sequence.stack, place, 0)
    items = items_of(sequence)
    return items[_place(b, items, position, 0)]


@handles("SequenceInsert", since=11)
def insert(
    b: ONNXBuilder, sequence: Any, x: Tensor, position: Tensor | None = None
) -> list[Several]:
    """Return a sequence with one more tensor, at the end or in front of a position."""
    items = items_of(sequence)
    place = len(items) if position is None else _place(b, items, position, 1)
    return [Several((*items[:place], x, *items[place:]))]


@handles("SequenceErase", since=11)
def erase(b: ONNXBuilder, sequence: Any, position: Tensor | None = None) -> list[Several]:
    """Return a sequence without the tensor at a position, or without the last one."""
    items = items_of(sequence)
    if not items:
        raise FormatError("nothing to erase in a sequence without tensors")
    place = len(items) - 1 if position is None else _place(b, items, position, 0)
    return [Several((*items[:place], *items[place + 1 :]))]


@handles("SequenceLength", since=11)
def length(b: ONNXBuilder, sequence: Any) -> Tensor:
    """Return how many tensors there are."""
    if isinstance(sequence, Grown):
        count = size_of(b, sequence.stack, 0)
        return b.const(count, np.int64) if isinstance(count, int) else b.cast(count, np.int64)
    return b.const(len(items_of(sequence)), np.int64)


@handles("SplitToSequence", since=11)
def split_to_sequence(
    b: ONNXBuilder, x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, keepdims: int = 1
) -> list[Several | Grown]:
    """Cut into parts along an axis: of given sizes, of one size, or of size 1."""
    axis = axis % x.rank
    if sizes is None or sizes.rank == 0:
        each = 1 if sizes is None else int(b.scalar(sizes, "split"))
        if each < 1:
            raise FormatError(f"parts of size {each}")
        if each == 1 and x.shape[axis] is None:
            return [_apart(b, x, axis, keeps=sizes is not None or bool(keepdims))]
        whole = static_size(x, axis)
        numbers = [min(each, whole - start) for start in range(0, whole, each)]
    else:
        numbers = b.ints(sizes, "split")
    if len(numbers) > MOST_PIECES:
        raise UnsupportedError(f"a sequence of {len(numbers)} tensors")
    parts = split_by_sizes(b, x, b.const(np.array(numbers, np.int32)), axis, len(numbers))
    if sizes is None and not keepdims:
        parts = tuple(removed(b, part, axis) for part in parts)
    return [Several(parts)]


def _apart(b: ONNXBuilder, x: Tensor, axis: int, *, keeps: bool) -> Grown:
    """Return as many parts of size 1 as there are; keeps: each has the axis."""
    order = [axis, *(i for i in range(x.rank) if i != axis)]
    rows = b.transpose(x, order) if axis else x
    return Grown(inserted(b, rows, axis + 1) if keeps else rows)


@handles("ConcatFromSequence", since=11)
def concat(b: ONNXBuilder, sequence: Any, *, axis: int, new_axis: int = 0) -> Tensor:
    """Join the tensors of a sequence along an axis, or along a new one."""
    if isinstance(sequence, Grown):
        return _end_to_end(b, sequence.stack, axis, bool(new_axis))
    items = items_of(sequence)
    if not items:
        raise UnsupportedError("the joined tensors of an empty sequence")
    if not new_axis:
        return joined(b, items, axis % items[0].rank)
    return stacked(b, items, axis % (items[0].rank + 1))


def _end_to_end(b: ONNXBuilder, stack: Tensor, axis: int, apart: bool) -> Tensor:
    """Return [rounds, …] with the rounds along an axis of their own, or along one that is there."""
    axis = axis % (stack.rank if apart else stack.rank - 1)
    y = b.transpose(stack, [*range(1, axis + 1), 0, *range(axis + 1, stack.rank)])
    if apart:
        return y
    sizes = sizes_of(b, y)
    merged = calculate(b, "MUL", sizes[axis], sizes[axis + 1])
    return reshaped(b, y, [*sizes[:axis], merged, *sizes[axis + 2 :]])


@handles("Optional", since=15)
def optional(b: ONNXBuilder, value: Any = None, *, type: Any = None) -> list[Any]:
    """Return a value that may be absent, which is known."""
    return [Absent() if value is None else value]


@handles("OptionalGetElement", since=15)
def get_element(b: ONNXBuilder, value: Any) -> list[Any]:
    """Return the value."""
    if isinstance(value, Absent):
        raise FormatError("the value of an optional that holds none")
    return [value]


@handles("OptionalHasElement", since=15)
def has_element(b: ONNXBuilder, value: Any = None) -> Tensor:
    """Return whether there is a value."""
    return b.const(value is not None and not isinstance(value, Absent))
