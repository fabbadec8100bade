"""Read elements of small vectors where they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, has_constant_rest, made_by
from tqconv.ops.emit import ELEMENTS_LIMIT, emit
from tqconv.ops.table import spec
from tqconv.passes.rewrite import at, exact


@exact
@at("STRIDED_SLICE", "GATHER")
def take_from_pack(graph: Graph, op: Op) -> bool:
    """Read a number where it is, not out of the vector that it was packed into.

    v = PACK(a, b, c); y = STRIDED_SLICE(v, [1], [2], [1]) {shrink_axis_mask=1}   ->   y = b
    v = PACK(a, b, c); y = STRIDED_SLICE(v, [1], [2], [1])   ->   y = RESHAPE(b, [1])
    """
    pack = made_by(op.inputs[0], "PACK")
    if pack is None or pack.input(0).rank != 0 or op.output.shape not in ((), (1,)):
        return False
    place = _place(op, len(pack.inputs))
    if place is None:
        return False
    element = pack.input(place)
    if op.output.rank == 1 and op.type == "STRIDED_SLICE" and not element.is_constant:
        shape, name = np.ones(1, np.int32), f"{op.output.name}/vector"
        graph.replace(
            op.output, emit(graph, "RESHAPE", element, shape, name=name, source=op.source)
        )
        return True
    if op.output.rank == 1:
        return False
    if not element.means(op.output) or element.dtype != op.output.dtype:
        return False
    graph.replace(op.output, element, keep_name=False)
    return True


@exact
@at("STRIDED_SLICE", "GATHER")
def take_from_gather(graph: Graph, op: Op) -> bool:
    """Take elements of a vector from where they were gathered.

    v = GATHER(s, [0,3,1,2]); y = STRIDED_SLICE(v, [1], [2], [1]) {shrink_axis_mask=1}
    ->   y = GATHER(s, 3)
    """
    before = made_by(op.inputs[0], "GATHER")
    places = before.input(1) if before is not None else None
    if before is None or places is None or places.data is None or places.rank != 1:
        return False
    if before.input(0).rank != 1 or not has_constant_rest(op):
        return False
    taken = _read_of(op, places)
    if taken is None:
        return False
    name = f"{op.output.name}/gather"
    y = emit(graph, "GATHER", before.input(0), taken, axis=0, name=name, source=op.source)
    graph.replace(op.output, y)
    return True


@exact
@at("STRIDED_SLICE", "GATHER")
def take_from_join(graph: Graph, op: Op) -> bool:
    """Read a number where it is, not out of the vector that it was joined into.

    v = CONCATENATION(a: [1], b: [2]); y = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
    ->   y = RESHAPE(a, [])
    """
    join = made_by(op.inputs[0], "CONCATENATION")
    if join is None or op.input(0).rank != 1 or op.output.rank != 0 or op.input(0).quant:
        return False
    size = op.input(0).shape[0]
    index = None if size is None or has_activation(join) else _place(op, size)
    if index is None:
        return False
    for part in join.inputs:
        size = None if part is None else part.shape[0]
        if part is None or size is None:
            return False
        if index < size:
            break
        index -= size
    else:
        return False
    if part.is_constant or size != 1 or part.dtype != op.output.dtype:
        return False
    shape, name = np.zeros(0, np.int32), f"{op.output.name}/number"
    graph.replace(op.output, emit(graph, "RESHAPE", part, shape, name=name, source=op.source))
    return True


def _place(op: Op, size: int) -> int | None:
    """Return which element of so many a STRIDED_SLICE or GATHER reads, or None, also of several."""
    if size > ELEMENTS_LIMIT or not has_constant_rest(op):
        return None
    every = np.arange(size, dtype=np.int32)
    taken = _read_of(op, Tensor(op.input(0).name, (size,), every.dtype, every))
    return int(taken.reshape(-1)[0]) if taken is not None and taken.size == 1 else None


def _read_of(op: Op, vector: Tensor) -> NDArray[Any] | None:
    """Return what an operator would read of a constant in the place of its operand."""
    fold = spec(op.type).fold
    assert fold is not None
    taken = fold(Op(op.type, (vector, *op.inputs[1:]), (), op.options, op.source))
    return np.asarray(taken) if isinstance(taken, np.ndarray | np.generic) else None
