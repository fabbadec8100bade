"""IF and WHILE: operators whose branches, condition and body are graphs of their own.

A graph gets every operand as an input, or bakes it in where it is a constant. LiteRT copies the
results of a graph one after another, so a result that is another input would be overwritten before
it is read (WHILE), and of a tensor that stands twice among the results one copy is lost (IF): such
results get an operator of their own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from tqconv.compose.builder import Builder
from tqconv.compose.gather import truth
from tqconv.errors import UnsupportedError, counted, shaped
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import VARIANT, Shape
from tqconv.ops.emit import copied, finish, infer
from tqconv.ops.table import spec

Make = Callable[[Graph, list[Tensor]], list[Tensor]]
"""Fills a graph from the tensors that stand for the operands, and returns its results."""

MakeSome = Callable[[Graph, list[Tensor]], Sequence["Tensor | None"]]
"""The same for a graph of which some results cannot be made."""

Become = Callable[[Graph, Tensor, Tensor, Callable[[], Tensor]], Tensor]
"""Returns, in a graph, an unborn tensor with the element shape of an example; the callable makes a
tensor like the example, or like its elements, in that graph, whose shape can be asked for at run
time.
"""

WRITES_ROW = "DYNAMIC_UPDATE_SLICE"
ROUNDS = 16
"""Types settle in as many rounds as the largest rank; nothing has that many dimensions."""

UNBORN = "UNBORN"
"""The type of an operator that stands for a list whose elements have no known shape yet. It never
reaches the runtime: the first element written tells the shape, or nothing reads the list.
"""


def branch(
    b: Builder,
    condition: Tensor,
    operands: Sequence[Tensor],
    then: MakeSome,
    other: MakeSome,
    become: Become,
) -> list[Tensor | None]:
    """Emit IF: the results of `then` where the scalar `condition` is true, else of `other`.

    A constant condition emits the branch that it chooses in place. What one of the branches cannot
    make is None.
    """
    test = as_predicate(b, condition)
    if test.data is not None:
        return list((then if test.data.item() else other)(b.graph, list(operands)))
    graphs = (b.graph.body(f"{b.name}/then"), b.graph.body(f"{b.name}/else"))
    inside = [[stand_in(g, t, t.shape, baked=t.is_constant) for t in operands] for g in graphs]
    made = [m(g, i) for m, g, i in zip((then, other), graphs, inside, strict=True)]
    if len(made[0]) != len(made[1]):
        raise UnsupportedError(
            f"the branches return {len(made[0])} and {counted(len(made[1]), 'result')}"
        )
    pairs = [(x, y) for x, y in zip(*made, strict=True) if x is not None and y is not None]
    alike = _alike(graphs, pairs, become)
    for position, graph in enumerate(graphs):
        close(graph, [pair[position] for pair in alike])
    passed = [t for t in operands if not t.is_constant and not is_unborn(t)]
    if any(x.rank != y.rank for x, y in alike) and _asks_for_sizes(test):
        one, two = next((x, y) for x, y in alike if x.rank != y.rank)
        raise UnsupportedError(
            f"one branch makes {shaped(one.shape)}, the other {shaped(two.shape)}, and a size that "
            "is not known chooses",
            hint="give the inputs a shape with --input_shapes",
        )
    emitted = iter(_emit(b, "IF", [test, *passed], graphs) if pairs else ())
    return [None if x is None or y is None else next(emitted) for x, y in zip(*made, strict=True)]


def _asks_for_sizes(condition: Tensor) -> bool:
    """Whether a condition is computed of sizes, and constants, alone."""
    waiting, seen = [condition], set[int]()
    while waiting:
        tensor = waiting.pop()
        op = tensor.producer
        if id(tensor) in seen or tensor.is_constant:
            continue
        seen.add(id(tensor))
        if op is None:
            return False
        if not spec(op.type).measures:
            waiting += [t for t in op.inputs if t is not None]
    return True


def _alike(
    graphs: tuple[Graph, Graph], pairs: Sequence[tuple[Tensor, Tensor]], become: Become
) -> list[tuple[Tensor, Tensor]]:
    """Give a list that only one branch has written to its element shape in the other, too."""
    result = []
    for one, other in pairs:
        if is_unborn(one) and is_unborn(other):
            _without_shape(one)
        if is_unborn(one):
            one = become(graphs[0], one, other, partial(_without_shape, one))
        elif is_unborn(other):
            other = become(graphs[1], other, one, partial(_without_shape, other))
        result.append((one, other))
    return result


def loop(
    b: Builder,
    initial: Sequence[Tensor],
    condition: Make,
    body: Make,
    become: Become,
    invariant: Collection[int] = (),
) -> list[Tensor]:
    """Emit WHILE: `body` makes the next values while `condition` makes a true scalar.

    `invariant`: variables that the body surely returns unchanged; those that are constants are
    baked into both graphs. A dimension that differs between rounds becomes unknown;
    UnsupportedError where ranks or types differ.
    """
    start = as_predicate(b, condition(b.graph, list(initial))[0])
    if start.data is not None and not start.data.item():
        return list(initial)
    state = _Loop(b, list(initial), body, become, set(invariant))
    for _ in range(ROUNDS):
        graph, inside, results = state.run()
        if state.settles(inside, results):
            break
    else:
        raise UnsupportedError(f"the shapes in the loop '{b.name}' do not settle")
    test = b.graph.body(f"{b.name}/cond")
    decision = condition(test, state.stand_ins(test))[0]
    close(test, [as_predicate(within(b, test), decision)])
    moving = [i for i in range(len(results)) if not state.is_baked(i)]
    close(graph, [results[i] for i in moving], loops=True)
    made = _emit(b, "WHILE", [state.initial[i] for i in moving], (test, graph))
    after = dict(zip(moving, made, strict=True))
    return [after.get(i, t) for i, t in enumerate(state.initial)]


class _Loop:
    """The types of a loop's variables while they are found out."""

    def __init__(
        self, b: Builder, initial: list[Tensor], body: Make, become: Become, invariant: set[int]
    ) -> None:
        self.b = b
        self.initial = initial
        self.body = body
        self.become = become
        self.invariant = invariant
        self.shapes: list[Shape] = [t.shape for t in initial]

    def is_baked(self, i: int) -> bool:
        """Whether the graphs hold variable `i` as a constant instead of an input."""
        return i in self.invariant and (self.initial[i].is_constant or is_unborn(self.initial[i]))

    def stand_ins(self, graph: Graph) -> list[Tensor]:
        """Return what stands for the variables inside a graph."""
        inside = []
        for i, tensor in enumerate(self.initial):
            made = stand_in(graph, tensor, self.shapes[i], baked=self.is_baked(i))
            if i not in self.invariant:
                made.elements = None
            inside.append(made)
        return inside

    def run(self) -> tuple[Graph, list[Tensor], list[Tensor]]:
        """Translate the body with the types known so far."""
        graph = self.b.graph.body(f"{self.b.name}/body")
        inside = self.stand_ins(graph)
        return graph, inside, self.body(graph, list(inside))

    def settles(self, inside: Sequence[Tensor], results: Sequence[Tensor]) -> bool:
        """Take over what a round has shown about the types; return whether it was nothing new."""
        settled = True
        for i, (before, after) in enumerate(zip(inside, results, strict=True)):
            if before is after:
                first = self.initial[i]
                settled &= i in self.invariant or not (first.is_constant or is_unborn(first))
                self.invariant.add(i)
            elif is_unborn(before) and not is_unborn(after):
                alike = _replaced(self.initial, results, after)
                make = partial(self._peeled, i) if alike is None else lambda t=alike: t
                self.initial[i] = self.become(self.b.graph, self.initial[i], after, make)
                self.shapes[i] = self.initial[i].shape
                settled = False
            else:
                wider = self._widened(i, after)
                settled &= wider == self.shapes[i]
                self.shapes[i] = wider
        return settled

    def _peeled(self, i: int) -> Tensor:
        """Return variable `i` after one round that is translated outside of the loop."""
        return self.body(self.b.graph, list(self.initial))[i]

    def _widened(self, i: int, after: Tensor) -> Shape:
        before = self.initial[i]
        if i in self.invariant:
            raise UnsupportedError(f"variable '{before.name}' of the loop should not change")
        if is_unborn(after) or before.dtype != after.dtype or before.rank != after.rank:
            raise UnsupportedError(f"a loop turns {before!r} into {after!r}")
        pairs = zip(self.shapes[i], after.shape, strict=True)
        return tuple(a if a == d else None for a, d in pairs)


