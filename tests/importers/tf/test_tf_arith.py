"""Arithmetic, comparisons, bits and casts of every element type, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import assert_op, graph, model_of, node, one_op, placeholder, results
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
FLOAT = [np.float32]
SIGNED = [np.int8, np.int16, np.int32, np.int64]
UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]
INTEGERS = SIGNED + UNSIGNED
COMPLEX = [np.complex64]
SHAPE = (2, 3, 4)


def values(dtype: Any, seed: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Values over the whole type, with its limits first."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in "fc":
        x = rng.uniform(-3, 3, shape) + (1j * rng.uniform(-3, 3, shape) if kind == "c" else 0)
        return x.astype(dtype)
    limits = np.iinfo(dtype)
    x = rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    x.reshape(-1)[:4] = np.array([limits.min, limits.max, 1, 0], dtype)[: x.size]
    return x


def divisors(dtype: Any, seed: int) -> Array:
    """Divisors other than 0; -1 is left out, by which the lowest integer cannot be divided."""
    y = values(dtype, seed)
    y[(y == 0) | (y == -1 if y.dtype.kind == "i" else False)] = 3
    return y


def truncated(x: Array, y: Array) -> list[Array]:
    """Quotient rounded toward zero, and what it leaves, as Python's exact integers say."""
    pairs = list(zip(x.reshape(-1).tolist(), y.reshape(-1).tolist(), strict=True))
    quotients = [abs(a) // abs(c) * (1 if (a < 0) == (c < 0) else -1) for a, c in pairs]
    rests = [a - q * c for (a, c), q in zip(pairs, quotients, strict=True)]
    return [np.array(part, x.dtype).reshape(x.shape) for part in (quotients, rests)]


def cases(*rows: tuple[str, Callable[..., Array], list[Any], float]) -> Any:
    made = [
        pytest.param(op, function, dtype, error, id=f"{op}-{np.dtype(dtype)}")
        for op, function, dtypes, error in rows
        for dtype in dtypes
    ]
    return pytest.mark.parametrize(("op", "function", "dtype", "error"), made)


@cases(
    ("AddV2", np.add, [*FLOAT, *INTEGERS, *COMPLEX], 1e-6),
    ("Sub", np.subtract, [*FLOAT, *INTEGERS, *COMPLEX], 1e-6),
    ("Mul", np.multiply, [*FLOAT, *INTEGERS, *COMPLEX], 1e-6),
    ("Maximum", np.maximum, [*FLOAT, *INTEGERS], 0),
    ("Minimum", np.minimum, [*FLOAT, *INTEGERS], 0),
    ("SquaredDifference", lambda a, b: (a - b) ** 2, [*FLOAT, *INTEGERS], 1e-6),
    ("SquaredDifference", lambda a, b: np.abs(a - b) ** 2 + 0j, COMPLEX, 1e-6),
    ("Less", np.less, [*FLOAT, *INTEGERS], 0),
    ("LessEqual", np.less_equal, [*FLOAT, *INTEGERS], 0),
    ("Greater", np.greater, [*FLOAT, *INTEGERS], 0),
    ("GreaterEqual", np.greater_equal, [*FLOAT, *INTEGERS], 0),
    ("LogicalAnd", np.logical_and, [bool], 0),
    ("LogicalOr", np.logical_or, [bool], 0),
    ("Atan2", np.arctan2, FLOAT, 1e-6),
    ("BitwiseAnd", np.bitwise_and, INTEGERS, 0),
    ("BitwiseOr", np.bitwise_or, INTEGERS, 0),
    ("BitwiseXor", np.bitwise_xor, INTEGERS, 0),
    ("Complex", lambda a, b: a + 1j * b, FLOAT, 0),
)
def test_broadcast_pairs(op: str, function: Any, dtype: Any, error: float) -> None:
    x, y = values(dtype, 1), values(dtype, 2, (3, 1))
    with np.errstate(over="ignore"):
        want = np.asarray(function(x, y))
    assert_op(op, [x, y], want, rtol=error, atol=error)


@cases(
    ("Div", lambda a, b: truncated(a, b)[0], INTEGERS[:-1], 0),
    ("TruncateDiv", lambda a, b: truncated(a, b)[0], INTEGERS[:-1], 0),
    ("TruncateDiv", lambda a, b: np.trunc(a / b), FLOAT, 0),
    ("TruncateMod", lambda a, b: truncated(a, b)[1], INTEGERS[:-1], 0),
    ("Mod", lambda a, b: truncated(a, b)[1], [np.int32, np.int64], 0),
    ("Mod", np.fmod, FLOAT, 1e-6),
    ("FloorDiv", np.floor_divide, INTEGERS[:-1], 0),
    ("FloorMod", np.mod, INTEGERS[:-1], 0),
    ("FloorDiv", lambda a, b: np.floor(a / b), FLOAT, 0),
    ("FloorMod", np.mod, FLOAT, 1e-6),
    ("TruncateMod", np.fmod, FLOAT, 1e-6),
    ("RealDiv", np.divide, [*FLOAT, *COMPLEX], 1e-6),
)
def test_quotients(op: str, function: Any, dtype: Any, error: float) -> None:
    x, y = values(dtype, 3), divisors(dtype, 4)
    found = function(x, y)
    assert_op(op, [x, y], np.asarray(found), rtol=error, atol=error)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op", ["LeftShift", "RightShift"])
def test_shifts(op: str, dtype: Any) -> None:
    x = values(dtype, 5)
    y = np.random.default_rng(6).integers(0, x.dtype.itemsize * 8, SHAPE).astype(dtype)
    assert_op(op, [x, y], (np.left_shift if op == "LeftShift" else np.right_shift)(x, y))


def test_a_shift_by_more_than_the_width_is_one_by_the_width_less_one() -> None:
    x, y = np.array([5, -5, 5, -5], np.int32), np.array([40, 40, -2, -2], np.int32)
    assert_op("RightShift", [x, y], np.array([0, -1, 5, -5], np.int32))


def signs(x: Array) -> Array:
    """numpy's sign of complex64 is computed as of 2.0 only."""
    return np.where(x == 0, 0, x / np.where(x == 0, 1, np.abs(x))).astype(x.dtype)


@cases(
    ("Abs", np.abs, [*FLOAT, *SIGNED], 0),
    ("Neg", np.negative, [*FLOAT, *INTEGERS, *COMPLEX], 0),
    ("Sign", np.sign, [*FLOAT, *INTEGERS], 0),
    ("Sign", signs, COMPLEX, 1e-6),
    ("Square", np.square, [*FLOAT, *INTEGERS, *COMPLEX], 1e-6),
    ("Ceil", np.ceil, FLOAT, 0),
    ("Floor", np.floor, FLOAT, 0),
    ("Rint", np.rint, FLOAT, 0),
    ("Round", np.rint, FLOAT, 0),
    ("Round", lambda x: x, INTEGERS, 0),
    ("Invert", np.invert, INTEGERS, 0),
    ("PopulationCount", lambda x: counted_bits(x), INTEGERS, 0),
    ("ZerosLike", np.zeros_like, [*FLOAT, *INTEGERS, *COMPLEX, bool], 0),
    ("OnesLike", np.ones_like, [*FLOAT, *INTEGERS, *COMPLEX, bool], 0),
    ("Conj", np.conj, [*FLOAT, *COMPLEX], 0),
    ("Angle", np.angle, COMPLEX, 1e-6),
    ("Reciprocal", np.reciprocal, [*FLOAT, *COMPLEX], 1e-6),
    ("Inv", np.reciprocal, [*FLOAT, *COMPLEX], 1e-6),
    ("LogicalNot", np.logical_not, [bool], 0),
)
def test_single_operands(op: str, function: Any, dtype: Any, error: float) -> None:
    x = values(dtype, 7)
    with np.errstate(over="ignore", divide="ignore"):
        want = np.asarray(function(x))
    assert_op(op, [x], want, rtol=error, atol=error)


def counted_bits(x: Array) -> Array:
    bytes_ = np.ascontiguousarray(x)[..., np.newaxis].view(np.uint8)
    return np.unpackbits(bytes_, axis=-1).sum(-1).astype(np.uint8)


SPECIAL = np.array([0, -0.0, 1, -2.5, np.inf, -np.inf, np.nan, 1e-30], np.float32)


@pytest.mark.parametrize(
    ("op", "function"), [("IsNan", np.isnan), ("IsInf", np.isinf), ("IsFinite", np.isfinite)]
)
def test_kinds_of_reals(op: str, function: Any) -> None:
    assert_op(op, [SPECIAL], function(SPECIAL))


def test_next_after_steps_over_zero_and_stops_at_equal() -> None:
    x, y = (a.reshape(-1) for a in np.meshgrid(SPECIAL[[0, 2, 3, 6, 7]], SPECIAL[[0, 2, 3, 6]]))
    assert_op("NextAfter", [x, y], np.nextafter(x, y))


@pytest.mark.parametrize("op", ["DivNoNan", "MulNoNan", "Xdivy", "Xlogy", "Xlog1py"])
def test_zero_wins_over_nan(op: str) -> None:
    x = np.array([2, 0, 3, np.nan, 0], np.float32)
    y = np.array([4, 5, 0, 0, np.nan], np.float32)
    if op.startswith("X"):
        x, y = x[[0, 1, 4]], y[[0, 1, 4]]
    with np.errstate(all="ignore"):
        want = {
            "DivNoNan": lambda: np.where(y == 0, 0, x / y),
            "MulNoNan": lambda: np.where(y == 0, 0, x * y),
            "Xdivy": lambda: np.where(x == 0, 0, x / y),
            "Xlogy": lambda: np.where(x == 0, 0, x * np.log(y)),
            "Xlog1py": lambda: np.where(x == 0, 0, x * np.log1p(y)),
        }[op]()
    assert_op(op, [x, y], np.asarray(want, np.float32), rtol=1e-6)


@pytest.mark.parametrize("exponent", [2, 1, 0.5, -0.5, -1, 3, 0, 2.5])
def test_constant_powers(exponent: float) -> None:
    x = np.abs(values(np.float32, 8)) + np.float32(0.1)
    y = np.float32(exponent)
    assert_op("Pow", [x, y], np.power(x, y), rtol=3e-6, constants=[1])


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint32, np.uint64])
@pytest.mark.parametrize("constant", [True, False])
def test_integer_powers(dtype: Any, constant: bool) -> None:
    x = np.arange(-4 if np.dtype(dtype).kind == "i" else 0, 5).astype(dtype)
    y = np.array(3, dtype) if constant else np.array([0, 1, 2, 3, 1, 2, 3, 2, 3][: len(x)], dtype)
    assert_op("Pow", [x, y], np.power(x, y), constants=[1] if constant else [])


