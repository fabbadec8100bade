"""Sequences of tensors, known while a model is imported or grown by a loop, and optional values."""

from __future__ import annotations

from typing import Any

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass


@dataclass(frozen=True, eq=False)
class Several:
    """A sequence: its tensors, in order. TensorFlow Lite has none, so it never is in a graph."""

    items: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Grown:
    """A sequence that a loop adds a tensor of one shape to each round: [rounds, …], stacked."""

    stack: Tensor


class Absent:
    """An optional value that holds nothing."""


def items_of(value: Any) -> tuple[Tensor, ...]:
    """Return the tensors of a sequence; UnsupportedError for a value of another kind."""
    if not isinstance(value, Several):
        raise UnsupportedError("a sequence whose length is not known at conversion time")
    return value.items


def only_tensors(values: Any, where: str) -> list[Tensor]:
    """Return values that are all tensors; UnsupportedError where one is a sequence."""
    found = list(values)
    if any(isinstance(value, Several | Grown | Absent) for value in found):
        raise UnsupportedError(f"a sequence of tensors in {where}")
    return found
