"""Real functions against double precision, over their whole domains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import one_op, results
from numpy.typing import NDArray

Array = NDArray[Any]
Reference = Callable[[float], float]
F = np.float32


def wide(low: float, high: float) -> Array:
    """Points between the bounds: evenly, and by magnitude with either sign."""
    even = np.linspace(low, high, 2001)
    sizes = 10.0 ** np.linspace(-30, math.log10(max(abs(low), abs(high))), 600)
    points = np.concatenate([even, sizes, -sizes])
    return points[(points >= low) & (points <= high)].astype(F)


def digamma(x: float) -> float:
    """The derivative of lgamma: recurrence up to 20, then the asymptotic series."""
    if x < 0.5:
        return digamma(1 - x) - math.pi / math.tan(math.pi * x)
    shift = 0.0
    while x < 20:
        shift -= 1 / x
        x += 1
    r = 1 / (x * x)
    return shift + math.log(x) - 0.5 / x - r * (1 / 12 - r * (1 / 120 - r / 252))


def scaled_bessel(x: float, order: int) -> float:
    """exp(-|x|) I(x) by its power series, whose terms have one sign."""
    half, term, total = x / 2, (x / 2) ** order, 0.0
    for k in range(1, 100):
        total += term
        term *= half * half / (k * (k + order))
    return total * math.exp(-abs(x))


def quantile(p: float) -> float:
    """The normal quantile by Newton's method on the logarithm of the smaller tail."""
    tail = min(p, 1 - p)
    z = 0.0 if tail == 0.5 else -math.sqrt(-2 * math.log(tail))
    for _ in range(100):
        chance = 0.5 * math.erfc(-z / math.sqrt(2))
        density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
        z -= math.log(chance / tail) * chance / density
    return z if p <= 0.5 else -z


def erfinv(x: float) -> float:
    """The inverse of erf: Newton's method near 0, the normal quantile beyond."""
    if abs(x) > 0.5:
        return math.copysign(quantile((1 - abs(x)) / 2) / math.sqrt(2), x)
    y = x * math.sqrt(math.pi) / 2
    for _ in range(20):
        y -= (math.erf(y) - x) * math.sqrt(math.pi) / 2 * math.exp(y * y)
    return y


RELATIVE: dict[str, tuple[Reference, Array, float]] = {
    "Acos": (math.acos, wide(-1, 0.999), 1e-6),
    "Acosh": (math.acosh, wide(1, 2e38), 3e-6),
    "Asin": (math.asin, wide(-1, 1), 1e-6),
    "Asinh": (math.asinh, wide(-2e38, 2e38), 3e-6),
    "Atan": (math.atan, wide(-2e38, 2e38), 1e-6),
    "Atanh": (math.atanh, wide(-0.9999, 0.9999), 3e-6),
    "BesselI0": (lambda x: scaled_bessel(x, 0) * math.exp(abs(x)), wide(-30, 30), 1e-5),
    "BesselI0e": (lambda x: scaled_bessel(x, 0), wide(-30, 30), 2e-6),
    "BesselI1": (lambda x: scaled_bessel(x, 1) * math.exp(abs(x)), wide(-30, 30), 1e-5),
    "BesselI1e": (lambda x: scaled_bessel(x, 1), wide(-30, 30), 2e-6),
    "Cosh": (math.cosh, wide(-88, 88), 5e-6),
    "Erfinv": (erfinv, wide(-0.99999, 0.99999), 3e-6),
    "Erf": (math.erf, wide(-30, 30), 1e-6),
    "Expm1": (math.expm1, wide(-80, 88), 5e-6),
    "Log1p": (math.log1p, wide(-0.9999, 2e38), 3e-6),
    "Log": (math.log, wide(1e-30, 2e38), 1e-6),
    "Ndtri": (quantile, wide(1e-30, 0.4999), 3e-6),
    "Rsqrt": (lambda x: 1 / math.sqrt(x), wide(1e-30, 8e37), 1e-6),
    "Sigmoid": (lambda x: 1 / (1 + math.exp(-x)), wide(-15, 80), 1e-6),
    "Sinh": (math.sinh, wide(-88, 88), 5e-6),
    "Softsign": (lambda x: x / (1 + abs(x)), wide(-2e38, 2e38), 1e-6),
    "Sqrt": (math.sqrt, wide(0, 8e37), 1e-6),
    "Tan": (math.tan, wide(-1.5, 1.5), 3e-6),
    "Tanh": (math.tanh, wide(-80, 80), 1e-6),
}
"""Function -> reference, points, largest |y - y'| / |y|.

XNNPACK's square roots are half as large again from about 2^126 up. Tan: near 1.5, sines that are
off by 1e-7 are divided by cosines of 0.07 that are, too.
"""

ABSOLUTE: dict[str, tuple[Reference, Array, float]] = {
    "Cos": (math.cos, wide(-100, 100), 3e-7),
    "Digamma": (digamma, wide(-6.03, 1e30), 3e-6),
    "Erfc": (math.erfc, wide(-30, 30), 5e-7),
    "Lgamma": (math.lgamma, wide(-6, 1e30), 3e-6),
    "Sin": (math.sin, wide(-100, 100), 3e-7),
    "Softplus": (lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))), wide(-1e20, 1e20), 3e-7),
}
"""Function -> reference, points, largest |y - y'| / max(1, |y|)."""


@pytest.mark.parametrize("op", RELATIVE)
def test_relative_error(op: str) -> None:
    reference, points, bound = RELATIVE[op]
    assert worst(op, reference, points, lambda y: np.abs(y)) <= bound


@pytest.mark.parametrize("op", ABSOLUTE)
def test_absolute_error(op: str) -> None:
    reference, points, bound = ABSOLUTE[op]
    assert worst(op, reference, points, lambda y: np.maximum(1, np.abs(y))) <= bound


def worst(op: str, reference: Reference, points: Array, scale: Callable[[Array], Array]) -> float:
    """The largest error over both sets of kernels, where the result is a normal float32 number."""
    y = np.array([value_of(reference, float(x)) for x in points])
    kept = (np.abs(y) < 3e38) & ((np.abs(y) > 1e-37) | (y == 0))
    message, feeds = one_op(op, points[kept])
    errors = []
    for (measured,) in results(message, feeds, ["y"]):
        difference = np.abs(measured.astype(np.float64) - y[kept])
        errors.append(np.max(difference / np.where(y[kept] == 0, 1, scale(y[kept]))))
    return float(np.max(errors))


def value_of(reference: Reference, x: float) -> float:
    try:
        return reference(x)
    except (OverflowError, ValueError, ZeroDivisionError):
        return math.inf
