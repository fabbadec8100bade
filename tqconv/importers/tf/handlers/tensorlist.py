"""TensorList and TensorArray operators; see `lists` for what stands for a list.

The tensor of a TensorArray is its flow, which every operator passes on; the handle only says what kind of
array it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.errors import Unsupported
from tqconv.importers.bodies import facts_of, is_unborn
from tqconv.importers.tf import lists
from tqconv.importers.tf.frames import JOINED
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.importers.tf.walk import Walk
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape

JOINS = "joins"
"""Key of the walk's state: graph of a loop's body -> the indices of the pieces that it appends, whose order the
loop checks."""


@handles("TensorListReserve")
def reserve(
    b: TFBuilder,
    element_shape: Tensor,
    num_elements: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Make a list of `num_elements` zeros."""
    element = _element(b, element_shape)
    rows = lists.Rows(may_join=bool(b.node.get(JOINED, False)))
    return lists.create(b, element_dtype.dtype, element, num_elements, rows)


@handles("EmptyTensorList")
def empty_list(
    b: TFBuilder,
    element_shape: Tensor,
    max_num_elements: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Make a list without elements."""
    nothing = b.const(np.array(0, np.int32), what="size")
    return lists.create(b, element_dtype.dtype, _element(b, element_shape), nothing)


@handles("TensorListFromTensor")
def from_tensor(
    b: TFBuilder,
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
    b: TFBuilder,
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
            raise Unsupported(f"the size of the list depends on the indices '{indices.name}'")
        size = (1 + max((i for i in needed if i is not None), default=-1),)
    if size is not None and None not in size:
        num_elements = b.const(np.array(size[0], np.int32), what="size")
    assert num_elements is not None
    return _scattered(b, tensor, indices, num_elements)


@handles("TensorListScatterIntoExistingList")
def scatter_into(
    b: TFBuilder, handle: Tensor, tensor: Tensor, indices: Tensor, *, element_dtype: TypeNumber
) -> Tensor:
    """Return the list with element `indices[i]` set to row i."""
    if is_unborn(handle):
        return _scattered(b, tensor, indices, _known_size(handle))
    size = lists.length(b, handle)
    written = _scattered(b, tensor, indices, size)
    known = b.known(indices)
    if known is not None and handle.shape[0] is not None and set(known) >= set(range(handle.shape[0])):
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
    b: TFBuilder, handle: Tensor, index: Tensor, element_shape: Tensor, *, element_dtype: TypeNumber
) -> Tensor:
    """Return one element."""
    return lists.read(b, _born(b, handle), index)


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
    if is_joined(b.walk, handle) or (is_unborn(handle) and facts_of(handle)["rows"].joined):
        return _joined(b, rows, index, item)
    if resize_if_index_out_of_bounds:
        rows = lists.padded_to(b, rows, b("ADD", index, np.array(1, np.int32)))
    return lists.write(b, rows, index, item)


@handles("TensorListPushBack")
def push_back(b: TFBuilder, handle: Tensor, item: Tensor, *, element_dtype: TypeNumber) -> Tensor:
    """Return the list with one more element."""
    return lists.append(b, lists.born_for(b, handle, item), item)


@handles("TensorListPopBack")
def pop_back(
    b: TFBuilder, handle: Tensor, element_shape: Tensor, *, element_dtype: TypeNumber
) -> tuple[Tensor, Tensor]:
    """Return the list without its last element, and that element."""
    rows = _born(b, handle)
    last = b("SUB", lists.length(b, rows), np.array(1, np.int32))
    size = b.reshape(last, (1,))
    if rows.rank > 1:
        size = b("CONCATENATION", size, np.full(rows.rank - 1, -1, np.int32), axis=0)
    return b("SLICE", rows, np.zeros(rows.rank, np.int32), size), lists.read(b, rows, last)


@handles("TensorListLength")
def list_length(b: TFBuilder, handle: Tensor) -> Tensor:
    """Count the elements."""
    if is_unborn(handle):
        return _known_size(handle)
    return lists.length(b, handle)


@handles("TensorListStack")
def stack(
    b: TFBuilder,
    handle: Tensor,
    element_shape: Tensor,
    *,
    element_dtype: TypeNumber,
    num_elements: int = -1,
) -> Tensor:
    """Return all elements as rows: what a list is."""
    return _born(b, handle, _element(b, element_shape))


@handles("TensorListGather")
def gather_list(
    b: TFBuilder, handle: Tensor, indices: Tensor, element_shape: Tensor, *, element_dtype: TypeNumber
) -> Tensor:
    """Return some elements as rows."""
    return _gathered(b, _born(b, handle, _element(b, element_shape)), indices)


@handles("TensorListConcat", "TensorListConcatV2")
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
    if is_joined(b.walk, handle):
        return (handle,)
    rows = _born(b, handle)
    if rows.rank < 2 or rows.shape[1] is None:
        raise Unsupported("the pieces of the list to concatenate may have different lengths")
    return _concatenated(b, rows)


@handles("TensorListSplit")
def split_list(
    b: TFBuilder,
    tensor: Tensor,
    element_shape: Tensor,
    lengths: Tensor,
    *,
    element_dtype: TypeNumber,
    shape_type: TypeNumber | None = None,
) -> Tensor:
    """Cut a tensor into pieces of equal lengths."""
    return _split(b, tensor, lengths)


@handles("TensorListResize")
def resize_list(b: TFBuilder, handle: Tensor, size: Tensor) -> Tensor:
    """Append zeros or cut elements off."""
    rows = lists.padded_to(b, _born(b, handle), size)
    count = b.reshape(size, (1,))
    if rows.rank > 1:
        count = b("CONCATENATION", count, np.full(rows.rank - 1, -1, np.int32), axis=0)
    made: Tensor = b("SLICE", rows, np.zeros(rows.rank, np.int32), count)
    return made


@handles("TensorListElementShape")
def element_shape_of(b: TFBuilder, handle: Tensor, *, shape_type: TypeNumber) -> Tensor:
    """Return the shape of an element."""
    rows = _born(b, handle)
    if rows.is_static:
        return b.const(np.array(rows.shape[1:], shape_type.dtype))
    whole = b.shape_of(rows, shape_type.dtype)
    made: Tensor = b("SLICE", whole, np.ones(1, np.int32), np.array([-1], np.int32))
    return made


@handles("TensorArrayV2", "TensorArrayV3")
def tensor_array(
    b: TFBuilder,
    size: Tensor,
    *,
    dtype: TypeNumber,
    element_shape: Shape | None = None,
    dynamic_size: bool = False,
    clear_after_read: bool = True,
    identical_element_shapes: bool = False,
    tensor_array_name: str = "",
) -> tuple[Tensor, Tensor]:
    """Make an array: its handle and its flow."""
    rows = lists.Rows(may_join=bool(b.node.get(JOINED, False)))
    # Before the attribute `identical_element_shapes` an unknown shape was written as a scalar's.
    shape = None if element_shape == () and not identical_element_shapes else element_shape
    handle = lists.create(b, dtype.dtype, None, size, rows, dynamic_size)
    if rows.may_join and shape is not None and None in shape[:1]:
        return handle, lists.create(b, dtype.dtype, (None, *shape[1:]), size, rows, dynamic_size)
    return handle, lists.create(b, dtype.dtype, shape, size, rows, dynamic_size)


@handles("TensorArrayWriteV2", "TensorArrayWriteV3")
def write_array(
    b: TFBuilder, handle: Tensor, index: Tensor, value: Tensor, flow: Tensor
) -> Tensor:
    """Return the array with one element replaced, or one piece appended."""
    rows: lists.Rows = _facts(handle)["rows"]
    flow = lists.born_for(b, flow, value)
    if rows.joined:
        return _joined(b, flow, index, value)
    if _facts(handle)["grows"]:
        flow = lists.padded_to(b, flow, b("ADD", index, np.array(1, np.int32)))
    return lists.write(b, flow, index, value)


@handles("TensorArrayReadV2", "TensorArrayReadV3")
def read_array(
    b: TFBuilder, handle: Tensor, index: Tensor, flow: Tensor, *, dtype: TypeNumber
) -> Tensor:
    """Return one element."""
    return lists.read(b, _stacked(b, handle, flow), index)


@handles("TensorArrayGatherV2", "TensorArrayGatherV3")
def gather_array(
    b: TFBuilder,
    handle: Tensor,
    indices: Tensor,
    flow: Tensor,
    *,
    dtype: TypeNumber,
    element_shape: Shape | None = None,
) -> Tensor:
    """Return some elements as rows."""
    return _gathered(b, _stacked(b, handle, flow, element_shape or None), indices)


@handles("TensorArrayScatterV2", "TensorArrayScatterV3")
def scatter_array(
    b: TFBuilder, handle: Tensor, indices: Tensor, value: Tensor, flow: Tensor
) -> Tensor:
    """Return the array with element `indices[i]` set to row i."""
    facts = _facts(handle)
    if not is_unborn(flow):
        size = lists.length(b, flow)
    elif facts["grows"] or not isinstance(facts["size"], Tensor):
        size = lists.length(b, value)
    else:
        size = facts["size"]
    return _scattered(b, value, indices, size)


@handles("TensorArraySizeV2", "TensorArraySizeV3")
def array_size(b: TFBuilder, handle: Tensor, flow: Tensor) -> Tensor:
    """Count the elements."""
    if _facts(handle)["rows"].joined:
        raise Unsupported("the number of pieces of a concatenated array is asked for")
    return _known_size(flow) if is_unborn(flow) else lists.length(b, flow)


@handles("TensorArrayConcatV2", "TensorArrayConcatV3")
def concat_array(
    b: TFBuilder,
    handle: Tensor,
    flow: Tensor,
    *,
    dtype: TypeNumber,
    element_shape_except0: Shape | None = None,
) -> tuple[Tensor, ...]:
    """Return the elements one behind another, and their lengths (where they are known)."""
    if _facts(handle)["rows"].joined:
        return (flow,)
    return _concatenated(b, _stacked(b, handle, flow))


@handles("TensorArraySplitV2", "TensorArraySplitV3")
def split_array(
    b: TFBuilder, handle: Tensor, value: Tensor, lengths: Tensor, flow: Tensor
) -> Tensor:
    """Cut a tensor into elements of equal lengths."""
    return _split(b, value, lengths)


@handles("TensorArrayCloseV2", "TensorArrayCloseV3")
def close_array(b: TFBuilder, handle: Tensor) -> None:
    """Make nothing."""


def is_joined(walk: Walk, tensor: Tensor) -> bool:
    """Whether a list is kept as the concatenation of its elements."""
    return id(tensor) in walk.state.get(JOINED, {})


def set_joined(walk: Walk, tensor: Tensor) -> None:
    """Note that a list is kept as the concatenation of its elements."""
    walk.state.setdefault(JOINED, {})[id(tensor)] = tensor


def _joined(b: TFBuilder, rows: Tensor, index: Tensor, piece: Tensor) -> Tensor:
    """Return a concatenation with one more piece; the loop checks the order of the indices."""
    indices = b.walk.state.get(JOINS, {}).get(id(b.graph))
    if indices is None:
        raise Unsupported("pieces of different lengths are written to an array outside of a loop")
    indices.append(index)
    made: Tensor = b("CONCATENATION", rows, piece, axis=0)
    set_joined(b.walk, made)
    return made


def _facts(handle: Tensor) -> dict[str, Any]:
    facts = facts_of(handle)
    if not facts:
        raise Unsupported(f"'{handle.name}' is not the handle of a TensorArray")
    return facts


def _element(b: TFBuilder, shape: Tensor) -> Shape | None:
    """Return the element shape that an operand gives; None when not even the rank is known."""
    known = b.known(shape)
    if shape.rank == 0 or known is None:
        length = shape.shape[0] if shape.rank else None
        return None if length is None else (None,) * length
    return tuple(None if d is None or d < 0 else d for d in known)


def _known_size(tensor: Tensor) -> Tensor:
    size = facts_of(tensor)["size"]
    if not isinstance(size, Tensor):
        raise Unsupported("the size of a list is asked for before it has elements")
    return size


def _born(b: TFBuilder, handle: Tensor, element: Shape | None = None) -> Tensor:
    """Return a list as a tensor; one that was never written to is all zeros of a known shape."""
    if not is_unborn(handle):
        return handle
    facts = facts_of(handle)
    declared = facts["element"] if element is None else lists.merged(facts["element"], element)
    if declared is None or None in declared:
        raise Unsupported("a list is read before it has elements, whose shape is not known")
    size = b.reshape(_known_size(handle), (1,))
    return lists.zeros(b, facts["dtype"], size, declared)


def _stacked(b: TFBuilder, handle: Tensor, flow: Tensor, element: Shape | None = None) -> Tensor:
    if _facts(handle)["rows"].joined:
        raise Unsupported("an array of pieces with different lengths is both concatenated and read")
    return _born(b, flow, element)


def _gathered(b: TFBuilder, rows: Tensor, indices: Tensor) -> Tensor:
    return rows if _counts(b, indices, rows) else lists.read(b, rows, indices)


def _scattered(b: TFBuilder, value: Tensor, indices: Tensor, size: Tensor) -> Tensor:
    """Return a list of `size` elements, of which `indices[i]` is row i and the rest is zero."""
    known = b.known(size)
    if _counts(b, indices, value) and (known is None or known[0] in (None, value.shape[0])):
        return value
    rows = b("EXPAND_DIMS", b.cast(indices, np.int32), np.array(-1, np.int32))
    shape = b.reshape(b.cast(size, np.int32), (1,))
    if value.rank > 1:
        element = b("SLICE", b.shape_of(value), np.ones(1, np.int32), np.array([-1], np.int32))
        shape = b("CONCATENATION", shape, element, axis=0)
    made: Tensor = b("SCATTER_ND", rows, value, shape)
    return made


def _counts(b: TFBuilder, indices: Tensor, rows: Tensor) -> bool:
    """Whether indices are 0, 1, ... up to the number of rows."""
    if indices.data is not None:
        return rows.shape[0] == indices.size and bool(
            np.array_equal(indices.data, np.arange(indices.size))
        )
    made = indices.producer
    if made is None or made.type != "RANGE":
        return False
    start, limit, delta = (made.input(i) for i in range(3))
    return b.known(start) == (0,) and b.known(delta) == (1,) and _is_length_of(limit, rows)


def _is_length_of(tensor: Tensor, rows: Tensor) -> bool:
    """Whether a scalar is the first entry of a tensor's shape."""
    while tensor.producer is not None and tensor.producer.type in ("RESHAPE", "SQUEEZE", "CAST"):
        tensor = tensor.producer.input(0)
    made = tensor.producer
    if made is None or made.type not in ("SLICE", "STRIDED_SLICE", "GATHER"):
        return False
    begin = made.input(1)
    whole = made.input(0).producer
    first = begin.data is not None and begin.data.size == 1 and int(begin.data.reshape(-1)[0]) == 0
    return first and whole is not None and whole.type == "SHAPE" and whole.input(0) is rows


def _concatenated(b: TFBuilder, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return [n, k, ...] as [n * k, ...], and n times k."""
    count, piece = rows.shape[0], rows.shape[1]
    total = None if count is None or piece is None else count * piece
    if rows.shape[2:].count(None) + (total is None) > 1:
        raise Unsupported("more than one dimension of the concatenated list is unknown")
    joined = b.reshape(rows, (total, *rows.shape[2:]))
    width = b.const(np.array(0 if piece is None else piece, np.int64), what="length")
    if piece is None:
        width = b.cast(b("SLICE", b.shape_of(rows), np.ones(1, np.int32), np.ones(1, np.int32)), np.int64)
        width = b.reshape(width, ())
    number = b.reshape(lists.length(b, rows), (1,))
    return joined, b("FILL", number, width)


def _split(b: TFBuilder, tensor: Tensor, lengths: Tensor) -> Tensor:
    pieces = b.ints(lengths, "lengths")
    if len(set(pieces)) > 1:
        raise Unsupported(f"a list of pieces with different lengths {pieces}")
    return b.reshape(tensor, (len(pieces), pieces[0] if pieces else 0, *tensor.shape[1:]))
