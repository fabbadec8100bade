"""Loops of a known number of rounds, written out.

A recurrent layer that no operator stands for (GRU, or an LSTM whose states come and go) is a WHILE
over its steps: of one step it is no loop. The bodies of others would stay float where integers are
asked for: LiteRT runs them, too, but what a variable is stored in would have to be the same in
every round.
"""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.compose.products import of_zeros
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.emit import emit
from tqconv.ops.table import known, spec

MOST_ROUNDS = 64
"""What is written out where nothing may stay float."""
MOST_OPERATORS = 4096
"""Beyond which a loop stays what it is: the file would be several times as large."""


def write_out(graph: Graph, op: Op, most: int) -> bool:
    """Replace a loop that ends after a number of rounds that is known, and at most so many.

    y = WHILE(0, x) {i < 3; i + 1, f(x)}   ->   y = f(f(f(x)))

    For `Graph.attempt`. What is left of it has to be pruned, and operators have to be sorted.
    """
    rounds = _rounds(graph, op, most)
    if rounds is None:
        return False
    values: list[Tensor] = [t for t in op.inputs if t is not None]
    for number in range(rounds):
        values = _written(graph, op.graphs[1], values, f"round{number}")
    for old, new in zip(op.outputs, values, strict=True):
        passes = new in graph.inputs or new.is_constant or new.producer not in graph.ops
        if passes and old in graph.outputs:
            return False
        graph.replace(old, new, keep_name=not passes)
    return True


def _rounds(graph: Graph, op: Op, most: int) -> int | None:
    """Return how often a body runs, None where that is open, or more than `most` times."""
    condition, body = op.graphs
    if any(t is None for t in op.inputs):
        return None
    for inner in (*condition.ops, *body.ops):
        row = spec(inner.type) if known(inner.type) else None
        if row is None or inner.graphs or not row.pure or row.states or not inner.outputs:
            return None
    # Only constants are followed in a graph that is thrown away.
    trial = Graph("rounds", budget=graph.budget)
    values = [_stand_in(trial, t) for t in op.inputs if t is not None]
    for number in range(min(most, MOST_OPERATORS // max(len(body.ops), 1)) + 1):
        (goes_on,) = _written(trial, condition, values, f"test{number}")
        if goes_on.data is None:
            return None
        if not goes_on.data.item():
            return number
        values = _written(trial, body, values, f"round{number}")
    return None


def _stand_in(graph: Graph, tensor: Tensor) -> Tensor:
    """Return a constant, or an input like a tensor, of another graph."""
    if tensor.data is not None:
        return graph.constant(tensor.name, tensor.data)
    made = Tensor(graph.unique(tensor.name), tensor.shape, tensor.dtype)
    graph.inputs.append(made)
    return made


def _written(graph: Graph, body: Graph, values: Sequence[Tensor], name: str) -> list[Tensor]:
    """Add the operators of a body to a graph, and return what it makes of these values."""
    inside = dict(zip(body.inputs, values, strict=True))

    def operand(tensor: Tensor) -> Tensor:
        if tensor not in inside:
            if tensor.data is None:
                raise UnsupportedError(f"'{tensor.name}' of a body is a state, or nothing makes it")
            inside[tensor] = graph.constant(tensor.name, tensor.data)
        return inside[tensor]

    for op in body.ops:
        read = [None if t is None else operand(t) for t in op.inputs]
        own = f"{op.outputs[0].name}/{name}"
        zeros = of_zeros(op, read)
        if zeros is not None:
            results = (graph.constant(own, zeros),)
        else:
            made = emit(graph, op.type, *read, name=own, source=op.source, **op.options)
            results = made if isinstance(made, tuple) else (made,)
        inside.update(zip(op.outputs, results, strict=True))
    return [operand(t) for t in body.outputs]
