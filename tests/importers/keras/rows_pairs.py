"""Examples of operations that combine the elements of two tensors, or of a tensor and a number."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras_rows import Draw, F, I, Known, Row, Table
from networks_keras import Array
from rows_elements import special

TABLE = Table()
ARITHMETIC: dict[str, Any] = {
    "Add": np.add,
    "Divide": np.divide,
    "FloorDivide": np.floor_divide,
    "Fmax": np.fmax,
    "Fmin": np.fmin,
    "Fmod": np.fmod,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mod": np.mod,
    "Multiply": np.multiply,
    "Subtract": np.subtract,
    "TrueDivide": np.true_divide,
}
COMPARISONS: dict[str, Any] = {
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Less": np.less,
    "LessEqual": np.less_equal,
    "LogicalAnd": np.logical_and,
    "LogicalOr": np.logical_or,
    "LogicalXor": np.logical_xor,
    "NotEqual": np.not_equal,
}
REAL_PAIRS: dict[str, Any] = {
    "Arctan2": np.arctan2,
    "DivideNoNan": lambda x, y: np.divide(x, y, np.zeros(np.broadcast(x, y).shape), where=y != 0),
    "Heaviside": np.heaviside,
    "Hypot": np.hypot,
    "Logaddexp": np.logaddexp,
    "Logaddexp2": np.logaddexp2,
    "Nextafter": np.nextafter,
}


def pair(d: Draw, least: float) -> list[Any]:
    """Return two operands: of reals, of whole numbers, of both, one a number in the file."""
    shape = d.shape()
    other = d.second(shape)
    kinds = d.pick("rr", "rr", "ii", "ri", "ir", "rn", "nr", "in", "iN")

    def one(kind: str, shape: tuple[int, ...]) -> Any:
        if kind == "r":
            x = d.reals(*shape)
            return np.where(np.abs(x) < least, F(1), x)
        if kind == "i":
            x = d.ints(*shape)
            return np.where((x == 0) & (least > 0), I(1), x)
        return d.pick(2, -3) if kind == "n" else d.pick(0.5, -1.5)

    found = [one(kinds[0], shape), one(kinds[1], other)]
    return found[::-1] if d.flag() else found


@TABLE.examples("numpy", *ARITHMETIC, *COMPARISONS, count=6)
def pairs(d: Draw, op: str) -> Row:
    divides = op in ("Divide", "TrueDivide", "FloorDivide", "Mod", "Fmod")
    x, y = pair(d, 0.2 if divides else 0)
    if "Logical" in op and d.flag():
        x, y = (v > 0 if isinstance(v, np.ndarray) else bool(v > 0) for v in (x, y))
    return Row([x, y], {**ARITHMETIC, **COMPARISONS}[op](x, y))


@TABLE.examples("numpy", *REAL_PAIRS, count=4)
def pairs_of_reals(d: Draw, op: str) -> Row:
    shape = d.shape()
    x, y = d.reals(*shape), d.reals(*d.second(shape))
    if op in ("DivideNoNan", "Heaviside"):
        x, y = x.round(), y.round()
    return Row([x, y], F(REAL_PAIRS[op](x, y)), close=0 if op == "Nextafter" else 2e-5)


@TABLE.examples("numpy", "Power", count=4)
def powers(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.reals(*shape, low=0.2)
    y = d.pick(d.reals(*d.second(shape)), 2, 0.5, -1, 3)
    if d.number(0, 2) == 0:
        x, y = d.ints(*shape), d.number(0, 3)
    return Row([x, y], x**y)


BITS: dict[str, Any] = {
    "BitwiseAnd": np.bitwise_and,
    "BitwiseLeftShift": np.left_shift,
    "BitwiseOr": np.bitwise_or,
    "BitwiseRightShift": np.right_shift,
    "BitwiseXor": np.bitwise_xor,
    "LeftShift": np.left_shift,
    "RightShift": np.right_shift,
}


@TABLE.examples("numpy", *BITS)
def bits(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(), low=-99, high=99)
    y = d.pick(d.ints(*d.second(x.shape), low=0, high=6), d.number(0, 6))
    return Row([x, y], BITS[op](x, y))


@TABLE.examples("numpy", "Ldexp")
def scaled(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    y = d.ints(*d.second(x.shape))
    return Row([x, y], np.ldexp(x, y))


@TABLE.examples("numpy", "Isclose", count=4)
def near(d: Draw, op: str) -> Row:
    x = special(d)
    x[np.isinf(x)] = 0  # how near infinities are depends on what Keras computes with
    y = x + d.reals(*x.shape, low=-0.2, high=0.2)
    limits, same = (d.pick(1e-5, 0.05), d.pick(1e-8, 0.05)), d.flag()
    return Row([x, y, *limits], np.isclose(x, y, *limits, equal_nan=same), {"equal_nan": same})


@TABLE.examples("numpy", "Where", count=4)
def chosen(d: Draw, op: str) -> Row:
    shape = d.shape()
    condition = d.pick(d.flags(*shape), d.ints(*shape, low=0, high=1))
    x = d.pick(d.reals(*shape), d.reals(*d.second(shape)), d.ints(*shape), 0.5)
    y = d.pick(d.reals(*shape), d.ints(*shape), 1, -2.5)
    if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
        y = d.reals(*shape)
    return Row([condition, x, y], np.where(condition != 0, x, y))


@TABLE.examples("numpy", "Add", count=2)
def with_a_constant(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2))
    y = d.reals(*d.second(x.shape))
    return Row([Known(y), x], x + y)


def octets(d: Draw) -> Array:
    return d.ints(*d.shape(), low=1, high=255, dtype=np.uint8)


@TABLE.examples("numpy", "Divide", "Equal", "Greater", "LessEqual", "Logaddexp", count=1)
def numbers_that_octets_do_not_hold(d: Draw, op: str) -> Row:
    x, y = octets(d), d.pick(-1, -3, 300)
    return Row([x, y], {**ARITHMETIC, **COMPARISONS, **REAL_PAIRS}[op](x.astype(F), y))


@TABLE.examples("numpy", "Add", "Maximum", "Multiply", "Subtract", count=1)
def numbers_that_become_octets(d: Draw, op: str) -> Row:
    x = octets(d)
    return Row([x, -1], ARITHMETIC[op](x, np.uint8(255)))


@TABLE.examples("numpy", "Fmod", "Mod", count=2)
def rests_of_octets(d: Draw, op: str) -> Row:
    x, y = octets(d), d.pick(3, -7)
    return Row([x, y], ARITHMETIC[op](x.astype(I), y))


@TABLE.examples("numpy", "Arctan2", count=1)
def angles_of_whole_numbers(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape())
    y = d.pick(d.ints(*x.shape, low=1), 2)
    return Row([x, y], F(np.arctan2(x, y)))


@TABLE.examples("numpy", "Gcd", "Lcm", count=5)
def divisors(d: Draw, op: str) -> Row:
    shape = d.shape()
    kind = d.pick(np.int32, np.int32, np.uint8)
    x, y = (
        d.ints(*s, low=0 if kind == np.uint8 else -30, high=30) for s in (shape, d.second(shape))
    )
    x, y = x.astype(kind), y.astype(kind)
    x.flat[0] = 0
    found = getattr(np, op.lower())(x.astype(np.int64), y.astype(np.int64))
    return Row([x, y], found.astype(kind))
