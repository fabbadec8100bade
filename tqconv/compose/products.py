"""Matrix products by the kernels that compute them right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, sizes_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.match import has_activation
from tqconv.ir.types import Shape


def product(
    b: Builder, x: Tensor, w: Tensor, *, adj_x: bool = False, adj_w: bool = False
) -> Tensor:
    """Return x: [..., m, k] times w: [..., k, n], each transposed before if asked for.

    The leading dimensions broadcast. A vector is a row on the left and a column on the right, and
    the result lacks that dimension. A constant matrix `w` makes a FULLY_CONNECTED.
    """
    if 1 in (x.rank, w.rank):
        return _with_vectors(b, x, w, adj_x=adj_x, adj_w=adj_w)
    inner, outer = x.shape[-2 if adj_x else -1], w.shape[-1 if adj_w else -2]
    if None not in (inner, outer) and inner != outer:
        raise UnsupportedError(f"{inner} columns do not meet {outer} rows: the graph is invalid")
    if x.dtype.kind == "c":
        return _complex_product(b, _adjoint(b, x, adj_x), _adjoint(b, w, adj_w))
    if x.dtype.kind in "iu" or 0 in (x.shape[-1], x.shape[-2]):
        return integer_product(b, _adjoint(b, x, adj_x), _adjoint(b, w, adj_w))
    if w.is_constant and w.rank <= max(x.rank, 2) and _is_matrix(w):
        return affine(b, _adjoint(b, x, adj_x), b.reshape(w, w.shape[-2:]), transposed=adj_w)
    return b("BATCH_MATMUL", x, w, adj_x=adj_x, adj_y=adj_w)


def _with_vectors(b: Builder, x: Tensor, w: Tensor, *, adj_x: bool, adj_w: bool) -> Tensor:
    gone = [axis for axis, t in ((-2, x), (-1, w)) if t.rank == 1]
    left = b("EXPAND_DIMS", x, np.array(0, np.int32)) if x.rank == 1 else x
    right = b("EXPAND_DIMS", w, np.array(1, np.int32)) if w.rank == 1 else w
    y = product(b, left, right, adj_x=adj_x and x.rank > 1, adj_w=adj_w and w.rank > 1)
    return b("SQUEEZE", y, squeeze_dims=[axis + y.rank for axis in gone])


def affine(b: Builder, x: Tensor, w: Tensor, *, transposed: bool = False) -> Tensor:
    """Return x: [..., k] times the matrix w: [k, n], or [n, k] if it is `transposed`."""
    weights = w if transposed else b.turned(w, (1, 0))
    return b("FULLY_CONNECTED", x, weights, keep_num_dims=x.rank > 2)


def integer_product(b: Builder, x: Tensor, w: Tensor) -> Tensor:
    """Return x: [..., m, k] times w: [..., k, n], for integers exact modulo their width.

    The sum of all products of two elements: BATCH_MATMUL has no kernel for raw integers, and the
    delegate refuses empty matrices.
    """
    left = reshaped(b, x, [*sizes_of(b, x), 1])
    right = reshaped(b, w, [*sizes_of(b, w)[:-2], 1, size_of(b, w, -2), size_of(b, w, -1)])
    terms = b("MUL", left, right)
    return b("SUM", terms, np.array([terms.rank - 2], np.int32))


def _complex_product(b: Builder, x: Tensor, w: Tensor) -> Tensor:
    """Return (a + bi)(c + di) = (ac - bd) + (ad + bc)i by four products of reals."""
    (own, own_i), (other, other_i) = ((complex.real(b, t), complex.imaginary(b, t)) for t in (x, w))
    real = b("SUB", product(b, own, other), product(b, own_i, other_i))
    imaginary = b("ADD", product(b, own, other_i), product(b, own_i, other))
    return complex.join(b, real, imaginary)


def _adjoint(b: Builder, x: Tensor, wanted: bool) -> Tensor:
    return b.transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2)) if wanted else x


def _is_matrix(w: Tensor) -> bool:
    return all(size == 1 for size in w.shape[:-2])


def broadcast_size(b: Builder, x: Tensor, w: Tensor, axis: int) -> Size:
    """Return the size to which a dimension (counted from the end) of two operands broadcasts."""
    own, other = (t.shape[axis] if -axis <= t.rank else 1 for t in (x, w))
    if own is None and other not in (None, 1):
        return other
    return size_of(b, w, axis) if own == 1 and -axis <= w.rank else size_of(b, x, axis)


def product_over_one_batch(
    b: Builder, x: Tensor, w: Tensor, *, adj_x: bool = False, adj_y: bool = False
) -> Tensor:
    """Return the product of x: [..., m, k] and w: [..., k, n] by a kernel of three dimensions."""
    batch = _batch_sizes(b, x, w)
    x, w = _one_batch_axis(b, x, batch), _one_batch_axis(b, w, batch)
    y = b("BATCH_MATMUL", x, w, adj_x=adj_x, adj_y=adj_y)
    return reshaped(b, y, [*batch, size_of(b, y, -2), size_of(b, y, -1)])


def _batch_sizes(b: Builder, x: Tensor, w: Tensor) -> list[Size]:
    rank = max(x.rank, w.rank)
    return [broadcast_size(b, x, w, axis - rank) for axis in range(rank - 2)]


def _one_batch_axis(b: Builder, x: Tensor, batch: Sequence[Size]) -> Tensor:
    """Return `x` repeated over the batch, whose dimensions become one."""
    matrix = [size_of(b, x, -2), size_of(b, x, -1)]
    whole: Shape = tuple(size if isinstance(size, int) else None for size in batch)
    if x.shape[:-2] != whole:
        x = b("BROADCAST_TO", x, vector(b, [*batch, *matrix]))
    return reshaped(b, x, [calculate(b, "MUL", *batch), *matrix])


def of_zeros(op: Op, inputs: Sequence[Tensor | None]) -> NDArray[Any] | None:
    """Return what a dense layer makes of zeros, such as the state that others begin with, or None.

    It is the bias, in each row. inputs: what it reads, which may be other than its own.
    """
    if op.type != "FULLY_CONNECTED" or has_activation(op) or not op.output.is_static:
        return None
    x, bias = inputs[0], inputs[2] if len(inputs) > 2 else None
    if x is None or x.data is None or x.data.any() or (bias is not None and bias.data is None):
        return None
    made = np.zeros([size or 0 for size in op.output.shape], x.dtype)
    return made if bias is None or bias.data is None else made + bias.data
