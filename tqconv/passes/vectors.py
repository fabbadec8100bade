"""Read elements of small vectors where they come from."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import made_by, values_of
from tqconv.ops.emit import emit
from tqconv.ops.table import spec
from tqconv.passes.rewrite import at, exact


@exact
@at("STRIDED_SLICE", "GATHER")
def take_from_pack(graph: Graph, op: Op) -> bool:
    """Read a number where it is, not out of the vector that it was packed into.

    v = PACK(a, b, c); y = STRIDED_SLICE(v, [1], [2], [1]) {shrink_axis_mask=1}   ->   y = b
    v = PACK(a, b, c); y = STRIDED_SLICE(v, [1], [2], [1])   ->   y = RESHAPE(b, [1])
    """
    pack, place = made_by(op.inputs[0], "PACK"), values_of(op.inputs[1])
    if pack is None or pack.input(0).rank != 0 or op.output.shape not in ((), (1,)):
        return False
    if place is None or len(place) != 1:
        return False
    element = pack.input(0 if op.options.get("begin_mask", 0) else place[0])
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
    if before.input(0).rank != 1 or any(not t.is_constant for t in op.inputs[1:] if t is not None):
        return False
    fold = spec(op.type).fold
    assert fold is not None
    taken = fold(Op(op.type, (places, *op.inputs[1:]), (), op.options, op.source))
    if not isinstance(taken, np.ndarray | np.generic):
        return False
    name = f"{op.output.name}/gather"
    y = emit(
        graph, "GATHER", before.input(0), np.asarray(taken), axis=0, name=name, source=op.source
    )
    graph.replace(op.output, y)
    return True


@exact
@at("STRIDED_SLICE", "GATHER")
def take_from_join(graph: Graph, op: Op) -> bool:
    """Read a number where it is, not out of the vector that it was joined into.

    v = CONCATENATION(a: [1], b: [2]); y = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
    ->   y = RESHAPE(a, [])
    """
    join, place = made_by(op.inputs[0], "CONCATENATION"), values_of(op.inputs[1])
    if join is None or op.input(0).rank != 1 or op.output.rank != 0 or op.input(0).quant:
        return False
    if place is None or len(place) != 1 or place[0] < 0 or op.options.get("begin_mask"):
        return False
    index = place[0]
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
