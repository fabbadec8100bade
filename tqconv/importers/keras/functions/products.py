"""Functions that multiply matrices and rearrange them."""

from __future__ import annotations

from typing import Any

from tqconv.compose.sizes import reshaped, sizes_of
from tqconv.importers.keras.layers import products
from tqconv.importers.keras.nodes import function, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor


@function("linalg.matmul")
def matmul(
    b: KerasBuilder,
    x: Any,
    *,
    b_: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
) -> Tensor:
    """Multiply matrices."""
    x, other = _alike(b, x, b_)
    adjoint = {"adj_x": adjoint_a or transpose_a, "adj_y": adjoint_b or transpose_b}
    if x.rank == other.rank == 2:
        turned = {"transpose_a": adjoint["adj_x"], "transpose_b": adjoint["adj_y"]}
        return node(b, "MatMul", x, other, **turned)
    return node(b, "BatchMatMulV2", x, other, **adjoint)


@function("linalg.matvec")
def matvec(
    b: KerasBuilder,
    x: Any,
    *,
    b_: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
) -> Tensor:
    """Multiply matrices by vectors."""
    column = node(b, "ExpandDims", b_, -1)
    product = matmul(b, x, b_=column, adjoint_a=transpose_a or adjoint_a)
    return reshaped(b, product, sizes_of(b, product)[:-1])


@function("tensordot")
def tensordot(b: KerasBuilder, x: Any, *, b_: Any, axes: Any) -> Tensor:
    """Multiply and sum along axes of either operand."""
    x, other = _alike(b, x, b_)
    if isinstance(axes, int):
        return products.tensordot(b, x, other, axes=axes)
    numbers = [[a] if isinstance(a, int) else list(a) for a in axes]
    return products.tensordot(b, x, other, axes=numbers)


def _alike(b: KerasBuilder, x: Any, y: Any) -> list[Tensor]:
    """Return two operands as tensors of one type."""
    kind = next((t.dtype for t in (x, y) if isinstance(t, Tensor)), None)
    return [tensor(b, value, kind, what) for value, what in ((x, "a"), (y, "b"))]


@function("linalg.band_part")
def band_part(b: KerasBuilder, x: Any, *, num_lower: Any, num_upper: Any) -> Tensor:
    """Keep diagonals of a matrix, zeros elsewhere."""
    return node(b, "MatrixBandPart", x, num_lower, num_upper)


@function("linalg.diag")
def diag(
    b: KerasBuilder,
    x: Tensor,
    *,
    k: Any = 0,
    num_rows: int = -1,
    num_cols: int = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:
    """Matrices with these diagonals."""
    return node(b, "MatrixDiagV3", x, k, num_rows, num_cols, padding_value, align=align)


@function("linalg.diag_part")
def diag_part(
    b: KerasBuilder, x: Tensor, *, k: Any = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """The diagonals of matrices."""
    return node(b, "MatrixDiagPartV3", x, k, padding_value, align=align)


@function("linalg.set_diag")
def set_diag(
    b: KerasBuilder, x: Tensor, *, diagonal: Any, k: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """Matrices with other diagonals."""
    return node(b, "MatrixSetDiagV3", x, diagonal, k, align=align)


@function("linalg.trace")
def trace(b: KerasBuilder, x: Tensor) -> Tensor:
    """The sum of the diagonal."""
    return node(b, "Sum", diag_part(b, x), [-1])


@function("linalg.inv")
def inverse(b: KerasBuilder, x: Tensor, *, adjoint: bool = False) -> Tensor:
    """The inverse of matrices."""
    return node(b, "MatrixInverse", x, adjoint=adjoint)


@function("linalg.cross")
def cross(b: KerasBuilder, x: Any, *, b_: Any) -> Tensor:
    """The cross product of vectors of three."""
    return node(b, "Cross", x, b_)


@function("linalg.solve")
def solve(b: KerasBuilder, x: Any, *, rhs: Any, adjoint: bool = False) -> Tensor:
    """Solve linear equations."""
    return node(b, "MatrixSolve", x, rhs, adjoint=adjoint)


@function("linalg.triangular_solve")
def triangular_solve(
    b: KerasBuilder, x: Any, *, rhs: Any, lower: bool = True, adjoint: bool = False
) -> Tensor:
    """Solve linear equations whose matrix is a triangle."""
    return node(b, "MatrixTriangularSolve", x, rhs, lower=lower, adjoint=adjoint)
