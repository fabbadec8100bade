"""Activations, softmax, and the losses that are made of it."""

from __future__ import annotations

import math

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import softplus
from tqconv.compose.integers import as_ordered
from tqconv.compose.sizes import operand, size_of
from tqconv.ir.graph import Tensor
from tqconv.ops.facts import CLAMPS

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
"""Klambauer et al. 2017, equation 14: lambda and alpha."""
LAST_OF_TWO = np.array([1], np.int32)
F = np.float32


def relu(b: Builder, x: Tensor) -> Tensor:
    """Return max(x, 0); the kernel knows reals only."""
    if x.dtype.kind == "u":
        return x
    return b("RELU", x) if x.dtype.kind == "f" else b("MAXIMUM", x, np.zeros((), x.dtype))


def relu6(b: Builder, x: Tensor) -> Tensor:
    """Return x between 0 and 6; the kernel knows reals only."""
    if x.dtype.kind == "f":
        return b("RELU6", x)
    six = b.const(6, x.dtype, "six")
    return as_ordered(b, lambda y, limit: b("MINIMUM", y, limit), relu(b, x), six)


_CLAMPS = {bounds: name for name, bounds in CLAMPS.items()}
"""Bounds that have an operator of their own."""


def clamp(b: Builder, x: Tensor, low: float | None, high: float | None) -> Tensor:
    """Return x between two numbers, of which either may be missing."""
    if x.dtype.kind == "f":
        name = _CLAMPS.get((-math.inf if low is None else low, math.inf if high is None else high))
        if name is not None:
            return b(name, x)
    y = x if low is None else b("MAXIMUM", x, np.array(low, x.dtype))
    return y if high is None else b("MINIMUM", y, np.array(high, x.dtype))


def leaky_relu(b: Builder, x: Tensor, alpha: float) -> Tensor:
    """Return x where it is positive, else alpha * x."""
    return b("LEAKY_RELU", x, alpha=alpha)


def elu(b: Builder, x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive, else alpha * (exp(x) - 1): the kernel's, stretched below 0."""
    y = b("ELU", x)
    return y if alpha == 1 else b("LEAKY_RELU", y, alpha=alpha)


def selu(b: Builder, x: Tensor, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE) -> Tensor:
    """Return scale * (x if x > 0 else alpha * (exp(x) - 1)): ELU, its negative half stretched."""
    return b("MUL", b("LEAKY_RELU", b("ELU", x), alpha=alpha), np.array(scale, F))


def celu(b: Builder, x: Tensor, alpha: float = 1.0) -> Tensor:
    """Return x where it is positive, else alpha * (exp(x / alpha) - 1)."""
    if alpha == 1:
        return b("ELU", x)
    return b("MUL", b("ELU", b("MUL", x, np.array(1 / alpha, F))), np.array(alpha, F))


def gelu(b: Builder, x: Tensor, approximate: bool = False) -> Tensor:
    """Return x times the normal distribution at x; `approximate`: by tanh."""
    return b("GELU", x, approximate=approximate)


def silu(b: Builder, x: Tensor, beta: float = 1.0) -> Tensor:
    """Return x * sigmoid(beta * x), which is called swish, too."""
    return b("MUL", x, b("LOGISTIC", x if beta == 1 else b("MUL", x, np.array(beta, F))))


def mish(b: Builder, x: Tensor) -> Tensor:
    """Return x * tanh(log(1 + exp(x)))."""
    return b("MUL", x, b("TANH", softplus(b, x)))


def hard_sigmoid(b: Builder, x: Tensor, alpha: float, beta: float) -> Tensor:
    """Return alpha * x + beta between 0 and 1."""
    return clamp(b, b("ADD", b("MUL", x, np.array(alpha, F)), np.array(beta, F)), 0.0, 1.0)


def hard_swish(b: Builder, x: Tensor) -> Tensor:
    """Return x times x / 6 + 1 / 2 between 0 and 1."""
    return b("HARD_SWISH", x)


def thresholded(b: Builder, x: Tensor, threshold: float, below: float = 0.0) -> Tensor:
    """Return x where it is above the threshold, else `below`."""
    return b("SELECT_V2", b("GREATER", x, np.array(threshold, F)), x, np.array(below, F))


def hard_shrink(b: Builder, x: Tensor, threshold: float) -> Tensor:
    """Return x where |x| is above the threshold, else 0."""
    return b("SELECT_V2", b("GREATER", b("ABS", x), np.array(threshold, F)), x, np.array(0, F))


def soft_shrink(b: Builder, x: Tensor, threshold: float, bias: float | None = None) -> Tensor:
    """Return x moved toward 0 by `bias` where |x| is above the threshold, else 0.

    The bias is the threshold where none is given.
    """
    if bias is None or bias == threshold:
        return b("SUB", x, clamp(b, x, -threshold, threshold))
    beyond = b("GREATER", b("ABS", x), np.array(threshold, F))
    moved = b("SUB", x, b("MUL", b("SIGN", x), np.array(bias, F)))
    return b("SELECT_V2", beyond, moved, np.array(0, F))


def softmax(b: Builder, x: Tensor, axis: int = -1) -> Tensor:
    """Return exp(x) / sum(exp(x)) over an axis."""
    return b.on_last_axis(x, axis, lambda x: b("SOFTMAX", x, beta=1.0))


def log_softmax(b: Builder, x: Tensor, axis: int = -1) -> Tensor:
    """Return the logarithm of the softmax over an axis."""
    return b.on_last_axis(x, axis, lambda x: b("LOG_SOFTMAX", x))


def softmax_cross_entropy(b: Builder, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return -sum(labels * log_softmax(features)) and its gradient; [n, classes] broadcast."""
    terms = b("MUL", labels, b("LOG_SOFTMAX", features))
    loss: Tensor = b("NEG", b("SUM", terms, LAST_OF_TWO))
    return loss, b("SUB", b("SOFTMAX", features, beta=1.0), labels)


def sparse_softmax_cross_entropy(
    b: Builder, features: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return -log_softmax(features)[label] and its gradient, for [n, classes] and labels [n]."""
    index = b.cast(labels, np.int32)
    chosen = b("GATHER", b("LOG_SOFTMAX", features), index, axis=1, batch_dims=1)
    one, zero = np.array(1, np.float32), np.array(0, np.float32)
    hot = b("ONE_HOT", index, operand(size_of(b, features, 1)), one, zero, axis=-1)
    loss: Tensor = b("NEG", chosen)
    return loss, b("SUB", b("SOFTMAX", features, beta=1.0), hot)
