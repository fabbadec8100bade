"""Elementwise arithmetic of every element type."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from tqconv.compose import complex, integers
from tqconv.compose.builder import Builder
from tqconv.compose.functions import of_one_shape
from tqconv.compose.integers import INT64, UINT32, UINT64, as_ordered, as_signed
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor


def combine(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Emit ADD, SUB or MUL for any element type; of complex numbers only MUL has a kernel."""
    if x.dtype.kind == "c" and type != "MUL":
        return complex.on_pairs(b, lambda p, q: b(type, p, q), x, y)
    return as_signed(b, lambda p, q: b(type, p, q), x, y)


def extreme(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """The larger (MAXIMUM) or smaller (MINIMUM) element."""
    return as_ordered(b, lambda p, q: b(type, p, q), x, y)


def add_n(b: Builder, *xs: Tensor) -> Tensor:
    """Add tensors of one shape."""
    if len(xs) > 2 and xs[0].dtype in (np.float32, np.int32):
        return b("ADD_N", *xs)
    return reduce(lambda x, y: combine(b, "ADD", x, y), xs)


def negative(b: Builder, x: Tensor) -> Tensor:
    """-x; unsigned integers wrap around."""
    if x.dtype.kind == "c":
        return complex.on_pairs(b, lambda p: b("NEG", p), x)
    if x.dtype.kind == "u":
        return combine(b, "SUB", b.const(0, x.dtype, "zero"), x)
    return b("NEG", x)


def absolute(b: Builder, x: Tensor) -> Tensor:
    """|x|."""
    return b("ABS", x) if x.dtype.kind == "f" else integers.absolute(b, x)


def sign(b: Builder, x: Tensor) -> Tensor:
    """-1, 0 or 1; of a complex number x / |x|."""
    if x.dtype.kind == "c":
        return complex.sign(b, x)
    return b("SIGN", x) if x.dtype.kind == "f" else integers.sign(b, x)


def rounded(b: Builder, x: Tensor) -> Tensor:
    """The nearest integer, halves to the even one."""
    return b("ROUND", x) if x.dtype.kind == "f" else x


def square(b: Builder, x: Tensor) -> Tensor:
    """x²; the kernel of SQUARE takes float32 only."""
    return b("SQUARE", x) if x.dtype.kind == "f" else combine(b, "MUL", x, x)


def squared_difference(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """(x - y)², of complex numbers |x - y|² as a complex number."""
    if x.dtype.kind == "c":
        difference = combine(b, "SUB", x, y)
        return combine(b, "MUL", difference, complex.conjugate(b, difference))
    if x.dtype == np.float32 or x.dtype == np.int32:
        return b("SQUARED_DIFFERENCE", x, y)
    difference = combine(b, "SUB", x, y)
    return combine(b, "MUL", difference, difference)


def reciprocal(b: Builder, x: Tensor) -> Tensor:
    """1 / x."""
    return divide(b, b.const(1, x.dtype, "one"), x)


def divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y; integers are rounded toward zero."""
    if x.dtype.kind == "c":
        return complex.divide(b, x, y)
    if x.dtype.kind == "f":
        return b("DIV", x, y)
    return _as_wide(b, integers.truncate_divide, x, y)


def truncate_divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y rounded toward zero, for reals too."""
    quotient = divide(b, x, y)
    return truncated(b, quotient) if x.dtype.kind == "f" else quotient


def truncated(b: Builder, x: Tensor) -> Tensor:
    """The nearest integer between x and 0."""
    return b("MUL", b("SIGN", x), b("FLOOR", b("ABS", x)))


def _as_wide(b: Builder, compute: Any, x: Tensor, y: Tensor) -> Tensor:
    """Compute with uint32 as int64, which holds all its values; uint64 is divided by halves."""
    if x.dtype == UINT64:
        return integers.divide_unsigned(b, x, y)[0]
    if x.dtype == UINT32:
        return b.cast(compute(b, b.cast(x, INT64), b.cast(y, INT64)), UINT32)
    return compute(b, x, y)


def floor_divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y rounded down; FLOOR_DIV stops at a real 0, by which TensorFlow divides."""
    if x.dtype.kind != "f":
        return _as_wide(b, integers.floor_divide, x, y)
    stops = y.data is not None and not y.data.all()
    return b("FLOOR", b("DIV", x, y)) if stops else b("FLOOR_DIV", x, y)


def floor_mod(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """What x / y rounded down leaves; it has the sign of y."""
    if x.dtype == UINT64:
        return integers.divide_unsigned(b, x, y)[1]
    return _as_wide(b, lambda b, p, q: b("FLOOR_MOD", p, q), x, y)


def truncate_mod(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """What x / y rounded toward zero leaves; it has the sign of x."""
    if x.dtype == UINT64:
        return integers.divide_unsigned(b, x, y)[1]
    if x.dtype.kind != "f":
        return _as_wide(b, integers.truncated_remainder, x, y)
    # Of two positive numbers the kernel takes the exact remainder, without a rounded correction.
    rest = b("FLOOR_MOD", b("ABS", x), b("ABS", y))
    return b("SELECT_V2", b("LESS", x, np.float32(0)), b("NEG", rest), rest)


def zero_where(b: Builder, y: Tensor, result: Tensor) -> Tensor:
    """`result`, and 0 where `y` is 0."""
    if y.data is not None and bool(np.all(y.data != 0)):
        return result
    parts = complex.size(b, y) if y.dtype.kind == "c" else y
    is_zero = b("EQUAL", parts, np.array(0, parts.dtype))
    return b("SELECT_V2", is_zero, np.array(0, result.dtype), result)


def power(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` to the power y; simple constant exponents without the slow kernel."""
    exponent = y.data.reshape(-1)[0].item() if y.data is not None and y.rank == 0 else None
    if x.dtype.kind == "f":
        return _SIMPLE_POWERS.get(exponent, lambda b, x: b("POW", x, y))(b, x)
    if exponent is not None and x.dtype.kind in "iu" and exponent > 0:
        return as_signed(b, lambda p: integers.power(b, p, int(exponent)), x)
    if x.dtype.kind == "c":
        raise UnsupportedError(f"a power of {x.dtype}")
    if x.dtype == UINT32:
        return b.cast(integers.power_by_bits(b, b.cast(x, INT64), b.cast(y, INT64)), UINT32)
    if x.dtype in (INT64, UINT64):
        return as_signed(b, lambda p, q: integers.power_by_bits(b, p, q), x, y)
    return b("POW", x, y)


_SIMPLE_POWERS: dict[Any, Any] = {
    2.0: square,
    1.0: lambda b, x: x,
    0.5: lambda b, x: b("SQRT", x),
    -0.5: lambda b, x: b("RSQRT", x),
    -1.0: reciprocal,
}


def clip_by_value(b: Builder, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`x` within [low, high]."""
    return as_ordered(b, lambda p, q, r: b("MAXIMUM", b("MINIMUM", p, q), r), x, high, low)


def next_after(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """The next float32 from x toward y: one step in the order of the bits."""
    int32, one = np.dtype(np.int32), np.array(1, np.int32)
    x, y = of_one_shape(b, x, y)
    bits = integers.bitcast(b, x, int32)
    away = b("EQUAL", b("LESS", x, y), b("LESS", np.float32(0), x))
    step = b("SELECT_V2", away, b("ADD", bits, one), b("SUB", bits, one))
    stepped = integers.bitcast(b, step, np.dtype(np.float32))
    smallest = np.float32(np.finfo(np.float32).smallest_subnormal)
    from_zero = b("SELECT_V2", b("LESS", y, np.float32(0)), -smallest, smallest)
    moved = b("SELECT_V2", b("EQUAL", x, np.float32(0)), from_zero, stepped)
    # Equal: y itself. Not comparable: NaN, which the sum is.
    apart = b("NOT_EQUAL", x, y)
    comparable = b("LOGICAL_AND", b("EQUAL", x, x), b("EQUAL", y, y))
    return b("SELECT_V2", b("LOGICAL_AND", apart, comparable), moved, _nan_or(b, comparable, x, y))


def _nan_or(b: Builder, comparable: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return b("SELECT_V2", comparable, y, b("ADD", x, y))
