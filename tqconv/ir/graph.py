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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import InternalError, UnsupportedError
from tqconv.ir.containers import Border, Names
from tqconv.ir.tensor import Op as Op  # the parts are named with the whole
from tqconv.ir.tensor import Tensor as Tensor
from tqconv.ir.tensor import Use as Use
from tqconv.ir.types import Shape
from tqconv.records import dataclass
from tqconv.untrusted import Budget, check_sizes


@dataclass(eq=False)
class Graph:
    """Operators from inputs to outputs. Edit it only through its methods."""

    name: str
    inputs: Border[Tensor] = field(default_factory=Border)
    outputs: Border[Tensor] = field(default_factory=Border)
    ops: list[Op] = field(default_factory=list)
    _names: Names = field(default_factory=Names)
    _undo: list[Callable[[], object]] | None = None
    budget: Budget = field(default_factory=Budget)
    """What the model may still cost beyond its file; all its graphs share one."""

    def body(self, name: str) -> Graph:
        """Return an empty graph of the same model, for an operator that calls it."""
        return Graph(name, budget=self.budget)

    def attempt(self, rewrite: Callable[[Graph, Op], bool], op: Op) -> bool:
        """Return whether a rewrite that nobody needs was done; where it was not, nothing stays.

        UnsupportedError, which operands that do not fit raise, and False take back each edit that
        the rewrite has made; what it sets on operators itself has to come after its last edit.
        While it runs, no reader may be given numbers that mean something else to it.
        """
        self._undo, done = [], False
        try:
            done = rewrite(self, op)
        except UnsupportedError:
            done = False
        finally:
            while self._undo and not done:
                self._undo.pop()()
            self._undo = None
        return done

    def _on_undo(self, back: Callable[[], object]) -> None:
        if self._undo is not None:
            self._undo.append(back)

    def unique(self, name: str) -> str:
        """Reserve and return `name`, with `_1`, `_2`, … behind it when it is taken."""
        candidate = self._names.free(name)
        self._take(candidate)
        return candidate

    def release(self, name: str) -> None:
        """Give a name back, so that a surviving value may take it."""
        if name in self._names:
            self._names.discard(name)
            self._on_undo(lambda: self._names.add(name))

    def _take(self, name: str) -> None:
        if name not in self._names:
            self._names.add(name)
            if self._undo is not None:
                self._undo.append(lambda: self._names.discard(name))

    def _name(self, tensor: Tensor, name: str) -> None:
        old, tensor.name = tensor.name, name
        self._on_undo(lambda: setattr(tensor, "name", old))

    def rename(self, tensor: Tensor, name: str) -> None:
        """Name a tensor exactly `name`; whoever held it before gets a variant of it."""
        if tensor.name == name:
            return
        if name in self._names:
            holder = next((t for t in self.tensors() if t.name == name and t is not tensor), None)
            if holder is not None:
                self._name(holder, self.unique(name))
        self.release(tensor.name)
        self._take(name)
        self._name(tensor, name)

    def add_input(self, name: str, shape: Shape, dtype: np.dtype) -> Tensor:
        """Append a graph input; UnsupportedError where nothing has room for its shape."""
        check_sizes(shape, f"input '{name}'")
        tensor = Tensor(self.unique(name), shape, dtype)
        self.inputs.append(tensor)
        return tensor

    def constant(self, name: str, data: NDArray[Any]) -> Tensor:
        """Return a constant of this graph; `data` is shared, never copied."""
        elements = None
        if data.dtype.kind in "iu" and data.ndim <= 1 and data.size <= 64:
            elements = tuple(data.reshape(-1).tolist())
        return Tensor(self.unique(name), tuple(data.shape), data.dtype, data, elements=elements)

    def add(self, op: Op) -> Op:
        """Append an operator and record its uses."""
        self.ops.append(op)
        for index, tensor in enumerate(op.inputs):
            if tensor is not None:
                tensor.uses.append(Use(op, index))
        for tensor in op.outputs:
            tensor.producer = op
        self._on_undo(lambda: self._unadd(op))
        return op

    def _unadd(self, op: Op) -> None:
        """Take back an `add`, after all that was done to the order since."""
        self.ops.pop()
        for index in range(len(op.inputs)):
            self._forget(op, index)

    def remove(self, op: Op) -> None:
        """Take an operator out; its outputs must have no readers left."""
        for tensor in op.outputs:
            if tensor.uses or tensor in self.outputs:
                raise InternalError(f"removed {op!r} while '{tensor.name}' is still read")
        for index in range(len(op.inputs)):
            self._forget(op, index)
        for tensor in op.outputs:
            tensor.producer = None
            self.release(tensor.name)
        self._on_undo(lambda: self._unremove(op))
        self._keep_order()
        self.ops.remove(op)

    def _unremove(self, op: Op) -> None:
        """Take back a `remove`; its place and its names are others' to give back."""
        for index, tensor in enumerate(op.inputs):
            if tensor is not None:
                tensor.uses.append(Use(op, index))
        for tensor in op.outputs:
            tensor.producer = op

    def put_before(self, place: Op) -> None:
        """Move the operator that was added last before another one."""
        self._keep_order()
        self.ops.insert(self.ops.index(place), self.ops.pop())

    def swap(self, first: Op, second: Op) -> None:
        """Exchange the places of two operators."""
        self._keep_order()
        i, j = self.ops.index(first), self.ops.index(second)
        self.ops[i], self.ops[j] = second, first

    def _keep_order(self) -> None:
        """Let a rewrite that is taken back leave the operators in the order they have now."""
        if self._undo is not None:
            ops = list(self.ops)
            self._undo.append(lambda: self.ops.__setitem__(slice(None), ops))

    def set_input(self, op: Op, index: int, tensor: Tensor | None) -> None:
        """Let `op` read `tensor` at `index`; one past the end appends an input."""
        before = op.inputs
        if index == len(op.inputs):
            op.inputs = (*op.inputs, None)
        old = op.inputs[index]
        if self._undo is not None:
            if old is not None and tensor is not None and not old.means(tensor):
                raise UnsupportedError(f"{tensor!r} does not mean what {old!r} does to {op!r}")
            self._undo.append(lambda: self._reset(op, index, before))
        self._forget(op, index)
        op.inputs = (*op.inputs[:index], tensor, *op.inputs[index + 1 :])
        if tensor is not None:
            tensor.uses.append(Use(op, index))

    def _reset(self, op: Op, index: int, inputs: tuple[Tensor | None, ...]) -> None:
        """Take back a `set_input`."""
        self._forget(op, index)
        op.inputs = inputs
        old = inputs[index] if index < len(inputs) else None
        if old is not None:
            old.uses.append(Use(op, index))

    def replace(self, old: Tensor, new: Tensor, *, keep_name: bool = True) -> None:
        """Let every reader of `old` read `new`, which takes over its name and its range.

        A graph input, or a tensor that is an output under its own name, keeps its own name. Inside
        `attempt` it raises UnsupportedError where the two do not mean the same (`Tensor.means`), or
        where an output would lose its name: to an input, or to another output.
        """
        if self._undo is not None and not old.means(new):
            raise UnsupportedError(f"{new!r} does not mean what {old!r} does")
        kept = new in self.inputs or new in self.outputs
        if self._undo is not None and kept and old in self.outputs:
            raise UnsupportedError(f"output '{old.name}' would lose its name to '{new.name}'")
        for op, index in list(old.uses):
            self.set_input(op, index, new)
        was_output = old in self.outputs
        held = kept or (new.is_constant and bool(new.uses))
        if was_output:
            outputs = list(self.outputs)
            self._on_undo(lambda: self.outputs.__setitem__(slice(None), outputs))
            self.outputs[:] = [new if t is old else t for t in self.outputs]
        if new.range is None:
            new.range = old.range
            self._on_undo(lambda: setattr(new, "range", None))
        if keep_name and (was_output or not held) and new not in self.inputs:
            old_name = old.name
            self.release(new.name)
            self._name(new, old_name)
            self._name(old, self.unique(f"{old_name}/replaced"))

    def prune(self) -> int:
        """Remove the operators that no output needs; return how many."""
        needed: set[int] = set()
        stack = [t.producer for t in self.outputs if t.producer is not None]
        stack += [op for op in self.ops if not op.outputs]
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
        self._keep_order()
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
        read = ((*op.inputs, *op.outputs, *op.intermediates) for op in self.ops)
        for tensors in chain((self.inputs,), read, (self.outputs,)):
            for tensor in tensors:
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield tensor

    def types(self) -> set[str]:
        """Return the types of the operators."""
        return {op.type for op in self.ops}

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
            tensor.uses.discard(op, index)


