"""Permutations with a RESHAPE between them that are one permutation of smaller parts."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import made_by, sole_reader
from tqconv.passes.layout.groups import parts, together
from tqconv.passes.layout.through import RANKS, permutation, transposed
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at, exact


@exact
@at("TRANSPOSE")
def join_over_reshape(graph: Graph, op: Op) -> bool:
    """Move parts of dimensions once where they are moved, regrouped, and moved again.

    t = TRANSPOSE(x: [1,8,8,64], [0,3,1,2]); y = TRANSPOSE(RESHAPE(t, [256,2,4,2]), [0,2,1,3])
    ->   y = RESHAPE(TRANSPOSE(RESHAPE(x, [4,2,4,2,64]), [4,0,2,1,3]), [256,4,2,2])
    """
    flat = made_by(op.inputs[0], "RESHAPE")
    first = made_by(flat.inputs[0], "TRANSPOSE") if flat is not None else None
    outer, inner = permutation(op), permutation(first)
    if flat is None or first is None or outer is None or inner is None:
        return False
    if sole_reader(graph, first.output) is not flat or sole_reader(graph, flat.output) is not op:
        return False
    found = parts(first.output.shape, flat.output.shape)
    if found is None or op.output.shape.count(None) > 1:
        return False
    before = sorted(range(len(found)), key=lambda k: (inner[found[k].old], k))
    after = sorted(range(len(found)), key=lambda k: (outer.index(found[k].new), k))
    runs = together(after, before)
    if len(runs) > RANKS:
        return False
    straight = sorted(runs, key=lambda run: before.index(run[0]))
    sizes = [_product(found[k].size for k in run) for run in straight]
    y = op.output
    x = reshaped(graph, first.input(0), sizes, f"{y.name}/parts", op.source)
    moved = transposed(graph, x, tuple(straight.index(run) for run in runs), op)
    graph.replace(y, reshaped(graph, moved, y.shape, f"{y.name}/reshape", op.source))
    return True


def _product(sizes: Iterable[int | None]) -> int | None:
    known = list(sizes)
    return None if None in known else prod(size for size in known if size is not None)
