"""Ragged tensors."""

from __future__ import annotations

import numpy as np

from tqconv.compose import ragged
from tqconv.compose.builder import Builder
from tqconv.compose.ragged import Rows
from tqconv.compose.sizes import Size
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)


@handles("RaggedTensorToTensor")
def ragged_to_tensor(
    b: Builder,
    shape: Tensor,
    values: Tensor,
    default: Tensor,
    *partitions: Tensor,
    row_partition_types: list[str],
    num_row_partition_tensors: int = 0,
) -> Tensor:
    """Return rows of values as one tensor, filled up with a default."""
    rows = _partitions(b, partitions, [str(t) for t in row_partition_types])
    sizes = ragged.sizes_in(b, shape, len(rows) + 1)
    return ragged.dense(b, values, rows, sizes, default)


def _partitions(b: Builder, partitions: tuple[Tensor, ...], kinds: list[str]) -> list[Rows]:
    """Return the rows of each ragged dimension, the outermost first."""
    if len(kinds) != len(partitions):
        raise FormatError(f"{len(kinds)} kinds of {len(partitions)} partitions")
    found: list[Rows] = []
    count: Size | None = None
    for kind, tensor in zip(kinds, partitions, strict=True):
        if kind == "FIRST_DIM_SIZE":
            known = b.known(tensor)
            count = b.cast(tensor, INT32) if known is None or None in known else int(known[0] or 0)
        elif kind == "ROW_SPLITS":
            found.append(ragged.by_splits(b, tensor))
        elif kind == "VALUE_ROWIDS" and count is not None:
            found.append(ragged.by_numbers(b, tensor, count))
        else:
            raise UnsupportedError(f"rows by `{kind}`")
        if kind != "FIRST_DIM_SIZE":
            count = ragged.value_count(b, found[-1])
    return found


@handles("RaggedRange")
def ragged_range(
    b: Builder,
    starts: Tensor,
    limits: Tensor,
    deltas: Tensor,
    *,
    Tsplits: TypeNumber = TypeNumber(9),  # noqa: B008, N803
) -> tuple[Tensor, Tensor]:
    """Return ranges of integers, one row each."""
    dtype = starts.dtype
    if dtype.kind not in "iu":
        raise UnsupportedError(f"ranges of {dtype}")
    rows, values = ragged.ranges(b, *(b.cast(t, INT32) for t in (starts, limits, deltas)))
    return ragged.splits_of(b, rows, Tsplits.dtype), b.cast(values, dtype)


@handles("RaggedGather")
def ragged_gather(
    b: Builder,
    *operands: Tensor,
    PARAMS_RAGGED_RANK: int,  # noqa: N803
    OUTPUT_RAGGED_RANK: int = 1,  # noqa: N803
) -> tuple[Tensor, Tensor]:
    """Return some rows of a ragged tensor."""
    if PARAMS_RAGGED_RANK != 1:
        raise UnsupportedError(f"rows of a tensor with {PARAMS_RAGGED_RANK} ragged dimensions")
    splits, values, indices = operands
    rows, taken = ragged.gathered(b, values, ragged.by_splits(b, splits), indices)
    return ragged.splits_of(b, rows, splits.dtype), taken


@handles("RaggedTensorToSparse")
def ragged_to_sparse(
    b: Builder,
    *operands: Tensor,
    RAGGED_RANK: int = 1,  # noqa: N803
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the places of all values, these, and the shape of the whole."""
    if len(operands) != 2 or operands[1].rank != 1:
        raise UnsupportedError("a ragged tensor of more than two dimensions as a sparse one")
    places, shape = ragged.coordinates(b, ragged.by_splits(b, operands[0]))
    return places, operands[1], shape
