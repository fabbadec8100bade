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
COUNTS = frozenset({"int32", "int64"})
"""Types of sizes and places; narrower integers may be pixels."""


def cast_back(graph: Graph) -> set[Op]:
    """Return the operators that compute whole numbers, or from counts, what is cast to integers."""
    whole: set[Tensor] = set()
    counted: set[Tensor] = set()
    for op in graph.ops:
        if _makes_whole(op, whole):
            whole.update(filter(is_real, op.outputs))
        if _counts(op, counted):
            counted.update(filter(is_real, op.outputs))
    taken: set[Tensor] = set()
    known_numbers = whole | counted
    found = set()
    for op in reversed(graph.ops):
        made = taken.intersection(op.outputs)
        if made:
            found.add(op)
        if made or (op.type == "CAST" and op.output.dtype.kind in "iu"):
            taken.update(tensor for _, tensor in reals(op) if tensor in known_numbers)
    return found


def _counts(op: Op, counted: set[Tensor]) -> bool:
    """Whether an operator computes with sizes and places, and with constants, alone."""
    if not known(op.type) or op.graphs:
        return False
    if op.type == "CAST" and op.input(0).dtype.name in COUNTS:
        return True
    row, read = spec(op.type), [t for _, t in reals(op) if t.data is None]
    if not read or not (row.layout.kind == "elementwise" or row.copies):
        return False
    return all(tensor in counted for tensor in read)


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
