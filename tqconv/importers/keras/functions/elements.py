"""Functions that compute each element by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tqconv.compose import functions as composed
from tqconv.importers.keras.nodes import function, kind, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor

ONE: Mapping[str, str] = {
    "math.acos": "Acos",
    "math.acosh": "Acosh",
    "math.angle": "Angle",
    "math.asin": "Asin",
    "math.asinh": "Asinh",
    "math.atan": "Atan",
    "math.atanh": "Atanh",
    "math.bessel_i0": "BesselI0",
    "math.bessel_i0e": "BesselI0e",
    "math.bessel_i1": "BesselI1",
    "math.bessel_i1e": "BesselI1e",
    "math.ceil": "Ceil",
    "math.conj": "Conj",
    "math.cos": "Cos",
    "math.cosh": "Cosh",
    "math.digamma": "Digamma",
    "math.erf": "Erf",
    "math.erfc": "Erfc",
    "math.erfinv": "Erfinv",
    "math.exp": "Exp",
    "math.expm1": "Expm1",
    "math.floor": "Floor",
    "math.imag": "Imag",
    "math.invert_permutation": "InvertPermutation",
    "math.is_finite": "IsFinite",
    "math.is_inf": "IsInf",
    "math.is_nan": "IsNan",
    "math.lgamma": "Lgamma",
    "math.log": "Log",
    "math.log1p": "Log1p",
    "math.logical_not": "LogicalNot",
    "math.ndtri": "Ndtri",
    "math.negative": "Neg",
    "math.real": "Real",
    "math.reciprocal": "Reciprocal",
    "math.rint": "Rint",
    "math.round": "Round",
    "math.rsqrt": "Rsqrt",
    "math.sigmoid": "Sigmoid",
    "math.sign": "Sign",
    "math.sin": "Sin",
    "math.sinh": "Sinh",
    "math.softplus": "Softplus",
    "math.sqrt": "Sqrt",
    "math.square": "Square",
    "math.tan": "Tan",
    "math.tanh": "Tanh",
    "bitwise.invert": "Invert",
    "identity": "Identity",
    "stop_gradient": "StopGradient",
    "nn.elu": "Elu",
    "nn.l2_loss": "L2Loss",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.selu": "Selu",
    "nn.softsign": "Softsign",
    "linalg.cholesky": "Cholesky",
    "linalg.det": "MatrixDeterminant",
    "linalg.tensor_diag": "Diag",
    "linalg.tensor_diag_part": "DiagPart",
    "image.hsv_to_rgb": "HSVToRGB",
    "image.rgb_to_hsv": "RGBToHSV",
    "signal.fft": "FFT",
    "signal.fft2d": "FFT2D",
    "signal.fft3d": "FFT3D",
    "signal.ifft": "IFFT",
    "signal.ifft2d": "IFFT2D",
    "signal.ifft3d": "IFFT3D",
}
"""Function of one tensor -> the operator that it is."""


@function(**ONE)
def one(b: KerasBuilder, op: str, x: Any) -> Tensor:
    """Compute one operator of one tensor."""
    return node(b, op, x)


@function("math.abs")
def absolute(b: KerasBuilder, x: Any) -> Tensor:
    """The size of numbers, also of complex ones."""
    is_complex = isinstance(x, Tensor) and x.dtype.kind == "c"
    return node(b, "ComplexAbs" if is_complex else "Abs", x)


TWO: Mapping[str, str] = {
    "math.add": "AddV2",
    "math.divide_no_nan": "DivNoNan",
    "math.equal": "Equal",
    "math.floordiv": "FloorDiv",
    "math.floormod": "FloorMod",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterEqual",
    "math.less": "Less",
    "math.less_equal": "LessEqual",
    "math.logical_and": "LogicalAnd",
    "math.logical_or": "LogicalOr",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.multiply": "Mul",
    "math.multiply_no_nan": "MulNoNan",
    "math.not_equal": "NotEqual",
    "math.pow": "Pow",
    "math.squared_difference": "SquaredDifference",
    "math.subtract": "Sub",
    "math.xdivy": "Xdivy",
    "math.xlog1py": "Xlog1py",
    "math.xlogy": "Xlogy",
    "__operators__.add": "AddV2",
    "bitwise.bitwise_and": "BitwiseAnd",
    "bitwise.bitwise_or": "BitwiseOr",
    "bitwise.bitwise_xor": "BitwiseXor",
    "bitwise.left_shift": "LeftShift",
    "bitwise.right_shift": "RightShift",
    "floor_div": "FloorDiv",
    "realdiv": "RealDiv",
    "truncatediv": "TruncateDiv",
    "truncatemod": "TruncateMod",
}
"""Function of `x` and `y` -> the operator that it is."""


@function(**TWO)
def two(b: KerasBuilder, op: str, x: Any, *, y: Any) -> Tensor:
    """Compute one operator of two tensors, of which one may be a number."""
    return node(b, op, x, y)


@function(**{"__operators__.eq": "Equal", "__operators__.ne": "NotEqual"})
def compared(b: KerasBuilder, op: str, x: Any, *, other: Any) -> Tensor:
    """Compare as `==` and `!=` of Python do."""
    return node(b, op, x, other)


@function("math.truediv", "math.divide")
def true_divide(b: KerasBuilder, x: Any, *, y: Any) -> Tensor:
    """Divide; whole numbers as reals."""
    other = next((t.dtype for t in (x, y) if isinstance(t, Tensor)), None)
    first, second = tensor(b, x, other), tensor(b, y, other)
    return node(b, "RealDiv", b.real(first), b.real(second))


@function("math.atan2")
def atan2(b: KerasBuilder, y: Any, *, x: Any) -> Tensor:
    """The angle of the point (x, y)."""
    return node(b, "Atan2", y, x)


@function("math.logical_xor")
def logical_xor(b: KerasBuilder, x: Any, *, y: Any) -> Tensor:
    """Whether one of the two is true."""
    return node(b, "NotEqual", x, y)


@function("math.scalar_mul")
def scalar_multiply(b: KerasBuilder, scalar: Any, *, x: Any) -> Tensor:
    """Multiply by a number."""
    return node(b, "Mul", scalar, x)


@function("math.reciprocal_no_nan")
def reciprocal_no_nan(b: KerasBuilder, x: Tensor) -> Tensor:
    """Return 1 / x, 0 where x is 0."""
    return node(b, "DivNoNan", 1, x)


@function("math.log_sigmoid")
def log_sigmoid(b: KerasBuilder, x: Tensor) -> Tensor:
    """The logarithm of the sigmoid."""
    return b("NEG", composed.softplus(b, b("NEG", x)))


@function("math.polyval")
def polynomial(b: KerasBuilder, coefficients: Any, *, x: Tensor) -> Tensor:
    """A polynomial of x, the highest coefficient first."""
    total = tensor(b, coefficients[0], x.dtype)
    for coefficient in coefficients[1:]:
        total = node(b, "AddV2", node(b, "Mul", total, x), coefficient)
    return total


@function(**{"math.add_n": "AddN", "math.accumulate_n": "AddN"})
def add_n(b: KerasBuilder, op: str, xs: Any, *, shape: Any = None) -> Tensor:
    """Add tensors of one shape."""
    return node(b, op, xs)


@function("dtypes.complex")
def complex_of(b: KerasBuilder, real: Any, *, imag: Any) -> Tensor:
    """Complex numbers of two real parts."""
    return node(b, "Complex", real, imag)


@function("cast")
def cast(b: KerasBuilder, x: Any, *, dtype: Any) -> Tensor:
    """Convert to another type."""
    wanted = kind(dtype)
    if not isinstance(x, Tensor):
        return tensor(b, x, wanted.dtype)
    return node(b, "Cast", x, DstT=wanted)


@function("dtypes.saturate_cast")
def saturate_cast(b: KerasBuilder, x: Tensor, *, dtype: Any) -> Tensor:
    """Convert to another type; what it cannot hold becomes its nearest number."""
    wanted = kind(dtype)
    if wanted.dtype.kind in "iu":
        limits = np.iinfo(wanted.dtype)
        x = node(b, "Minimum", node(b, "Maximum", x, limits.min), limits.max)
    return node(b, "Cast", x, DstT=wanted)


@function("clip_by_value")
def clip_by_value(
    b: KerasBuilder, x: Tensor, *, clip_value_min: Any, clip_value_max: Any
) -> Tensor:
    """Keep between two bounds."""
    return node(b, "Maximum", node(b, "Minimum", x, clip_value_max), clip_value_min)


@function("where")
def where(b: KerasBuilder, condition: Tensor, *, x: Any = None, y: Any = None) -> Tensor:
    """Choose element by element; without a choice, the places where the condition holds."""
    if x is None and y is None:
        return node(b, "Where", condition)
    return node(b, "SelectV2", condition, x, y)


@function("compat.v1.where")
def where_of_rows(b: KerasBuilder, condition: Tensor, *, x: Any = None, y: Any = None) -> Tensor:
    """Choose element by element, or row by row where the condition is a vector."""
    if x is None and y is None:
        return node(b, "Where", condition)
    return node(b, "Select", condition, x, y)


@function("convert_to_tensor")
def convert_to_tensor(
    b: KerasBuilder, value: Any, *, dtype: Any = None, dtype_hint: Any = None
) -> Tensor:
    """Return a tensor, stacked of a list of them."""
    return tensor(b, value, None if dtype is None else kind(dtype).dtype)


@function("bitcast")
def bitcast(b: KerasBuilder, x: Tensor, *, type: Any) -> Tensor:
    """Read the bits as another type."""
    return node(b, "Bitcast", x, type=kind(type))
