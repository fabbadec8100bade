"""Operators of each element by itself, and combinations of two tensors, which broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.compose import activations, arithmetic, compare, functions, integers
from tqconv.compose.builder import Builder
from tqconv.compose.casts import converted
from tqconv.compose.sizes import operand, size_of
from tqconv.errors import UnsupportedError
from tqconv.importers.borders import COMPUTED
from tqconv.importers.onnx.registry import ONNXBuilder, composed, handles
from tqconv.importers.onnx.tensors import dtype_of
from tqconv.ir.graph import Tensor

F = np.float32

Distribution = Callable[[Any, Tensor, int], Tensor]
"""(builder, tensor, axis) -> a tensor whose elements along the axis depend on each other."""

composed(
    Abs=arithmetic.absolute,
    Acos=functions.acos,
    Acosh=functions.acosh,
    Asin=functions.asin,
    Asinh=functions.asinh,
    Atan=functions.atan,
    Atanh=functions.atanh,
    BitwiseAnd=integers.bitwise_and,
    BitwiseNot=integers.invert,
    BitwiseOr=integers.bitwise_or,
    BitwiseXor=integers.bitwise_xor,
    Cosh=functions.cosh,
    Erf=functions.erf,
    HardSwish=activations.hard_swish,
    IsNaN=compare.is_nan,
    Mish=activations.mish,
    Neg=arithmetic.negative,
    Reciprocal=arithmetic.reciprocal,
    Relu=activations.relu,
    Round=arithmetic.rounded,
    Sign=arithmetic.sign,
    Sinh=functions.sinh,
    Softplus=functions.softplus,
    Softsign=functions.softsign,
    Tan=functions.tan,
)


@handles(Ceil="CEIL", Cos="COS", Exp="EXP", Floor="FLOOR", Log="LOG", Not="LOGICAL_NOT")
@handles(Sigmoid="LOGISTIC", Sin="SIN", Sqrt="SQRT", Tanh="TANH")
def kernel(b: ONNXBuilder, type: str, x: Tensor) -> Tensor:
    """One operator of the same meaning."""
    return b(type, x)


@handles(Sub="SUB", Mul="MUL")
def combine(b: ONNXBuilder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Difference, product."""
    return arithmetic.combine(b, type, x, y)


