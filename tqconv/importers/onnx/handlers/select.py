"""Choosing elements: by conditions, by equality, in turned or shifted order."""

from __future__ import annotations

import numpy as np

from tqconv.compose import linalg, scatter, search
from tqconv.compose.sizes import reshaped
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, composed, handles
from tqconv.ir.graph import Tensor

INT64 = np.dtype(np.int64)

composed(Det=linalg.matrix_determinant)
composed(**{"com.microsoft:Inverse": linalg.matrix_inverse})


@handles("Compress")
def compress(b: ONNXBuilder, x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    """Keep what a vector of conditions marks along an axis, or of all elements."""
    if axis is None:
        x, axis = reshaped(b, x, [-1]), 0
    places = b.reshape(b("WHERE", condition), (None,))
    return b("GATHER", x, places, axis=axis % x.rank)


@handles("Unique")
def unique(
    b: ONNXBuilder, x: Tensor, *, axis: int | None = None, sorted: int = 1
) -> tuple[Tensor, ...]:
    """Distinct elements, or slices along an axis: first places, places of each, and counts."""
    if axis is None:
        found = search.distinct(b, reshaped(b, x, [-1]), in_order=bool(sorted))
    else:
        found = search.distinct_slices(b, x, axis % x.rank, in_order=bool(sorted))
    values, *numbers = found
    return values, *(b.cast(t, INT64) for t in numbers)


@handles("com.microsoft:Unique")
def unique_of_optimizer(b: ONNXBuilder, x: Tensor) -> tuple[Tensor, ...]:
    """Distinct elements in the order in which they come: the places of each, and counts."""
    values, _, places, counts = unique(b, x, sorted=0)
    return values, places, counts


@handles("ReverseSequence")
def reverse_sequence(
    b: ONNXBuilder, x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0
) -> Tensor:
    """Turn the first `lengths[i]` steps of row i around."""
    axes = {"seq_dim": time_axis % x.rank, "batch_dim": batch_axis % x.rank}
    return b("REVERSE_SEQUENCE", x, lengths, **axes)


@handles("TensorScatter", since=24)
def tensor_scatter(
    b: ONNXBuilder,
    cache: Tensor,
    update: Tensor,
    places: Tensor | None = None,
    *,
    axis: int = -2,
    mode: str = "linear",
) -> Tensor:
    """Write each image's update into its cache, from its own place along an axis on."""
    axis = axis % cache.rank
    if axis == 0 or mode not in ("linear", "circular"):
        raise UnsupportedError(f"axis {axis}, mode `{mode}`")
    return scatter.with_rows_from(b, cache, update, places, axis, circular=mode == "circular")
