"""The order in which TOCO tried its transformations, which decides what some of them find.

It went over the operators forwards and backwards in turn. At each operator it tried the
transformations in a fixed order, and after one that changed the graph it began again at the same
place of the list. Operators that replace others take their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from tqconv.errors import InternalError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import Operand, emit
from tqconv.records import dataclass

SWEEPS = 1000
"""Transformations that undo each other would never rest."""


@dataclass
class Sweep:
    """A graph under transformation.

    `unsettled`: tensors whose shape TOCO has forgotten until it comes to their producer again.
    """

    graph: Graph
    unsettled: set[Tensor] = field(default_factory=set)

    def run(self, transformations: Sequence[Transformation]) -> int:
        """Apply the transformations until none changes anything; return the number of changes."""
        total = 0
        for number in range(SWEEPS):
            changes = self._once(transformations, backwards=number % 2 == 1)
            self.graph.prune()
            total += changes
            if not changes:
                return total
        raise InternalError("TOCO's transformations do not settle")

    def _once(self, transformations: Sequence[Transformation], *, backwards: bool) -> int:
        ops, changes = self.graph.ops, 0
        index = len(ops) - 1 if backwards else 0
        while 0 <= index < len(ops):
            op = ops[index]
            self._settle(op)
            if any(self._attempt(transformation, op) for transformation in transformations):
                changes += 1
                index = min(index, len(ops) - 1)
            else:
                index += -1 if backwards else 1
        return changes

    def _attempt(self, transformation: Transformation, op: Op) -> bool:
        """Whether one changed the graph; where operands do not fit, all is as it was."""
        return self.graph.attempt(lambda _, at: transformation(self, at), op)

    def _settle(self, op: Op) -> None:
        if not any(t in self.unsettled for t in op.inputs if t is not None):
            self.unsettled -= set(op.outputs)

    def is_settled(self, *tensors: Tensor) -> bool:
        """Whether TOCO knows the shapes of the tensors at this moment."""
        return not any(t in self.unsettled for t in tensors)

    def emit_at(
        self, place: Op, type: str, *operands: Operand, name: str, **options: Any
    ) -> Tensor:
        """Emit an operator before `place`, with its source, and return its only output."""
        made: Tensor = emit(self.graph, type, *operands, name=name, source=place.source, **options)
        if made.producer is not None:
            self.graph.put_before(place)
        return made

    def replace(self, old: Op, new: Tensor) -> None:
        """Let the readers of an operator's only output read `new`, and take the operator out."""
        self.graph.replace(old.output, new)
        self.remove(old)

    def remove(self, op: Op) -> None:
        """Take out an operator that nobody reads any more."""
        self.graph.remove(op)

    def swap(self, first: Op, second: Op) -> None:
        """Exchange the places of two operators."""
        self.graph.swap(first, second)


Transformation = Callable[[Sweep, Op], bool]