def _replaced(initial: Sequence[Tensor], results: Sequence[Tensor], rows: Tensor) -> Tensor | None:
    """Return the first value of a variable that becomes what each round writes as a row."""
    row = rows.producer
    row = row.input(1).producer if row is not None and row.type == WRITES_ROW else row
    element = row.input(0) if row is not None and row.type in ("EXPAND_DIMS", "RESHAPE") else None
    if element is None or rows.rank != element.rank + 1:
        return None
    pairs = zip(initial, results, strict=True)
    alike = (t for t, r in pairs if r is element and (t.shape, t.dtype) == (r.shape, r.dtype))
    return next(alike, None)


def stand_in(graph: Graph, tensor: Tensor, shape: Shape, *, baked: bool) -> Tensor:
    """Return what stands for an outer tensor in a graph: an input, or a copy of the constant."""
    if is_unborn(tensor):
        return _copy_unborn(graph, tensor)
    if baked and tensor.data is not None:
        return graph.constant(tensor.name, tensor.data)
    made = graph.add_input(tensor.name, shape, tensor.dtype)
    made.elements = tensor.elements if shape == tensor.shape else None
    return made


def close(graph: Graph, results: Sequence[Tensor], *, loops: bool = False) -> None:
    """Let a graph return `results` and drop what they do not need.

    Raises UnsupportedError when a list has not got its element shape.
    """
    graph.outputs.clear()
    for i, tensor in enumerate(results):
        moved = tensor in graph.inputs and not (loops and graph.inputs[i] is tensor)
        graph.outputs.append(_copy(graph, tensor) if moved or tensor in graph.outputs else tensor)
    graph.prune()
    made = {id(t) for t in graph.inputs} | {id(t) for op in graph.ops for t in op.outputs}
    for op in graph.ops:
        for read in op.inputs:
            if op.type == UNBORN or (
                read is not None and not read.is_constant and id(read) not in made
            ):
                raise UnsupportedError(
                    "the shape of a list's elements is not known", where=op.source
                )


