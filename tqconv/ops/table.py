"""Look up rows of the operator table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from tqconv.ops import families as families  # importing them fills the table
from tqconv.ops.spec import ROWS, OpSpec

T = TypeVar("T")


def spec(name: str) -> OpSpec:
    """Return the row of an operator; KeyError when it has none."""
    return ROWS[name]


def known(name: str) -> bool:
    """Return whether an operator has a row."""
    return name in ROWS


def table() -> Mapping[str, OpSpec]:
    """Return all rows by operator name."""
    return ROWS


def having(pick: Callable[[OpSpec], T | None]) -> Mapping[str, T]:
    """Return what rows say in a column, by operator; rows that say nothing are left out."""
    picked = {name: pick(row) for name, row in ROWS.items()}
    return {name: value for name, value in picked.items() if value is not None}


def those(holds: Callable[[OpSpec], bool]) -> frozenset[str]:
    """Return the operators of which a fact holds."""
    return frozenset(name for name, row in ROWS.items() if holds(row))
