"""Masks as Keras hands them on beside tensors: which layers do, and what they make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tqconv.compose import rearrange
from tqconv.compose.sizes import sizes_of, vector
from tqconv.ir.graph import Tensor

if TYPE_CHECKING:
    from tqconv.importers.keras.registry import KerasBuilder

MERGES = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"})
PASSES = frozenset(
    {
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "ThresholdedReLU"),
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "GaussianNoise"),
        *("GaussianDropout", "AlphaDropout", "ActivityRegularization", "Dense"),
        *("BatchNormalization", "LayerNormalization", "UnitNormalization"),
        *("GroupNormalization", "SyncBatchNormalization"),
        *("MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention"),
    }
)
"""Layers that hand on the mask of their first input."""
SINCE_3 = frozenset({"Identity", "Rescaling", "Normalization"})
"""Layers that do so since Keras 3."""


def passed_on(b: KerasBuilder) -> Tensor | None:
    """Return the mask of a layer's result, unless its handler says another one."""
    if b.layer.op in MERGES:
        return joined(b)
    passes = b.layer.op in PASSES or (b.major >= 3 and b.layer.op in SINCE_3)
    return b.masks[0] if b.masks and passes else None


def joined(b: KerasBuilder) -> Tensor | None:
    """Return where all masks of the inputs show something; Keras 3: where any does, if all are."""
    found = [mask for mask in b.masks if mask is not None]
    if not found or (b.major >= 3 and len(found) < len(b.masks)):
        return None
    result = found[0]
    for mask in found[1:]:
        result = b("LOGICAL_AND" if b.major < 3 else "LOGICAL_OR", result, mask)
    return result


def concatenated(b: KerasBuilder, xs: Sequence[Tensor], axis: int) -> Tensor | None:
    """Return the mask of tensors that stand one behind the other; one without a mask shows all.

    Where channels stand beside each other, Keras 2 shows what all masks do, Keras 3 what any does.
    """
    if all(mask is None for mask in b.masks):
        return None
    parts = []
    for x, mask in zip(xs, b.masks, strict=True):
        flags = np.array(True) if mask is None else b.cast(mask, np.bool_)
        if isinstance(flags, Tensor) and flags.rank < x.rank:
            flags = b("EXPAND_DIMS", flags, np.array(flags.rank, np.int32))
        sizes = vector(b, sizes_of(b, x))
        parts.append(b("BROADCAST_TO", flags, sizes))
    whole = rearrange.joined(b, parts, axis)
    last = np.array([whole.rank - 1], np.int32)
    return b("REDUCE_ALL" if b.major < 3 else "REDUCE_ANY", whole, last, keep_dims=False)
