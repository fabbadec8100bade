"""Activations, softmax, and the losses that are made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.integers import as_ordered
from tqconv.compose.sizes import calculate, operand, reshaped, size_of, sizes_of
from tqconv.importers.tf.registry import TFBuilder, direct, handles
from tqconv.ir.graph import Tensor
from tqconv.ops.table import spec

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
"""Klambauer et al. 2017, equation 14: lambda and alpha."""
LAST_OF_TWO = np.array([1], np.int32)

direct(Elu="ELU")


@handles("Relu")
def relu(b: TFBuilder, x: Tensor) -> Tensor:
    """Return max(x, 0); the kernel knows reals only."""
    if x.dtype.kind == "u":
        return x
    return b("RELU", x) if x.dtype.kind == "f" else b("MAXIMUM", x, np.zeros((), x.dtype))


@handles("Relu6")
def relu6(b: TFBuilder, x: Tensor) -> Tensor:
    """Return x between 0 and 6; the kernel knows reals only."""
    if x.dtype.kind == "f":
        return b("RELU6", x)
    six = b.const(6, x.dtype, "six")
    return as_ordered(b, lambda y, limit: b("MINIMUM", y, limit), relu(b, x), six)


@handles("LeakyRelu")
def leaky_relu(b: TFBuilder, x: Tensor, *, alpha: float = 0.2) -> Tensor:
    """Return x where it is positive, else alpha * x."""
    return b("LEAKY_RELU", x, alpha=alpha)


@handles("Selu")
def selu(b: TFBuilder, x: Tensor) -> Tensor:
    """Return scale * (x if x > 0 else alpha * (exp(x) - 1)): ELU, its negative half stretched."""
    stretched = b("LEAKY_RELU", b("ELU", x), alpha=SELU_ALPHA)
    return b("MUL", stretched, np.array(SELU_SCALE, np.float32))


@handles("Softmax")
def softmax(b: TFBuilder, x: Tensor) -> Tensor:
    """Return exp(x) / sum(exp(x)) over the last axis."""
    return _by_rows(b, "SOFTMAX", x, beta=1.0)


@handles("LogSoftmax")
def log_softmax(b: TFBuilder, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last axis."""
    return _by_rows(b, "LOG_SOFTMAX", x)


@handles("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(b: TFBuilder, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return -sum(labels * log_softmax(features)) and its gradient; [n, classes] broadcast."""
    terms = b("MUL", labels, b("LOG_SOFTMAX", features))
    loss: Tensor = b("NEG", b("SUM", terms, LAST_OF_TWO))
    return loss, b("SUB", b("SOFTMAX", features, beta=1.0), labels)


@handles("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(
    b: TFBuilder, features: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return -log_softmax(features)[label] and its gradient, for [n, classes] and labels [n]."""
    index = b.cast(labels, np.int32)
    chosen = b("GATHER", b("LOG_SOFTMAX", features), index, axis=1, batch_dims=1)
    one, zero = np.array(1, np.float32), np.array(0, np.float32)
    hot = b("ONE_HOT", index, operand(size_of(b, features, 1)), one, zero, axis=-1)
    loss: Tensor = b("NEG", chosen)
    return loss, b("SUB", b("SOFTMAX", features, beta=1.0), hot)


def _by_rows(b: TFBuilder, type: str, x: Tensor, **options: Any) -> Tensor:
    """Emit an operator on the last axis; ranks above the kernel's go through [rows, last]."""
    limit = spec(type).max_rank
    if limit is None or x.rank <= limit:
        return b(type, x, **options)
    *outer, last = sizes_of(b, x)
    y = b(type, reshaped(b, x, [calculate(b, "MUL", *outer), last]), **options)
    return reshaped(b, y, [*outer, last])
