"""Gates that are convolved one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader
from tqconv.ops.emit import emit
from tqconv.passes.fold import bias_of, float_weights
from tqconv.passes.rewrite import at


class Gate(NamedTuple):
    """A sum of what two convolutions make of an input and of a state."""

    total: Op
    of_input: Op
    of_state: Op


@at("ADD")
def gates_at_once(graph: Graph, op: Op) -> bool:
    """Convolve once for all gates of a cell, and take them apart then.

    i = ADD(CONV_2D(x, w), CONV_2D(h, r)); f = ADD(CONV_2D(x, v), CONV_2D(h, s))
    ->   i, f = SPLIT(-1, ADD(CONV_2D(x, [w, v]), CONV_2D(h, [r, s])))
    """
    first = _gate(graph, op)
    if first is None:
        return False
    gates = [first]
    x, h = first.of_input.input(0), first.of_state.input(0)
    for use in list(x.uses):
        reader = sole_reader(graph, use.op.output) if use.op.type == "CONV_2D" else None
        gate = None if reader is None or reader is op else _gate(graph, reader)
        if gate is None or use.index != 0 or any(gate.total is g.total for g in gates):
            continue
        if gate.of_input is not use.op and gate.of_state is use.op:
            gate = Gate(gate.total, gate.of_state, gate.of_input)
        if _fits(gate.of_input, first.of_input, x) and _fits(gate.of_state, first.of_state, h):
            gates.append(gate)
    if len(gates) < 2:
        return False
    parts = [
        _joined(graph, [g.of_input for g in gates], x),
        _joined(graph, [g.of_state for g in gates], h),
    ]
    name, axis = f"{op.output.name}/gates", np.array(op.output.rank - 1, np.int32)
    total = emit(graph, "ADD", *parts, name=name, source=op.source)
    made = emit(
        graph, "SPLIT", axis, total, name=f"{name}/apart", source=op.source, num_splits=len(gates)
    )
    for gate, part in zip(gates, made, strict=True):
        graph.replace(gate.total.output, part)
    return True


def _gate(graph: Graph, op: Op) -> Gate | None:
    """Return two convolutions that a sum alone reads, or None."""
    if op.type != "ADD" or has_activation(op):
        return None
    found = []
    for tensor in op.inputs:
        made = made_by(tensor, "CONV_2D")
        if made is None or sole_reader(graph, made.output) is not op or has_activation(made):
            return None
        if float_weights(made) is None or bias_of(made) is None:
            return None
        if made.output.shape != op.output.shape:
            return None
        found.append(made)
    return Gate(op, *found) if found[0].inputs[0] is not found[1].inputs[0] else None


def _fits(conv: Op, first: Op, x: Tensor) -> bool:
    same = conv.options == first.options and conv.input(1).shape == first.input(1).shape
    return same and conv.inputs[0] is x


def _joined(graph: Graph, convs: list[Op], x: Tensor) -> Tensor:
    """Return what one convolution with all the filters makes."""
    first = convs[0]
    weights = [w.data for w in map(float_weights, convs) if w is not None and w.data is not None]
    biases = [b for b in map(bias_of, convs) if b is not None]
    w, b = np.concatenate(weights), np.concatenate(biases)
    source = first.source.joined(*(conv.source for conv in convs[1:]))
    name = f"{first.output.name}/all"
    made: Tensor = emit(graph, "CONV_2D", x, w, b, name=name, source=source, **first.options)
    return made
