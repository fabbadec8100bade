"""The graph: tensors, operators, and the five edits that keep them consistent.

Invariants, checked by `Graph.check`:

1. a tensor without `data` is a graph input or has exactly one producer; a constant has none, and
   its `data` agrees with `shape` and `dtype`;
2. `uses` is exactly the set of (op, index) that read the tensor;
3. `ops` is a topological order after `sort`;
4. names are unique in a graph;
5. `quant` stands only on integer tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import InternalError
from tqconv.ir.types import NOWHERE, Quant, Range, Shape, Source


class Use(NamedTuple):
    """One place that reads a tensor: input `index` of `op`."""

    op: Op
    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody calls


@dataclass(eq=False, slots=True)
class Tensor:
    """A value: a graph input, a constant, or what one operator makes."""

    name: str
    shape: Shape
    dtype: np.dtype
    data: NDArray[Any] | None = None
    quant: Quant | None = None
    range: Range | None = None
    producer: Op | None = None
    uses: list[Use] = field(default_factory=list)
    elements: tuple[int | None, ...] | None = None
    """For small integer tensors that describe shapes: the elements that are known already."""
    variable: bool = False
    """State that survives a run (the schema's `is_variable`)."""
    sparsity: dict[str, Any] | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the values are known at conversion time."""
        return self.data is not None

    @property
    def is_static(self) -> bool:
        """Whether every dimension is known."""
        return None not in self.shape

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements; unknown dimensions count as 1."""
        return int(np.prod([1 if d is None else d for d in self.shape], dtype=np.int64))

    def __repr__(self) -> str:
        dims = ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype}[{dims}]"


