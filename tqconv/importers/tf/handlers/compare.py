"""Comparisons, logic, and bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tqconv.compose import integers
from tqconv.compose.builder import Builder
from tqconv.compose.complex import FLOAT32
from tqconv.compose.integers import INT64, UINT64, bitcast
from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, direct, handles
from tqconv.ir.graph import Tensor

direct(LogicalAnd="LOGICAL_AND", LogicalNot="LOGICAL_NOT", LogicalOr="LOGICAL_OR")


@handles("Equal", "NotEqual")
def equal(b: TFBuilder, x: Tensor, y: Tensor, *, incompatible_shape_error: bool = True) -> Tensor:
    """Compare elements; complex numbers are equal when both parts are."""
    if x.dtype.kind == "c":
        parts = b("EQUAL", bitcast(b, x, FLOAT32), bitcast(b, y, FLOAT32))
        same = b("REDUCE_ALL", parts, np.array([parts.rank - 1], np.int32))
        return same if b.node.op == "Equal" else b("LOGICAL_NOT", same)
    if x.dtype == UINT64:
        x, y = bitcast(b, x, INT64), bitcast(b, y, INT64)
    return b("EQUAL" if b.node.op == "Equal" else "NOT_EQUAL", x, y)


_ORDERS = {
    "Greater": "GREATER",
    "GreaterEqual": "GREATER_EQUAL",
    "Less": "LESS",
    "LessEqual": "LESS_EQUAL",
}


@handles(*_ORDERS)
def order(b: TFBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Compare the order of elements."""
    return b(_ORDERS[b.node.op], integers.ordered(b, x), integers.ordered(b, y))


@handles("ApproximateEqual")
def approximate_equal(b: TFBuilder, x: Tensor, y: Tensor, *, tolerance: float = 1e-5) -> Tensor:
    """|x - y| < tolerance, of reals: TensorFlow has no kernel for other types."""
    if x.dtype != FLOAT32:
        raise Unsupported(f"ApproximateEqual of {x.dtype}")
    return b("LESS", b("ABS", b("SUB", x, y)), np.float32(tolerance))


@handles("IsNan")
def is_nan(b: TFBuilder, x: Tensor) -> Tensor:
    """Only NaN differs from itself."""
    return b("NOT_EQUAL", x, x)


@handles("IsInf")
def is_inf(b: TFBuilder, x: Tensor) -> Tensor:
    """|x| = inf."""
    return b("EQUAL", b("ABS", x), np.float32(np.inf))


@handles("IsFinite")
def is_finite(b: TFBuilder, x: Tensor) -> Tensor:
    """|x| < inf, which NaN is not."""
    return b("LESS", b("ABS", x), np.float32(np.inf))


_BITWISE: dict[str, Callable[[Builder, Tensor, Tensor], Tensor]] = {
    "BitwiseAnd": integers.bitwise_and,
    "BitwiseOr": integers.bitwise_or,
    "BitwiseXor": integers.bitwise_xor,
    "LeftShift": integers.shift_left,
    "RightShift": integers.shift_right,
}


@handles(*_BITWISE)
def bitwise(b: TFBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Combine the bits of two integers."""
    return _BITWISE[b.node.op](b, x, y)


@handles("Invert")
def invert(b: TFBuilder, x: Tensor) -> Tensor:
    """Flip every bit."""
    return integers.invert(b, x)


@handles("PopulationCount")
def population_count(b: TFBuilder, x: Tensor) -> Tensor:
    """The number of bits that are set."""
    return integers.population_count(b, x)
