"""Sparse tensors: the places of their elements, what these hold, and the shape of the whole.

Places and shapes are int64. They are computed with in int32, which counts the elements of every
tensor that the runtime can hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, calculate, element, inserted, operand, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.types import STRING

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)


def sparse_reshape(
    b: Builder, places: Tensor, shape: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor]:
    """Return where elements lie in another shape, and that shape; one size may be -1.

    places: [n, rank]; shape: [rank]; wanted: [new rank].
    """
    sizes = [element(b, shape, i) for i in range(static_size(places, 1))]
    new = _completed(b, wanted, sizes)
    new_shape = b("CAST", vector(b, new), in_data_type="INT32", out_data_type="INT64")
    if new == sizes:
        return places, new_shape
    flat = b("MUL", b.cast(places, INT32), vector(b, _strides(b, sizes)))
    flat = inserted(b, b("SUM", flat, np.array([1], INT32)), 1)
    columns = b("FLOOR_DIV", flat, _divisors(b, _strides(b, new)))
    columns = b("FLOOR_MOD", columns, _divisors(b, new))
    return b.cast(columns, INT64), new_shape


def _completed(b: Builder, wanted: Tensor, sizes: Sequence[Size]) -> list[Size]:
    """Return the sizes of a shape with the one that is -1 computed from the number of elements."""
    new = [element(b, wanted, i) for i in range(static_size(wanted, 0))]
    total = calculate(b, "MUL", 1, *sizes)
    if -1 in new:
        others = [size for size in new if size != -1]
        rest = calculate(b, "FLOOR_DIV", total, _at_least_one(b, calculate(b, "MUL", 1, *others)))
        return [rest if size == -1 else size for size in new]
    return [size if isinstance(size, int) else _or_rest(b, size, new, total) for size in new]


def _or_rest(b: Builder, size: Tensor, new: Sequence[Size], total: Size) -> Tensor:
    """Return a size that is known at run time only, when it may turn out to be -1."""
    others = [other for other in new if other is not size]
    divisor = b("MAXIMUM", operand(calculate(b, "MUL", 1, *others)), ONE)
    rest = b("FLOOR_DIV", operand(total), divisor)
    chosen: Tensor = b("SELECT_V2", b("LESS", size, ZERO), rest, size)
    return chosen


def _at_least_one(b: Builder, size: Size) -> Size:
    return calculate(b, "MAXIMUM", size, 1)


def _strides(b: Builder, sizes: Sequence[Size]) -> list[Size]:
    """Return how many elements lie between neighbours along each dimension."""
    strides: list[Size] = [1]
    for size in reversed(sizes[1:]):
        strides.insert(0, calculate(b, "MUL", strides[0], size))
    return strides


def _divisors(b: Builder, sizes: Sequence[Size]) -> Tensor | NDArray[np.int32]:
    """Return sizes as a vector to divide by; no element lies in a tensor with a size of 0."""
    return vector(b, [_at_least_one(b, size) for size in sizes])


def sparse_fill_empty_rows(
    b: Builder, places: Tensor, values: Tensor, shape: Tensor, default: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Put one default element into each row without elements, and all elements in order of rows.

    Returns their places and values, which rows were empty, and where each given element is now.
    """
    if values.dtype == STRING:
        raise UnsupportedError(
            "SparseFillEmptyRows of strings: CONCATENATION has no kernel for them"
        )
    rank = static_size(places, 1)
    rows = b.cast(b("GATHER", places, ZERO, axis=1), INT32)
    count = operand(element(b, shape, 0))
    ones = b("FILL", b.shape_of(rows), ONE)
    empty = b("EQUAL", b("UNSORTED_SEGMENT_SUM", ones, rows, count), ZERO)
    added = b("WHERE", empty)
    at_start = b("PAD", added, np.array([[0, 0], [0, rank - 1]], INT32))
    all_places = b("CONCATENATION", places, at_start, axis=0)
    all_values = b("CONCATENATION", values, _copies(b, default, added), axis=0)
    all_rows = b("CONCATENATION", rows, b.cast(_column(b, added), INT32), axis=0)
    # TOPK_V2 leaves equal elements in their order: LiteRT kernels/topk_v2.cc
    total = operand(size_of(b, all_rows, 0))
    order = b("TOPK_V2", b("NEG", all_rows), total)[1]
    now = b("SCATTER_ND", inserted(b, order, 1), b("RANGE", ZERO, total, ONE), b.shape_of(order))
    kept = b("SLICE", now, np.array([0], INT32), b.shape_of(rows))
    return (
        b("GATHER", all_places, order, axis=0),
        b("GATHER", all_values, order, axis=0),
        empty,
        b.cast(kept, INT64),
    )


def _column(b: Builder, found: Tensor) -> Tensor:
    column: Tensor = b.reshape(found, (None,))
    return column


def _copies(b: Builder, value: Tensor, rows: Tensor) -> Tensor:
    copies: Tensor = b("FILL", b.shape_of(_column(b, rows)), value)
    return copies
