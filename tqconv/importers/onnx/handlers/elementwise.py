"""Operators of each element by itself."""

from __future__ import annotations

from tqconv.compose import activations, arithmetic, functions
from tqconv.importers.onnx.registry import ONNXBuilder, composed, handles
from tqconv.ir.graph import Tensor


@handles(Add="ADD", Sub="SUB", Mul="MUL")
def combine(b: ONNXBuilder, type: str, x: Tensor, y: Tensor) -> Tensor:
    """Combine two tensors, which broadcast."""
    return arithmetic.combine(b, type, x, y)


composed(
    Relu=activations.relu,
    Erf=functions.erf,
    Softsign=functions.softsign,
    Softplus=functions.softplus,
)


@handles(Sigmoid="LOGISTIC", Tanh="TANH")
def kernel(b: ONNXBuilder, type: str, x: Tensor) -> Tensor:
    """One operator of the same meaning."""
    return b(type, x)
