"""Exact integer functions that TensorFlow Lite has no kernel for, composed of its operators.

Bits are reached through BITCAST, which reads a wide integer as a last dimension of narrower ones
(lowest first, as all of LiteRT's platforms store them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.compose.bounds import ends_of
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import STRING, type_name
from tqconv.ops.emit import finish, infer
from tqconv.ops.operands import HANDLES
from tqconv.ops.table import spec

INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)
INT32_ENDS = np.iinfo(np.int32)
UINT8 = np.dtype(np.uint8)
UINT32 = np.dtype(np.uint32)
UINT64 = np.dtype(np.uint64)


def bits_of(dtype: np.dtype) -> int:
    """Return the width of an element type in bits."""
    return dtype.itemsize * 8


def bitcast(b: Builder, x: Tensor, dtype: np.dtype) -> Tensor:
    """Read the bits of `x` as another type.

    A narrower one adds a last dimension, a wider one takes it away.
    """
    if x.producer is not None and x.producer.type == "BITCAST":
        # Never a view of a view: LiteRT may overwrite the first one while it is still read.
        x = x.producer.input(0) if x.producer.input(0).dtype == dtype else x
    if x.dtype == dtype:
        return x
    if HANDLES & {x.dtype, dtype} or STRING in (x.dtype, dtype):
        raise UnsupportedError(f"the bits of {type_name(x.dtype)} as {type_name(dtype)}")
    ((shape, _),) = infer(Op("BITCAST", (x,), (Tensor("bits", (), dtype),), {}, b.source))
    if x.data is not None:
        bits = np.frombuffer(np.ascontiguousarray(x.data).tobytes(), dtype)
        return b.const(bits.reshape([d or 0 for d in shape]), what="bits")
    op = Op("BITCAST", (x,), (), {}, b.source)
    return finish(b.graph, spec("BITCAST"), op, [(shape, dtype)], f"{b.name}/bits")


def as_signed(b: Builder, compute: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """Apply a function that wraps around to uint64: int64 has the same bits, and kernels."""
    if not _are_unsigned(operands):
        return compute(*operands)
    return bitcast(b, compute(*(bitcast(b, x, INT64) for x in operands)), UINT64)


def _are_unsigned(operands: Sequence[Tensor]) -> bool:
    """Whether all operands are uint64; none of them alone is read as other bits."""
    types = dict.fromkeys(x.dtype for x in operands)
    if UINT64 in types and len(types) > 1:
        raise UnsupportedError(f"takes one type, got {' and '.join(map(str, types))}")
    return UINT64 in types


LOWEST = np.array(np.iinfo(np.int64).min, INT64)


def as_ordered(b: Builder, compute: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """Apply a function that selects by order to uint64, as int64 with the highest bit turned."""
    if not _are_unsigned(operands):
        return compute(*operands)
    chosen = compute(*(ordered(b, x) for x in operands))
    return bitcast(b, b("ADD", chosen, LOWEST), UINT64)


def ordered(b: Builder, x: Tensor) -> Tensor:
    """uint64 as int64 in the same order; other types as they are."""
    return b("ADD", bitcast(b, x, INT64), LOWEST) if x.dtype == UINT64 else x


def absolute(b: Builder, x: Tensor) -> Tensor:
    """|x| for integers of any width; the lowest one stays as it is."""
    if x.dtype.kind == "u":
        return x
    return b("MAXIMUM", x, b("NEG", x)) if x.dtype == INT64 else b("ABS", x)


def sign(b: Builder, x: Tensor) -> Tensor:
    """-1, 0 or 1."""
    if x.dtype == UINT64:
        is_positive = b("NOT_EQUAL", bitcast(b, x, INT64), np.array(0, INT64))
        return bitcast(b, b.cast(is_positive, INT64), UINT64)
    one, least = np.array(1, x.dtype), np.array(-1 if x.dtype.kind == "i" else 0, x.dtype)
    return b("MINIMUM", b("MAXIMUM", x, least), one)


def power(b: Builder, x: Tensor, exponent: int) -> Tensor:
    """x to a constant power >= 1, by squaring."""
    result: Tensor | None = None
    square = x
    while True:
        if exponent & 1:
            result = square if result is None else b("MUL", result, square)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        square = b("MUL", square, square)


def power_by_bits(b: Builder, x: Tensor, exponent: Tensor) -> Tensor:
    """int64 to powers >= 0, for each bit of an exponent below 64.

    A larger exponent counts as 62 or 63: only 0, 1 and -1 do not overflow there.
    """
    two = np.array(2, INT64)
    parity = b("ADD", b("FLOOR_MOD", exponent, two), np.array(62, INT64))
    large = b("GREATER", exponent, np.array(63, INT64))
    exponent = b("SELECT_V2", large, parity, exponent)
    result: Tensor | None = None
    for bit in range(6):
        rest = b("FLOOR_MOD", exponent, np.array(2 << bit, INT64))
        is_set = b("GREATER_EQUAL", rest, np.array(1 << bit, INT64))
        factor = b("SELECT_V2", is_set, x, np.array(1, INT64))
        result = factor if result is None else b("MUL", result, factor)
        x = b("MUL", x, x)
    assert result is not None
    return result


def floor_divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y rounded down, for int64 as for the types that FLOOR_DIV takes."""
    if x.dtype != INT64 or (x.is_constant and y.is_constant):
        return b("FLOOR_DIV", x, y)
    if _divides_narrow(x, y):
        return _narrow(b, "FLOOR_DIV", x, y)
    rest, differs = _remainder(b, x, y)
    toward_zero = _exact_quotient(b, b("SUB", x, rest), y)
    return toward_zero if differs is None else b("SUB", toward_zero, b.cast(differs, INT64))


