"""Trigonometric, hyperbolic, exponential, error and gamma functions, and some gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tqconv.compose import functions, gamma
from tqconv.compose.activations import SELU_ALPHA, SELU_SCALE
from tqconv.compose.arithmetic import divide, zero_where
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.registry import Handler
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor

F = np.float32

_FUNCTIONS: dict[str, Callable[[Builder, Tensor], Tensor]] = {
    "Acos": functions.acos,
    "Acosh": functions.acosh,
    "Asin": functions.asin,
    "Asinh": functions.asinh,
    "Atan": functions.atan,
    "Atanh": functions.atanh,
    "BesselI0": partial(gamma.bessel, order=0),
    "BesselI0e": partial(gamma.scaled_bessel, order=0),
    "BesselI1": partial(gamma.bessel, order=1),
    "BesselI1e": partial(gamma.scaled_bessel, order=1),
    "Cosh": functions.cosh,
    "Digamma": gamma.digamma,
    "Erf": functions.erf,
    "Erfc": functions.erfc,
    "Erfinv": functions.erfinv,
    "Expm1": functions.expm1,
    "Lgamma": gamma.lgamma,
    "Log1p": functions.log1p,
    "Ndtri": functions.ndtri,
    "Sinh": functions.sinh,
    "Softplus": functions.softplus,
    "Softsign": functions.softsign,
    "Tan": functions.tan,
}


def _composed(function: Callable[[Builder, Tensor], Tensor]) -> Handler:
    """Return a handler that composes a function; it says what the function's own text says."""

    def handler(b: Builder, x: Tensor) -> Tensor:
        _check_real(b, x)
        return function(b, x)

    handler.__doc__ = getattr(function, "func", function).__doc__
    return handler


for _name, _function in _FUNCTIONS.items():
    handles(_name)(_composed(_function))


@handles("Atan2")
def atan2(b: Builder, y: Tensor, x: Tensor) -> Tensor:
    """The angle of the point (x, y)."""
    return functions.atan2(b, y, x)


@handles("Xdivy")
def divide_unless_zero(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y, and 0 where x is 0 whatever y is."""
    return zero_where(b, x, divide(b, x, y))


@handles("Xlogy")
def times_log(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` log(y), and 0 where x is 0 whatever y is."""
    return zero_where(b, x, b("MUL", x, b("LOG", y)))


@handles("Xlog1py")
def times_log1p(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` log(1 + y), and 0 where x is 0 whatever y is."""
    return zero_where(b, x, b("MUL", x, functions.log1p(b, y)))


Gradient = Callable[[Builder, Tensor, Tensor], Tensor]
_GRADIENTS: dict[str, Any] = {
    "InvGrad": lambda b, y, dy: b("NEG", b("MUL", dy, b("MUL", y, y))),
    "ReciprocalGrad": lambda b, y, dy: b("NEG", b("MUL", dy, b("MUL", y, y))),
    "RsqrtGrad": lambda b, y, dy: b("MUL", dy, b("MUL", b("MUL", y, b("MUL", y, y)), F(-0.5))),
    "SigmoidGrad": lambda b, y, dy: b("MUL", dy, b("MUL", y, b("SUB", F(1), y))),
    "SqrtGrad": lambda b, y, dy: b("DIV", b("MUL", dy, F(0.5)), y),
    "TanhGrad": lambda b, y, dy: b("MUL", dy, b("SUB", F(1), b("MUL", y, y))),
}
"""Gradients given the function's value y."""


@handles(**_GRADIENTS)
def gradient_from_value(b: Builder, compute: Gradient, y: Tensor, dy: Tensor) -> Tensor:
    """`dy` times the derivative, which is a function of y."""
    _check_real(b, dy)
    return compute(b, y, dy)


def _check_real(b: Builder, x: Tensor) -> None:
    if x.dtype != np.float32:
        raise UnsupportedError(f"{b.source.op_type} of {x.dtype}")


def _relu6_passes(b: Builder, x: Tensor) -> Tensor:
    return b("LOGICAL_AND", b("GREATER", x, F(0)), b("LESS", x, F(6)))


def _softsign_grad(b: Builder, dy: Tensor, x: Tensor) -> Tensor:
    size = b("ADD", b("ABS", x), F(1))
    return b("DIV", dy, b("MUL", size, size))


def _selu_grad(b: Builder, dy: Tensor, y: Tensor) -> Tensor:
    below = b("ADD", y, F(SELU_SCALE * SELU_ALPHA))
    return b("MUL", dy, b("SELECT_V2", b("LESS", y, F(0)), below, F(SELU_SCALE)))


_DERIVATIVES: dict[str, Any] = {
    "EluGrad": lambda b, dy, y: b(
        "SELECT_V2", b("LESS", y, F(0)), b("MUL", dy, b("ADD", y, F(1))), dy
    ),
    "Relu6Grad": lambda b, dy, x: b("SELECT_V2", _relu6_passes(b, x), dy, F(0)),
    "ReluGrad": lambda b, dy, x: b("SELECT_V2", b("GREATER", x, F(0)), dy, F(0)),
    "SeluGrad": _selu_grad,
    "SoftplusGrad": lambda b, dy, x: b("MUL", dy, b("LOGISTIC", x)),
    "SoftsignGrad": _softsign_grad,
}


@handles(**_DERIVATIVES)
def gradient(b: Builder, compute: Gradient, dy: Tensor, x: Tensor) -> Tensor:
    """`dy` times the derivative at the features x (at the outputs for Elu and Selu)."""
    _check_real(b, dy)
    return compute(b, dy, x)


@handles("LeakyReluGrad")
def leaky_relu_grad(b: Builder, dy: Tensor, x: Tensor, *, alpha: float = 0.2) -> Tensor:
    """`dy` where x is positive, alpha dy elsewhere."""
    _check_real(b, dy)
    return b("SELECT_V2", b("GREATER", x, F(0)), dy, b("MUL", dy, F(alpha)))
