"""Variables that stay variables: declared, read and stored.

In the main graph such a variable is a handle that LiteRT knows. In a branch or a loop that stores
it, a handle of ours stands for its value there, which comes in and goes out as other values do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tqconv.compose.control import Make, MakeSome
from tqconv.compose.variables import handle_of
from tqconv.errors import UnsupportedError, shaped
from tqconv.importers.tf.kept import Kept
from tqconv.importers.tf.registry import TFBuilder
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import RESOURCE, Shape, Source
from tqconv.ops.emit import emit
from tqconv.records import dataclass


def declare(graph: Graph, kept: Kept) -> dict[str, Tensor]:
    """Emit handles of the variables, and what stores their first values; return the handles."""
    if not kept.variables:
        return {}
    first = Graph("variables/init")
    handles = {}
    for name in kept.variables:
        value = np.asarray(kept.initial[name])
        emit(first, "ASSIGN_VARIABLE", handle_of(first, name), value, name=f"{name}/initial")
        handles[name] = handle_of(graph, name)
    graph.add(Op("CALL_ONCE", (), (), {}, Source("", "variables/init", "NoOp"), (first,)))
    return handles


def value_of(b: TFBuilder, variable: Tensor) -> Tensor:
    """Return a variable's value: the constant that it was frozen to, or what is stored now."""
    if variable.dtype != RESOURCE:
        return variable
    if variable in b.shared.cells:
        return b.shared.cells[variable]
    shape, dtype = kind_of(b, variable)
    read = Tensor(b.graph.unique(f"{b.name}/read"), shape, dtype)
    b.graph.add(Op("READ_VARIABLE", (variable,), (read,), {}, b.source))
    return read


def kind_of(b: TFBuilder, variable: Tensor) -> tuple[Shape, np.dtype]:
    """Return shape and type of what the handle of a variable stands for."""
    value = b.shared.cells.get(variable)
    if value is not None:
        return value.shape, value.dtype
    first = b.shared.variables.get(variable)
    if first is None:
        raise UnsupportedError(
            f"variable '{variable.name}' is not frozen",
            hint="freeze the graph, or give its checkpoint with --checkpoint PREFIX",
        )
    return first.shape, first.dtype


def store(b: TFBuilder, variable: Tensor, value: Tensor) -> None:
    """Store a value; its shape has to be the variable's."""
    if variable.dtype != RESOURCE:
        raise UnsupportedError(
            f"an output needs the new value of variable '{variable.name}'",
            hint="ask for another output with --output_arrays, or give it a value with --set_input",
        )
    shape, _ = kind_of(b, variable)
    pairs = zip(value.shape, shape, strict=False)
    if value.rank != len(shape) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
        raise UnsupportedError(
            f"variable '{variable.name}' of shape {shaped(shape)} gets {value!r}",
            hint="LiteRT's variables keep their shape",
        )
    if variable in b.shared.cells:
        b.shared.cells[variable] = value
    else:
        b.graph.add(Op("ASSIGN_VARIABLE", (variable, value), (), {}, b.source))


@dataclass(frozen=True)
class Cells:
    """The variables among the operands of a branch or a loop.

    stored: positions of those that a body stores, several of which may be one; the others are only
    read there.
    """

    b: TFBuilder
    operands: Sequence[Tensor]
    stored: Sequence[int]

    @staticmethod
    def of(b: TFBuilder, operands: Sequence[Tensor], stored: Collection[int]) -> Cells:
        """Return the cells of some operands, of which bodies store those at some positions."""
        changed = {operands[i] for i in stored if operands[i].dtype == RESOURCE}
        return Cells(b, operands, [i for i, t in enumerate(operands) if t in changed])

    def values(self) -> list[Tensor]:
        """Return the operands with values in the places of variables."""
        return [value_of(self.b, t) if self._is_variable(t) else t for t in self.operands]

    def branched(self, make: MakeSome) -> MakeSome:
        """Return what also returns the last values of stored variables, behind other results."""

        def put(graph: Graph, values: list[Tensor]) -> list[Tensor | None]:
            inside = self._with_handles(values)
            made = make(graph, inside)
            return [*made, *self._emptied(inside)]

        return put

    def looped(self, make: Make) -> Make:
        """Return what returns the last values of stored variables in place of their handles."""

        def put(graph: Graph, values: list[Tensor]) -> list[Tensor]:
            inside = self._with_handles(values)
            made = make(graph, inside)
            for i, value in zip(self.stored, self._emptied(inside), strict=True):
                made[i] = value
            return made

        return put

    def store(self, values: Sequence[Tensor | None]) -> None:
        """Store what bodies made of the variables at `stored`."""
        handles = (self.operands[i] for i in self.stored)
        for variable, value in dict(zip(handles, values, strict=True)).items():
            if value is not None:
                store(self.b, variable, value)

    def _is_variable(self, tensor: Tensor) -> bool:
        return tensor in self.b.shared.variables or tensor in self.b.shared.cells

    def _with_handles(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return values with a handle for each stored variable."""
        inside = list(values)
        handles: dict[Tensor, Tensor] = {}
        for i in self.stored:
            made = Tensor(values[i].name, (), RESOURCE)
            inside[i] = handles.setdefault(self.operands[i], made)
            self.b.shared.cells[inside[i]] = values[i]
        return inside

    def _emptied(self, inside: Sequence[Tensor]) -> list[Tensor]:
        """Return the last values of stored variables, whose handles stand for nothing from now."""
        handles = [inside[i] for i in self.stored]
        last = {handle: self.b.shared.cells.pop(handle) for handle in dict.fromkeys(handles)}
        return [last[handle] for handle in handles]
