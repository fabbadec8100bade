"""Recurrent cells, and layers of them: plain operators in a loop over time.

A pass recognises the loops that have an operator of their own in TensorFlow Lite. Weights are
[inputs, gates * cells] and [cells, gates * cells], the gates beside each other in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tqconv.compose import lists
from tqconv.compose.activations import clamp
from tqconv.compose.builder import Builder
from tqconv.compose.over_time import over_time, written_out, zeros_like
from tqconv.compose.products import affine
from tqconv.compose.sizes import inserted, size_of, vector
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

Activation = Callable[[Builder, Tensor], Tensor]
Weights = Mapping[str, Tensor]
"""`w`: [inputs, gates * cells], `r`: [cells, gates * cells]; if there are any: `bias`, and `r_bias`
that comes with the product with the state: [gates * cells]; peepholes `p_i`, `p_f`, `p_o`: [cells].
"""
ONE = np.array(1, np.float32)


def sigmoid(b: Builder, x: Tensor) -> Tensor:
    """The usual activation of gates."""
    return b("LOGISTIC", x)


def tanh(b: Builder, x: Tensor) -> Tensor:
    """The usual activation of what is remembered."""
    return b("TANH", x)


class Cell(Protocol):
    """What a layer repeats: the next states, of which the first is the result."""

    @property
    def has_operator(self) -> bool:
        """Whether TensorFlow Lite may have an operator for layers of it."""
        ...

    def step(
        self, b: Builder, part: Tensor, states: Sequence[Tensor], weights: Weights
    ) -> list[Tensor]:
        """Return the next states; `part`: x w + bias, [n, gates * cells]; states: [n, cells]."""
        ...


@dataclass(frozen=True)
class Simple:
    """h' = activation(x w + h r + bias)."""

    activation: Activation = tanh
    gate_clip: float = 0.0
    has_operator: bool = True

    def step(
        self, b: Builder, part: Tensor, states: Sequence[Tensor], weights: Weights
    ) -> list[Tensor]:
        """Return h'."""
        total = b("ADD", part, _of_state(b, states[0], weights))
        return [self.activation(b, _clipped(b, total, self.gate_clip))]


class LstmStep(NamedTuple):
    """Everything that a step of an LSTM computes: gates, candidate, states, and squashed state."""

    i: Tensor
    c: Tensor
    f: Tensor
    o: Tensor
    candidate: Tensor
    squashed: Tensor
    h: Tensor


@dataclass(frozen=True)
class Lstm:
    """Long short-term memory; states: h, c.

    `order`: the gates in the weights (input, forget, cell, output); `clip` bounds c, `gate_clip`
    what the activations get; `coupled`: the forget gate is one minus the input gate.
    """

    order: str = "ifco"
    forget_bias: float = 0.0
    clip: float = 0.0
    gate_clip: float = 0.0
    coupled: bool = False
    gate: Activation = sigmoid
    candidate: Activation = tanh
    squash: Activation = tanh
    has_operator: bool = True

    def step(
        self, b: Builder, part: Tensor, states: Sequence[Tensor], weights: Weights
    ) -> list[Tensor]:
        """Return h' and c'."""
        h, c = states
        made = self.of_total(b, b("ADD", part, _of_state(b, h, weights)), c, weights)
        return [made.h, made.c]

    def of_total(self, b: Builder, total: Tensor, c: Tensor, weights: Weights) -> LstmStep:
        """Return all that follows from x w + h r + bias: [n, 4 * cells]."""
        parts = b("SPLIT", np.array(1, np.int32), total, num_splits=4)
        gate = dict(zip(self.order, parts, strict=True))
        if self.forget_bias:
            gate["f"] = b("ADD", gate["f"], np.array(self.forget_bias, np.float32))
        for name in "if":
            gate[name] = _with_peephole(b, gate[name], c, weights.get(f"p_{name}"))
        i = self.gate(b, self._limited(b, gate["i"]))
        f = b("SUB", ONE, i) if self.coupled else self.gate(b, self._limited(b, gate["f"]))
        candidate = self.candidate(b, self._limited(b, gate["c"]))
        now = b("ADD", b("MUL", candidate, i), b("MUL", c, f))
        if self.clip > 0:
            limit = np.array(self.clip, np.float32)
            now = b("MINIMUM", b("MAXIMUM", now, -limit), limit)
        output = _with_peephole(b, gate["o"], now, weights.get("p_o"))
        o, squashed = self.gate(b, self._limited(b, output)), self.squash(b, now)
        return LstmStep(i, now, f, o, candidate, squashed, b("MUL", squashed, o))

    def _limited(self, b: Builder, x: Tensor) -> Tensor:
        return _clipped(b, x, self.gate_clip)


