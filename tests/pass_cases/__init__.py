"""Claims about the default passes: a graph, and the operators that are left of it."""

from __future__ import annotations

from pass_cases import choices, functions, layers, layout, others, parts, shapes

FAMILIES = (choices, functions, layers, layout, others, parts, shapes)
CASES = {name: case for family in FAMILIES for name, case in family.CASES.items()}
