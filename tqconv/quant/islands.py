"""Integer operators between float ones that multiply by no weights: they stay float, too.

A sound is cut into frames and windowed before a Fourier transform, which has no integer kernel. In
integers these few operators cost a QUANTIZE, a DEQUANTIZE and what 8 bits do not hold, of which a
logarithm behind the transform makes most of its result, and save nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from tqconv.ir.graph import Op
from tqconv.ops.table import having
from tqconv.quant.select import Choice, Selection, is_kept_float, neighbours, reals, spread

MULTIPLIES = having(lambda row: row.macs)
REASON = "has no weights and lies among float operators"


def islands(selection: Selection, choice: Choice) -> dict[Op, str]:
    """Return the operators that gain nothing by being integer, and why.

    Around what a person wants to be float, integers are wanted.
    """
    forced = {op for op in selection.floats if not is_kept_float(op, choice)} - choice.real
    found: dict[Op, str] = {}
    left = set(selection.types)
    for op in selection.types:
        if op in left:
            island = spread([op], left)
            left.difference_update(island)
            if not any(map(_gains, island)) and any(_touches(op, forced) for op in island):
                found |= dict.fromkeys(island, REASON)
    return found


def _gains(op: Op) -> bool:
    """Whether an operator multiplies, reads a table, or touches what the source rounds."""
    inputs = [tensor for _, tensor in reals(op)]
    table = bool(inputs) and all(tensor.is_constant for tensor in inputs)
    rounds = any(t.range is not None and t.range.exact for t in (*inputs, *op.outputs))
    return op.type in MULTIPLIES or table or rounds


def _touches(op: Op, floats: Collection[Op]) -> bool:
    return any(near in floats for near in neighbours(op))