def truncate_divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x / y rounded toward zero."""
    if x.dtype != INT64 or (x.is_constant and y.is_constant):
        return b("DIV", x, y)
    if _divides_narrow(x, y):
        return _narrow(b, "DIV", x, y)
    return _exact_quotient(b, b("SUB", x, truncated_remainder(b, x, y)), y)


def _divides_narrow(x: Tensor, y: Tensor) -> bool:
    """Whether 32 bits hold two integers, and their quotient: the least of them has no opposite."""
    ends = (*ends_of(x), *ends_of(y))
    return INT32_ENDS.min < min(ends) and max(ends) <= INT32_ENDS.max


def _narrow(b: Builder, type: str, x: Tensor, y: Tensor) -> Tensor:
    return b.cast(b(type, b.cast(x, INT32), b.cast(y, INT32)), INT64)


def divide_unsigned(b: Builder, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return quotient and remainder of uint64, by int64, which holds half of x.

    Twice the quotient of the half is at most one too small.
    """
    half = bitcast(b, shift_right(b, x, b.const(1, np.int32, "one")), INT64)
    dividend, divisor = bitcast(b, x, INT64), bitcast(b, y, INT64)
    small = b("MUL", truncate_divide(b, half, divisor), np.array(2, INT64))
    # A divisor from 2^63 on is negative as int64, and fits in once at most.
    small = b("SELECT_V2", b("LESS", divisor, np.array(0, INT64)), np.array(0, INT64), small)
    rest = b("SUB", dividend, b("MUL", small, divisor))
    left = ordered(b, bitcast(b, rest, UINT64))
    fits = b.cast(b("GREATER_EQUAL", left, ordered(b, y)), INT64)
    quotient, rest = b("ADD", small, fits), b("SUB", rest, b("MUL", fits, divisor))
    return bitcast(b, quotient, UINT64), bitcast(b, rest, UINT64)