@dataclass(eq=False, slots=True)
class Op:
    """One TensorFlow Lite operator; `options` absent means the schema's default."""

    type: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any] = field(default_factory=dict)
    source: Source = NOWHERE
    graphs: tuple[Graph, ...] = ()
    intermediates: tuple[Tensor, ...] = ()
    version: int | None = None
    """Set where a file gave it; otherwise the writer computes the lowest that is right."""

    @property
    def output(self) -> Tensor:
        """The only output of an operator that has one."""
        return self.outputs[0]

    def input(self, index: int) -> Tensor:
        """Return an input that must be there."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise InternalError(f"{self.type} has no input {index}", where=self.source)
        return tensor

    @property
    def sources(self) -> list[Op]:
        """The operators that make what this one reads."""
        return [t.producer for t in self.inputs if t is not None and t.producer is not None]

    def __repr__(self) -> str:
        return f"{self.type} '{self.outputs[0].name if self.outputs else self.source.node}'"


@dataclass(eq=False, slots=True)
class Graph:
    """Operators from inputs to outputs. Edit it only through its methods."""

    name: str
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def unique(self, name: str) -> str:
        """Reserve and return `name`, with `_1`, `_2`, … behind it when it is taken."""
        candidate, count = name, 0
        while candidate in self._names:
            count += 1
            candidate = f"{name}_{count}"
        self._names.add(candidate)
        return candidate

    def release(self, name: str) -> None:
        """Give a name back, so that a surviving value may take it."""
        self._names.discard(name)

    def rename(self, tensor: Tensor, name: str) -> None:
        """Name a tensor exactly `name`; whoever held it before gets a variant of it."""
        if tensor.name == name:
            return
        if name in self._names:
            holder = next((t for t in self.tensors() if t.name == name and t is not tensor), None)
            if holder is not None:
                holder.name = self.unique(name)
        self._names.discard(tensor.name)
        self._names.add(name)
        tensor.name = name

    def add_input(self, name: str, shape: Shape, dtype: np.dtype) -> Tensor:
        """Append a graph input."""
        tensor = Tensor(self.unique(name), shape, dtype)
        self.inputs.append(tensor)
        return tensor

    def constant(self, name: str, data: NDArray[Any]) -> Tensor:
        """Return a constant of this graph; `data` is shared, never copied."""
        elements = None
        if data.dtype.kind in "iu" and data.ndim <= 1 and data.size <= 64:
            elements = tuple(int(v) for v in data.reshape(-1))
        return Tensor(self.unique(name), tuple(data.shape), data.dtype, data, elements=elements)

    def add(self, op: Op) -> Op:
        """Append an operator and record its uses."""
        self.ops.append(op)
        for index, tensor in enumerate(op.inputs):
            if tensor is not None:
                tensor.uses.append(Use(op, index))
        for tensor in op.outputs:
            tensor.producer = op
        return op

    def remove(self, op: Op) -> None:
        """Take an operator out; its outputs must have no readers left."""
        for tensor in op.outputs:
            if tensor.uses or tensor in self.outputs:
                raise InternalError(f"removed {op!r} while '{tensor.name}' is still read")
        for index in range(len(op.inputs)):
            self._forget(op, index)
        for tensor in op.outputs:
            tensor.producer = None
            self._names.discard(tensor.name)
        self.ops.remove(op)

    def set_input(self, op: Op, index: int, tensor: Tensor | None) -> None:
        """Let `op` read `tensor` at `index`; one past the end appends an input."""
        if index == len(op.inputs):
            op.inputs = (*op.inputs, None)
        self._forget(op, index)
        op.inputs = (*op.inputs[:index], tensor, *op.inputs[index + 1 :])
        if tensor is not None:
            tensor.uses.append(Use(op, index))

    def replace(self, old: Tensor, new: Tensor, *, keep_name: bool = True) -> None:
        """Let every reader of `old` read `new`, which takes over its name and its range.

        A graph input, or a tensor that is an output under its own name, keeps its own name.
        """
        for op, index in list(old.uses):
            self.set_input(op, index, new)
        was_output = old in self.outputs
        held = new in self.inputs or new in self.outputs or (new.is_constant and bool(new.uses))
        self.outputs[:] = [new if t is old else t for t in self.outputs]
        if new.range is None:
            new.range = old.range
        if keep_name and (was_output or not held) and new not in self.inputs:
            old_name, new_name = old.name, new.name
            self._names.discard(new_name)
            new.name = old_name
            old.name = self.unique(f"{old_name}/replaced")

    def prune(self) -> int:
        """Remove the operators that no output needs; return how many."""
        needed: set[int] = set()
        stack = [t.producer for t in self.outputs if t.producer is not None]
        stack += [op for op in self.ops if op.type in EFFECTS]
        while stack:
            op = stack.pop()
            if id(op) in needed:
                continue
            needed.add(id(op))
            stack += op.sources
        dead = [op for op in self.ops if id(op) not in needed]
        for op in dead:
            for index in range(len(op.inputs)):
                self._forget(op, index)
            for tensor in op.outputs:
                self._names.discard(tensor.name)
        if dead:
            self.ops[:] = [op for op in self.ops if id(op) in needed]
        return len(dead)

    def sort(self, before: Mapping[Op, Sequence[Op]] | None = None) -> None:
        """Put `ops` into topological order, otherwise keeping the order they have.

        `before`: operators that have to come before another one although it does not read them.
        """
        more = {} if before is None else before
        placed: set[int] = set()
        opened: set[int] = set()
        result: list[Op] = []
        for root in self.ops:
            stack = [(root, False)]
            while stack:
                op, ready = stack.pop()
                if id(op) in placed:
                    continue
                if ready:
                    placed.add(id(op))
                    result.append(op)
                    continue
                if id(op) in opened:
                    raise InternalError(f"{op!r} depends on its own result")
                opened.add(id(op))
                stack.append((op, True))
                needs = [*op.sources, *more.get(op, ())]
                stack += [(p, False) for p in reversed(needs) if id(p) not in placed]
        self.ops[:] = result

    def tensors(self) -> Iterator[Tensor]:
        """Yield every tensor once: inputs, then in the order of the operators."""
        seen: set[int] = set()

        def fresh(tensors: Iterable[Tensor | None]) -> Iterator[Tensor]:
            for tensor in tensors:
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor

        yield from fresh(self.inputs)
        for op in self.ops:
            yield from fresh(op.inputs)
            yield from fresh(op.outputs)
            yield from fresh(op.intermediates)
        yield from fresh(self.outputs)

    def check(self) -> None:
        """Raise InternalError when an invariant of the module's docstring is broken."""
        uses: dict[int, set[tuple[int, int]]] = {}
        made: set[int] = {id(t) for t in self.inputs}
        for op in self.ops:
            for index, tensor in enumerate(op.inputs):
                if tensor is None:
                    continue
                uses.setdefault(id(tensor), set()).add((id(op), index))
                if not tensor.is_constant and not tensor.variable and id(tensor) not in made:
                    raise InternalError(f"{op!r} reads '{tensor.name}' before it is made")
            for tensor in op.outputs:
                if tensor.producer is not op or id(tensor) in made:
                    raise InternalError(f"'{tensor.name}' has more than one producer")
                made.add(id(tensor))
        names: set[str] = set()
        for tensor in self.tensors():
            self._check_tensor(tensor, uses.get(id(tensor), set()))
            if tensor.name in names:
                raise InternalError(f"two tensors are named '{tensor.name}'")
            names.add(tensor.name)
        for tensor in self.outputs:
            if id(tensor) not in made and not tensor.is_constant:
                raise InternalError(f"output '{tensor.name}' is never made")

    def _check_tensor(self, tensor: Tensor, uses: set[tuple[int, int]]) -> None:
        if {(id(op), index) for op, index in tensor.uses} != uses:
            raise InternalError(f"the uses of '{tensor.name}' are out of date")
        if tensor.data is not None:
            if tensor.producer is not None:
                raise InternalError(f"constant '{tensor.name}' has a producer")
            if tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype:
                raise InternalError(f"constant '{tensor.name}' does not match its declared type")
        if tensor.quant is not None and tensor.dtype.kind not in "iuV":
            raise InternalError(f"'{tensor.name}' is {tensor.dtype} but has a scale")

    def _forget(self, op: Op, index: int) -> None:
        tensor = op.inputs[index]
        if tensor is not None:
            tensor.uses[:] = [u for u in tensor.uses if not (u.op is op and u.index == index)]


