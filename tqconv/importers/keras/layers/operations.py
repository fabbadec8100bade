"""Operations of Keras 3 (`keras.ops` and operators on tensors), which are nodes of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import (
    activations,
    arithmetic,
    compare,
    functions,
    gather,
)
from tqconv.compose.builder import Builder
from tqconv.compose.casts import converted
from tqconv.compose.sizes import calculate, reshaped, sizes_of
from tqconv.importers.keras.layers.activation import NAMED, hard_sigmoid
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32


THEIRS, HELD, INT32 = "theirs", "held", "int32"
"""The type of a whole number in the file: that of the tensors beside it, in which it may wrap
around; the same if this holds it, else int32; always int32. Keras differs from operation to
operation."""


def operands(
    b: KerasBuilder, tensors: Sequence[Tensor], args: Any, *, numbers: str = THEIRS
) -> list[Tensor]:
    """Return the operands of a call: its tensors, numbers in their places, all of one type.

    args: all that the operation is called with; None where these are only tensors. numbers: the
    type of whole numbers among them: THEIRS, HELD or INT32.
    """
    if args is None:
        return same_type(b, list(tensors))
    kinds = [t.dtype for t in tensors if t.dtype != np.bool_]
    base = next((k for k in kinds if k.kind == "f"), kinds[0] if kinds else None)
    found: list[Tensor] = []
    for number, arg in enumerate(args):
        if isinstance(arg, Tensor):
            found.append(arg)
            continue
        array = np.asarray(arg)
        if array.dtype.kind == "b":
            found.append(b.const(array, np.bool_, f"arg{number}"))
            continue
        own = np.dtype(F if array.dtype.kind == "f" else np.int32)
        whole = own.kind != "f"
        theirs = numbers == THEIRS or (numbers == HELD and base is not None and _holds(base, array))
        dtype = base if base is not None and (base.kind == "f" or (whole and theirs)) else own
        found.append(b.const(array, dtype, f"arg{number}"))
    return same_type(b, found)


def _holds(dtype: np.dtype, array: NDArray[Any]) -> bool:
    """Whether a type has these numbers."""
    if dtype.kind == "f" or not array.size:
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= array.min() and array.max() <= limits.max)


ADDED_UP: Mapping[np.dtype, np.dtype] = {
    **dict.fromkeys(map(np.dtype, (np.bool_, np.int8, np.int16)), np.dtype(np.int32)),
    **dict.fromkeys(map(np.dtype, (np.uint8, np.uint16)), np.dtype(np.uint32)),
}
"""The types in which Keras adds and multiplies many numbers of a smaller type."""


def added_up(b: KerasBuilder, x: Tensor) -> Tensor:
    """Return numbers in the type in which many of them are added."""
    return b.cast(x, ADDED_UP.get(x.dtype, x.dtype))


def same_type(b: KerasBuilder, xs: list[Tensor]) -> list[Tensor]:
    """Return tensors of one type: reals win over integers, these over truth."""
    kinds = {x.dtype for x in xs}
    if len(kinds) <= 1:
        return xs
    wanted = np.result_type(*kinds)
    wanted = np.dtype(F) if wanted.kind == "f" or any(k.kind == "f" for k in kinds) else wanted
    return [b.cast(x, wanted) for x in xs]


Two = Callable[[Builder, Tensor, Tensor], Tensor]


def _kernel(type: str) -> Two:
    return lambda b, x, y: arithmetic.combine(b, type, x, y)


def _extreme(type: str) -> Two:
    return lambda b, x, y: arithmetic.extreme(b, type, x, y)


def _order(type: str) -> Two:
    return lambda b, x, y: compare.order(b, type, x, y)


def _true_divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    return b("DIV", b.cast(x, F), b.cast(y, F))


def _logical(type: str) -> Two:
    return lambda b, x, y: b(type, gather.truth(b, x), gather.truth(b, y))


WEAK = frozenset(
    f"ops.{name}"
    for name in (
        *("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Fmax", "Fmin", "FloorDivide"),
        *("Power", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "LeftShift", "RightShift"),
        *("BitwiseLeftShift", "BitwiseRightShift"),
    )
)
"""Operations in which Keras gives a number the type of the tensor beside it."""


@operations(
    Add=_kernel("ADD"),
    Subtract=_kernel("SUB"),
    Multiply=_kernel("MUL"),
    Maximum=_extreme("MAXIMUM"),
    Minimum=_extreme("MINIMUM"),
    TrueDivide=_true_divide,
    Divide=_true_divide,
    FloorDivide=arithmetic.floor_divide,
    Mod=arithmetic.floor_mod,
    Power=arithmetic.power,
    Arctan2=lambda b, x, y: functions.atan2(b, b.cast(x, F), b.cast(y, F)),
    Equal=compare.equal,
    NotEqual=lambda b, x, y: compare.equal(b, x, y, negated=True),
    Greater=_order("GREATER"),
    GreaterEqual=_order("GREATER_EQUAL"),
    Less=_order("LESS"),
    LessEqual=_order("LESS_EQUAL"),
    LogicalAnd=_logical("LOGICAL_AND"),
    LogicalOr=_logical("LOGICAL_OR"),
)
def binary(b: KerasBuilder, make: Two, *xs: Tensor, args: Any = None) -> Tensor:
    """Combine two operands, of which one may be a number."""
    numbers = THEIRS if b.layer.op in WEAK else HELD
    numbers = INT32 if b.layer.op in ("ops.Mod", "ops.Fmod") else numbers
    x, y = operands(b, xs, args, numbers=numbers)
    return make(b, x, y)


One = Callable[[Builder, Tensor], Tensor]


def _real(type: str) -> One:
    return lambda b, x: b(type, b.cast(x, F))


def _of_real(make: One) -> One:
    return lambda b, x: make(b, b.cast(x, F))


UNARY: dict[str, One] = {
    "Absolute": arithmetic.absolute,
    "Abs": arithmetic.absolute,
    "Negative": arithmetic.negative,
    "Sign": arithmetic.sign,
    "Square": lambda b, x: arithmetic.square(b, b.cast(x, np.int32) if x.dtype == np.bool_ else x),
    "LogicalNot": lambda b, x: b("LOGICAL_NOT", gather.truth(b, x)),
    "Exp": _real("EXP"),
    "Log": _real("LOG"),
    "Sqrt": _real("SQRT"),
    "Rsqrt": _real("RSQRT"),
    "Sin": _real("SIN"),
    "Cos": _real("COS"),
    "Tanh": _real("TANH"),
    "Floor": _real("FLOOR"),
    "Ceil": _real("CEIL"),
    "Sigmoid": _real("LOGISTIC"),
    "Log1p": _of_real(functions.log1p),
    "Expm1": _of_real(functions.expm1),
    "Sinh": _of_real(functions.sinh),
    "Cosh": _of_real(functions.cosh),
    "Tan": _of_real(functions.tan),
    "Arcsin": _of_real(functions.asin),
    "Arccos": _of_real(functions.acos),
    "Arctan": _of_real(functions.atan),
    "Arcsinh": _of_real(functions.asinh),
    "Arccosh": _of_real(functions.acosh),
    "Arctanh": _of_real(functions.atanh),
    "Erf": _of_real(functions.erf),
    "Erfinv": _of_real(functions.erfinv),
    "Trunc": lambda b, x: x if x.dtype.kind in "iub" else arithmetic.truncated(b, b.cast(x, F)),
    "Reciprocal": _of_real(arithmetic.reciprocal),
    "Log2": lambda b, x: b("MUL", b("LOG", b.cast(x, F)), np.array(1 / np.log(2), F)),
    "Log10": lambda b, x: b("MUL", b("LOG", b.cast(x, F)), np.array(1 / np.log(10), F)),
    "Isnan": _of_real(compare.is_nan),
    "Isinf": _of_real(compare.is_infinite),
    "Isfinite": _of_real(compare.is_finite),
    "Relu": lambda b, x: activations.clamp(b, x, 0, None),
    "Relu6": lambda b, x: activations.clamp(b, x, 0, 6),
    "Silu": _of_real(activations.silu),
    "Selu": _of_real(activations.selu),
    "Softplus": _of_real(functions.softplus),
    "Softsign": _of_real(functions.softsign),
    "HardSigmoid": lambda b, x: hard_sigmoid(b, b.cast(x, F)),
    "HardSilu": _of_real(activations.hard_swish),
    "HardTanh": _of_real(NAMED["hard_tanh"]),
    "LogSigmoid": _of_real(NAMED["log_sigmoid"]),
    "TanhShrink": _of_real(NAMED["tanh_shrink"]),
    "SparsePlus": _of_real(NAMED["sparse_plus"]),
    "SparseSigmoid": _of_real(NAMED["sparse_sigmoid"]),
    "StopGradient": lambda b, x: x,
    "Copy": lambda b, x: x,
}


@operations(**UNARY)
def unary(b: KerasBuilder, make: One, x: Tensor) -> Tensor:
    """Compute each element by itself."""
    return make(b, x)


@handles("ops.Round")
def rounded(b: KerasBuilder, x: Tensor, *, decimals: int = 0) -> Tensor:
    """Round halves to even, at so many decimals."""
    if decimals == 0:
        return arithmetic.rounded(b, x)
    factor = np.array(10.0**decimals, F)
    return b("DIV", b("ROUND", b("MUL", b.real(x), factor)), factor)


@handles("ops.Gelu")
def gelu(b: KerasBuilder, x: Tensor, *, approximate: bool = True) -> Tensor:
    """x times the normal distribution at x."""
    return activations.gelu(b, b.real(x), approximate)


@handles("ops.LeakyRelu")
def leaky_relu(b: KerasBuilder, x: Tensor, *, negative_slope: float = 0.2) -> Tensor:
    """Return x where it is positive, else a multiple."""
    return activations.leaky_relu(b, b.real(x), negative_slope)


@handles("ops.Elu", "ops.Celu")
def elu(b: KerasBuilder, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """The exponential linear unit, continuous in its slope for Celu."""
    make = activations.elu if b.layer.op == "ops.Elu" else activations.celu
    return make(b, b.real(x), alpha)


@handles("ops.Softmax", "ops.LogSoftmax")
def softmax(b: KerasBuilder, x: Tensor, *, axis: Any = -1) -> Tensor:
    """Softmax, or its logarithm, over one axis or several at once."""
    x = b.real(x)
    if axis is None or not isinstance(axis, int):
        along = axes_of(axis, x.rank)
        top = b("SUB", x, b("REDUCE_MAX", x, np.array(along, np.int32), keep_dims=True))
        power = b("EXP", top)
        total = b("SUM", power, np.array(along, np.int32), keep_dims=True)
        if b.layer.op == "ops.LogSoftmax":
            return b("SUB", top, b("LOG", total))
        return b("DIV", power, total)
    make = activations.softmax if b.layer.op == "ops.Softmax" else activations.log_softmax
    return make(b, x, axis)


@handles("ops.Clip")
def clip(b: KerasBuilder, x: Tensor, *, x_min: Any = None, x_max: Any = None) -> Tensor:
    """Keep between two numbers."""
    return activations.clamp(b, x, x_min, x_max)


def type_of(name: Any) -> np.dtype:
    """Return the type that a name stands for; reals are float32."""
    wanted = np.dtype(str(name))
    return np.dtype(F) if wanted.kind == "f" else wanted


@handles("ops.Cast")
def cast(b: KerasBuilder, x: Tensor, *, dtype: Any = None, args: Any = None) -> Tensor:
    """Convert to another type; reals are float32."""
    name = b.layer.config.get("dtype") if dtype is None else dtype
    return converted(b, x, type_of(name))


def axes_of(axis: Any, rank: int) -> list[int]:
    """Return axes in [0, rank); None means all."""
    if axis is None:
        return list(range(rank))
    return [axis_of(a, rank) for a in ([axis] if isinstance(axis, int) else axis)]


def flattened(b: KerasBuilder, x: Tensor) -> Tensor:
    """Return all elements in one axis."""
    return x if x.rank == 1 else reshaped(b, x, [calculate(b, "MUL", 1, *sizes_of(b, x))])


def along_one(b: KerasBuilder, x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """Return a tensor and an axis in [0, rank); None means all elements in one axis."""
    return (flattened(b, x), 0) if axis is None else (x, axis_of(axis, x.rank))


@handles("ops.Where")
def where(b: KerasBuilder, condition: Tensor, *xs: Tensor, args: Any = None) -> Tensor:
    """Choose element by element."""
    rest = None if args is None else args[1:]
    x, y = operands(b, xs, rest)
    return b("SELECT_V2", gather.truth(b, condition), x, y)
