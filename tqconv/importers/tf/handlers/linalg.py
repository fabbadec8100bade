"""Linear systems of small matrices."""

from __future__ import annotations

from tqconv.compose import linalg
from tqconv.importers.tf.registry import composed

composed(
    BatchCholesky=linalg.cholesky,
    BatchMatrixDeterminant=linalg.matrix_determinant,
    BatchMatrixInverse=linalg.matrix_inverse,
    BatchMatrixSolve=linalg.matrix_solve,
    BatchMatrixTriangularSolve=linalg.matrix_triangular_solve,
    Cholesky=linalg.cholesky,
    LogMatrixDeterminant=linalg.log_matrix_determinant,
    MatrixDeterminant=linalg.matrix_determinant,
    MatrixInverse=linalg.matrix_inverse,
    MatrixSolve=linalg.matrix_solve,
    MatrixTriangularSolve=linalg.matrix_triangular_solve,
)
