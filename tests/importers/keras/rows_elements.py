"""Examples of operations that compute each element by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from keras_rows import Draw, F, I, Row, Table
from networks_keras import Array

TABLE = Table()
One = Callable[[Array], Any]


def each(function: Callable[[float], float]) -> One:
    """Return a function of numbers as one of arrays."""
    return lambda x: np.vectorize(function, otypes=[np.float64])(x)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(x))


def sparse_plus(x: Array) -> Array:
    return np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))


def sinc(x: Array) -> Array:
    return np.sinc(np.where(x > 2, 0, x))


SELU = 1.0507009873554805, 1.6732632423543772
"""The scale and the slope with which a normal distribution keeps its variance (Klambauer 2017)."""
UNARY: dict[str, tuple[One, float, float]] = {
    "Angle": (lambda x: np.angle(x + 0.0), -3, 3),
    "Arccos": (np.arccos, -1, 1),
    "Arccosh": (np.arccosh, 1, 9),
    "Arcsin": (np.arcsin, -1, 1),
    "Arcsinh": (np.arcsinh, -5, 5),
    "Arctan": (np.arctan, -5, 5),
    "Arctanh": (np.arctanh, -0.95, 0.95),
    "Cbrt": (np.cbrt, -9, 9),
    "Ceil": (np.ceil, -3, 3),
    "Cos": (np.cos, -7, 7),
    "Cosh": (np.cosh, -3, 3),
    "Deg2rad": (np.deg2rad, -400, 400),
    "Exp": (np.exp, -3, 3),
    "Exp2": (np.exp2, -3, 3),
    "Expm1": (np.expm1, -3, 3),
    "Floor": (np.floor, -3, 3),
    "I0": (np.i0, -4, 4),
    "Log": (np.log, 0.1, 9),
    "Log10": (np.log10, 0.1, 9),
    "Log1p": (np.log1p, -0.9, 9),
    "Log2": (np.log2, 0.1, 9),
    "Rad2deg": (np.rad2deg, -3, 3),
    "Reciprocal": (np.reciprocal, 0.2, 3),
    "Sin": (np.sin, -7, 7),
    "Sinc": (np.sinc, -3, 3),
    "Sinh": (np.sinh, -3, 3),
    "Sqrt": (np.sqrt, 0, 9),
    "Tan": (np.tan, -1.3, 1.3),
    "Tanh": (np.tanh, -3, 3),
    "Fabs": (np.fabs, -3, 3),
}
KEEPING: dict[str, tuple[One, float, float]] = {
    "Abs": (np.abs, -3, 3),
    "Absolute": (np.abs, -3, 3),
    "Conj": (np.conj, -3, 3),
    "Conjugate": (np.conj, -3, 3),
    "Copy": (np.copy, -3, 3),
    "EmptyLike": (np.zeros_like, -3, 3),
    "Imag": (np.zeros_like, -3, 3),
    "Isreal": (np.isreal, -3, 3),
    "LogicalNot": (np.logical_not, -3, 3),
    "Negative": (np.negative, -3, 3),
    "OnesLike": (np.ones_like, -3, 3),
    "Ravel": (np.ravel, -3, 3),
    "Real": (np.real, -3, 3),
    "Round": (np.round, -3, 3),
    "Sign": (np.sign, -3, 3),
    "Signbit": (np.signbit, -3, 3),
    "Square": (np.square, -3, 3),
    "Trunc": (np.trunc, -3, 3),
    "ZerosLike": (np.zeros_like, -3, 3),
}
ACTIVATIONS: dict[str, tuple[One, float, float]] = {
    "HardSigmoid": (lambda x: np.clip(x / 6 + 0.5, 0, 1), -4, 4),
    "HardSilu": (lambda x: x * np.clip(x / 6 + 0.5, 0, 1), -4, 4),
    "HardTanh": (lambda x: np.clip(x, -1, 1), -3, 3),
    "LogSigmoid": (lambda x: -softplus(-x), -9, 9),
    "Relu6": (lambda x: np.clip(x, 0, 6), -9, 9),
    "Selu": (lambda x: SELU[0] * elu(x, SELU[1]), -3, 3),
    "Sigmoid": (sigmoid, -5, 5),
    "Silu": (lambda x: x * sigmoid(x), -5, 5),
    "Softplus": (softplus, -9, 9),
    "Softsign": (lambda x: x / (1 + np.abs(x)), -3, 3),
    "SparsePlus": (sparse_plus, -3, 3),
    "SparseSigmoid": (lambda x: np.clip((x + 1) / 2, 0, 1), -3, 3),
    "TanhShrink": (lambda x: x - np.tanh(x), -3, 3),
}
FUNCTIONS: dict[str, tuple[One, float, float]] = {
    "Erf": (each(math.erf), -3, 3),
    "Erfc": (each(math.erfc), -3, 3),
    "Erfinv": (each(lambda x: NormalDist().inv_cdf((x + 1) / 2) / math.sqrt(2)), -0.9, 0.9),
    "Rsqrt": (lambda x: 1 / np.sqrt(x), 0.1, 9),
}
REALS_ONLY = {"Arccos", "Arcsin", "Arctanh", "Reciprocal"}
"""Functions that Keras does not compute of whole numbers, or that have few in their domain."""


def some(d: Draw, low: float, high: float) -> Array:
    """Return reals, sometimes such that lie on a half."""
    x = d.reals(*d.shape(), low=low, high=high)
    return F(np.clip(np.round(2 * x) / 2, low, high)) if d.number(0, 2) == 0 else x


@TABLE.examples("numpy", *UNARY)
@TABLE.examples("nn", *ACTIVATIONS)
@TABLE.examples("math", *FUNCTIONS)
def of_reals(d: Draw, op: str) -> Row:
    """What is computed of reals; whole numbers become reals."""
    function, low, high = {**UNARY, **ACTIVATIONS, **FUNCTIONS}[op]
    x = some(d, low, high)
    if op in UNARY and op not in REALS_ONLY and d.number(0, 2) == 0:
        x = d.ints(*x.shape, low=math.ceil(low), high=math.floor(high))
    return Row([x], F(function(x.astype(np.float64))))


@TABLE.examples("numpy", *KEEPING)
def keeping_the_type(d: Draw, op: str) -> Row:
    function, low, high = KEEPING[op]
    x = some(d, low, high)
    x = d.ints(*x.shape, low=int(low)) if d.number(0, 2) == 0 else x
    return Row([x], function(x), fixed=op == "Ravel" and x.ndim == 1)


@TABLE.examples("nn", "Relu")
@TABLE.examples("core", "StopGradient")
def positive_or_all(d: Draw, op: str) -> Row:
    x = d.pick(some(d, -3, 3), d.ints(*d.shape()))
    return Row([x], np.maximum(x, 0) if op == "Relu" else x)


SPECIAL = {
    "Isfinite": np.isfinite,
    "Isinf": np.isinf,
    "Isnan": np.isnan,
    "Isneginf": np.isneginf,
    "Isposinf": np.isposinf,
}


def special(d: Draw) -> Array:
    """Return reals with infinities among them, and what is no number."""
    x = d.reals(*d.shape(2))
    x.flat[d.rng.permutation(x.size)[:3]] = [np.nan, np.inf, -np.inf]
    return x


@TABLE.examples("numpy", *SPECIAL)
def tests_of_what_is_no_number(d: Draw, op: str) -> Row:
    x = special(d)
    return Row([x], SPECIAL[op](x))


@TABLE.examples("numpy", "NanToNum")
def without_what_is_no_number(d: Draw, op: str) -> Row:
    config = {"nan": d.pick(0.0, 2.5), "posinf": d.pick(None, 9.0), "neginf": d.pick(None, -7.5)}
    x = special(d)
    return Row([x], np.nan_to_num(x, **config), config)


PARAMETRIC: dict[str, Callable[[Draw], tuple[dict[str, Any], One]]] = {}


def parametric(op: str) -> Callable[..., Any]:
    """Register what draws options of an activation and says what it computes with them."""

    def register(make: Callable[[Draw], tuple[dict[str, Any], One]]) -> Any:
        PARAMETRIC[op] = make
        return make

    return register


@parametric("Elu")
def of_elu(d: Draw) -> Any:
    alpha = d.pick(1.0, 0.5, 1.7)
    return {"alpha": alpha}, lambda x: elu(x, alpha)


@parametric("Celu")
def of_celu(d: Draw) -> Any:
    alpha = d.pick(1.0, 0.5, 1.7)
    return {"alpha": alpha}, lambda x: np.where(x > 0, x, alpha * np.expm1(x / alpha))


@parametric("Gelu")
def of_gelu(d: Draw) -> Any:
    if d.flag():
        normal = each(NormalDist().cdf)
        return {"approximate": False}, lambda x: x * normal(x)
    root = math.sqrt(2 / math.pi)
    curve: One = lambda x: x / 2 * (1 + np.tanh(root * (x + 0.044715 * x**3)))  # noqa: E731
    return {"approximate": True}, curve


@parametric("LeakyRelu")
def of_leaky_relu(d: Draw) -> Any:
    slope = d.pick(0.2, 0.05)
    return {"negative_slope": slope}, lambda x: np.where(x > 0, x, slope * x)


@parametric("HardShrink")
def of_hard_shrink(d: Draw) -> Any:
    edge = d.pick(0.5, 1.25)
    return {"threshold": edge}, lambda x: np.where(np.abs(x) > edge, x, 0)


@parametric("SoftShrink")
def of_soft_shrink(d: Draw) -> Any:
    edge = d.pick(0.5, 1.25)
    return {"threshold": edge}, lambda x: np.sign(x) * np.maximum(np.abs(x) - edge, 0)


@parametric("Squareplus")
def of_squareplus(d: Draw) -> Any:
    least = d.pick(4, 1.5)
    return {"b": least}, lambda x: (x + np.sqrt(x * x + least)) / 2


@parametric("Threshold")
def of_threshold(d: Draw) -> Any:
    edge, other = d.pick(0.5, -1.0), d.pick(0.0, 7.5)
    return {"threshold": edge, "default_value": other}, lambda x: np.where(x > edge, x, other)


@TABLE.examples("nn", *PARAMETRIC)
def activations_with_options(d: Draw, op: str) -> Row:
    config, function = PARAMETRIC[op](d)
    x = d.reals(*d.shape())
    return Row([x], F(function(x.astype(np.float64))), config)


@TABLE.examples("numpy", "Round", count=2)
def rounded(d: Draw, op: str) -> Row:
    x, decimals = d.reals(*d.shape()), d.number(1, 3)
    return Row([x], np.round(x, decimals), {"decimals": decimals})


@TABLE.examples("numpy", "Clip", count=4)
def clipped(d: Draw, op: str) -> Row:
    low, high = d.pick((-1, 2), (-0.5, 1.5), (0, 1.0))
    x = d.ints(*d.shape()) if isinstance(high, int) else d.reals(*d.shape())
    return Row([x], np.clip(x, low, high), {"x_min": low, "x_max": high})


@TABLE.examples("core", "Cast", count=5)
def types(d: Draw, op: str) -> Row:
    wanted = d.pick("float32", "int32", "uint8", "int8", "bool")
    x = d.pick(d.ints(*d.shape()), d.reals(*d.shape()), d.flags(*d.shape()))
    if wanted == "uint8":
        x = np.abs(x)
    return Row([x], x.astype(wanted), {"dtype": wanted})


@TABLE.examples("core", "SaturateCast", count=5)
def types_with_ends(d: Draw, op: str) -> Row:
    wanted = d.pick("int32", "uint8", "int8", "int16")
    shape, ends = d.shape(), np.iinfo(wanted)
    wide = 2.0 * ends.max
    x = d.pick(d.ints(*shape, low=-70000, high=70000), d.reals(*shape, low=-wide, high=wide))
    x = d.flags(*shape) if d.number(0, 5) == 0 else x
    top = 2147483520 if wanted == "int32" and x.dtype == F else ends.max  # the last before 2**31
    return Row(
        [x],
        np.clip(I(x) if x.dtype == bool else x, ends.min, top).astype(wanted),
        {"dtype": wanted},
    )


@TABLE.examples("core", "ConvertToTensor")
def converted(d: Draw, op: str) -> Row:
    x, wanted = d.reals(*d.shape()), d.pick(None, "int32", "float32")
    return Row([x], x.astype(wanted or F), {"dtype": wanted, "sparse": None, "ragged": None})


@TABLE.examples("numpy", "BitwiseInvert", "BitwiseNot", count=2)
def inverted(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(), dtype=d.pick(I, np.uint8), low=0, high=99)
    return Row([x], np.invert(x))


@TABLE.examples("numpy", "OnesLike", "ZerosLike", "EmptyLike", count=2)
def alike(d: Draw, op: str) -> Row:
    x, wanted = d.reals(*d.shape()), d.pick("int32", "float32", "bool")
    return Row([x], np.full(x.shape, op == "OnesLike", wanted), {"dtype": wanted})


@TABLE.examples("numpy", "FullLike")
def filled_alike(d: Draw, op: str) -> Row:
    x, value, wanted = d.reals(*d.shape()), d.pick(2.5, 3, -1), d.pick(None, "int32", "float32")
    return Row([x, value], np.full(x.shape, value, wanted or F), {"dtype": wanted})


@TABLE.examples("nn", "Relu6", count=1)
@TABLE.examples("numpy", "Square", count=1)
def of_flags_and_octets(d: Draw, op: str) -> Row:
    octets = d.ints(*d.shape(), low=0, high=9, dtype=np.uint8)
    x = octets if op == "Relu6" else d.flags(*d.shape())
    return Row([x], np.minimum(x, 6) if op == "Relu6" else x.astype(I))
