"""What can be said at conversion time about shapes that a graph computes while it runs.

A dimension of unknown size has an origin: the tensor and axis where it first appears. Two
dimensions with one origin are equal whatever the input is, which turns `Reshape(x, [Shape(x)[0],
-1])` into a constant shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import ELEMENTS_LIMIT, infer
from tqconv.ops.rules import elements
from tqconv.ops.table import known as has_row
from tqconv.ops.table import spec, those

SIZES = (1_009, 1_000_003)
"""Stand for unknown sizes, twice: what comes out in both runs was passed on. Primes; the second
one is larger than the bound of any slice, which would pass a smaller size on by chance."""

SELECTIONS = those(
    lambda row: row.copies in ("order", "permuted", "chosen") and row.operands.outputs == ("y",)
)
"""Operators whose output elements are elements of input 0, at places that the other inputs say."""


class Dim(NamedTuple):
    """Dimension `axis` of `tensor`."""

    tensor: Tensor
    axis: int


Origins = dict[Dim, Dim]
"""Dimensions of unknown size, and where each first appears."""


def reshape_target(x: Tensor, shape: Tensor, origins: Origins) -> tuple[int, ...] | None:
    """Return the sizes (at most one -1) that reshape `x` like the vector `shape`, or None.

    None means that two sizes are open and nothing relates them to the sizes of `x`. `origins`: see
    `dim_origin`.
    """
    known = elements(shape)
    if known is None:
        return (-1,) if shape.shape == (1,) else None
    wanted: list[int | None] = list(known)
    if -1 in wanted:
        wanted[wanted.index(-1)] = rest_of(x, shape, known, origins)
    if wanted.count(None) > 1 or (None in wanted and 0 in wanted):
        return None
    return tuple(-1 if d is None else d for d in wanted)


def rest_of(x: Tensor, shape: Tensor, wanted: Sequence[int | None], origins: Origins) -> int | None:
    """Return the size that -1 stands for, when the open sizes of `x` are those of `shape`."""
    own = [Dim(x, axis) for axis, size in enumerate(x.shape) if size is None]
    for index, size in enumerate(wanted):
        if size is None:
            described = described_dim(shape, index)
            match = None if described is None else _equal_dim(described, own, origins)
            if match is None:
                return None
            own.remove(match)
    given = int(np.prod([d for d in wanted if d not in (None, -1)], dtype=np.int64))
    return None if own or given == 0 else x.size // given


def _equal_dim(dim: Dim, candidates: Sequence[Dim], origins: Origins) -> Dim | None:
    if dim in candidates:
        return dim
    origin = dim_origin(dim, origins)
    return next((d for d in candidates if dim_origin(d, origins) == origin), None)


def described_dim(vector: Tensor, index: int) -> Dim | None:
    """Return the dimension whose size element `index` (flat) of a vector holds, or None."""
    source, place = source_element(vector, index)
    op = source.producer
    return Dim(op.input(0), place) if op is not None and op.type == "SHAPE" else None


def keeps_size(x: Tensor, axis: int, y: Tensor, place: int, sizes: Tensor | None) -> bool:
    """Whether a dimension of y, which the vector `sizes` shapes, is as large as one of x."""
    size, wanted = x.shape[axis], y.shape[place]
    if size is not None or wanted is not None:
        return size == wanted
    told = None if sizes is None else described_dim(sizes, place)
    return told is not None and dim_origin(told) == dim_origin(Dim(x, axis))


def source_element(vector: Tensor, index: int) -> tuple[Tensor, int]:
    """Return where element `index` (flat) of a vector comes from: a tensor, and its place there.

    That is a constant, or what computes it. Conversions of the element type are passed.
    """
    while vector.producer is not None and vector.producer.type != "SHAPE":
        step = _source_element(vector.producer, index)
        if step is None:
            break
        vector, index = step
    return vector, index


def _source_element(op: Op, index: int) -> tuple[Tensor, int] | None:
    if op.type == "CAST":
        return op.input(0), index
    if op.type == "PACK" and op.input(0).rank == 0:
        return op.input(index), 0
    if op.type == "CONCATENATION" and op.input(0).rank == 1:
        return _joined_element(op, index)
    data = op.input(0) if op.inputs else None
    if op.type not in SELECTIONS or data is None or not data.is_static:
        return None
    if data.size > ELEMENTS_LIMIT:
        return None
    if not all(t is None or t.is_constant for t in op.inputs[1:]):
        return None
    fold = spec(op.type).fold
    places = np.arange(data.size, dtype=np.int32).reshape([d or 0 for d in data.shape])
    numbered = Tensor(data.name, data.shape, places.dtype, places)
    taken = fold(Op(op.type, (numbered, *op.inputs[1:]), (), op.options)) if fold else None
    return None if taken is None else (data, int(np.asarray(taken).reshape(-1)[index]))


def _joined_element(op: Op, index: int) -> tuple[Tensor, int] | None:
    for number in range(len(op.inputs)):
        part = op.input(number)
        size = part.shape[0]
        if size is None:
            return None
        if index < size:
            return part, index
        index -= size
    return None


def dim_origin(dim: Dim, known: Origins | None = None) -> Dim:
    """Return where an unknown size first appears; `dim` itself when its operator makes it anew.

    `known`: what was found of others before, to which this adds; it holds while a graph only grows.
    """
    found = {} if known is None else known
    waiting: set[Dim] = set()
    stack = [dim]
    while stack:
        current = stack[-1]
        if current in found:
            stack.pop()
            continue
        needed = open_inputs(current)
        missing = [d for d in needed if d not in found]
        if missing and current not in waiting:
            stack += missing
            waiting.add(current)
            continue
        stack.pop()
        found[current] = _passed_on(current, {d: found[d] for d in needed})
    return found[dim]


def open_inputs(dim: Dim) -> list[Dim]:
    """Return the unknown sizes that an unknown size may be, or be made of, one operator before."""
    op = dim.tensor.producer
    if op is None or not has_row(op.type) or op.graphs:
        return []
    told = _told(op, dim.axis)
    if told is not None:
        return [told]
    live = {id(t): t for t in op.inputs if t is not None}.values()
    return [Dim(t, axis) for t in live for axis, size in enumerate(t.shape) if size is None]


def _told(op: Op, axis: int) -> Dim | None:
    """Return the dimension whose size a vector says is that of a result, or None."""
    vector = {"FILL": 0, "BROADCAST_TO": 1}.get(op.type)
    return None if vector is None else described_dim(op.input(vector), axis)


def _passed_on(dim: Dim, origins: Origins) -> Dim:
    """Give each origin a size of its own and see which of them comes out."""
    op = dim.tensor.producer
    if op is None or not origins:
        return dim
    told = _told(op, dim.axis)
    if told is not None:
        return origins[told]
    distinct = list(dict.fromkeys(origins.values()))
    candidates = set(distinct)
    for first in SIZES:
        size_of = {origin: first + 2 * number for number, origin in enumerate(distinct)}
        size = _inferred(op, {d: size_of[o] for d, o in origins.items()}, dim)
        candidates &= {origin for origin in distinct if size_of[origin] == size}
    return candidates.pop() if len(candidates) == 1 else dim


def _inferred(op: Op, sizes: dict[Dim, int], dim: Dim) -> int | None:
    inputs = tuple(t if t is None else _sized(t, sizes) for t in op.inputs)
    try:
        types = infer(Op(op.type, inputs, op.outputs, op.options, op.source))
    except UnsupportedError:
        return None
    number = next(i for i, t in enumerate(op.outputs) if t is dim.tensor)
    shape: Shape = types[number][0]
    return shape[dim.axis]


def _sized(tensor: Tensor, sizes: dict[Dim, int]) -> Tensor:
    if tensor.is_static:
        return tensor
    shape = tuple(
        sizes[Dim(tensor, axis)] if size is None else size for axis, size in enumerate(tensor.shape)
    )
    return Tensor(tensor.name, shape, tensor.dtype, elements=tensor.elements)