EFFECTS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE_IMPORT"})
"""Operators that are needed for what they do, not for what they return."""


@dataclass(eq=False, slots=True)
class Signature:
    """A named entry point: names for the positions in a graph's inputs and outputs.

    Positions, not tensors: rewrites replace tensors, the borders keep order and count.
    """

    key: str
    inputs: list[tuple[str, int]]
    outputs: list[tuple[str, int]]
    graph: int = 0

    @staticmethod
    def of(graph: Graph, key: str = "serving_default") -> Signature:
        """Return the signature that names each input and output as the graph does."""
        inputs = [(t.name, i) for i, t in enumerate(graph.inputs)]
        return Signature(key, inputs, [(t.name, i) for i, t in enumerate(graph.outputs)])


@dataclass(eq=False, slots=True)
class Model:
    """One or more entry graphs, and what a file says about them."""

    graphs: list[Graph]
    origin: str = ""
    description: str = ""
    signatures: list[Signature] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences for the user about what the import did (removed nodes, chosen inputs, …)."""

    @property
    def main(self) -> Graph:
        """The graph that runs when nothing else is asked for."""
        return self.graphs[0]

    def all_graphs(self) -> list[Graph]:
        """Return the entry graphs and, depth first, the bodies that their operators call."""
        found: list[Graph] = []
        stack = list(reversed(self.graphs))
        while stack:
            graph = stack.pop()
            if any(graph is g for g in found):
                continue
            found.append(graph)
            stack += [g for op in reversed(graph.ops) for g in reversed(op.graphs)]
        entry = [g for g in self.graphs]
        return entry + [g for g in found if not any(g is e for e in entry)]
