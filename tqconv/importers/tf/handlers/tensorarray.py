"""TensorArray operators; see `lists` for what stands for an array.

The tensor of a TensorArray is its flow, which every operator passes on; the handle only says what
kind of array it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import lists
from tqconv.compose.builder import Builder
from tqconv.compose.control import facts_of, is_unborn
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.flow import list_rows
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape


@handles("TensorArrayV2", "TensorArrayV3")
def tensor_array(
    b: Builder,
    size: Tensor,
    *,
    dtype: TypeNumber,
    element_shape: Shape | None = None,
    dynamic_size: bool = False,
    clear_after_read: bool = True,
    identical_element_shapes: bool = False,
    tensor_array_name: str = "",
    _tqconv_joined: bool = False,
) -> tuple[Tensor, Tensor]:
    """Make an array, its handle and its flow; `joined` marks those that a graph concatenates."""
    rows = lists.Rows(may_join=_tqconv_joined)
    # Before the attribute `identical_element_shapes` an unknown shape was written as a scalar's.
    shape = None if element_shape == () and not identical_element_shapes else element_shape
    handle = lists.create(b, dtype.dtype, None, size, rows, dynamic_size)
    if rows.may_join and shape is not None and None in shape[:1]:
        return handle, lists.create(b, dtype.dtype, (None, *shape[1:]), size, rows, dynamic_size)
    return handle, lists.create(b, dtype.dtype, shape, size, rows, dynamic_size)


@handles("TensorArrayWriteV2", "TensorArrayWriteV3")
def write_array(b: TFBuilder, handle: Tensor, index: Tensor, value: Tensor, flow: Tensor) -> Tensor:
    """Return the array with one element replaced, or one piece appended."""
    rows: lists.Rows = _facts(handle)["rows"]
    flow = lists.born_for(b, flow, value)
    if rows.joined:
        return list_rows.join(b, flow, index, value)
    if _facts(handle)["grows"]:
        flow = lists.padded_to(b, flow, b("ADD", index, np.array(1, np.int32)))
    return lists.write(b, flow, index, value)


@handles("TensorArrayReadV2", "TensorArrayReadV3")
def read_array(
    b: Builder, handle: Tensor, index: Tensor, flow: Tensor, *, dtype: TypeNumber
) -> Tensor:
    """Return one element."""
    return lists.read(b, _stacked(b, handle, flow), index)


@handles("TensorArrayGatherV2", "TensorArrayGatherV3")
def gather_array(
    b: Builder,
    handle: Tensor,
    indices: Tensor,
    flow: Tensor,
    *,
    dtype: TypeNumber,
    element_shape: Shape | None = None,
) -> Tensor:
    """Return some elements as rows."""
    return list_rows.gathered(b, _stacked(b, handle, flow, element_shape or None), indices)


@handles("TensorArrayScatterV2", "TensorArrayScatterV3")
def scatter_array(
    b: Builder, handle: Tensor, indices: Tensor, value: Tensor, flow: Tensor
) -> Tensor:
    """Return the array with element `indices[i]` set to row i."""
    facts = _facts(handle)
    if not is_unborn(flow):
        size = lists.length(b, flow)
    elif facts["grows"] or not isinstance(facts["size"], Tensor):
        size = lists.length(b, value)
    else:
        size = facts["size"]
    return list_rows.scattered(b, value, indices, size)


@handles("TensorArraySizeV2", "TensorArraySizeV3")
def array_size(b: Builder, handle: Tensor, flow: Tensor) -> Tensor:
    """Count the elements."""
    if _facts(handle)["rows"].joined:
        raise UnsupportedError("the number of pieces of a concatenated array is asked for")
    return list_rows.known_size(flow) if is_unborn(flow) else lists.length(b, flow)


@handles("TensorArrayConcatV2", "TensorArrayConcatV3")
def concat_array(
    b: Builder,
    handle: Tensor,
    flow: Tensor,
    *,
    dtype: TypeNumber,
    element_shape_except0: Shape | None = None,
) -> tuple[Tensor, ...]:
    """Return the elements one behind another, and their lengths (where they are known)."""
    if _facts(handle)["rows"].joined:
        return (flow,)
    return list_rows.concatenated(b, _stacked(b, handle, flow))


@handles("TensorArraySplitV2", "TensorArraySplitV3")
def split_array(b: Builder, handle: Tensor, value: Tensor, lengths: Tensor, flow: Tensor) -> Tensor:
    """Cut a tensor into elements of equal lengths."""
    return list_rows.split(b, value, lengths)


def _facts(handle: Tensor) -> dict[str, Any]:
    facts = facts_of(handle)
    if not facts:
        raise UnsupportedError(f"'{handle.name}' is not the handle of a TensorArray")
    return facts


def _stacked(b: Builder, handle: Tensor, flow: Tensor, element: Shape | None = None) -> Tensor:
    if _facts(handle)["rows"].joined:
        raise UnsupportedError(
            "an array of pieces with different lengths is both concatenated and read"
        )
    return list_rows.born(b, flow, element)
