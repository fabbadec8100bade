"""Matrices: diagonals, bands and vector products."""

from __future__ import annotations

from tqconv.compose import matrices
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import composed, direct, handles
from tqconv.ir.graph import Tensor

direct(
    BatchMatrixDiag="MATRIX_DIAG",
    BatchMatrixSetDiag="MATRIX_SET_DIAG",
    MatrixDiag="MATRIX_DIAG",
    MatrixSetDiag="MATRIX_SET_DIAG",
)
composed(
    BatchMatrixBandPart=matrices.band,
    Cross=matrices.cross,
    Diag=matrices.as_diagonal,
    DiagPart=matrices.diagonal_of,
    MatrixBandPart=matrices.band,
)


@handles("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(b: Builder, x: Tensor) -> Tensor:
    """The main diagonals."""
    return matrices.diagonals_of(b, x, 0, 0, b.const(0, x.dtype, "padding"))


@handles(MatrixDiagV2="LEFT_LEFT", MatrixDiagV3="RIGHT_LEFT")
def matrix_diag_of_many(
    b: Builder,
    default: str,
    diagonals: Tensor,
    k: Tensor,
    num_rows: Tensor,
    num_cols: Tensor,
    padding_value: Tensor,
    *,
    align: str | None = None,
) -> Tensor:
    """Matrices with these diagonals, of which `k` numbers the lowest and highest."""
    sizes = int(b.scalar(num_rows, "num_rows")), int(b.scalar(num_cols, "num_cols"))
    alignment = _alignment(align, default)
    return matrices.of_diagonals(b, diagonals, *_range_of(b, k), sizes, padding_value, alignment)


@handles(MatrixDiagPartV2="LEFT_LEFT", MatrixDiagPartV3="RIGHT_LEFT")
def matrix_diag_parts(
    b: Builder,
    default: str,
    x: Tensor,
    k: Tensor,
    padding_value: Tensor,
    *,
    align: str | None = None,
) -> Tensor:
    """The diagonals from `k[0]` to `k[1]`, the highest first."""
    alignment = _alignment(align, default)
    return matrices.diagonals_of(b, x, *_range_of(b, k), padding_value, alignment)


@handles(MatrixSetDiagV2="LEFT_LEFT", MatrixSetDiagV3="RIGHT_LEFT")
def matrix_set_diags(
    b: Builder,
    default: str,
    x: Tensor,
    diagonals: Tensor,
    k: Tensor,
    *,
    align: str | None = None,
) -> Tensor:
    """`x` with other diagonals from `k[0]` to `k[1]`."""
    return matrices.with_diagonals(b, x, diagonals, *_range_of(b, k), _alignment(align, default))


def _range_of(b: Builder, k: Tensor) -> tuple[int, int]:
    numbers = b.ints(k, "k")
    return numbers[0], numbers[-1]


def _alignment(align: str | None, default: str) -> str:
    """The second versions, without an attribute, put all left; the third have a default."""
    if align is None:
        return default
    if align not in matrices.ALIGNMENTS:
        raise UnsupportedError(f"align `{align}`")
    return align
