"""Einstein summation."""

from __future__ import annotations

from tqconv.compose.builder import Builder
from tqconv.compose.einsum import einsum
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("Einsum")
def summed(b: Builder, *operands: Tensor, equation: str) -> Tensor:
    """Multiply and sum as the equation says; operands are joined from the left."""
    return einsum(b, equation, *operands)
