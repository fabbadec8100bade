"""Comparisons, logic, and bits."""

from __future__ import annotations

import numpy as np

from tqconv.compose import compare, integers
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import composed, direct, handles
from tqconv.ir.graph import Tensor

direct(LogicalAnd="LOGICAL_AND", LogicalNot="LOGICAL_NOT", LogicalOr="LOGICAL_OR")
composed(
    BitwiseAnd=integers.bitwise_and,
    BitwiseOr=integers.bitwise_or,
    BitwiseXor=integers.bitwise_xor,
    Invert=integers.invert,
    IsFinite=compare.is_finite,
    IsInf=compare.is_infinite,
    IsNan=compare.is_nan,
    LeftShift=integers.shift_left,
    PopulationCount=integers.population_count,
    RightShift=integers.shift_right,
)


@handles(Equal=False, NotEqual=True)
def equal(
    b: Builder, negated: bool, x: Tensor, y: Tensor, *, incompatible_shape_error: bool = True
) -> Tensor:
    """Compare elements; complex numbers are equal when both parts are."""
    return compare.equal(b, x, y, negated=negated)


@handles(Greater="GREATER", GreaterEqual="GREATER_EQUAL", Less="LESS", LessEqual="LESS_EQUAL")
def order(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Compare the order of elements."""
    return compare.order(b, type, x, y)


@handles("ApproximateEqual")
def approximate_equal(b: Builder, x: Tensor, y: Tensor, *, tolerance: float = 1e-5) -> Tensor:
    """|x - y| < tolerance, of reals: TensorFlow has no kernel for other types."""
    if x.dtype != np.float32:
        raise UnsupportedError(f"ApproximateEqual of {x.dtype}")
    return b("LESS", b("ABS", b("SUB", x, y)), np.float32(tolerance))
