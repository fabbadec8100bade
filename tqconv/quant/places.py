"""Places: reals from which indices and sizes are cut, and weights of what lies between places.

A step of 8 bits may be several elements of what is read there, and the part behind the point is
none of the place. So nothing is rounded between an index and the operators with weights before it,
nor between integers that become real, are scaled, and become integers again. A comparison whose
answer is counted into a place is part of it: that is how a tree of decisions is walked.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by
from tqconv.ops.operands import is_data
from tqconv.ops.table import known, spec
from tqconv.quant.select import is_real, reals

COUNTS = frozenset({"int32", "int64"})
"""Types of sizes and places; narrower integers may be pixels."""
REASON = "computes positions, of which indices or sizes are made"


def positions(graph: Graph) -> set[Op]:
    """Return the operators that compute places, and weights from them until these meet data."""
    found: set[Op] = set()
    leading = _cut_from_counts(graph)
    answers: set[Tensor] = set()
    for op in reversed(graph.ops):
        if not known(op.type) or op.graphs:
            continue
        row = spec(op.type)
        data = {t for i, t in enumerate(op.inputs) if t is not None and is_data(row, i)}
        if not answers.isdisjoint(op.outputs) and row.category == "compare":
            found.add(op)
            leading.update(filter(is_real, data))
            answers.update(data)
        elif _computes(op, leading.intersection(op.outputs)):
            found.add(op)
            leading.update(data)
            answers.update(t for t in data if op.type == "CAST" and t.dtype == np.bool_)
        leading.update(t for t in op.inputs if t and t not in data and t.dtype.kind in "iu")
    made = {tensor for op in found for tensor in op.outputs}
    for op in graph.ops:
        if _goes_on(op, made, leading):
            found.add(op)
            made.update(op.outputs)
    return found


def _computes(op: Op, leading: Set[Tensor]) -> bool:
    """Whether these results are places because operands are: not by weights, nor by a decision."""
    row = spec(op.type)
    if not leading or row.measures or (row.quant is not None and row.quant.weight):
        return False
    return op.type == "CAST" or any(map(is_real, leading)) or not any(reals(op))


def _cut_from_counts(graph: Graph) -> set[Tensor]:
    """Return the integers that are cut from reals which are made of sizes and places alone."""
    counted: set[Tensor] = set()
    cut: set[Tensor] = set()
    for op in graph.ops:
        if op.type == "CAST" and op.input(0).dtype.name in COUNTS:
            counted.update(filter(is_real, op.outputs))
        elif op.type == "CAST" and op.output.dtype.kind in "iu":
            cut.update(op.outputs if op.input(0) in counted else ())
        elif _read(op) and counted.issuperset(_read(op)):
            counted.update(filter(is_real, op.outputs))
    return cut


def _goes_on(op: Op, made: Set[Tensor], leading: Set[Tensor]) -> bool:
    """Whether an operator computes with elements of places, and with nothing else."""
    read = _read(op)
    if made.isdisjoint(read):
        return False
    return all(t in made or t in leading or _was_whole(t) for t in read)


def _read(op: Op) -> list[Tensor]:
    """Return the variable reals of an operator that treats each element alone, else none."""
    if not known(op.type) or op.graphs:
        return []
    row = spec(op.type)
    if not (row.layout.kind == "elementwise" or row.copies):
        return []
    return [tensor for _, tensor in reals(op) if tensor.data is None]


def _was_whole(tensor: Tensor) -> bool:
    """Whether a tensor holds integers, or what was decided, as reals."""
    cast = made_by(tensor, "CAST")
    return cast is not None and cast.input(0).dtype.kind in "biu"