@dataclass(eq=False)
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


@dataclass(eq=False)
class Model:
    """One or more entry graphs, and what a file says about them."""

    graphs: list[Graph]
    origin: str = ""
    description: str = ""
    signatures: list[Signature] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """Sentences for the user about what the import did (removed nodes, chosen inputs, …)."""

    def __repr__(self) -> str:
        """Say in a line what it is: its source, how much there is, and its borders."""
        count = sum(len(graph.ops) for graph in self.all_graphs())
        borders = (", ".join(map(repr, side)) for side in (self.main.inputs, self.main.outputs))
        return (
            f"<Model {self.origin or 'without a name'}: {count} operators, {' -> '.join(borders)}>"
        )

    @property
    def main(self) -> Graph:
        """The graph that runs when nothing else is asked for."""
        return self.graphs[0]

    def all_graphs(self) -> list[Graph]:
        """Return the entry graphs and, depth first, the bodies that their operators call."""
        found: dict[int, Graph] = {}
        stack = list(reversed(self.graphs))
        while stack:
            graph = stack.pop()
            if id(graph) not in found:
                found[id(graph)] = graph
                stack += [g for op in reversed(graph.ops) for g in reversed(op.graphs)]
        entries = {id(graph): graph for graph in self.graphs}
        return list({**entries, **found}.values())
