"""Whole numbers in reals, as integers are computed where LiteRT has no kernel for them.

A product of integers (ConvInteger, MatMulInteger) is cast to float, summed, and cast back. Integers
with a scale would round these sums to 255 steps: they are no measurements, of which that is
precise enough. So are sizes and places that are computed with scales and offsets, and cut off.
"""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.spec import OpSpec
from tqconv.ops.table import known, spec
from tqconv.quant.select import is_real, reals

REASON = "computes whole numbers, which a CAST takes as they are"


def cast_back(graph: Graph) -> set[Op]:
    """Return the operators that compute whole numbers which are cast to integers."""
    whole: set[Tensor] = set()
    for op in graph.ops:
        if _makes_whole(op, whole):
            whole.update(filter(is_real, op.outputs))
    taken: set[Tensor] = set()
    found = set()
    for op in reversed(graph.ops):
        made = taken.intersection(op.outputs)
        if made:
            found.add(op)
        if made or (op.type == "CAST" and op.output.dtype.kind in "iu"):
            taken.update(tensor for _, tensor in reals(op) if tensor in whole)
    return found


def _makes_whole(op: Op, whole: set[Tensor]) -> bool:
    if not known(op.type) or op.graphs:
        return False
    if op.type == "CAST" and op.input(0).dtype.kind in "biu":
        return True
    row, read = spec(op.type), [tensor for _, tensor in reals(op)]
    if row.whole or not read or not _keeps_whole(row):
        return row.whole
    if not all(tensor in whole for tensor in read if tensor.data is None):
        return False
    return all(np.array_equal(t.data, np.rint(t.data)) for t in read if t.data is not None)


def _keeps_whole(row: OpSpec) -> bool:
    """Whether sums, products and choices of elements are all that is made."""
    adds = row.polynomial or row.dense or row.linear is not None
    return adds or row.clamp is not None or bool(row.copies)
