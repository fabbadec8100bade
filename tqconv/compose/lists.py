"""Lists of tensors (TensorList, TensorArray) as tensors: element i is row i of [n, ...element].

A list whose element shape is known from the start is a tensor of zeros. Any other is unborn until
the first element is written to it (in a loop: until the body has been translated once). An array
whose pieces have different lengths and are only concatenated is kept as the concatenation:
`joined`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.control import facts_of, is_unborn, unborn, within
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import finish, infer
from tqconv.ops.table import spec
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
SMALL = 256
"""Elements of a list of zeros that is stored; a larger one is filled at run time."""


@dataclass
class Rows:
    """How an array is laid out; all copies of its handle share this."""

    may_join: bool = False
    joined: bool = False


def create(
    b: Builder,
    dtype: np.dtype,
    element: Shape | None,
    size: Tensor,
    rows: Rows | None = None,
    grows: bool = False,
) -> Tensor:
    """Return a new list; `element` is the shape of its elements as far as it is known."""
    if dtype == np.object_:
        raise UnsupportedError("a list of strings has no kernel that writes into it")
    if element is not None and None not in element:
        return zeros(b, dtype, b.reshape(b.cast(size, INT32), (1,)), element)
    rows = Rows() if rows is None else rows
    facts = {"dtype": dtype, "element": element, "size": size, "rows": rows, "grows": grows}
    return unborn(b.graph, f"{b.name}/list", **facts)


def zeros(
    b: Builder, dtype: np.dtype, size: Tensor, element: Shape, like: Tensor | None = None
) -> Tensor:
    """Return zeros [size, ...element]; unknown dimensions are those of `like`: [..., *element]."""
    sizes: Any = np.array([0 if d is None else d for d in element], np.int32)
    if None in element:
        if like is None:
            raise UnsupportedError("the shape of a list's elements is not known")
        whole = b.shape_of(like)
        begin = like.rank - len(element)
        sizes = b("SLICE", whole, np.array([begin], np.int32), np.array([-1], np.int32))
    shape = b("CONCATENATION", size, sizes, axis=0) if len(element) else size
    value = np.zeros((), dtype)
    known = b.known(shape)
    if any(d is not None and d < 0 for d in known or ()):
        raise UnsupportedError(f"a list of size {known}")
    if known is not None and None not in known and math.prod(d or 0 for d in known) <= SMALL:
        made: Tensor = b("FILL", shape, value)
        return made
    filled = Op("FILL", (shape, b.const(value)), (), {}, b.source)
    row = spec("FILL")
    name = f"{b.name}/zeros"
    if known is not None and None not in known:
        # Not through `emit`, which would store all the zeros in the file.
        tensor = Tensor(b.graph.unique(name), tuple(d for d in known), dtype)
        filled.outputs = (tensor,)
        b.graph.add(filled)
        return tensor
    made = finish(b.graph, row, filled, infer(filled), name)
    return made


def become(
    graph: Graph, b: Builder, tensor: Tensor, like: Tensor, make: Callable[[], Tensor]
) -> Tensor:
    """Return an unborn list as zeros with the element shape of the list `like`.

    `make` returns a list like that in `graph`, or an element: it is asked for unknown sizes.
    """
    b = within(b, graph)
    facts = facts_of(tensor)
    if facts["rows"].joined:
        size, element = b.const(np.zeros(1, np.int32)), like.shape[1:]
    else:
        size, element = _size_of(b, facts), like.shape[1:]
    element = merged(facts["element"], element, joined=facts["rows"].joined)
    source = make() if None in element else None
    if source is not None and source.rank == len(element):
        return zeros(b, facts["dtype"], size, element, source)
    while source is not None and source.producer is not None and source.producer.type in _WRITES:
        source = source.producer.input(0)
    if source is not None and source.producer is not None and source.producer.type == "FILL":
        return source
    return zeros(b, facts["dtype"], size, element, source)


_WRITES = ("DYNAMIC_UPDATE_SLICE", "CONCATENATION")
"""What changes a list, but not the shape of its elements; behind it is the list at its birth."""


def merged(declared: Shape | None, found: Shape, *, joined: bool = False) -> Shape:
    """Return an element shape as far as the declaration or an element tells it.

    `joined`: the declaration has the length of a piece in front.
    """
    if declared is None:
        return found
    declared = declared[1:] if joined else declared
    if len(declared) != len(found):
        raise UnsupportedError(f"an element {list(found)} in a list of {list(declared)}")
    return tuple(d if d is not None else f for d, f in zip(declared, found, strict=True))


def born_for(b: Builder, target: Tensor, element: Tensor) -> Tensor:
    """Return the list to write `element` to: itself, or zeros when it has no elements yet."""
    if not is_unborn(target):
        return checked(target)
    facts = facts_of(target)
    rows: Rows = facts["rows"]
    if rows.may_join and element.rank and element.shape[0] is None:
        rows.joined = True
        shape = merged(facts["element"], element.shape[1:], joined=True)
        return zeros(b, facts["dtype"], b.const(np.zeros(1, np.int32)), shape, element)
    shape = merged(facts["element"], element.shape)
    return zeros(b, facts["dtype"], _size_of(b, facts), shape, element)


def checked(rows: Tensor, rank: int = 1) -> Tensor:
    """Return a list whose elements have at least rank - 1 dimensions; UnsupportedError if not."""
    if rows.rank < rank:
        raise UnsupportedError(f"{rows!r} is no list of elements of rank {rank - 1}")
    return rows


def read(b: Builder, rows: Tensor, index: Tensor) -> Tensor:
    """Return row `index` of a list, or the rows of an index vector."""
    made: Tensor = b("GATHER", rows, b.cast(index, INT32), axis=0)
    return made


def write(b: Builder, rows: Tensor, index: Tensor, element: Tensor) -> Tensor:
    """Return a list with row `index` replaced; the only row of a list is the list."""
    row: Tensor = b("EXPAND_DIMS", element, np.array(0, np.int32))
    if rows.shape[0] == 1 and rows.dtype == row.dtype:
        return row
    index = b.reshape(b.cast(index, INT32), (1,))
    begin = index
    if element.rank:
        begin = b("CONCATENATION", index, np.zeros(element.rank, np.int32), axis=0)
    made: Tensor = b("DYNAMIC_UPDATE_SLICE", rows, row, begin)
    return made


def append(b: Builder, rows: Tensor, element: Tensor) -> Tensor:
    """Return a list with one more row."""
    row = b("EXPAND_DIMS", element, np.array(0, np.int32))
    made: Tensor = b("CONCATENATION", rows, row, axis=0)
    return made


def length(b: Builder, rows: Tensor) -> Tensor:
    """Return the number of rows as an int32 scalar."""
    checked(rows)
    if rows.shape[0] is not None:
        return b.const(np.array(rows.shape[0], np.int32))
    one = np.ones(1, np.int32)
    return b.reshape(b("SLICE", b.shape_of(rows), np.zeros(1, np.int32), one), ())


def padded_to(b: Builder, rows: Tensor, size: Tensor) -> Tensor:
    """Return a list with zero rows appended up to `size`; unchanged when it is longer."""
    known = b.known(size) or (None,)
    have = checked(rows).shape[0]
    if known[0] is not None and have is not None and known[0] <= have:
        return rows
    missing = b("MAXIMUM", b("SUB", b.cast(size, INT32), length(b, rows)), np.array(0, np.int32))
    after = b.reshape(missing, (1, 1))
    first = b("CONCATENATION", np.zeros((1, 1), np.int32), after, axis=1)
    pads = first
    if rows.rank > 1:
        pads = b("CONCATENATION", first, np.zeros((rows.rank - 1, 2), np.int32), axis=0)
    made: Tensor = b("PAD", rows, pads)
    return made


def _size_of(b: Builder, facts: dict[str, Any]) -> Tensor:
    """Return the size [1] of an unborn list; inside a loop a stand-in that never survives."""
    size = facts["size"]
    if size is None:
        return Tensor(b.graph.unique(f"{b.name}/size"), (1,), INT32)
    return b.reshape(b.cast(size, INT32), (1,))
