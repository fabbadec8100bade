"""What the cells of an LSTM hold at each step: LiteRT shows them after the last one only.

A quantizer has to know how far they go, so they are computed here as the kernel does
(kernels/lstm_eval.cc), with one sigmoid or hyperbolic tangent for each gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.table import spec
from tqconv.records import dataclass
from tqconv.runtime.litert import Array

Read = Callable[[str], Array]
GATES = ("i", "f", "c", "o")
TOGETHER = 16
"""Samples whose steps are computed at once: the calls take longer than the products of one."""


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


@dataclass(frozen=True)
class Given:
    """What an LSTM reads of a sample: `x` [time, n, inputs], the states before the first step."""

    x: Array
    h: Array
    c: Array


def given(op: Op, read: Read) -> Given:
    """Return what an LSTM reads, as copies; `read` returns a tensor by its name."""
    x, h, c = (_read(op, name, read) for name in ("x", "h", "c"))
    return Given(np.array(x if op.options.get("time_major", False) else x.swapaxes(0, 1)), h, c)


def _read(op: Op, name: str, read: Read) -> Array:
    tensor: Tensor | None = _operand(op, name)
    if tensor is not None and tensor.variable:
        tensor = _first(tensor)
    assert tensor is not None
    return np.array(read(tensor.name)) if tensor.data is None else tensor.data


def values(op: Op, samples: Sequence[Given]) -> list[Array]:
    """Return the cells before, and after each step, of each sample: [time + 1, n, cells]."""
    if len({sample.x.shape for sample in samples}) > 1:
        return [found for sample in samples for found in values(op, [sample])]

    def constant(name: str) -> Array:
        tensor = op.inputs[_place(op, name)]
        return np.zeros((), np.float32) if tensor is None or tensor.data is None else tensor.data

    inputs = np.concatenate([constant(f"w_x{gate}") for gate in GATES])
    states = np.concatenate([constant(f"w_h{gate}") for gate in GATES])
    size = len(states) // len(GATES)
    biases = np.concatenate([np.broadcast_to(constant(f"b_{gate}"), size) for gate in GATES])
    x = np.concatenate([sample.x for sample in samples], axis=1)
    h, c = (np.concatenate(each) for each in zip(*((s.h, s.c) for s in samples), strict=True))
    found = np.empty((len(x) + 1, *c.shape), np.float32)
    found[0] = c
    with np.errstate(over="ignore"):  # exp of a gate that is shut
        for step, here in enumerate(x, 1):
            sums = here @ inputs.T + h @ states.T + biases
            i, f, g, o = np.split(sums, len(GATES), axis=-1)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
            found[step] = c
    return np.split(found, len(samples), axis=1)


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))
