"""Look up rows of the operator table."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.ops import families as families  # importing them fills the table
from tqconv.ops.spec import ROWS, OpSpec


def spec(name: str) -> OpSpec:
    """Return the row of an operator; KeyError when it has none."""
    return ROWS[name]


def known(name: str) -> bool:
    """Return whether an operator has a row."""
    return name in ROWS


def table() -> Mapping[str, OpSpec]:
    """Return all rows by operator name."""
    return ROWS
