"""What the cells of an LSTM hold at each step: LiteRT shows them after the last one only.

A quantizer has to know how far they go, so they are computed here as the kernel does
(kernels/lstm_eval.cc), with one sigmoid or hyperbolic tangent for each gate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.table import spec
from tqconv.runtime.litert import Array

Read = Callable[[str], Array]
GATES = ("i", "f", "c", "o")


def measurable(graph: Graph) -> list[tuple[Tensor, Op]]:
    """Return the cells whose values can be computed, and the operators that keep them."""
    return [(_operand(op, "c"), op) for op in graph.ops if _is_measurable(op)]


def _is_measurable(op: Op) -> bool:
    rule = spec(op.type).quant if op.type != "CUSTOM" else None
    if rule is None or rule.states.get("c") is None or rule.refuses is None or rule.refuses(op):
        return False
    weights = [op.inputs[_place(op, name)] for name in (*rule.weight, *rule.bias)]
    known = all(t is None or t.data is not None for t in weights)
    return known and all(_first(_operand(op, name)) is not None for name in rule.states)


def _place(op: Op, name: str) -> int:
    return spec(op.type).operands.index(name)


def _operand(op: Op, name: str) -> Tensor:
    return op.input(_place(op, name))


def _first(state: Tensor) -> Tensor | None:
    """Return what a variable is filled with in every run."""
    return None if state.producer is None else state.producer.input(0)


def values(op: Op, read: Read) -> Array:
    """Return the cells before, and after each step, [time + 1, n, cells].

    `read` returns a tensor by its name.
    """

    def given(name: str) -> Array:
        tensor = op.inputs[_place(op, name)]
        if tensor is None:
            return np.zeros((), np.float32)
        if tensor.variable:
            tensor = _first(tensor)
            assert tensor is not None
        return read(tensor.name) if tensor.data is None else tensor.data

    x = given("x") if op.options.get("time_major", False) else given("x").swapaxes(0, 1)
    inputs = np.concatenate([given(f"w_x{gate}") for gate in GATES])
    states = np.concatenate([given(f"w_h{gate}") for gate in GATES])
    size = len(states) // len(GATES)
    biases = np.concatenate([np.broadcast_to(given(f"b_{gate}"), size) for gate in GATES])
    h, c = given("h"), given("c")
    found = np.empty((len(x) + 1, *c.shape), np.float32)
    found[0] = c
    with np.errstate(over="ignore"):  # exp of a gate that is shut
        for step, here in enumerate(x, 1):
            sums = here @ inputs.T + h @ states.T + biases
            i, f, g, o = np.split(sums, len(GATES), axis=-1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            found[step] = c
    return found


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
