"""State that a model keeps from one run to the next: variables, zero before the first."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import emit
from tqconv.records import dataclass


@dataclass(frozen=True)
class Variable:
    """A variable, and its value at the start of a run."""

    handle: Tensor
    read: Tensor


def handle_of(graph: Graph, name: str) -> Tensor:
    """Return the handle of a variable in a graph; all of one name are one variable."""
    made: Tensor = emit(graph, "VAR_HANDLE", name=f"{name}/handle", container="", shared_name=name)
    return made


def zero(b: Builder, name: str, shape: tuple[int, ...]) -> Variable:
    """Return a variable of float32 that is zero before the first run; `name` is its own."""
    graph = b.graph
    first = graph.body(f"{name}/init")
    inside = Builder(first, b.source, name)
    handle = inside("VAR_HANDLE", container="", shared_name=name)
    inside("ASSIGN_VARIABLE", handle, np.zeros(shape, np.float32))
    graph.add(Op("CALL_ONCE", (), (), {}, b.source, (first,)))
    handle = b("VAR_HANDLE", container="", shared_name=name)
    read = Tensor(graph.unique(name), shape, np.dtype(np.float32))
    graph.add(Op("READ_VARIABLE", (handle,), (read,), {}, b.source))
    return Variable(handle, read)


def assign(b: Builder, variable: Variable, value: Tensor) -> None:
    """Store a value for the next run."""
    b("ASSIGN_VARIABLE", variable.handle, value)
