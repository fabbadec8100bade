"""What the operators of lists and arrays do with rows, and lists kept as a concatenation."""

from __future__ import annotations

import numpy as np

from tqconv.compose import lists
from tqconv.compose.builder import Builder
from tqconv.compose.control import facts_of, is_unborn
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import TFBuilder
from tqconv.importers.tf.shared import Shared
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape


def is_joined(shared: Shared, tensor: Tensor) -> bool:
    """Whether a list is kept as the concatenation of its elements."""
    return id(tensor) in shared.joined


def set_joined(shared: Shared, tensor: Tensor) -> None:
    """Note that a list is kept as the concatenation of its elements."""
    shared.joined[id(tensor)] = tensor


def join(b: TFBuilder, rows: Tensor, index: Tensor, piece: Tensor) -> Tensor:
    """Return a concatenation with one more piece; the loop checks the order of the indices."""
    indices = b.shared.joins.get(id(b.graph))
    if indices is None:
        raise UnsupportedError(
            "pieces of different lengths are written to an array outside of a loop"
        )
    indices.append(index)
    made: Tensor = b("CONCATENATION", rows, piece, axis=0)
    set_joined(b.shared, made)
    return made


def element_of(b: Builder, shape: Tensor) -> Shape | None:
    """Return the element shape that an operand gives; None when not even the rank is known."""
    known = b.known(shape)
    if shape.rank == 0 or known is None:
        length = shape.shape[0] if shape.rank else None
        return None if length is None else (None,) * length
    return tuple(None if d is None or d < 0 else d for d in known)


def known_size(tensor: Tensor) -> Tensor:
    """Return the size of an unborn list."""
    size = facts_of(tensor)["size"]
    if not isinstance(size, Tensor):
        raise UnsupportedError("the size of a list is asked for before it has elements")
    return size


def born(b: Builder, handle: Tensor, element: Shape | None = None) -> Tensor:
    """Return a list as a tensor; one that was never written to is all zeros of a known shape."""
    if not is_unborn(handle):
        return lists.checked(handle)
    facts = facts_of(handle)
    declared = facts["element"] if element is None else lists.merged(facts["element"], element)
    if declared is None or None in declared:
        raise UnsupportedError("a list is read before it has elements, whose shape is not known")
    size = b.reshape(known_size(handle), (1,))
    return lists.zeros(b, facts["dtype"], size, declared)


def gathered(b: Builder, rows: Tensor, indices: Tensor) -> Tensor:
    """Return some rows; the list itself when the indices count all of them."""
    return rows if counts(b, indices, rows) else lists.read(b, rows, indices)


def scattered(b: Builder, value: Tensor, indices: Tensor, size: Tensor) -> Tensor:
    """Return a list of `size` elements, of which `indices[i]` is row i and the rest is zero."""
    lists.checked(value)
    known = b.known(size)
    if counts(b, indices, value) and (known is None or known[0] in (None, value.shape[0])):
        return value
    rows = b("EXPAND_DIMS", b.cast(indices, np.int32), np.array(-1, np.int32))
    shape = b.reshape(b.cast(size, np.int32), (1,))
    if value.rank > 1:
        element = b("SLICE", b.shape_of(value), np.ones(1, np.int32), np.array([-1], np.int32))
        shape = b("CONCATENATION", shape, element, axis=0)
    made: Tensor = b("SCATTER_ND", rows, value, shape)
    return made


def concatenated(b: Builder, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return [n, k, ...] as [n * k, ...], and n times k."""
    count, piece = lists.checked(rows, 2).shape[:2]
    total = None if count is None or piece is None else count * piece
    if rows.shape[2:].count(None) + (total is None) > 1:
        raise UnsupportedError("more than one dimension of the concatenated list is unknown")
    joined = b.reshape(rows, (total, *rows.shape[2:]))
    width = b.const(np.array(0 if piece is None else piece, np.int64), what="length")
    if piece is None:
        width = b.cast(
            b("SLICE", b.shape_of(rows), np.ones(1, np.int32), np.ones(1, np.int32)), np.int64
        )
        width = b.reshape(width, ())
    number = b.reshape(lists.length(b, rows), (1,))
    return joined, b("FILL", number, width)


def split(b: Builder, tensor: Tensor, lengths: Tensor) -> Tensor:
    """Return a tensor cut into elements of equal lengths."""
    pieces = b.ints(lengths, "lengths")
    if len(set(pieces)) > 1:
        raise UnsupportedError(f"a list of pieces with different lengths {pieces}")
    return b.reshape(tensor, (len(pieces), pieces[0] if pieces else 0, *tensor.shape[1:]))


def counts(b: Builder, indices: Tensor, rows: Tensor) -> bool:
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
