"""Operations of Keras 3 beyond the arithmetic of every model: each element by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.compose import activations, arithmetic, compare, functions, gamma, gather, integers
from tqconv.compose.builder import Builder
from tqconv.compose.integers import bitcast
from tqconv.importers.keras.layers.activation import sparsemax
from tqconv.importers.keras.layers.operations import (
    HELD,
    One,
    Two,
    binary,
    flattened,
    operands,
    type_of,
    unary,
)
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.ir.graph import Tensor

F = np.float32


def _times(factor: float) -> One:
    return lambda b, x: b("MUL", b.cast(x, F), np.array(factor, F))


def _infinite(type: str) -> One:
    def test(b: Builder, x: Tensor) -> Tensor:
        x = b.cast(x, F)
        return b("LOGICAL_AND", compare.is_infinite(b, x), b(type, x, np.array(0, F)))

    return test


def _cube_root(b: Builder, x: Tensor) -> Tensor:
    x = b.cast(x, F)
    root = arithmetic.power(b, b("ABS", x), b.const(1 / 3, F, "third"))
    return b("MUL", b("SIGN", x), root)


def _sign_bit(b: Builder, x: Tensor) -> Tensor:
    """Return whether the sign says minus, as it does for -0.0 and may for what is no number."""
    bits = bitcast(b, x, np.dtype(np.int32)) if x.dtype == F else x
    return b("LESS", bits, np.zeros((), bits.dtype))


def _sinc(b: Builder, x: Tensor) -> Tensor:
    """Return sin(pi x) / (pi x), 1 at 0."""
    angle = b("MUL", b.cast(x, F), np.array(np.pi, F))
    is_zero = b("EQUAL", angle, np.array(0, F))
    one = np.array(1, F)
    return b(
        "SELECT_V2", is_zero, one, b("DIV", b("SIN", angle), b("SELECT_V2", is_zero, one, angle))
    )


operations(
    BitwiseInvert=integers.invert,
    BitwiseNot=integers.invert,
    Cbrt=_cube_root,
    Conj=lambda b, x: x,
    Conjugate=lambda b, x: x,
    Deg2rad=_times(np.pi / 180),
    Erfc=lambda b, x: functions.erfc(b, b.cast(x, F)),
    Exp2=lambda b, x: b("EXP", b("MUL", b.cast(x, F), np.array(np.log(2), F))),
    Fabs=lambda b, x: b("ABS", b.cast(x, F)),
    I0=lambda b, x: gamma.bessel(b, b.cast(x, F), order=0),
    Imag=lambda b, x: b("ZEROS_LIKE", x),
    Isneginf=_infinite("LESS"),
    Isposinf=_infinite("GREATER"),
    Isreal=lambda b, x: b("EQUAL", b("ZEROS_LIKE", x), np.zeros((), x.dtype)),
    Rad2deg=_times(180 / np.pi),
    Ravel=flattened,
    Real=lambda b, x: x,
    Signbit=_sign_bit,
    Sinc=_sinc,
    Angle=lambda b, x: b("MUL", b.cast(b("LESS", x, np.zeros((), x.dtype)), F), np.array(np.pi, F)),
)(unary)


def _reals(make: Two) -> Two:
    return lambda b, x, y: make(b, b.cast(x, F), b.cast(y, F))


def _hypotenuse(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    return b("SQRT", b("ADD", b("SQUARE", x), b("SQUARE", y)))


def _log_of_sum(scale: float) -> Two:
    """Return max + log(1 + exp(-|x - y|)), in a base whose logarithm is 1 / scale."""

    def make(b: Builder, x: Tensor, y: Tensor) -> Tensor:
        apart = b("MUL", b("ABS", b("SUB", x, y)), np.array(-1 / scale, F))
        rest = b("MUL", functions.log1p(b, b("EXP", apart)), np.array(scale, F))
        return b("ADD", b("MAXIMUM", x, y), rest)

    return make


def _step(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """Return 0 below 0, 1 above, y there."""
    zero = np.array(0, F)
    above = b.cast(b("GREATER", x, zero), F)
    return b("SELECT_V2", b("EQUAL", x, zero), y, above)


def _scaled(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    return b("MUL", x, b("EXP", b("MUL", y, np.array(np.log(2), F))))


operations(
    BitwiseAnd=integers.bitwise_and,
    BitwiseLeftShift=integers.shift_left,
    BitwiseOr=integers.bitwise_or,
    BitwiseRightShift=integers.shift_right,
    BitwiseXor=integers.bitwise_xor,
    DivideNoNan=_reals(lambda b, x, y: arithmetic.zero_where(b, y, arithmetic.divide(b, x, y))),
    Fmax=lambda b, x, y: arithmetic.extreme(b, "MAXIMUM", x, y),
    Fmin=lambda b, x, y: arithmetic.extreme(b, "MINIMUM", x, y),
    Fmod=arithmetic.truncate_mod,
    Heaviside=_reals(_step),
    Hypot=_reals(_hypotenuse),
    Ldexp=_reals(_scaled),
    LeftShift=integers.shift_left,
    Logaddexp=_reals(_log_of_sum(1.0)),
    Logaddexp2=_reals(_log_of_sum(float(1 / np.log(2)))),
    LogicalXor=lambda b, x, y: b("NOT_EQUAL", gather.truth(b, x), gather.truth(b, y)),
    Nextafter=_reals(arithmetic.next_after),
    RightShift=integers.shift_right,
)(binary)


@handles("ops.Isclose")
def is_close(
    b: KerasBuilder,
    *xs: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
    args: Any = None,
) -> Tensor:
    """Whether |x - y| is at most atol + rtol * |y|; both limits may be given by position."""
    given: list[float] = [] if args is None else list(args[2:])
    rtol, atol = given + [rtol, atol][len(given) :]
    x, y = (b.real(t) for t in operands(b, xs, None if args is None else args[:2], numbers=HELD))
    most = b("ADD", b("MUL", b("ABS", y), np.array(rtol, F)), np.array(atol, F))
    near = b("LESS_EQUAL", b("ABS", b("SUB", x, y)), most)
    if not equal_nan:
        return near
    return b("LOGICAL_OR", near, b("LOGICAL_AND", *(compare.is_nan(b, t) for t in (x, y))))


@handles("ops.NanToNum")
def nan_to_num(
    b: KerasBuilder, x: Tensor, *, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Tensor:
    """Put numbers in the places of what is none, and of infinities."""
    if x.dtype.kind != "f":
        return x
    ends = np.finfo(F)
    x = b("SELECT_V2", compare.is_nan(b, x), np.array(nan, F), x)
    for test, value in (
        (_infinite("GREATER"), ends.max if posinf is None else posinf),
        (_infinite("LESS"), ends.min if neginf is None else neginf),
    ):
        x = b("SELECT_V2", test(b, x), np.array(value, F), x)
    return x


Shaped = Callable[..., Tensor]


@operations(HardShrink=activations.hard_shrink, SoftShrink=activations.soft_shrink)
def shrunk(b: KerasBuilder, make: Shaped, x: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Zero what is near zero, or bring all else nearer to it."""
    return make(b, b.real(x), threshold)


