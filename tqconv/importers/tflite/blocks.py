"""Weights with a scale for each block of a row: the file keeps the scales as another tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.errors import FormatError, UnsupportedError, shaped
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Quant

IGNORED = "CustomQuantization"
"""What LiteRT does not look at."""


def quant_of(
    tensor: Tensor, kind: str, details: Mapping[str, Any], tensors: Sequence[Tensor]
) -> Quant | None:
    """Return the parameters that a file keeps apart, None where nobody reads them.

    tensors: all of the graph, which `details` name by their places.
    """
    if kind == IGNORED:
        return None
    if kind != "BlockwiseQuantization" or len(details.get("block_shape", ())) > 0:
        raise UnsupportedError(f"tensor '{tensor.name}' has scales over several axes")
    place, block = details.get("scales", 0), details.get("block_size", 0)
    scales = tensors[place].data if 0 <= place < len(tensors) else None
    if scales is None or scales.dtype not in (np.float16, np.float32):
        raise FormatError(f"tensor '{tensor.name}' names no tensor with its scales")
    row = tensor.shape[-1] if tensor.shape else None
    if tensor.data is None or block < 1 or scales.size * block != tensor.size or (row or 0) % block:
        raise FormatError(
            f"tensor '{tensor.name}' of shape {shaped(tensor.shape)} has {scales.size} scales for "
            f"blocks of {block}"
        )
    if not (np.isfinite(scales) & (scales >= 0)).all():
        raise FormatError(f"tensor '{tensor.name}' has scales that are no lengths")
    zeros = details.get("zero_points", -1)
    found = tensors[zeros].data if 0 < zeros < len(tensors) else None
    if found is not None and found.astype(bool).any():
        raise UnsupportedError(f"tensor '{tensor.name}' has blocks with zero points")
    flat = scales.reshape(-1).astype(np.float64)
    return Quant(flat, np.zeros(flat.size, np.int64), block=int(block))