def as_predicate(b: Builder, tensor: Tensor) -> Tensor:
    """Return a boolean scalar: numbers are true where they are not 0, texts if not empty.

    A single size that is open can only be 1.
    """
    if tensor.shape != (None,) and (tensor.size != 1 or not tensor.is_static):
        raise UnsupportedError(f"the predicate {tensor!r} is not a scalar")
    return b.reshape(truth(b, tensor), ())


def within(b: Builder, graph: Graph) -> Any:
    """Return a builder like `b` that emits into another graph."""
    other = copy.copy(b)
    other.graph = graph
    return other


def unborn(graph: Graph, name: str, **facts: Any) -> Tensor:
    """Return a list without elements; `facts` describe it and can be read with `facts_of`."""
    tensor = Tensor(graph.unique(name), (), VARIANT)
    graph.add(Op(UNBORN, (), (tensor,), facts))
    return tensor


def is_unborn(tensor: Tensor) -> bool:
    """Whether a tensor is a list whose elements have no shape yet."""
    return tensor.producer is not None and tensor.producer.type == UNBORN


def facts_of(tensor: Tensor) -> dict[str, Any]:
    """Return what is known about an unborn list; nothing for other tensors."""
    return tensor.producer.options if is_unborn(tensor) and tensor.producer is not None else {}


def _copy_unborn(graph: Graph, tensor: Tensor) -> Tensor:
    """Return the same list in another graph; its size is known there only if it is constant."""
    facts = dict(facts_of(tensor))
    size = facts.get("size")
    if isinstance(size, Tensor):
        facts["size"] = None if size.data is None else graph.constant(size.name, size.data)
    return unborn(graph, tensor.name, **facts)


def _without_shape(tensor: Tensor) -> Tensor:
    raise UnsupportedError(f"the shape of the elements of list '{tensor.name}' is not known")


def _copy(graph: Graph, tensor: Tensor) -> Tensor:
    name = f"{tensor.name}/copy"
    if tensor.data is not None:
        return graph.constant(name, tensor.data)
    return copied(graph, tensor, name)


def _emit(
    b: Builder, type: str, operands: Sequence[Tensor], graphs: tuple[Graph, Graph]
) -> Sequence[Tensor]:
    op = Op(type, tuple(operands), (), {}, b.source, graphs)
    made: Sequence[Tensor] = finish(b.graph, spec(type), op, infer(op), f"{b.name}/{type.lower()}")
    return made
