"""Recurrent layers written out as loops or step by step become the operators for sequences.

What these operators do is exact: they start from the states that they are given. LiteRT keeps the
states in variable tensors and starts each run from where the last one ended, which is not what the
source says; so `own_states` writes the first states into these variables in every run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import Operand, emit
from tqconv.passes.recurrent.cells import Cell, Weights, cell_of
from tqconv.passes.recurrent.memory import STATES, are_rows_known
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
    count = 0
    while _fuse_one_chain(graph, wanted):
        graph.prune()
        count += 1
    return count


def own_states(graph: Graph) -> int:
    """Let each run start from the states that an operator is given.

    SEQUENCE(x, …, h0)   ->   h: variable = MAXIMUM(h0, h0); SEQUENCE(x, …, h)

    MAXIMUM is a copy that LiteRT makes in every run: RESHAPE and CONCATENATION of a constant are
    computed once for all runs, and ADD takes the memory of its operand, which a variable cannot.
    """
    count = 0
    for op in list(graph.ops):
        for index in STATES.get(op.type, ()):
            state = op.input(index)
            if state.variable:
                continue
            if not are_rows_known(graph, op.outputs, [state]):
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


def _fuse_one_chain(graph: Graph, wanted: Callable[[Cell], bool]) -> bool:
    found = (cell_of(op) for op in graph.ops)
    cells = {id(cell.h): cell for cell in found if cell is not None and wanted(cell)}
    keys = {
        h: {id(state): (state, w, w.key()) for state, w in cell.candidates()}
        for h, cell in cells.items()
    }
    before: dict[int, tuple[int, Weights]] = {}
    for h, cell in cells.items():
        for state, weights, key in keys[h].values():
            earlier = cells.get(id(state))
            if earlier is None or cell.c_before is not earlier.c:
                continue
            if any(key == other for _, _, other in keys[id(state)].values()):
                before[h] = (id(state), weights)
    followed = [h for h, _ in before.values()]
    for h in cells:
        if h in before or h not in followed:
            continue
        chain = [h]
        while followed.count(chain[-1]) == 1:
            chain.append(next(later for later, (b, _) in before.items() if b == chain[-1]))
        steps = [cells[step] for step in chain]
        key = before[chain[1]][1].key() if len(chain) > 1 else b""
        first = next(((s, w) for s, w, k in keys[h].values() if k == key), None)
        if len(chain) > 1 and first is not None and _is_closed(graph, steps):
            inputs = [first[1].x, *(before[step][1].x for step in chain[1:])]
            if _reads_a_result(inputs, steps):
                continue
            layer = Layer(steps[0], first[1], first[0], steps[0].c_before)
            if not are_rows_known(graph, [step.h for step in steps], layer.states()):
                continue
            if _replace_steps(graph, layer, steps, inputs):
                return True
    return False


def _is_closed(graph: Graph, steps: Sequence[Cell]) -> bool:
    """Whether nobody but the cells reads the inner states."""
    readers = {id(op) for cell in steps for op in cell.readers}
    states = [cell.c for cell in steps if cell.c is not None]
    return not any(
        any(state is t for t in graph.outputs) or any(id(u.op) not in readers for u in state.uses)
        for state in states
    )


def _reads_a_result(inputs: Sequence[Tensor], steps: Sequence[Cell]) -> bool:
    """Whether an input is made of the result of a step: then the steps cannot run at once.

    So does a decoder that is fed with what it said last, or attends by it.
    """
    results = {id(cell.h) for cell in steps}
    stack, seen = list(inputs), set[int]()
    while stack:
        tensor = stack.pop()
        if id(tensor) in results:
            return True
        op = tensor.producer
        if op is not None and id(op) not in seen:
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
