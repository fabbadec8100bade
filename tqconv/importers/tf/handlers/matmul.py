"""Matrix products."""

from __future__ import annotations

from tqconv.compose import complex
from tqconv.compose.builder import Builder
from tqconv.compose.products import product
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("MatMul")
def matmul(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    grad_a: bool = False,
    grad_b: bool = False,
) -> Tensor:
    """Multiply two matrices."""
    return product(b, x, w, adj_x=transpose_a, adj_w=transpose_b)


@handles("BatchMatMul", "BatchMatMulV2")
def batch_matmul(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *,
    adj_x: bool = False,
    adj_y: bool = False,
    grad_x: bool = False,
    grad_y: bool = False,
) -> Tensor:
    """Multiply matrices in the last two dimensions; the others broadcast."""
    x, w = _conjugate(b, x, adj_x), _conjugate(b, w, adj_y)
    return product(b, x, w, adj_x=adj_x, adj_w=adj_y)


@handles("BatchMatMulV3")
def batch_matmul_v3(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *,
    Ta: TypeNumber,  # noqa: N803  (the attributes' names)
    Tb: TypeNumber,  # noqa: N803
    Tout: TypeNumber,  # noqa: N803
    adj_x: bool = False,
    adj_y: bool = False,
    grad_x: bool = False,
    grad_y: bool = False,
) -> Tensor:
    """Multiply matrices of two types into a third."""
    x, w = b.cast(x, Tout.dtype), b.cast(w, Tout.dtype)
    return product(b, x, w, adj_x=adj_x, adj_w=adj_y)


def _conjugate(b: Builder, x: Tensor, adjoint: bool) -> Tensor:
    return complex.conjugate(b, x) if adjoint and x.dtype.kind == "c" else x
