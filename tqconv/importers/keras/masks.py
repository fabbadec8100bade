"""Masks as Keras hands them on beside tensors: which layers do, and what they make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqconv.ir.graph import Tensor

if TYPE_CHECKING:
    from tqconv.importers.keras.registry import KerasBuilder

MERGES = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"})
PASSES = frozenset(
    {
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "ThresholdedReLU"),
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise"),
        *("GaussianDropout", "AlphaDropout", "ActivityRegularization", "Identity", "Dense"),
        *("BatchNormalization", "LayerNormalization", "UnitNormalization", "TimeDistributed"),
        *("GroupNormalization", "RMSNormalization", "Rescaling", "EinsumDense"),
        *("MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"),
    }
)
"""Layers that hand on the mask of their first input."""


def passed_on(b: KerasBuilder) -> Tensor | None:
    """Return the mask of a layer's result, unless its handler says another one."""
    if b.layer.op in MERGES:
        return joined(b)
    return b.masks[0] if b.masks and b.layer.op in PASSES else None


def joined(b: KerasBuilder) -> Tensor | None:
    """Return where all masks of the inputs show something; Keras 3: where any does, if all are."""
    found = [mask for mask in b.masks if mask is not None]
    if not found or (b.major >= 3 and len(found) < len(b.masks)):
        return None
    result = found[0]
    for mask in found[1:]:
        result = b("LOGICAL_AND" if b.major < 3 else "LOGICAL_OR", result, mask)
    return result
