"""What lies so far out that nothing behind it changes: no step is spent on it.

The gates of a recurrent layer are sums of hundreds, of which LOGISTIC makes 0 or 1: with steps of 3
for the largest, those between are lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.match import has_activation
from tqconv.ir.types import Range
from tqconv.ops.table import having
from tqconv.quant.evidence.intervals import FREE, KEEP, Ends, clamp_of, input_ends
from tqconv.quant.evidence.thresholds import STEPS

FLAT = having(lambda row: row.flat)
SUMS = having(lambda row: row.sign)
CUT = "beyond it nothing behind changes"


def without_tails(
    graph: Graph, found: Mapping[Tensor, Range], types: Mapping[Op, np.dtype]
) -> dict[Tensor, Range]:
    """Return measured ranges without what saturates all that reads it, as integers of 8 bits.

    Others, and those of inputs and outputs, stay as they are.
    """
    asked: dict[Tensor, Ends] = dict.fromkeys(graph.outputs, FREE)
    bent: set[Tensor] = set()
    ranges = dict(found)
    for op in reversed(graph.ops):
        for tensor in op.outputs:
            known = found.get(tensor)
            if known is None or known.kind != "calibrated" or known.exact:
                continue
            low, high = asked.get(tensor, FREE)
            low, high = max(known.low, low), min(known.high, high)
            if tensor in bent:  # zero becomes one of the integers: ends move by half a step
                step = (high - low) / STEPS
                low, high = max(known.low, low - step), min(known.high, high + step)
            if low < high and (low, high) != (known.low, known.high):
                ranges[tensor] = replace(known, low=low, high=high, detail=f"{known.detail}, {CUT}")
        for use, tensor in _reals(op):
            own = _asked(use, asked, found) if types.get(op, WIDE).itemsize == 1 else FREE
            before = asked.get(tensor, own)
            asked[tensor] = min(before[0], own[0]), max(before[1], own[1])
            if not bent.isdisjoint(op.outputs) or _bends(op):
                bent.add(tensor)
    return ranges


def _bends(op: Op) -> bool:
    """Whether a result changes just before the end from which on it does not.

    So do clamps, and HARD_SWISH; what saturates on both sides comes there slowly.
    """
    ends = FLAT.get(op.type)
    return clamp_of(op) is not None if ends is None else not np.isfinite(ends).all()


WIDE = np.dtype(np.float32)


def _reals(op: Op) -> list[tuple[Use, Tensor]]:
    pairs = [(Use(op, i), t) for i, t in enumerate(op.inputs) if t is not None]
    return [(use, t) for use, t in pairs if t.dtype.kind == "f" and not t.is_constant]


def _asked(use: Use, asked: Mapping[Tensor, Ends], found: Mapping[Tensor, Range]) -> Ends:
    """Return the ends of what an operator tells apart of an operand."""
    op = use.op
    ends = FLAT.get(op.type) or clamp_of(op)
    if ends is not None:
        return ends if use.index == 0 else FREE
    results = [asked.get(t, FREE) for t in op.outputs]
    ends = min(r[0] for r in results), max(r[1] for r in results)
    if op.type in KEEP:
        return ends
    return _summand(use, ends, found) if op.type in SUMS else FREE


def _summand(use: Use, ends: Ends, found: Mapping[Tensor, Range]) -> Ends:
    """Return the ends of an operand of a sum, whose other operand stays within its range.

    Zero is within all of them, as it is in what is stored: so both may be cut off at once.
    """
    sign = SUMS[use.op.type]
    x, other = (use.op.input(i) for i in (use.index, 1 - use.index))
    known = input_ends(other, found)
    if known is None or x is other or has_activation(use.op):
        return FREE
    added = known if use.index else sorted(sign * end for end in known)
    low, high = min(ends[0], 0.0) - max(added[1], 0.0), max(ends[1], 0.0) - min(added[0], 0.0)
    return (low, high) if use.index == 0 or sign > 0 else (-high, -low)