@handles("ops.Threshold")
def threshold(b: KerasBuilder, x: Tensor, *, threshold: float, default_value: float) -> Tensor:
    """Return x where it is above a threshold, else a value."""
    x = b.real(x)
    above = b("GREATER", x, np.array(threshold, F))
    return b("SELECT_V2", above, x, np.array(default_value, F))


def squareplus(b: KerasBuilder, x: Tensor, *, b_: float = 4) -> Tensor:
    """Return (x + sqrt(x² + b)) / 2."""
    x = b.real(x)
    root = b("SQRT", b("ADD", b("MUL", x, x), np.array(b_, F)))
    return b("MUL", b("ADD", x, root), np.array(0.5, F))


handles("ops.Squareplus")(squareplus)


@handles("ops.Glu")
def glu(b: KerasBuilder, x: Tensor, *, axis: int = -1) -> Tensor:
    """Multiply the first half along an axis by the sigmoid of the second."""

    def gated(t: Tensor) -> Tensor:
        first, second = b("SPLIT", np.array(t.rank - 1, np.int32), t, num_splits=2)
        return b("MUL", first, b("LOGISTIC", second))

    return b.on_last_axis(b.real(x), axis, gated)


@handles("ops.Sparsemax")
def sparse_max(b: KerasBuilder, x: Tensor, *, axis: int = -1) -> Tensor:
    """The nearest point of the simplex, as Keras computes it."""
    return sparsemax(b, b.real(x), axis)


@handles("ops.SaturateCast")
def saturate_cast(b: KerasBuilder, x: Tensor, *, dtype: Any) -> Tensor:
    """Convert to another type; what it cannot hold becomes its nearest number."""
    wanted = np.dtype(str(dtype))
    if wanted.kind in "iu" and x.dtype != np.bool_:
        x = activations.clamp(b, x, *_ends(np.iinfo(wanted), x.dtype))
    return b.cast(x, type_of(dtype))


def _ends(limits: np.iinfo, dtype: np.dtype) -> tuple[float, float]:
    """Return the outermost numbers of a type within limits: up to 2147483520.0 for 2**31 - 1."""
    if dtype.kind != "f":
        own = np.iinfo(dtype)
        return max(limits.min, own.min), min(limits.max, own.max)
    last = np.array(limits.max, F)
    beyond = int(last) > limits.max
    return limits.min, float(np.nextafter(last, np.array(0, F)) if beyond else last)


@handles("ops.ConvertToTensor", "ops.Array")
def convert_to_tensor(b: KerasBuilder, x: Tensor, *, dtype: Any = None) -> Tensor:
    """Pass on, in another type if one is named."""
    if dtype is None:
        return x
    return b.cast(x, type_of(dtype))