def truncated_remainder(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """What rounding x / y toward zero leaves; it has the sign of x."""
    if x.dtype != INT64:
        return b("SUB", x, b("MUL", b("DIV", x, y), y))
    return _remainder(b, x, y)[0]


def _remainder(b: Builder, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor | None]:
    """What x / y rounded toward zero leaves, and where rounding down gives another quotient.

    That is nowhere (None) if neither can be negative.
    """
    zero = np.array(0, INT64)
    rest = b("FLOOR_MOD", x, y)
    if min(*ends_of(x), *ends_of(y)) >= 0:
        return rest, None
    mixed = b("NOT_EQUAL", b("LESS", x, zero), b("LESS", y, zero))
    differs = b("LOGICAL_AND", mixed, b("NOT_EQUAL", rest, zero))
    return b("SELECT_V2", differs, b("SUB", rest, y), rest), differs


def _exact_quotient(b: Builder, product: Tensor, y: Tensor) -> Tensor:
    """Product / y for int64 where it is whole; there is no kernel that divides int64.

    Each round estimates the quotient of what is left in float32, which shrinks it by 2^22: from
    2^63 to 2^41,
    to 2^19, where the rounded estimate is exact.
    """
    divisor = b.cast(y, np.float32)
    quotient: Tensor | None = None
    for step in range(3):
        estimate = b("ROUND", b("DIV", b.cast(product, np.float32), divisor))
        part = b.cast(estimate, INT64)
        quotient = part if quotient is None else b("ADD", quotient, part)
        if step < 2:
            product = b("SUB", product, b("MUL", part, y))
    assert quotient is not None
    return quotient


def bitwise_xor(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x ^ y; 64 bits as pairs of 32."""
    if x.dtype.itemsize < 8:
        return b("BITWISE_XOR", x, y)
    return bitcast(b, b("BITWISE_XOR", bitcast(b, x, INT32), bitcast(b, y, INT32)), x.dtype)


def bitwise_and(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x & y = (x + y - (x ^ y)) / 2, where x + y cannot overflow."""
    return _on_small_parts(b, x, y, lambda p, q: b("SUB", b("ADD", p, q), b("BITWISE_XOR", p, q)))


def bitwise_or(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """x | y = (x + y + (x ^ y)) / 2, where the sums cannot overflow."""
    return _on_small_parts(b, x, y, lambda p, q: b("ADD", b("ADD", p, q), b("BITWISE_XOR", p, q)))


def _on_small_parts(
    b: Builder, x: Tensor, y: Tensor, twice: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Apply a bitwise function, given as its double, in int32: to the values, or to their bytes."""
    part = x.dtype if x.dtype.itemsize < 4 else UINT8
    p, q = (b.cast(bitcast(b, t, part), INT32) for t in (x, y))
    half = b("RIGHT_SHIFT", twice(p, q), np.array(1, INT32))
    return bitcast(b, b.cast(half, part), x.dtype)


def invert(b: Builder, x: Tensor) -> Tensor:
    """Every bit flipped."""
    if x.dtype == UINT64:
        return bitcast(b, invert(b, bitcast(b, x, INT64)), UINT64)
    if x.dtype == INT64:
        return b("SUB", np.array(-1, INT64), x)
    ones = np.iinfo(x.dtype).max if x.dtype.kind == "u" else -1
    return b("BITWISE_XOR", x, np.array(ones, x.dtype))


def shift_left(b: Builder, x: Tensor, count: Tensor) -> Tensor:
    """`x` << count, the count within [0, bits): a product with a power of two that wraps around."""
    bits = bits_of(x.dtype)
    wide = INT64 if bits == 64 else INT32
    powers = np.left_shift(np.ones(bits, wide), np.arange(bits, dtype=wide))
    factor = b("GATHER", powers, _shift_count(b, count, bits), axis=0)
    return _back(b, b("MUL", _widened(b, x, wide), factor), x.dtype)


def _widened(b: Builder, x: Tensor, wide: np.dtype) -> Tensor:
    return bitcast(b, x, wide) if x.dtype.itemsize == wide.itemsize else b.cast(x, wide)


def _back(b: Builder, y: Tensor, dtype: np.dtype) -> Tensor:
    return bitcast(b, y, dtype) if y.dtype.itemsize == dtype.itemsize else b.cast(y, dtype)


def _shift_count(b: Builder, count: Tensor, bits: int) -> Tensor:
    """The count as int32, kept within [0, bits) as TensorFlow's CPU kernels do."""
    if count.dtype in (UINT32, UINT64):
        count = b.cast(count, INT64) if count.dtype == UINT32 else bitcast(b, count, INT64)
    low, high = np.array(0, count.dtype), np.array(bits - 1, count.dtype)
    return b.cast(b("MINIMUM", b("MAXIMUM", count, low), high), INT32)


def shift_right(b: Builder, x: Tensor, count: Tensor) -> Tensor:
    """x >> count, the count kept within [0, bits); copies of the sign bit come in."""
    if x.dtype.itemsize < 8:
        kept = b.cast(_shift_count(b, count, bits_of(x.dtype)), x.dtype)
        return b("RIGHT_SHIFT", x, kept)
    return _shift_right_64(b, x, _shift_count(b, count, 64))


def _shift_right_64(b: Builder, x: Tensor, count: Tensor) -> Tensor:
    """Shift the two halves; from 32 on the high half becomes the low one."""
    high_type = INT32 if x.dtype == INT64 else UINT32
    words = bitcast(b, x, UINT32)
    low, high = (b("GATHER", bitcast(b, words, INT32), np.array(i, INT32), axis=-1) for i in (0, 1))
    by = b("FLOOR_MOD", count, np.array(32, INT32))
    moved_high = _shift_as(b, high, by, high_type)
    # What falls from the high half into the low one: high << (32 - by), nothing when by is 0.
    falling = b("SUB", np.array(31, INT32), by)
    carried = shift_left(b, shift_left(b, high, falling), b.const(np.array(1, INT32), what="one"))
    moved_low = b("ADD", _shift_as(b, low, by, UINT32), carried)
    far = b("GREATER_EQUAL", count, np.array(32, INT32))
    fill = _shift_as(b, high, b.const(np.array(31, INT32), what="last"), INT32)
    empty = fill if high_type == INT32 else b("SUB", high, high)
    halves = (b("SELECT_V2", far, moved_high, moved_low), b("SELECT_V2", far, empty, moved_high))
    return bitcast(b, b("PACK", *halves, axis=halves[0].rank, values_count=2), x.dtype)


def _shift_as(b: Builder, x: Tensor, count: Tensor, dtype: np.dtype) -> Tensor:
    """Shift int32 bits right as the signed or unsigned type says."""
    y = b("RIGHT_SHIFT", bitcast(b, x, dtype), b.cast(count, dtype))
    return bitcast(b, y, INT32)


def population_count(b: Builder, x: Tensor) -> Tensor:
    """The number of bits that are set, as uint8: a table of all bytes, summed over the bytes."""
    counts = np.array([bin(byte).count("1") for byte in range(256)], INT32)
    number = b.cast(bitcast(b, x, UINT8), INT32)
    found = b("GATHER", counts, number, axis=0)
    if found.rank > x.rank:
        found = b("SUM", found, np.array([x.rank], INT32))
    return b.cast(found, UINT8)
