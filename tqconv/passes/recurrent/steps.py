"""Recurrent layers written out as loops or step by step become the operators for sequences.

What these operators do is exact: they start from the states that they are given. LiteRT keeps the
states in variable tensors and starts each run from where the last one ended, which is not what the
source says; so `own_states` writes the first states into these variables in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import Operand, emit
from tqconv.passes.recurrent.cells import Cell, Weights, cell_of
from tqconv.passes.recurrent.memory import STATES, Rows
from tqconv.records import dataclass

GATES = ("i", "f", "c", "o")


@dataclass(frozen=True)
class Sequence3:
    """All steps of a tensor [n, size]: [time, n, size], or [n, time, size] if not `time_major`."""

    tensor: Tensor
    time_major: bool


@dataclass(frozen=True)
class Layer:
    """A cell that runs over a sequence."""

    cell: Cell
    weights: Weights
    h0: Tensor
    c0: Tensor | None

    def states(self) -> list[Tensor]:
        """Return what the layer begins with."""
        return [self.h0] if self.c0 is None else [self.h0, self.c0]

    def emit(self, graph: Graph, x: Sequence3, name: str, source: Source) -> Sequence3:
        """Emit the operator and return the results of all steps."""
        kind, w = self.cell.activation, self.weights
        options = {"fused_activation_function": kind, "time_major": x.time_major}
        operands: tuple[Operand, ...]
        if self.c0 is None:
            operands = (w.inputs[""], w.states[""], w.bias[""], self.h0)
            type = "UNIDIRECTIONAL_SEQUENCE_RNN"
        else:
            matrices = [part[g] for part in (w.inputs, w.states) for g in GATES]
            biases = [w.bias[g] for g in GATES]
            operands = (*matrices, *(None,) * 3, *biases, None, None, self.h0, self.c0)
            type = "UNIDIRECTIONAL_SEQUENCE_LSTM"
        arrays = [np.ascontiguousarray(o) if isinstance(o, np.ndarray) else o for o in operands]
        made = emit(graph, type, x.tensor, *arrays, name=name, source=source, **options)
        return Sequence3(made, x.time_major)


def fuse_steps(graph: Graph) -> int:
    """Run a layer that is written out step by step as one operator.

    h1 = cell(x1, h0); h2 = cell(x2, h1); …   ->   h1, h2, … = UNPACK(SEQUENCE(PACK(x1, x2, …), h0))
    """
    return _fuse_chains(graph, lambda cell: True)


def fuse_integer_steps(graph: Graph) -> int:
    """Do so with the layers that an operator computes in integers, too."""
    return _fuse_chains(graph, lambda cell: cell.c is not None and cell.activation == "TANH")


def _fuse_chains(graph: Graph, wanted: Callable[[Cell], bool]) -> int:
    rows = Rows(graph)
    places = {id(op): place for place, op in enumerate(graph.ops)}
    return sum(_fuse_chain(graph, chain, rows, places) for chain in _chains(graph, wanted))


def own_states(graph: Graph) -> int:
    """Let each run start from the states that an operator is given.

    SEQUENCE(x, …, h0)   ->   h: variable = MAXIMUM(h0, h0); SEQUENCE(x, …, h)

    MAXIMUM is a copy that LiteRT makes in every run: RESHAPE and CONCATENATION of a constant are
    computed once for all runs, and ADD takes the memory of its operand, which a variable cannot.
    """
    count, rows = 0, Rows(graph)
    for op in list(graph.ops):
        for index in STATES.get(op.type, ()):
            state = op.input(index)
            if state.variable:
                continue
            if not rows.are_known(op.outputs, [state]):
                raise UnsupportedError(
                    f"'{op.output.name}' keeps its states in memory that LiteRT measures before "
                    "the model runs, and how many rows there are is known later",
                    hint="give the inputs a shape with --input_shapes",
                )
            name = f"{op.output.name}/state{index}"
            variable = Tensor(graph.unique(name), state.shape, state.dtype, variable=True)
            graph.add(Op("MAXIMUM", (state, state), (variable,), {}, op.source))
            graph.set_input(op, index, variable)
            count += 1
    return count


def _chains(graph: Graph, wanted: Callable[[Cell], bool]) -> list[list[Tensor]]:
    """Return the results of cells of which each feeds the next one, in the order of the graph."""
    found = (cell_of(op) for op in graph.ops)
    cells = {id(cell.h): cell for cell in found if cell is not None and wanted(cell)}
    keys = {h: {id(s): w.key() for s, w in cell.candidates()} for h, cell in cells.items()}
    after: dict[int, list[int]] = {}
    for h, cell in cells.items():
        earlier = next((e for e in reversed(keys[h]) if _follows(cell, keys, cells.get(e))), None)
        if earlier is not None:
            after.setdefault(earlier, []).append(h)
    followers = {h for later in after.values() for h in later}
    chains = []
    for first in cells:
        if first in followers:
            continue
        chain = [first]
        while len(after.get(chain[-1], ())) == 1:
            chain += after[chain[-1]]
        if len(chain) > 1:
            chains.append([cells[h].h for h in chain])
    return chains


def _follows(cell: Cell, keys: Mapping[int, Mapping[int, bytes]], earlier: Cell | None) -> bool:
    """Whether a cell begins where an earlier one ends, with its weights."""
    if earlier is None or cell.c_before is not earlier.c:
        return False
    return keys[id(cell.h)][id(earlier.h)] in keys[id(earlier.h)].values()


def _fuse_chain(
    graph: Graph, chain: Sequence[Tensor], rows: Rows, places: Mapping[int, int]
) -> bool:
    """Whether the cells that make these results became one operator.

    They are looked at anew: the layer before may be one by now.
    """
    steps: list[Cell] = []
    weights: list[Weights] = []
    for h in chain:
        cell = None if h.producer is None else cell_of(h.producer)
        own = cell.weights(steps[-1].h) if cell is not None and steps else None
        if cell is None or (steps and own is None):
            return False
        steps.append(cell)
        weights += [] if own is None else [own]
    key = weights[0].key()
    first = next(((s, w) for s, w in steps[0].candidates() if w.key() == key), None)
    if first is None or not _is_closed(graph, steps):
        return False
    inputs = [first[1].x, *(each.x for each in weights)]
    layer = Layer(steps[0], first[1], first[0], steps[0].c_before)
    if _reads_a_result(inputs, steps, places) or not rows.are_known(chain, layer.states()):
        return False
    return _replace_steps(graph, layer, steps, inputs)


def _is_closed(graph: Graph, steps: Sequence[Cell]) -> bool:
    """Whether nobody but the cells reads the inner states."""
    readers = {id(op) for cell in steps for op in cell.readers}
    outputs = {id(t) for t in graph.outputs}
    states = [cell.c for cell in steps if cell.c is not None]
    return not any(
        id(state) in outputs or any(id(u.op) not in readers for u in state.uses) for state in states
    )


def _reads_a_result(
    inputs: Sequence[Tensor], steps: Sequence[Cell], places: Mapping[int, int]
) -> bool:
    """Whether an input is made of the result of a step: then the steps cannot run at once.

    So does a decoder that is fed with what it said last, or attends by it. What has its place
    before the first step reads none.
    """
    results = {id(cell.h) for cell in steps}
    first = places[id(steps[0].h.producer)]
    stack, seen = list(inputs), set[int]()
    while stack:
        tensor = stack.pop()
        if id(tensor) in results:
            return True
        op = tensor.producer
        if op is not None and id(op) not in seen and places.get(id(op), first) >= first:
            seen.add(id(op))
            stack += [t for t in op.inputs if t is not None]
    return False


def _replace_steps(
    graph: Graph, layer: Layer, steps: Sequence[Cell], inputs: Sequence[Tensor]
) -> bool:
    """Whether the kernel takes the whole layer, which then replaces its steps."""
    last = steps[-1].h.producer
    assert last is not None

    def replace(graph: Graph, _: Op) -> bool:
        _emit_steps(graph, layer, steps, inputs)
        return True

    return graph.attempt(replace, last)


def _emit_steps(
    graph: Graph, layer: Layer, steps: Sequence[Cell], inputs: Sequence[Tensor]
) -> None:
    last = steps[-1].h
    source = last.producer.source if last.producer is not None else Source("", last.name, "")
    x = _joined(graph, inputs, f"{last.name}/steps", source)
    y = layer.emit(graph, x, f"{last.name}/sequence", source)
    parts = emit(
        graph,
        "UNPACK",
        y.tensor,
        name=f"{last.name}/step",
        source=source,
        num=len(steps),
        axis=0 if y.time_major else 1,
    )
    for cell, part in zip(steps, parts, strict=True):
        graph.replace(cell.h, part)


def _joined(graph: Graph, steps: Sequence[Tensor], name: str, source: Source) -> Sequence3:
    """Return the steps as one tensor: what they were unpacked from, or packed."""
    whole = steps[0].producer
    if whole is not None and whole.type == "UNPACK" and len(whole.outputs) == len(steps):
        axis = whole.options.get("axis", 0) % whole.input(0).rank
        in_order = all(a is b for a, b in zip(whole.outputs, steps, strict=True))
        if in_order and axis < 2 and whole.input(0).rank == 3:
            return Sequence3(whole.input(0), axis == 0)
    options = {"values_count": len(steps), "axis": 0}
    return Sequence3(emit(graph, "PACK", *steps, name=name, source=source, **options), True)
