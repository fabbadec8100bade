"""Real functions that TensorFlow Lite has no operator for, composed of its operators.

All take and return float32. Error bounds are measured in LiteRT over the whole domain, against
double precision: "relative" is |y - y'| / |y|, "absolute" is |y - y'|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import broadcast_shapes

F = np.float32


def polynomial(b: Builder, t: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Evaluate c0 + c1 t + c2 t² + … by Horner's rule; at least two coefficients."""
    *lower, highest = coefficients
    y = b("MUL", t, F(highest))
    for coefficient in lower[:0:-1]:
        y = b("MUL", b("ADD", y, F(coefficient)), t)
    return b("ADD", y, F(lower[0]))


def log1p(b: Builder, x: Tensor) -> Tensor:
    """log(1 + x), relative error below 3e-6.

    Near 0, where 1 + x rounds and XNNPACK's logarithm errs by 1e-7, as 2 atanh(s), that is
    s (2 + 2/3 s² + …) with s = x / (2 + x).
    """
    s = b("DIV", x, b("ADD", x, F(2)))
    near = b("MUL", s, polynomial(b, b("MUL", s, s), (2, 2 / 3)))
    is_near = b("LESS", b("ABS", x), F(0.05))  # the next term is 1e-7 of the first there
    return b("SELECT_V2", is_near, near, b("LOG", b("ADD", x, F(1))))


def expm1(b: Builder, x: Tensor) -> Tensor:
    """exp(x) - 1 = tanh(x / 2) (exp(x) + 1), relative error below 5e-6, of which exp has most."""
    half = b("TANH", b("MUL", x, F(0.5)))
    return b("MUL", half, b("ADD", b("EXP", x), F(1)))


def cosh(b: Builder, x: Tensor) -> Tensor:
    """(exp(x) + exp(-x)) / 2, relative error below 5e-6; infinite from 88.8 on, where exp(x) is."""
    total = b("ADD", b("EXP", x), b("EXP", b("NEG", x)))
    return b("MUL", total, F(0.5))


def sinh(b: Builder, x: Tensor) -> Tensor:
    """tanh(x) cosh(x): no cancellation near 0, relative error below 5e-6, of which exp has most."""
    return b("MUL", b("TANH", x), cosh(b, x))


def tan(b: Builder, x: Tensor) -> Tensor:
    """sin(x) / cos(x)."""
    return b("DIV", b("SIN", x), b("COS", x))


def asin(b: Builder, x: Tensor) -> Tensor:
    """The angle whose sine is x; NaN outside [-1, 1]."""
    return b("ATAN2", x, _other_leg(b, x))


def acos(b: Builder, x: Tensor) -> Tensor:
    """The angle whose cosine is x; NaN outside [-1, 1]."""
    return b("ATAN2", _other_leg(b, x), x)


def _other_leg(b: Builder, x: Tensor) -> Tensor:
    """sqrt(1 - x²), as a product that does not cancel near 1."""
    return b("SQRT", b("MUL", b("SUB", F(1), x), b("ADD", x, F(1))))


def atan(b: Builder, x: Tensor) -> Tensor:
    """The angle whose tangent is x."""
    # ATAN2 does not broadcast; ones made while the model runs need no room in the file.
    return b("ATAN2", x, b("ADD", b("ZEROS_LIKE", x), F(1)))


def atan2(b: Builder, y: Tensor, x: Tensor) -> Tensor:
    """The angle of the point (x, y), in (-pi, pi]."""
    return b("ATAN2", *of_one_shape(b, y, x))