@handles("Div")
def divide(b: ONNXBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Quotient; of integers towards zero."""
    if x.dtype.kind in "iu":
        return arithmetic.truncate_divide(b, x, y)
    return arithmetic.divide(b, x, y)


@handles("Mod")
def mod(b: ONNXBuilder, x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    """Remainder with the sign of the divisor, or with `fmod` of the dividend."""
    return (arithmetic.truncate_mod if fmod else arithmetic.floor_mod)(b, x, y)


@handles("Pow")
def power(b: ONNXBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Raise x to the power y, in the type of x."""
    return arithmetic.power(b, x, converted(b, y, x.dtype))


@handles("PRelu")
def prelu(b: ONNXBuilder, x: Tensor, slope: Tensor) -> Tensor:
    """Slope times x where that is negative; the slope broadcasts from the right."""
    below = b("MUL", slope, b("MINIMUM", x, np.array(0, x.dtype)))
    return b("ADD", b("RELU", x) if x.dtype == F else b("MAXIMUM", x, np.array(0, x.dtype)), below)


@handles(Max="MAXIMUM", Min="MINIMUM")
def extreme(b: ONNXBuilder, type: str, x: Tensor, *others: Tensor) -> Tensor:
    """The largest or smallest of any number of tensors."""
    for other in others:
        x = arithmetic.extreme(b, type, x, other)
    return x


@handles(Sum=False, Mean=True)
def total(b: ONNXBuilder, mean: bool, x: Tensor, *others: Tensor) -> Tensor:
    """Sum or mean of any number of tensors."""
    for other in others:
        x = b("ADD", x, other)
    return b("MUL", x, np.array(1 / (1 + len(others)), x.dtype)) if mean and others else x


@handles(And="LOGICAL_AND", Or="LOGICAL_OR", Xor="NOT_EQUAL")
def logic(b: ONNXBuilder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Combine truth values."""
    return b(type, x, y)


@handles("Equal")
def equal(b: ONNXBuilder, x: Tensor, y: Tensor) -> Tensor:
    """Whether elements are equal."""
    return compare.equal(b, x, y)


@handles(Greater="GREATER", GreaterOrEqual="GREATER_EQUAL", Less="LESS")
@handles(LessOrEqual="LESS_EQUAL")
def order(b: ONNXBuilder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Compare the order of elements."""
    return compare.order(b, type, x, y)


@handles("IsInf")
def is_infinite(
    b: ONNXBuilder, x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1
) -> Tensor:
    """Which elements are infinite, of the signs that count."""
    if detect_negative and detect_positive:
        return compare.is_infinite(b, x)
    found = compare.is_endless(b, x, -1 if detect_negative else 1)
    none = not detect_negative and not detect_positive
    return b("LOGICAL_AND", found, np.array(False)) if none else found


@handles("Where")
def where(b: ONNXBuilder, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Choose x where the condition holds, y elsewhere."""
    return b("SELECT_V2", condition, x, y)


@handles("BitShift")
def bit_shift(b: ONNXBuilder, x: Tensor, count: Tensor, *, direction: str) -> Tensor:
    """Shift bits to the LEFT or the RIGHT; beyond their number nothing is left but the sign."""
    shift = {"LEFT": integers.shift_left, "RIGHT": integers.shift_right}.get(direction)
    if shift is None:
        raise UnsupportedError(f"direction `{direction}`")
    shifted = shift(b, x, count)
    bits = integers.bits_of(x.dtype)
    if count.data is not None and bool(((count.data >= 0) & (count.data < bits)).all()):
        return shifted
    below = compare.order(b, "LESS", count, b.const(bits, count.dtype, "bits"))
    if count.dtype.kind == "i":
        below = b("LOGICAL_AND", below, b("GREATER_EQUAL", count, np.array(0, count.dtype)))
    rest = b.const(0, x.dtype, "rest")
    if x.dtype.kind == "i" and direction == "RIGHT":
        rest = shift(b, x, b.const(bits - 1, x.dtype, "last"))
    return b("SELECT_V2", below, shifted, rest)


@handles("BitCast", since=26)
def bit_cast(b: ONNXBuilder, x: Tensor, *, to: int) -> Tensor:
    """Read the bits as another type of the same width."""
    dtype = dtype_of(to)
    if dtype in COMPUTED or dtype.itemsize != x.dtype.itemsize:
        raise UnsupportedError(f"the bits of {x.dtype} as {dtype}: half and double are float32")
    if np.bool_ in (dtype, x.dtype):
        return b.cast(x, dtype)
    return integers.bitcast(b, x, dtype)


@handles("Cast")
def cast(
    b: ONNXBuilder, x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up"
) -> Tensor:
    """Convert to another element type; half and double are float32."""
    dtype = dtype_of(to)
    return converted(b, x, COMPUTED.get(dtype, dtype))


@handles("CastLike")
def cast_like(
    b: ONNXBuilder, x: Tensor, like: Tensor, *, saturate: int = 1, round_mode: str = "up"
) -> Tensor:
    """Convert to the type of another tensor."""
    return converted(b, x, like.dtype)


@handles("Clip")
def clip_6(
    b: ONNXBuilder, x: Tensor, *, min: float | None = None, max: float | None = None
) -> Tensor:
    """Clamp between two attributes."""
    return activations.clamp(b, x, min, max)


@handles("Clip", since=11)
def clip(
    b: ONNXBuilder, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    """Clamp between two scalars, either of which may be missing."""
    real = x.dtype == F
    if real and all(t is None or t.is_constant for t in (low, high)):
        numbers = [None if t is None else float(b.scalar(t, "bound")) for t in (low, high)]
        return activations.clamp(b, x, *numbers)
    if low is not None:
        x = arithmetic.extreme(b, "MAXIMUM", x, low)
    return x if high is None else arithmetic.extreme(b, "MINIMUM", x, high)


@handles("LeakyRelu")
def leaky_relu(b: ONNXBuilder, x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """Alpha times x where that is negative."""
    return activations.leaky_relu(b, x, alpha)


@handles("Elu")
def elu(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Replace negative x by alpha (exp(x) - 1)."""
    return activations.elu(b, x, alpha)


@handles("Celu")
def celu(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Replace negative x by alpha (exp(x / alpha) - 1)."""
    return activations.celu(b, x, alpha)


@handles("Selu")
def selu(
    b: ONNXBuilder, x: Tensor, *, alpha: float = 1.67326319217681884765625,
    gamma: float = 1.05070102214813232421875,
) -> Tensor:  # fmt: skip
    """Multiply by gamma: x, or alpha (exp(x) - 1) where x is negative."""
    return activations.selu(b, x, alpha, gamma)


@handles("Gelu")
@handles("com.microsoft:Gelu")
def gelu(b: ONNXBuilder, x: Tensor, *, approximate: str = "none") -> Tensor:
    """Multiply x by the normal distribution's function, or its approximation by a tanh."""
    return activations.gelu(b, x, approximate == "tanh")


@handles("com.microsoft:FastGelu")
def fast_gelu(b: ONNXBuilder, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """The approximation of GELU by a tanh, of x + bias."""
    return activations.gelu(b, x if bias is None else b("ADD", x, bias), True)


@handles("com.microsoft:BiasGelu")
def bias_gelu(b: ONNXBuilder, x: Tensor, bias: Tensor) -> Tensor:
    """GELU of x + bias."""
    return activations.gelu(b, b("ADD", x, bias))


@handles("com.microsoft:BiasAdd")
def bias_add(b: ONNXBuilder, x: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    """Return x + bias + skip."""
    return b("ADD", b("ADD", x, bias), skip)


@handles("com.microsoft:BiasSplitGelu")
def bias_split_gelu(b: ONNXBuilder, x: Tensor, bias: Tensor) -> Tensor:
    """Return the first half of x + bias along the last axis times GELU of the second."""
    total = b("ADD", x, bias)
    first, second = b("SPLIT", np.array(x.rank - 1, np.int32), total, num_splits=2)
    return b("MUL", first, gelu(b, second))


@handles("com.microsoft:QuickGelu")
def quick_gelu(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.702) -> Tensor:
    """X sigmoid(alpha x)."""
    return activations.silu(b, x, alpha)


@handles("Swish")
def swish(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """X sigmoid(alpha x)."""
    return activations.silu(b, x, alpha)


@handles("HardSigmoid")
def hard_sigmoid(b: ONNXBuilder, x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """Clamp alpha x + beta to [0, 1]."""
    return activations.hard_sigmoid(b, x, alpha, beta)


@handles("ThresholdedRelu")
def thresholded_relu(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Keep x where it is above alpha, else 0."""
    return activations.thresholded(b, x, alpha)


@handles("Shrink")
def shrink(b: ONNXBuilder, x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Pull x towards 0 by the bias; what lies within lambd is 0. Integers are cut, not rounded."""
    return b.cast(activations.soft_shrink(b, b.cast(x, F), lambd, bias), x.dtype)


def _hard(b: Builder, x: Tensor, axis: int) -> Tensor:
    """1 at the first of the largest elements, else 0."""

    def along(t: Tensor) -> Tensor:
        place = b("ARG_MAX", t, np.array(t.rank - 1, np.int32), output_type="INT32")
        depth = operand(size_of(b, t, t.rank - 1))
        return b("ONE_HOT", place, depth, np.array(1, t.dtype), np.array(0, t.dtype), axis=-1)

    return b.on_last_axis(x, axis, along)


@handles(Softmax=activations.softmax, LogSoftmax=activations.log_softmax, Hardmax=_hard)
def flattening_softmax(
    b: ONNXBuilder, distribution: Distribution, x: Tensor, *, axis: int = 1
) -> Tensor:
    """Before opset 13: one distribution over all axes from `axis` on."""
    return over_all_behind(b, x, axis, distribution)


def over_all_behind(b: ONNXBuilder, x: Tensor, axis: int, distribution: Distribution) -> Tensor:
    """Return one distribution over all axes from `axis` on."""
    axis = axis + x.rank if axis < 0 else axis
    if axis == x.rank - 1:
        return distribution(b, x, -1)
    if not all(x.shape[axis:]) or None in x.shape[axis:]:
        raise UnsupportedError("a softmax over several axes of which some are unknown")
    inner = int(np.prod([d or 1 for d in x.shape[axis:]]))
    outer = [d for d in x.shape[:axis]]
    flat = b.reshape(x, (*outer, inner))
    return b.reshape(distribution(b, flat, -1), x.shape)


@handles(Softmax=activations.softmax, LogSoftmax=activations.log_softmax, since=13, Hardmax=_hard)
def softmax(b: ONNXBuilder, distribution: Distribution, x: Tensor, *, axis: int = -1) -> Tensor:
    """A distribution along one axis."""
    return distribution(b, x, axis)


@handles("Dropout")
def dropout_7(b: ONNXBuilder, x: Tensor, *, ratio: float = 0.5) -> tuple[Tensor, ...]:
    """Pass on: nothing is dropped in inference."""
    return (x, _all_kept(b, x)) if b.wants(1) else (x,)


@handles("Dropout", since=12)
def dropout(
    b: ONNXBuilder,
    x: Tensor,
    ratio: Tensor | None = None,
    training: Tensor | None = None,
    *,
    seed: int = 0,
) -> tuple[Tensor, ...]:
    """Pass on, unless the ratio of a training run is not 0."""
    trains = training is not None and bool(b.scalar(training, "training_mode"))
    if trains and (ratio is None or b.scalar(ratio, "ratio") != 0):
        raise UnsupportedError("a dropout in training mode")
    return (x, _all_kept(b, x)) if b.wants(1) else (x,)


def _all_kept(b: ONNXBuilder, x: Tensor) -> Tensor:
    return b("FILL", b.shape_of(x), np.array(True))
