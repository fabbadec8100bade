"""Channel shuffles of images whose sizes are open."""

from __future__ import annotations

import numpy as np

from tqconv.compose.dims import keeps_size
from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import made_by
from tqconv.ops.emit import emit
from tqconv.passes.layout.through import permutation
from tqconv.passes.rewrite import at, exact


@exact
@at("RESHAPE")
def recognize_channel_shuffle(graph: Graph, op: Op) -> bool:
    """Read channels that change places in groups, where a permutation cannot pass the RESHAPEs.

    r = RESHAPE(x: [?,8,?,?], [n,2,4,h,w]); t = TRANSPOSE(r, [0,2,1,3,4]); y = RESHAPE(t, [n,8,h,w])
    ->   y = GATHER(x, [0,4,1,5,2,6,3,7]) {axis=1}

    n, h and w are those of x. With known sizes layouts pass the three operators, which copy rows.
    """
    moves = made_by(op.input(0), "TRANSPOSE")
    parts = made_by(moves.input(0), "RESHAPE") if moves is not None else None
    perm = permutation(moves)
    if moves is None or parts is None or perm is None:
        return False
    x, split, y = parts.input(0), parts.output, op.output
    axis = next((i for i, place in enumerate(perm) if place != i), None)
    if axis is None or split.rank != x.rank + 1 or y.rank != x.rank or None not in x.shape:
        return False
    swapped = (*range(axis), axis + 1, axis, *range(axis + 2, len(perm)))
    groups, each, channels = split.shape[axis], split.shape[axis + 1], x.shape[axis]
    if perm != swapped or not groups or not each or groups * each != channels:
        return False
    others = [i for i in range(x.rank) if i != axis]
    same = all(keeps_size(x, i, split, i + (i > axis), parts.inputs[1]) for i in others)
    if not same or y.shape[axis] != channels:
        return False
    if not all(keeps_size(x, i, y, i, op.inputs[1]) for i in others):
        return False
    order = np.arange(channels, dtype=np.int32).reshape(groups, each).T.reshape(-1)
    name = f"{y.name}/gather"
    made = emit(graph, "GATHER", x, order, name=name, source=op.source, axis=axis)
    made.range = y.range
    graph.replace(y, made)
    return True