def test_int64_powers_wrap_around() -> None:
    x, y = np.array([3, -7, -1, 2, 0], np.int64), np.array([41, 30, 101, 63, 99], np.int64)
    assert_op("Pow", [x, y], np.power(x, y))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.complex64])
def test_sums_of_many(count: int, dtype: Any) -> None:
    xs = [values(dtype, i) for i in range(count)]
    with np.errstate(over="ignore"):
        want = np.asarray(sum(xs[1:], xs[0]))
    assert_op("AddN", xs, want, rtol=1e-6, atol=1e-6, N=count)
    assert_op("AccumulateNV2", xs, want, rtol=1e-6, atol=1e-6, N=count, shape=SHAPE)


@pytest.mark.parametrize("dtype", [*FLOAT, *INTEGERS])
def test_values_are_clipped_and_the_lower_bound_wins(dtype: Any) -> None:
    x, (low, high) = values(dtype, 20), np.array([3, 99], dtype)
    assert_op("ClipByValue", [x, low, high], np.clip(x, low, high), constants=[1, 2])
    assert_op("ClipByValue", [x, high, low], np.full_like(x, high), dynamic=True)


def test_approximately_equal_is_nearer_than_the_tolerance() -> None:
    x, y = np.float32([1, 2, 3, -1, np.nan]), np.float32([1.25, 1.5, 3.5, 1, np.nan])
    assert_op("ApproximateEqual", [x, y], np.abs(x - y) < 0.5, tolerance=0.5)
    assert_op("ApproximateEqual", [x, x], x == x)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_, np.complex64, np.uint64])
