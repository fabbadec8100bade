"""Arithmetic on sparse tensors: places [n, rank] of elements, what these hold: [n], and a shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import scatter
from tqconv.compose.builder import Builder
from tqconv.compose.gather import gather_nd
from tqconv.compose.integers import INT64
from tqconv.compose.operands import int32_of, static_size
from tqconv.compose.products import product
from tqconv.compose.reduce import reduced
from tqconv.compose.segments import combined
from tqconv.compose.sizes import (
    Size,
    calculate,
    element,
    inserted,
    operand,
    size_of,
    vector,
    wide_vector,
)
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)
FILLED = 16
"""A constant matrix with one element in so many is a dense one: its products are faster."""


@dataclass(frozen=True)
class Sparse:
    """A sparse tensor; `shape` is a vector."""

    places: Tensor
    values: Tensor
    shape: Tensor

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return static_size(self.places, 1)


def dense(b: Builder, x: Sparse) -> Tensor:
    """Return all elements, zeros among them."""
    return scatter.added_up(b, x.places, x.values, int32_of(b, x.shape))


def _mask(b: Builder, x: Sparse) -> Tensor:
    """Return where elements are."""
    ones = b("FILL", b.shape_of(x.values), ONE)
    return b("GREATER", scatter.added_up(b, x.places, ones, int32_of(b, x.shape)), ZERO)


def times_dense(b: Builder, x: Sparse, y: Tensor, *, adj_x: bool, adj_y: bool) -> Tensor:
    """Return the product of a sparse matrix with a dense one: rows are gathered and added up."""
    if x.values.dtype.kind == "c":
        raise UnsupportedError("a sparse matrix of complex numbers")
    if all(t.is_constant for t in (x.places, x.values, x.shape)):
        sizes = np.asarray(x.shape.data).astype(np.int64)
        if int(np.prod(sizes)) <= FILLED * x.values.size:
            return product(b, dense(b, x), y, adj_x=adj_x, adj_w=adj_y)
    y = b.transpose(y, [1, 0]) if adj_y else y
    column, row = (coordinate(b, x.places, axis) for axis in (int(not adj_x), int(adj_x)))
    taken = b("MUL", b("GATHER", y, column, axis=0), inserted(b, x.values, 1))
    return combined(b, "Sum", taken, row, element(b, x.shape, int(adj_x)))


def coordinate(b: Builder, places: Tensor, axis: int) -> Tensor:
    """Return one coordinate of all places, int32."""
    column: Tensor = b("GATHER", places, np.array(axis, INT32), axis=1)
    return b.cast(column, INT32)


def in_order(b: Builder, x: Sparse) -> Sparse:
    """Return the elements in the order of rows; those of one place stay in theirs."""
    steps: list[Size] = [1]
    for axis in range(x.rank - 1, 0, -1):
        steps.insert(0, calculate(b, "MUL", steps[0], element(b, x.shape, axis)))
    flat = b("SUM", b("MUL", b.cast(x.places, INT32), vector(b, steps)), np.array([1], INT32))
    # TOPK_V2 leaves equal elements in their order: LiteRT kernels/topk_v2.cc
    order = b("TOPK_V2", b("NEG", flat), operand(size_of(b, flat, 0)))[1]
    places, values = (b("GATHER", t, order, axis=0) for t in (x.places, x.values))
    return Sparse(places, values, x.shape)


def joined(b: Builder, parts: Sequence[Sparse], axis: int) -> Sparse:
    """Return sparse tensors side by side along an axis."""
    rank = parts[0].rank
    unit = np.eye(rank, dtype=np.int32)[axis]
    begin: Size = 0
    moved = []
    for part in parts:
        offset = b("MUL", operand(begin), unit) if begin != 0 else None
        places = b.cast(part.places, INT32)
        moved.append(places if offset is None else b("ADD", places, offset))
        begin = calculate(b, "ADD", begin, element(b, part.shape, axis))
    sizes = [begin if i == axis % rank else element(b, parts[0].shape, i) for i in range(rank)]
    places = b.cast(b("CONCATENATION", *moved, axis=0), INT64)
    values = b("CONCATENATION", *(part.values for part in parts), axis=0)
    return in_order(b, Sparse(places, values, wide_vector(b, sizes)))


def added(b: Builder, x: Sparse, y: Sparse, threshold: Tensor) -> Sparse:
    """Return the sum, without the elements that are smaller than a threshold."""
    total = b("ADD", dense(b, x), dense(b, y))
    there = b("LOGICAL_OR", _mask(b, x), _mask(b, y))
    if threshold.data is None or threshold.data.any():
        large = b("GREATER_EQUAL", b("ABS", total), threshold)
        there = b("LOGICAL_AND", there, large)
    return _taken(b, total, there, x.shape)


def extremes(b: Builder, type: str, x: Sparse, y: Sparse) -> Sparse:
    """Return the larger (MAXIMUM) or smaller (MINIMUM) elements, where either has one."""
    found = b(type, dense(b, x), dense(b, y))
    return _taken(b, found, b("LOGICAL_OR", _mask(b, x), _mask(b, y)), x.shape)


def _taken(b: Builder, x: Tensor, mask: Tensor, shape: Tensor) -> Sparse:
    places = b("WHERE", mask)
    return Sparse(places, gather_nd(b, x, places), shape)


def kept(b: Builder, x: Sparse, mask: Tensor) -> Sparse:
    """Return the elements for which a vector says so."""
    chosen = along_rows(b, b("WHERE", mask))
    places, values = (b("GATHER", t, chosen, axis=0) for t in (x.places, x.values))
    return Sparse(places, values, x.shape)


def along_rows(b: Builder, found: Tensor) -> Tensor:
    """Return the numbers of a column as a vector of int32."""
    rows: Tensor = b.reshape(b.cast(found, INT32), (None,))
    return rows


def sliced(b: Builder, x: Sparse, start: Tensor, size: Tensor) -> Sparse:
    """Return the elements of a part of the tensor, whose places count from its start."""
    start, size = b.cast(start, INT32), b.cast(size, INT32)
    left = b("SUB", b.cast(x.shape, INT32), start)
    size = b("MAXIMUM", b("MINIMUM", size, left), ZERO)
    places = b("SUB", b.cast(x.places, INT32), start)
    inside = b("LOGICAL_AND", b("GREATER_EQUAL", places, ZERO), b("LESS", places, size))
    mask = b("REDUCE_ALL", inside, np.array([1], INT32))
    return kept(b, Sparse(b.cast(places, INT64), x.values, b.cast(size, INT64)), mask)


def summed(b: Builder, x: Sparse, axes: Sequence[int], *, keep_dims: bool) -> Tensor:
    """Return sums along axes."""
    return reduced(b, "SUM", dense(b, x), axes, keep_dims=keep_dims)


def largest(b: Builder, x: Sparse, axes: Sequence[int], *, keep_dims: bool) -> Tensor:
    """Return the largest elements along axes; 0 where there are none."""
    mask = _mask(b, x)
    lowest = np.array(-np.inf if x.values.dtype.kind == "f" else np.iinfo(x.values.dtype).min)
    all_ = b("SELECT_V2", mask, dense(b, x), lowest.astype(x.values.dtype))
    top = reduced(b, "REDUCE_MAX", all_, axes, keep_dims=keep_dims)
    some = reduced(b, "REDUCE_ANY", mask, axes, keep_dims=keep_dims)
    return b("SELECT_V2", some, top, np.array(0, x.values.dtype))


def softmax(b: Builder, x: Sparse) -> Tensor:
    """Return each element's share of the exponentials of its row's elements."""
    all_ = b("SELECT_V2", _mask(b, x), dense(b, x), np.float32(np.finfo(np.float32).min))
    return gather_nd(b, b("SOFTMAX", all_, beta=1.0), x.places)


def beside_dense(b: Builder, x: Sparse, y: Tensor) -> Tensor:
    """Return what a dense tensor, which is spread to the shape of a sparse one, holds there."""
    return gather_nd(b, b("BROADCAST_TO", y, int32_of(b, x.shape)), x.places)
