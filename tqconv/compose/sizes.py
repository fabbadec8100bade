"""Arithmetic on sizes: numbers where they are known, int32 scalars of the graph where not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Tensor
from tqconv.ops.table import having

INT32, INT64 = np.dtype(np.int32), np.dtype(np.int64)

Size = int | Tensor
"""A number, or an int32 tensor of rank 0 that holds it at run time."""

_NUMBERS: dict[str, Callable[[int, int], int]] = {
    "ADD": lambda a, c: a + c,
    "SUB": lambda a, c: a - c,
    "MUL": lambda a, c: a * c,
    "FLOOR_DIV": lambda a, c: a // c,
    "MAXIMUM": max,
    "MINIMUM": min,
}


NEUTRAL = {**having(lambda row: row.neutral), "FLOOR_DIV": 1.0}
"""Second operands that change nothing."""


def size_of(b: Builder, x: Tensor, axis: int) -> Size:
    """Return one size of `x`."""
    size = x.shape[axis]
    return element(b, b.shape_of(x), axis % x.rank) if size is None else size


def sizes_of(b: Builder, x: Tensor) -> list[Size]:
    """Return all sizes of `x`."""
    return [size_of(b, x, axis) for axis in range(x.rank)]


def element(b: Builder, vector: Tensor, index: int) -> Size:
    """Return element `index` of an integer vector."""
    known = b.known(vector)
    number = None if known is None else known[index]
    if number is not None:
        return number
    place, following = np.array([index], np.int32), np.array([index + 1], np.int32)
    one = np.array([1], np.int32)
    taken: Tensor = b("STRIDED_SLICE", vector, place, following, one, shrink_axis_mask=1)
    return b.cast(taken, np.int32)


def calculate(b: Builder, type: str, first: Size, *others: Size) -> Size:
    """Return `first` combined with `others` by a binary operator: now where they are numbers."""
    result = first
    for other in others:
        if isinstance(result, int) and isinstance(other, int):
            result = _NUMBERS[type](result, other)
        elif other != NEUTRAL.get(type):
            result = b(type, operand(result), operand(other))
    return result


def operand(size: Size) -> Tensor | NDArray[Any]:
    """Return a size as an operand of rank 0."""
    return np.array(size, np.int32) if isinstance(size, int) else size


def vector(b: Builder, sizes: Sequence[Size]) -> Tensor | NDArray[Any]:
    """Return sizes as an int32 vector: a constant when all are numbers."""
    if all(isinstance(size, int) for size in sizes):
        return np.array(sizes, np.int32)
    return b("PACK", *map(operand, sizes), values_count=len(sizes))


def wide_vector(b: Builder, sizes: Sequence[Size]) -> Tensor:
    """Return sizes as a vector of int64, as sparse tensors have them."""
    made = vector(b, sizes)
    return b.const(made, INT64, "shape") if isinstance(made, np.ndarray) else b.cast(made, INT64)


def reshaped(b: Builder, x: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Reshape `x`; one size that is not a number is left to the kernel."""
    numbers = [size if isinstance(size, int) else -1 for size in sizes]
    if numbers.count(-1) <= 1 and 0 not in numbers:
        if -1 not in numbers and x.shape == tuple(numbers):
            return x
        return b("RESHAPE", x, np.array(numbers, np.int32))
    return b("RESHAPE", x, vector(b, sizes))


def follows(shape: Sequence[int | None]) -> bool:
    """Whether a reshape can leave what is not known to the kernel: one size, of some elements."""
    return shape.count(None) <= (0 if 0 in shape else 1)


def inserted(b: Builder, x: Tensor, *places: int) -> Tensor:
    """Return `x` with dimensions of size 1 at `places` (ascending, counted in the result)."""
    shape = list(x.shape)
    for place in places:
        shape.insert(place, 1)
    if follows(shape):
        return b.reshape(x, shape)
    for place in places:
        x = b("EXPAND_DIMS", x, np.array(place, np.int32))
    return x


def removed(b: Builder, x: Tensor, place: int) -> Tensor:
    """Return `x` without a dimension of size 1."""
    shape = [*x.shape[:place], *x.shape[place + 1 :]]
    if follows(shape):
        return b.reshape(x, shape)
    return b("SQUEEZE", x, squeeze_dims=[place])


def element_count(b: Builder, x: Tensor, dtype: np.dtype = INT32) -> Tensor:
    """Return how many elements a tensor has, as a scalar."""
    if x.is_static:
        return b.const(x.size, dtype)
    return b("REDUCE_PROD", b.shape_of(x, dtype), np.array([0], INT32))
