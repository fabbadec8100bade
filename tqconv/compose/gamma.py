"""The logarithm of the gamma function, its derivative, and Bessel functions, in float32."""

from __future__ import annotations

import math

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import polynomial
from tqconv.ir.graph import Tensor

F = np.float32

# Asymptotic series of Abramowitz & Stegun 6.1.40 and 6.3.18 in 1 / z²; from z = 3 on the terms
# below
# leave less than 3e-8.
_LGAMMA = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)
_DIGAMMA = (-1 / 12, 1 / 120, -1 / 252, 1 / 240, -1 / 132)
_ASYMPTOTIC_FROM = 3.0
_FAR_BELOW = -1e30


def lgamma(b: Builder, x: Tensor) -> Tensor:
    """log |gamma(x)|, absolute error below 3e-6 max(1, |y|).

    Below 0.5 by reflection: log(pi / |sin(pi x)|) - lgamma(1 - x).
    """
    x = b("MAXIMUM", x, F(_FAR_BELOW))  # so that -inf is a pole, as the integers near it are
    reflected = b("LESS", x, F(0.5))
    positive = _lgamma_of_positive(b, b("SELECT_V2", reflected, b("SUB", F(1), x), x))
    sine = b("ABS", b("SIN", _phase(b, x)))
    mirror = b("SUB", b("SUB", F(math.log(math.pi)), b("LOG", sine)), positive)
    return b("SELECT_V2", reflected, mirror, positive)


def _phase(b: Builder, x: Tensor) -> Tensor:
    """pi x up to a multiple of pi, in [-pi / 2, pi / 2]."""
    return b("MUL", b("SUB", x, b("ROUND", x)), F(math.pi))


def _lgamma_of_positive(b: Builder, x: Tensor) -> Tensor:
    """Stirling's series; below 3 at x + 3, less log(x (x + 1) (x + 2))."""
    small = b("LESS", x, F(_ASYMPTOTIC_FROM))
    z = b("SELECT_V2", small, b("ADD", x, F(3)), x)
    rise = b("MUL", b("MUL", x, b("ADD", x, F(1))), b("ADD", x, F(2)))
    shift = b("LOG", b("SELECT_V2", small, rise, F(1)))
    inverse = b("DIV", F(1), z)
    series = b("MUL", polynomial(b, b("MUL", inverse, inverse), _LGAMMA), inverse)
    # (z - 1/2) log z - z in one product: at infinity the difference would be NaN.
    main = b("MUL", b("SUB", z, F(0.5)), b("SUB", b("LOG", z), F(1)))
    constant = F(math.log(2 * math.pi) / 2 - 0.5)
    return b("SUB", b("ADD", main, b("ADD", series, constant)), shift)


def digamma(b: Builder, x: Tensor) -> Tensor:
    """The derivative of lgamma, absolute error below 3e-6 max(1, |y|).

    Below 0.5 by reflection: digamma(1 - x) - pi / tan(pi x).
    """
    reflected = b("LESS", x, F(0.5))
    positive = _digamma_of_positive(b, b("SELECT_V2", reflected, b("SUB", F(1), x), x))
    phase = _phase(b, x)
    cotangent = b("DIV", b("MUL", b("COS", phase), F(math.pi)), b("SIN", phase))
    return b("SELECT_V2", reflected, b("SUB", positive, cotangent), positive)


def _digamma_of_positive(b: Builder, x: Tensor) -> Tensor:
    """The asymptotic series; below 3 at x + 3, less 1/x + 1/(x+1) + 1/(x+2)."""
    small = b("LESS", x, F(_ASYMPTOTIC_FROM))
    z = b("SELECT_V2", small, b("ADD", x, F(3)), x)
    terms = [b("DIV", F(1), x)] + [b("DIV", F(1), b("ADD", x, F(k))) for k in (1, 2)]
    shift = b("SELECT_V2", small, b("ADD", b("ADD", terms[0], terms[1]), terms[2]), F(0))
    inverse = b("DIV", F(1), z)
    square = b("MUL", inverse, inverse)
    series = b("MUL", polynomial(b, square, _DIGAMMA), square)
    main = b("SUB", b("LOG", z), b("MUL", inverse, F(0.5)))
    return b("SUB", b("ADD", main, series), shift)


# Abramowitz & Stegun 9.8.1 to 9.8.4, errors below 2.2e-7: in (x / 3.75)² up to 3.75, in 3.75 / x
# beyond.
_BESSEL_SPLIT = 3.75
_BESSEL = {
    0: (
        (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813),
        (
            *(0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281),
            *(-0.02057706, 0.02635537, -0.01647633, 0.00392377),
        ),
    ),
    1: (
        (0.5, 0.87890594, 0.51498869, 0.15084934, 0.02658733, 0.00301532, 0.00032411),
        (
            *(0.39894228, -0.03988024, -0.00362018, 0.00163801, -0.01031555),
            *(0.02282967, -0.02895312, 0.01787654, -0.00420059),
        ),
    ),
}


def scaled_bessel(b: Builder, x: Tensor, order: int) -> Tensor:
    """exp(-|x|) I(x), the modified Bessel function of order 0 or 1, relative error below 2e-6."""
    near, far = _BESSEL[order]
    size = b("ABS", x)
    t = b("MUL", size, F(1 / _BESSEL_SPLIT))
    centre = b("MUL", polynomial(b, b("MUL", t, t), near), b("EXP", b("NEG", size)))
    if order:
        centre = b("MUL", centre, size)
    tail = b("DIV", polynomial(b, b("DIV", F(1), t), far), b("SQRT", size))
    y = b("SELECT_V2", b("LESS", size, F(_BESSEL_SPLIT)), centre, tail)
    return b("MUL", y, b("SIGN", x)) if order else y


def bessel(b: Builder, x: Tensor, order: int) -> Tensor:
    """Return the modified Bessel function I of order 0 or 1, within 1e-5 of itself up to 88."""
    return b("MUL", scaled_bessel(b, x, order), b("EXP", b("ABS", x)))
