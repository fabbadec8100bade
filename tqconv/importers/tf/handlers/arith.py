"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import arithmetic
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import composed, direct, handles
from tqconv.ir.graph import Tensor

direct(
    Ceil="CEIL",
    Cos="COS",
    Exp="EXP",
    Floor="FLOOR",
    Log="LOG",
    Rint="ROUND",
    Rsqrt="RSQRT",
    Sigmoid="LOGISTIC",
    Sin="SIN",
    Sqrt="SQRT",
    Tanh="TANH",
)
composed(
    Abs=arithmetic.absolute,
    ClipByValue=arithmetic.clip_by_value,
    Div=arithmetic.divide,
    FloorDiv=arithmetic.floor_divide,
    FloorMod=arithmetic.floor_mod,
    Inv=arithmetic.reciprocal,
    Mod=arithmetic.truncate_mod,
    Neg=arithmetic.negative,
    NextAfter=arithmetic.next_after,
    Pow=arithmetic.power,
    RealDiv=arithmetic.divide,
    Reciprocal=arithmetic.reciprocal,
    Round=arithmetic.rounded,
    Sign=arithmetic.sign,
    Square=arithmetic.square,
    SquaredDifference=arithmetic.squared_difference,
    TruncateDiv=arithmetic.truncate_divide,
    TruncateMod=arithmetic.truncate_mod,
)


@handles(Add="ADD", AddV2="ADD", Sub="SUB", Mul="MUL")
def binary(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Add, subtract or multiply; integers wrap around."""
    if x.dtype == np.object_:
        raise UnsupportedError("strings are not joined by TensorFlow Lite")
    return arithmetic.combine(b, type, x, y)


@handles(Maximum="MAXIMUM", Minimum="MINIMUM")
def extreme(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """The larger or smaller element."""
    return arithmetic.extreme(b, type, x, y)


@handles("AddN", "AccumulateNV2")
def add_n(b: Builder, *xs: Tensor, shape: Any = None) -> Tensor:
    """Add tensors of one shape."""
    return arithmetic.add_n(b, *xs)


@handles("DivNoNan")
def divide_no_nan(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y, and 0 wherever y is 0 whatever x is."""
    return arithmetic.zero_where(b, y, arithmetic.divide(b, x, y))


@handles("MulNoNan")
def multiply_no_nan(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` y, and 0 wherever y is 0 whatever x is."""
    return arithmetic.zero_where(b, y, arithmetic.combine(b, "MUL", x, y))
