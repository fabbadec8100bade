"""Recurrent cells written out in plain operators: LSTM, or a layer that feeds back its output.

    i, f, o = LOGISTIC(gate); g = TANH(gate); c' = f * c + i * g; h' = o * TANH(c')
    h' = TANH(gate)

where each gate is W x + R h + b, whatever way it is computed: of [x, h] or of both apart, of all
gates at once or of each alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.match import has_activation, made_by
from tqconv.records import dataclass

Matrix = NDArray[np.float32]
ACTIVATIONS = {"TANH": "TANH", "RELU": "RELU", "RELU6": "RELU6"}
"""Operators that the recurrent kernels can apply themselves, and how their option calls them."""
DEEPEST = 8
"""Sums and splits between a gate and its products: one each, and some for biases, are usual."""


@dataclass(frozen=True)
class Affine:
    """A sum of matrix products and a bias; `terms`: id of a tensor [n, in] -> it, its [out, in]."""

    terms: Mapping[int, tuple[Tensor, Matrix]]
    bias: Matrix

    def plus(self, other: Affine) -> Affine | None:
        """Return the sum; None where the sizes differ or a matrix meets the same tensor twice."""
        if self.bias.shape != other.bias.shape or self.terms.keys() & other.terms.keys():
            return None
        return Affine({**self.terms, **other.terms}, self.bias + other.bias)

    def rows(self, part: slice) -> Affine:
        """Return some of the outputs."""
        return Affine({k: (t, w[part]) for k, (t, w) in self.terms.items()}, self.bias[part])


@dataclass(frozen=True)
class Weights:
    """What a cell multiplies `x` and its state with, per gate: [out, in], [out, out], [out]."""

    x: Tensor
    inputs: Mapping[str, Matrix]
    states: Mapping[str, Matrix]
    bias: Mapping[str, Matrix]

    def key(self) -> bytes:
        """Return a digest that equal weights share."""
        import hashlib  # a library of its own that takes milliseconds to load

        digest = hashlib.sha256()
        for part in (self.inputs, self.states, self.bias):
            for gate in sorted(part):
                digest.update(repr((gate, part[gate].shape)).encode())
                digest.update(np.ascontiguousarray(part[gate]).tobytes())
        return digest.digest()


@dataclass(frozen=True, eq=False)
class Cell:
    """One step. `h`: its result; `c` and `c_before`: the inner state of an LSTM, else None."""

    h: Tensor
    gates: Mapping[str, Affine]
    activation: str
    c: Tensor | None = None
    c_before: Tensor | None = None
    readers: tuple[Op, ...] = ()
    """What reads `c_before` and `c` inside of the cell."""

    def weights(self, state: Tensor) -> Weights | None:
        """Return the weights if `state` is the result before; None where it cannot be."""
        sources = {k: t for gate in self.gates.values() for k, (t, _) in gate.terms.items()}
        if len(sources) != 2 or id(state) not in sources:
            return None
        x = next(t for k, t in sources.items() if k != id(state))
        if any(gate.terms.keys() != sources.keys() for gate in self.gates.values()):
            return None
        size = self.h.shape[-1]
        states = {name: gate.terms[id(state)][1] for name, gate in self.gates.items()}
        if any(matrix.shape != (size, size) for matrix in states.values()):
            return None
        return Weights(
            x,
            {name: gate.terms[id(x)][1] for name, gate in self.gates.items()},
            states,
            {name: gate.bias for name, gate in self.gates.items()},
        )

    def candidates(self) -> Iterator[tuple[Tensor, Weights]]:
        """Yield the tensors that may be the result before, each with what the weights are then."""
        for tensor, _ in next(iter(self.gates.values())).terms.values():
            weights = self.weights(tensor)
            if weights is not None:
                yield tensor, weights


def cell_of(op: Op) -> Cell | None:
    """Return the cell whose result an operator makes, or None."""
    if op.type == "MUL":
        return _lstm(op)
    if op.type in ACTIVATIONS and op.output.rank == 2:
        gate = affine(op.input(0))
        return None if gate is None else Cell(op.output, {"": gate}, ACTIVATIONS[op.type])
    return None


def affine(tensor: Tensor, depth: int = DEEPEST) -> Affine | None:
    """Return a tensor [n, out] as products of constants with other tensors, or None.

    depth: how many sums and splits may lie between.
    """
    op = tensor.producer
    if (
        op is None
        or depth < 0
        or has_activation(op)
        or tensor.dtype != np.float32
        or tensor.rank != 2
    ):
        return None
    if op.type == "FULLY_CONNECTED":
        return _product(op)
    if op.type == "ADD":
        return _sum(op, depth - 1)
    if op.type == "SPLIT" and op.input(0).data is not None:
        return _part(op, tensor, depth - 1)
    return None


def _lstm(op: Op) -> Cell | None:
    for gate, other in _pairs(op):
        output, squashed = made_by(gate, "LOGISTIC"), made_by(other, *ACTIVATIONS)
        if output is None or squashed is None:
            continue
        inner = _inner_state(squashed.input(0), squashed.type)
        if inner is None:
            continue
        before, gates, keeps = inner
        gates = {**gates, "o": affine(output.input(0))}
        known = {name: gate for name, gate in gates.items() if gate is not None}
        if len(known) == len(gates):
            return Cell(
                op.output,
                known,
                ACTIVATIONS[squashed.type],
                squashed.input(0),
                before,
                (squashed, keeps),
            )
    return None


def _inner_state(c: Tensor, activation: str) -> tuple[Tensor, dict[str, Affine | None], Op] | None:
    """Return the state before, the gates and the operator that keeps, of c' = f * c + i * g."""
    total = made_by(c, "ADD")
    if total is None:
        return None
    for kept, added in _pairs(total):
        keep, new = made_by(kept, "MUL"), made_by(added, "MUL")
        if keep is None or new is None:
            continue
        for gate, before in _pairs(keep):
            forget = made_by(gate, "LOGISTIC")
            if forget is None:
                continue
            for left, right in _pairs(new):
                entry, candidate = made_by(left, "LOGISTIC"), made_by(right, activation)
                if entry is not None and candidate is not None:
                    sources = {"f": forget, "i": entry, "c": candidate}
                    return before, {k: affine(g.input(0)) for k, g in sources.items()}, keep
    return None