def test_equal_compares_both_parts(dtype: Any) -> None:
    x = values(dtype, 9)
    y = np.where(values(np.bool_, 10), x, values(dtype, 11))
    assert_op("Equal", [x, y], x == y)
    assert_op("NotEqual", [x, y], x != y)


TYPES = [*FLOAT, *INTEGERS, np.bool_, *COMPLEX]


@pytest.mark.parametrize("target", TYPES)
@pytest.mark.parametrize("source", TYPES)
def test_casts(source: Any, target: Any) -> None:
    x = values(source, 12)
    if np.dtype(source).kind in "fc":
        x = (np.abs(x.real) + (1j * x.imag if np.dtype(source).kind == "c" else 0)).astype(source)
    real = x.real if np.dtype(source).kind == "c" and np.dtype(target).kind != "c" else x
    # Through int64, and then 2^64 is added: two roundings.
    twice = np.dtype(source) == np.uint64 and np.dtype(target).kind in "fc"
    assert_op("Cast", [x], real.astype(target), rtol=1.2e-7 if twice else 0, DstT=target)


@pytest.mark.parametrize(
    ("source", "target", "shape"),
    [
        (np.int32, np.float32, SHAPE),
        (np.int32, np.uint8, SHAPE),
        (np.uint8, np.int32, SHAPE),
        (np.uint64, np.int64, SHAPE),
        (np.complex64, np.float32, SHAPE),
    ],
)
def test_bits_are_read_as_another_type(source: Any, target: Any, shape: tuple[int, ...]) -> None:
    x = values(source, 13, shape)
    ratio = x.dtype.itemsize / np.dtype(target).itemsize
    want = x.reshape(*shape, 1).view(target) if ratio > 1 else x.view(target)
    assert_op("Bitcast", [x], want[..., 0] if ratio < 1 else want, type=target)


