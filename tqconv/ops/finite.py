"""Which values a model asks whether they are finite."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Op, Tensor
from tqconv.ops.facts import COMPARES
from tqconv.ops.table import those

HANDS_ON = those(lambda row: row.copies is not None or row.same_unit)
"""Operators whose results hold the infinities of their operands."""
LARGEST = float(np.finfo(np.float32).max)
"""What stands for infinity behind kernels that clamp (`compose/compare`)."""


def asked(op: Op) -> Tensor | None:
    """Return the value of which an operator asks whether it is finite: x != x, |x| = inf."""
    if op.type not in COMPARES or len(op.inputs) != 2 or op.input(0).dtype.kind != "f":
        return None
    x, y = op.inputs
    if x is y:
        return x
    for value, bound in ((x, y), (y, x)):
        if bound is not None and bound.data is not None and bound.size == 1:
            return value if abs(float(bound.data.reshape(-1)[0])) >= LARGEST else None
    return None


def is_asked(tensor: Tensor) -> bool:
    """Whether anything asks of a value, or of what it is moved or chosen to, if it is finite."""
    seen, frontier = {tensor}, [tensor]
    while frontier:
        for use in frontier.pop().uses:
            if asked(use.op) is not None:
                return True
            if use.op.type in HANDS_ON:
                frontier += [t for t in use.op.outputs if t not in seen]
                seen.update(use.op.outputs)
    return False