@dataclass(frozen=True)
class Gru:
    """Gated recurrent unit: h' = z h + (1 - z) candidate.

    `order`: the gates in the weights (update z, reset r, candidate h). `reset_after`: the reset
    gate applies to the product with the state, else to the state before it.
    """

    order: str = "zrh"
    reset_after: bool = True
    gate_clip: float = 0.0
    gate: Activation = sigmoid
    candidate: Activation = tanh
    has_operator: bool = False

    def step(
        self, b: Builder, part: Tensor, states: Sequence[Tensor], weights: Weights
    ) -> list[Tensor]:
        """Return h'."""
        h = states[0]
        x = dict(zip(self.order, self._split(b, part), strict=True))
        if self.reset_after:
            own = dict(zip(self.order, self._split(b, _of_state(b, h, weights)), strict=True))
        else:
            own = self._own(b, h, weights, "zr")
        z, r = (self.gate(b, self._limited(b, b("ADD", x[g], own[g]))) for g in "zr")
        if self.reset_after:
            kept = b("MUL", r, own["h"])
        else:
            kept = self._own(b, b("MUL", r, h), weights, "h")["h"]
        new = self.candidate(b, self._limited(b, b("ADD", x["h"], kept)))
        return [b("ADD", b("MUL", z, h), b("MUL", b("SUB", ONE, z), new))]

    def _split(self, b: Builder, x: Tensor) -> tuple[Tensor, ...]:
        return b("SPLIT", np.array(1, np.int32), x, num_splits=3)

    def _own(self, b: Builder, h: Tensor, weights: Weights, gates: str) -> dict[str, Tensor]:
        """Return the products of the state with the weights of some gates."""
        matrices = dict(zip(self.order, self._split(b, weights["r"]), strict=True))
        found = {gate: affine(b, h, matrices[gate]) for gate in gates}
        if "r_bias" in weights:
            bias = b("SPLIT", np.array(0, np.int32), weights["r_bias"], num_splits=3)
            shifts = dict(zip(self.order, bias, strict=True))
            found = {gate: b("ADD", y, shifts[gate]) for gate, y in found.items()}
        return found

    def _limited(self, b: Builder, x: Tensor) -> Tensor:
        return _clipped(b, x, self.gate_clip)


def layer(
    b: Builder,
    cell: Cell,
    x: Tensor,
    states: Sequence[Tensor],
    weights: Weights,
    *,
    backward: bool = False,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    keeps_last: bool = False,
    unrolled: bool = False,
) -> tuple[Tensor, list[Tensor]]:
    """Return the results of all steps over x: [time, n, inputs], and the states after the last.

    `backward`: from the last step to the first; results stand where their inputs do. `lengths`:
    [n], the steps of each row that count; backward they begin at the last of those. `mask`: [time,
    n], true where a step counts. A step that does not count keeps the states; its result is 0, or
    the one before it with `keeps_last`. `unrolled`: without a loop, if `time` is known. y: [time,
    n, cells].
    """
    lengths = None if lengths is None else b.cast(lengths, np.int32)
    if backward:
        x = _turned(b, x, lengths)
        mask = None if mask is None else _turned(b, mask, None)
    mask = mask if lengths is None else _counted(b, x, lengths)
    unrolled = unrolled and bool(x.shape[0])
    apart = (mask is not None or not cell.has_operator) and not unrolled
    flags = [] if mask is None else [inserted(b, mask, 2)]
    rows = [_of_input(b, x, weights) if apart else x, *flags]

    def step(
        here: Builder, rows: list[Tensor], states: list[Tensor], fixed: list[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        inside = dict(zip(weights, fixed, strict=True))
        part = rows[0] if apart else _of_input(here, rows[0], inside)
        made = cell.step(here, part, states, inside)
        if mask is None:
            return made, made[:1]
        kept = [here("SELECT_V2", rows[1], *pair) for pair in zip(made, states, strict=True)]
        if keeps_last:
            return kept, kept[:1]
        return kept, [here("SELECT_V2", rows[1], made[0], np.array(0, np.float32))]

    fixed = list(weights.values())
    if unrolled:
        y, after = written_out(b, rows, states, fixed, step)
    else:
        y, after = over_time(b, rows, states, fixed, [zeros_like(b, x, states[0])], step)
    return _turned(b, y[0], lengths) if backward else y[0], after


def zero_state(b: Builder, x: Tensor, cells: int) -> Tensor:
    """Return the state that a layer over x: [time, n, inputs] begins with: zeros [n, cells]."""
    zero = np.array(0, np.float32)
    return b("FILL", vector(b, [size_of(b, x, 1), cells]), zero)


def dense(b: Builder, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
    """Return x w + bias."""
    return b("FULLY_CONNECTED", x, b.turned(w, (1, 0)), bias, keep_num_dims=x.rank > 2)


def _of_input(b: Builder, x: Tensor, weights: Weights) -> Tensor:
    return dense(b, x, weights["w"], weights.get("bias"))


def _of_state(b: Builder, h: Tensor, weights: Weights) -> Tensor:
    return dense(b, h, weights["r"], weights.get("r_bias"))


def _with_peephole(b: Builder, gate: Tensor, c: Tensor, peephole: Tensor | None) -> Tensor:
    return gate if peephole is None else b("ADD", gate, b("MUL", c, peephole))


def _clipped(b: Builder, x: Tensor, limit: float) -> Tensor:
    return clamp(b, x, -limit, limit) if limit > 0 else x


def _turned(b: Builder, x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return x: [time, n, …] with its steps turned around: those that count, if that is known."""
    if lengths is None:
        return b("REVERSE_V2", x, np.array([0], np.int32))
    return b("REVERSE_SEQUENCE", x, lengths, seq_dim=0, batch_dim=1)


def _counted(b: Builder, x: Tensor, lengths: Tensor) -> Tensor:
    """Return which steps of each row count: [time, n]."""
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    steps = b("RANGE", zero, lists.length(b, x), one)
    return b("LESS", inserted(b, steps, 1), lengths)