def of_one_shape(b: Builder, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both operands broadcast to their common shape, for kernels that do not broadcast."""
    if x.shape == y.shape and x.is_static:
        return x, y
    if x.is_static and y.is_static:
        sizes = np.array(broadcast_shapes((x.shape, y.shape)), np.int32)
        x = x if x.shape == tuple(sizes) else b("BROADCAST_TO", x, sizes)
        return x, y if y.shape == tuple(sizes) else b("BROADCAST_TO", y, sizes)
    shape = b("BROADCAST_ARGS", b.shape_of(x), b.shape_of(y))
    return b("BROADCAST_TO", x, shape), b("BROADCAST_TO", y, shape)


LARGE = 1e9
"""Beyond it sqrt(x² + 1) = x in float32; its square is far from the largest float32."""


def asinh(b: Builder, x: Tensor) -> Tensor:
    """sign(x) log(|x| + sqrt(x² + 1)), relative error below 3e-6.

    With a = min(|x|, LARGE): log1p(a + a² / (1 + sqrt(a² + 1))) + log(|x| / a).
    """
    size = b("ABS", x)
    a = b("MINIMUM", size, F(LARGE))
    square = b("MUL", a, a)
    root = b("SQRT", b("ADD", square, F(1)))
    argument = b("ADD", a, b("DIV", square, b("ADD", root, F(1))))
    y = b("ADD", log1p(b, argument), _log_beyond(b, size))
    return b("MUL", y, b("SIGN", x))


def acosh(b: Builder, x: Tensor) -> Tensor:
    """log(x + sqrt(x² - 1)), relative error below 3e-6; NaN below 1.

    With t = min(x - 1, LARGE): log1p(t + sqrt(t (t + 2))) + log((x - 1) / t).
    """
    size = b("SUB", x, F(1))
    t = b("MINIMUM", size, F(LARGE))
    root = b("SQRT", b("MUL", t, b("ADD", t, F(2))))
    y = log1p(b, b("ADD", t, root))
    return b("ADD", y, _log_beyond(b, size))


def _log_beyond(b: Builder, size: Tensor) -> Tensor:
    """log(size / LARGE), or 0 below it."""
    return b("LOG", b("MAXIMUM", b("MUL", size, F(1 / LARGE)), F(1)))


def atanh(b: Builder, x: Tensor) -> Tensor:
    """sign(x) log1p(2 |x| / (1 - |x|)) / 2, relative error below 3e-6; NaN outside [-1, 1]."""
    size = b("ABS", x)
    ratio = b("DIV", b("ADD", size, size), b("SUB", F(1), size))
    return b("MUL", log1p(b, ratio), b("MUL", b("SIGN", x), F(0.5)))


def softplus(b: Builder, x: Tensor) -> Tensor:
    """log(1 + exp(x)) = max(x, 0) - log(sigmoid(|x|)), absolute error below 3e-7 max(1, |y|)."""
    tail = b("LOG", b("LOGISTIC", b("ABS", x)))
    return b("SUB", b("RELU", x), tail)


def softsign(b: Builder, x: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return b("DIV", x, b("ADD", b("ABS", x), F(1)))


ERF = (
    *(1.1283792743, 0.1027690558376, -0.0001918309050, -0.0006197845696),
    *(8.763729346e-05, -5.668470025e-06, 1.418519018e-07),
)
"""Minimax fit of atanh(erf(x)) / x in x² on [0, 4.6], weighted for the relative error of erf.

Increasing beyond, so that tanh stays at 1.
"""


def erf(b: Builder, x: Tensor) -> Tensor:
    """The error function as tanh(x p(x²)), relative error below 1e-6."""
    p = polynomial(b, b("MUL", x, x), ERF)
    return b("TANH", b("MUL", x, p))


def erfc(b: Builder, x: Tensor) -> Tensor:
    """1 - erf(x), absolute error below 5e-7."""
    return b("SUB", F(1), erf(b, x))


# M. Giles, "Approximating the erfinv function" (GPU Computing Gems 2, 2011): single precision.
_ERFINV_CENTRE = (
    *(1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087),
    *(-4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08),
)
_ERFINV_TAIL = (
    *(1.00045657, -0.0334544671, -1.1207921, 3.8956229, -8.69085669),
    *(14.5076014, -14.5863731, 6.15339525),
)
"""Minimax fit of |erfinv(x)| / s in 1 / s, s = sqrt(w), for w from 5 to 104.5: all of float32."""


def erfinv(b: Builder, x: Tensor) -> Tensor:
    """The inverse of erf on [-1, 1], relative error below 3e-6; infinite at the ends."""
    rest = b("MUL", b("SUB", F(1), x), b("ADD", x, F(1)))
    return _erfinv_of(b, x, rest)


def ndtri(b: Builder, p: Tensor) -> Tensor:
    """The quantile function of the normal distribution, relative error below 3e-6."""
    x = b("SUB", b("ADD", p, p), F(1))
    rest = b("MUL", b("MUL", p, F(4)), b("SUB", F(1), p))
    return b("MUL", _erfinv_of(b, x, rest), F(math.sqrt(2)))


def _erfinv_of(b: Builder, x: Tensor, rest: Tensor) -> Tensor:
    """`rest` is 1 - x², which a caller may know more exactly than x."""
    w = b("NEG", b("LOG", rest))
    centre = b("MUL", polynomial(b, b("SUB", w, F(2.5)), _ERFINV_CENTRE), x)
    root = b("SQRT", w)
    size = b("MUL", polynomial(b, b("DIV", F(1), root), _ERFINV_TAIL), root)
    return b("SELECT_V2", b("LESS", w, F(5)), centre, b("MUL", size, b("SIGN", x)))
