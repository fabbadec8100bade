"""What several rooms ask rows: the operators of which a fact holds, and what their rows say."""

from __future__ import annotations

from tqconv.ops.table import having, those

LINEAR = having(lambda row: row.linear)
"""Operators y = x * w + b, and where they keep these."""
RESHAPES = those(lambda row: row.copies == "order")
"""Operators that leave all elements of their operand in their order."""
COMPARES = those(lambda row: row.compares)
"""Operators whose results are answers."""
CLAMPS = having(lambda row: row.clamp)
"""The numbers between which operators, and activations of these names inside others, clamp."""
