"""Activations, softmax, and the losses that are made of it."""

from __future__ import annotations

from tqconv.compose import activations
from tqconv.compose.builder import Builder
from tqconv.importers.tf.registry import direct, handles
from tqconv.ir.graph import Tensor

direct(Elu="ELU")


@handles("Relu")
def relu(b: Builder, x: Tensor) -> Tensor:
    """Return max(x, 0)."""
    return activations.relu(b, x)


@handles("Relu6")
def relu6(b: Builder, x: Tensor) -> Tensor:
    """Return x between 0 and 6."""
    return activations.relu6(b, x)


@handles("LeakyRelu")
def leaky_relu(b: Builder, x: Tensor, *, alpha: float = 0.2) -> Tensor:
    """Return x where it is positive, else alpha * x."""
    return activations.leaky_relu(b, x, alpha)


@handles("Selu")
def selu(b: Builder, x: Tensor) -> Tensor:
    """Return scale * (x if x > 0 else alpha * (exp(x) - 1))."""
    return activations.selu(b, x)


@handles("Softmax")
def softmax(b: Builder, x: Tensor) -> Tensor:
    """Return exp(x) / sum(exp(x)) over the last axis."""
    return activations.softmax(b, x)


@handles("LogSoftmax")
def log_softmax(b: Builder, x: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last axis."""
    return activations.log_softmax(b, x)


handles("SoftmaxCrossEntropyWithLogits")(activations.softmax_cross_entropy)
handles("SparseSoftmaxCrossEntropyWithLogits")(activations.sparse_softmax_cross_entropy)