def test_sizes_may_be_unknown() -> None:
    x, y = values(np.int32, 14), values(np.int32, 15, (3, 1))
    assert_op("BitwiseAnd", [x, y], x & y, dynamic=True)
    assert_op("LessEqual", [x, y], x <= y, dynamic=True)
    assert_op("FloorDiv", [values(np.int64, 16), divisors(np.int64, 17)],
              values(np.int64, 16) // divisors(np.int64, 17), dynamic=True)  # fmt: skip


def test_reals_are_divided_by_a_constant_zero() -> None:
    x, y = np.array([[5, -7], [8, 9]], np.float32), np.array([2, 0], np.float32)
    message, feeds = one_op("FloorDiv", x, y, constants=[1])
    for (measured,) in results(message, feeds, ["y"]):
        np.testing.assert_array_equal(measured[:, 0], [2, 4])
        limit = np.finfo(np.float32).max  # where the kernel clamps quotients; XNNPACK does not
        assert (measured[:, 1] * [-1, 1] >= limit).all()


def test_uint64_is_divided() -> None:
    x, y = values(np.uint64, 18), np.maximum(values(np.uint64, 20), 1)
    assert_op("FloorDiv", [x, y], x // y)


def test_what_has_no_kernel_is_refused() -> None:
    x, y = values(np.uint64, 18), values(np.float32, 19)
    near = one_op("ApproximateEqual", x, x)[0]
    with pytest.raises(UnsupportedError, match="ApproximateEqual of uint64"):
        model_of(near)
    cut = one_op("Cast", y, DstT=np.int32, Truncate=True)[0]
    with pytest.raises(UnsupportedError, match="Truncate"):
        model_of(cut)
    bits = one_op("Bitcast", y, type=np.int32)[0]
    for made in bits.node:
        if made.op == "Bitcast":
            made.attr["type"].type = 20
    with pytest.raises(UnsupportedError, match="the bits of FLOAT32 as RESOURCE"):
        model_of(bits)
    wider = one_op("Bitcast", np.zeros(3, np.int32), type=np.int64)[0]
    with pytest.raises(UnsupportedError, match="the last dimension of 'x0' is not 2"):
        model_of(wider)


@pytest.mark.parametrize("op", ["SquaredDifference", "Add", "Maximum"])
def test_unsigned_integers_meet_no_other_type(op: str) -> None:
    nodes = [placeholder("x", np.uint64, (2, 3)), placeholder("z", np.float32, (2, 3))]
    with pytest.raises(UnsupportedError, match="takes one type"):
        model_of(graph(*nodes, node("y", op, "x", "z", T=np.dtype(np.uint64))))
