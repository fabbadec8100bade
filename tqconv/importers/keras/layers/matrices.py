"""Operations of Keras 3 on matrices and vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import linalg, matrices, products
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import reshaped, sizes_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.moves import moved
from tqconv.importers.keras.layers.operations import INT32, operands
from tqconv.importers.keras.layers.products import tensordot
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.ir.graph import Tensor

F = np.float32


@operations(Det=linalg.matrix_determinant, Inv=linalg.matrix_inverse)
def of_matrix(b: KerasBuilder, compute: Callable[[Builder, Tensor], Tensor], x: Tensor) -> Tensor:
    """The determinant, or the inverse, of matrices."""
    return compute(b, b.real(x))


@handles("ops.Cholesky")
def cholesky(b: KerasBuilder, x: Tensor, *, upper: bool = False) -> Tensor:
    """The triangle whose product with its transpose is the matrix."""
    y = linalg.cholesky(b, b.real(x))
    return b.transpose(y, (*range(y.rank - 2), y.rank - 1, y.rank - 2)) if upper else y


@handles("ops.Solve", "ops.SolveTriangular")
def solve(b: KerasBuilder, *xs: Tensor, lower: bool = False, args: Any = None) -> Tensor:
    """Solve linear equations."""
    x, y = operands(b, xs, args)
    column = y.rank == x.rank - 1
    y = b("EXPAND_DIMS", y, np.array(y.rank, np.int32)) if column else y
    if b.layer.op == "ops.Solve":
        found = linalg.matrix_solve(b, x, y)
    else:
        found = linalg.matrix_triangular_solve(b, x, y, lower=lower)
    return reshaped(b, found, sizes_of(b, found)[:-1]) if column else found


@handles("ops.Outer")
def outer(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Multiply all elements of one with all of the other."""
    x, y = operands(b, xs, args, numbers=INT32)
    return b("MUL", reshaped(b, x, [-1, 1]), reshaped(b, y, [1, -1]))


@handles("ops.Inner", "ops.Vdot")
def inner(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Multiply and sum along the last axis of both, or all of them."""
    x, y = operands(b, xs, args)
    if 0 in (x.rank, y.rank):
        return b("MUL", x, y)
    if b.layer.op == "ops.Vdot":
        flat = b("MUL", reshaped(b, x, [-1]), reshaped(b, y, [-1]))
        return b("SUM", flat, np.array([0], np.int32), keep_dims=False)
    return tensordot(b, x, y, axes=[[x.rank - 1], [y.rank - 1]])


@handles("ops.Cross")
def cross(
    b: KerasBuilder,
    *xs: Tensor,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
    args: Any = None,
) -> Tensor:
    """The cross product of vectors of three along an axis of either; `axis` stands for all."""
    x, y = operands(b, xs, args)
    first, second, last = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    x, y = moved(b, x, source=first, destination=-1), moved(b, y, source=second, destination=-1)
    if (x.shape[-1], y.shape[-1]) != (3, 3):
        raise UnsupportedError("Cross of vectors that do not have three elements")
    return moved(b, matrices.cross(b, x, y), source=-1, destination=last)


@handles("ops.Logdet", "ops.Slogdet")
def log_det(b: KerasBuilder, x: Tensor) -> Sequence[Tensor]:
    """The logarithm of the size of the determinant; for Slogdet its sign before it."""
    found = linalg.log_matrix_determinant(b, b.real(x))
    return found if b.layer.op == "ops.Slogdet" else found[1:]


@handles("ops.CholeskyInverse")
def inverse_of_product(b: KerasBuilder, x: Tensor, *, upper: bool = False) -> Tensor:
    """The inverse of the matrix of which this is the Cholesky triangle."""
    x = b.real(x)
    b.pay(static_size(x, -1) ** 2, "input")
    identity = b("BROADCAST_TO", np.eye(static_size(x, -1), dtype=F), vector(b, sizes_of(b, x)))
    inverse = linalg.matrix_triangular_solve(b, x, identity, lower=not upper)
    return products.product(b, inverse, inverse, adj_x=not upper, adj_w=upper)