def _pairs(op: Op) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the two operands in both orders; nothing where they broadcast."""
    one, two = op.input(0), op.input(1)
    if not has_activation(op) and one.shape == two.shape:
        yield one, two
        yield two, one


def _product(op: Op) -> Affine | None:
    x, weights = op.input(0), op.input(1).data
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if weights is None or weights.ndim != 2 or weights.dtype != np.float32 or x.rank != 2:
        return None
    if bias is not None and bias.data is None:
        return None
    shift = np.zeros(len(weights), np.float32) if bias is None else bias.data
    assert shift is not None
    joined = made_by(x, "CONCATENATION")
    parts = [x] if joined is None else [t for t in joined.inputs if t is not None]
    if joined is not None and (
        joined.options.get("axis", 0) not in (1, -1) or has_activation(joined)
    ):
        parts = [x]
    terms: dict[int, tuple[Tensor, Matrix]] = {}
    start = 0
    for part in parts:
        width = part.shape[-1]
        if width is None or id(part) in terms:
            return None
        terms[id(part)] = (part, weights[:, start : start + width])
        start += width
    return Affine(terms, shift)


def _sum(op: Op, depth: int) -> Affine | None:
    one, two = (_as_rows(op, t) for t in op.inputs[:2])
    if one.data is not None:
        one, two = two, one
    left = affine(one, depth)
    if left is None:
        return None
    if two.data is None:
        right = affine(two, depth)
        return None if right is None else left.plus(right)
    size = len(left.bias)
    if two.data.size not in (1, size) or two.shape[-1:] not in ((), (1,), (size,)):
        return None
    shift = np.broadcast_to(two.data.reshape(-1), (size,)).astype(np.float32)
    return Affine(left.terms, left.bias + shift)


def _as_rows(op: Op, tensor: Tensor | None) -> Tensor:
    """Return a summand as it was before its only row, [1, n], was taken for a bias, [n]."""
    assert tensor is not None
    made = made_by(tensor, "RESHAPE", "SQUEEZE") if tensor.rank == 1 else None
    return tensor if made is None or made.input(0).shape != op.output.shape else made.input(0)


def _part(op: Op, tensor: Tensor, depth: int) -> Affine | None:
    axis, whole = op.input(0).data, affine(op.input(1), depth)
    if whole is None or axis is None or int(axis.reshape(-1)[0]) not in (1, -1):
        return None
    size = len(whole.bias) // len(op.outputs)
    index = next(i for i, t in enumerate(op.outputs) if t is tensor)
    return whole.rows(slice(index * size, (index + 1) * size))
