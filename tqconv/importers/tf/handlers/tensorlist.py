"""TensorList operators; see `lists` for what stands for a list."""

from __future__ import annotations

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


@handles("TensorListReserve")
def reserve(
    b: Builder,
    element_shape: Tensor,
    num_elements: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
    _tqconv_joined: bool = False,
) -> Tensor:
    """Make a list of `num_elements` zeros; `joined` marks those that a graph concatenates."""
    element = list_rows.element_of(b, element_shape)
    rows = lists.Rows(may_join=_tqconv_joined)
    return lists.create(b, element_dtype.dtype, element, num_elements, rows)


@handles("EmptyTensorList")
def empty_list(
    b: Builder,
    element_shape: Tensor,
    max_num_elements: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Make a list without elements."""
    nothing = b.const(np.array(0, np.int32), what="size")
    return lists.create(b, element_dtype.dtype, list_rows.element_of(b, element_shape), nothing)


@handles("TensorListFromTensor")
def from_tensor(
    b: Builder,
    tensor: Tensor,
    element_shape: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Rows of a tensor are a list as they are."""
    return tensor


@handles("TensorListScatter", "TensorListScatterV2")
def scatter_list(
    b: Builder,
    tensor: Tensor,
    indices: Tensor,
    element_shape: Tensor,
    num_elements: Tensor | None = None,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Row i becomes element `indices[i]`; `num_elements` -1: as many as the highest index needs."""
    size = None if num_elements is None else b.known(num_elements)
    needed = b.known(indices)
    if num_elements is None or size == (-1,):
        if needed is None or None in needed:
            raise UnsupportedError(f"the size of the list depends on the indices '{indices.name}'")
        size = (1 + max((i for i in needed if i is not None), default=-1),)
    if size is not None and None not in size:
        num_elements = b.const(np.array(size[0], np.int32), what="size")
    assert num_elements is not None
    return list_rows.scattered(b, tensor, indices, num_elements)


@handles("TensorListScatterIntoExistingList")
def scatter_into(
    b: Builder, handle: Tensor, tensor: Tensor, indices: Tensor, *, element_dtype: TypeNumber
) -> Tensor:
    """Return the list with element `indices[i]` set to row i."""
    if is_unborn(handle):
        return list_rows.scattered(b, tensor, indices, list_rows.known_size(handle))
    size = lists.length(b, handle)
    written = list_rows.scattered(b, tensor, indices, size)
    known = b.known(indices)
    if (
        known is not None
        and handle.shape[0] is not None
        and set(known) >= set(range(handle.shape[0]))
    ):
        return written
    rows = b("EXPAND_DIMS", b.cast(indices, np.int32), np.array(-1, np.int32))
    marks = b("FILL", b.shape_of(indices), np.array(1, np.int32))
    hits = b("SCATTER_ND", rows, marks, b.reshape(size, (1,)))
    chosen = b("NOT_EQUAL", hits, np.array(0, np.int32))
    chosen = b.reshape(chosen, (chosen.shape[0], *(1,) * (handle.rank - 1)))
    made: Tensor = b("SELECT_V2", chosen, written, handle)
    return made


@handles("TensorListGetItem")
def get_item(
    b: Builder, handle: Tensor, index: Tensor, element_shape: Tensor, *, element_dtype: TypeNumber
) -> Tensor:
    """Return one element."""
    return lists.read(b, list_rows.born(b, handle), index)


@handles("TensorListSetItem")
def set_item(
    b: TFBuilder,
    handle: Tensor,
    index: Tensor,
    item: Tensor,
    *,
    element_dtype: TypeNumber,
    resize_if_index_out_of_bounds: bool = False,
) -> Tensor:
    """Return the list with one element replaced."""
    rows = lists.born_for(b, handle, item)
    if list_rows.is_joined(b.shared, handle) or (
        is_unborn(handle) and facts_of(handle)["rows"].joined
    ):
        return list_rows.join(b, rows, index, item)
    if resize_if_index_out_of_bounds:
        rows = lists.padded_to(b, rows, b("ADD", index, np.array(1, np.int32)))
    return lists.write(b, rows, index, item)


@handles("TensorListPushBack")
def push_back(b: Builder, handle: Tensor, item: Tensor, *, element_dtype: TypeNumber) -> Tensor:
    """Return the list with one more element."""
    return lists.append(b, lists.born_for(b, handle, item), item)


@handles("TensorListPopBack")
def pop_back(
    b: Builder, handle: Tensor, element_shape: Tensor, *, element_dtype: TypeNumber
) -> tuple[Tensor, Tensor]:
    """Return the list without its last element, and that element."""
    rows = list_rows.born(b, handle)
    last = b("SUB", lists.length(b, rows), np.array(1, np.int32))
    size = b.reshape(last, (1,))
    if rows.rank > 1:
        size = b("CONCATENATION", size, np.full(rows.rank - 1, -1, np.int32), axis=0)
    return b("SLICE", rows, np.zeros(rows.rank, np.int32), size), lists.read(b, rows, last)


@handles("TensorListLength")
def list_length(b: Builder, handle: Tensor) -> Tensor:
    """Count the elements."""
    if is_unborn(handle):
        return list_rows.known_size(handle)
    return lists.length(b, handle)


@handles("TensorListStack")
def stack(
    b: Builder,
    handle: Tensor,
    element_shape: Tensor,
    *,
    element_dtype: TypeNumber,
    num_elements: int = -1,
) -> Tensor:
    """Return all elements as rows: what a list is."""
    return list_rows.born(b, handle, list_rows.element_of(b, element_shape))


@handles("TensorListGather")
def gather_list(
    b: Builder,
    handle: Tensor,
    indices: Tensor,
    element_shape: Tensor,
    *,
    element_dtype: TypeNumber,
) -> Tensor:
    """Return some elements as rows."""
    return list_rows.gathered(
        b, list_rows.born(b, handle, list_rows.element_of(b, element_shape)), indices
    )


@handles("TensorListConcat")
def concat_list_v1(
    b: Builder,
    handle: Tensor,
    *,
    element_dtype: TypeNumber,
    element_shape: Shape | None = None,
) -> tuple[Tensor, ...]:
    """Return what TensorListConcatV2 does; an element's shape is an attribute."""
    return concat_list(b, handle, element_dtype=element_dtype)


@handles("TensorListConcatV2")
def concat_list(
    b: TFBuilder,
    handle: Tensor,
    element_shape: Tensor | None = None,
    leading_dims: Tensor | None = None,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> tuple[Tensor, ...]:
    """Return the elements one behind another, and their lengths (where they are known)."""
    if list_rows.is_joined(b.shared, handle):
        return (handle,)
    rows = list_rows.born(b, handle)
    if rows.rank < 2 or rows.shape[1] is None:
        raise UnsupportedError("the pieces of the list to concatenate may have different lengths")
    return list_rows.concatenated(b, rows)


@handles("TensorListSplit")
def split_list(
    b: Builder,
    tensor: Tensor,
    element_shape: Tensor,
    lengths: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Cut a tensor into pieces of equal lengths."""
    return list_rows.split(b, tensor, lengths)


@handles("TensorListResize")
def resize_list(b: Builder, handle: Tensor, size: Tensor) -> Tensor:
    """Append zeros or cut elements off."""
    rows = lists.padded_to(b, list_rows.born(b, handle), size)
    count = b.reshape(size, (1,))
    if rows.rank > 1:
        count = b("CONCATENATION", count, np.full(rows.rank - 1, -1, np.int32), axis=0)
    made: Tensor = b("SLICE", rows, np.zeros(rows.rank, np.int32), count)
    return made


@handles("TensorListElementShape")
def element_shape_of(b: Builder, handle: Tensor, *, shape_type: TypeNumber) -> Tensor:
    """Return the shape of an element."""
    rows = list_rows.born(b, handle)
    if rows.is_static:
        return b.const(np.array(rows.shape[1:], shape_type.dtype))
    whole = b.shape_of(rows, shape_type.dtype)
    made: Tensor = b("SLICE", whole, np.ones(1, np.int32), np.array([-1], np.int32))
    return made
