"""Between which numbers the integers lie that a graph computes of sizes."""

from __future__ import annotations

import math

import numpy as np

from tqconv.compose.dims import SELECTIONS
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.bounds import quotient_ends
from tqconv.ops.spec import ELEMENTWISE
from tqconv.ops.table import having

Ends = tuple[int, int]

INT32 = np.iinfo(np.int32)

RULES = {
    **having(lambda row: row.interval if row.layout == ELEMENTWISE else None),
    "FLOOR_DIV": quotient_ends,
}

DEEPEST = 24
"""So many operators are followed; arithmetic of sizes is shorter, and what is longer is unknown."""


def ends_of(x: Tensor) -> Ends:
    """Return the least and the largest value that integers may have, at worst those of their type.

    A size lies in 32 bits, as LiteRT's shapes do.
    """
    return _ends(x, {}, DEEPEST)


def _ends(x: Tensor, found: dict[int, Ends], left: int) -> Ends:
    if id(x) not in found:
        found[id(x)] = widest = _of_type(x)
        told = _told(x, found, left) if left else None
        if told is not None and widest[0] <= told[0] and told[1] <= widest[1]:
            found[id(x)] = told
    return found[id(x)]


def _of_type(x: Tensor) -> Ends:
    if x.dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(x.dtype)
    return int(limits.min), int(limits.max)


def _told(x: Tensor, found: dict[int, Ends], left: int) -> Ends | None:
    """Return what constants and operators say, which may lie beyond what the type holds."""
    if x.data is not None:
        return (int(x.data.min()), int(x.data.max())) if x.data.size else None
    op = x.producer
    if op is None:
        return None
    if op.type == "SHAPE":
        return 0, INT32.max
    read = _read(op)
    if not read or any(t.dtype.kind not in "iub" for t in read):
        return None
    parts = [_ends(t, found, left - 1) for t in read]
    if op.type in RULES:
        low, high = RULES[op.type](*parts)
        return (math.floor(low), math.ceil(high)) if math.isfinite(high - low) else None
    return min(low for low, _ in parts), max(high for _, high in parts)


def _read(op: Op) -> list[Tensor]:
    """Return the operands of which an operator makes or chooses its results."""
    if op.type in RULES or op.type in ("CONCATENATION", "PACK"):
        return [t for t in op.inputs if t is not None]
    return [op.input(0)] if op.type == "CAST" or op.type in SELECTIONS else []
