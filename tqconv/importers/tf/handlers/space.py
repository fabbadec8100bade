"""Moves between space and depth, and between space and batch."""

from __future__ import annotations

import numpy as np

from tqconv.compose import blocks
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.importers.tf.formats import channels_first
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("SpaceToDepth")
def space_to_depth(b: Builder, x: Tensor, *, block_size: int, data_format: str = "NHWC") -> Tensor:
    """Put blocks of rows and columns into the channels."""
    return _moved(b, "SPACE_TO_DEPTH", x, block_size, data_format)


@handles("DepthToSpace")
def depth_to_space(b: Builder, x: Tensor, *, block_size: int, data_format: str = "NHWC") -> Tensor:
    """Spread the channels over blocks of rows and columns."""
    return _moved(b, "DEPTH_TO_SPACE", x, block_size, data_format)


def _moved(b: Builder, type: str, x: Tensor, block_size: int, data_format: str) -> Tensor:
    first = channels_first(data_format)
    return b.channels_last(x, first, lambda x: b(type, x, block_size=block_size))


@handles("SpaceToBatchND")
def space_to_batch_nd(b: Builder, x: Tensor, block: Tensor, paddings: Tensor) -> Tensor:
    """Put blocks of the axes behind the batch into the batch, after padding."""
    return blocks.space_to_batch(b, x, block, paddings)


@handles("BatchToSpaceND")
def batch_to_space_nd(b: Builder, x: Tensor, block: Tensor, crops: Tensor) -> Tensor:
    """Spread the batch over blocks of the axes behind it, then crop."""
    return blocks.batch_to_space(b, x, block, crops)


@handles("SpaceToBatch")
def space_to_batch(b: Builder, x: Tensor, paddings: Tensor, *, block_size: int) -> Tensor:
    """Put square blocks of rows and columns into the batch, after padding."""
    block = np.array([block_size, block_size], np.int32)
    return b("SPACE_TO_BATCH_ND", x, block, int32_of(b, paddings))


@handles("BatchToSpace")
def batch_to_space(b: Builder, x: Tensor, crops: Tensor, *, block_size: int) -> Tensor:
    """Spread the batch over square blocks of rows and columns, then crop."""
    block = np.array([block_size, block_size], np.int32)
    return b("BATCH_TO_SPACE_ND", x, block, int32_of(b, crops))
