"""Recurrent layers, against loops in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed
from numpy.typing import NDArray

from tqconv.compose.activations import hard_sigmoid, relu
from tqconv.compose.builder import Builder
from tqconv.compose.recurrent import Cell, Gru, Lstm, Simple, layer, zero_state
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Source
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

Array = NDArray[Any]
TIME, ROWS, INPUTS, CELLS = 5, 3, 4, 6
X = numbers(TIME, ROWS, INPUTS)
LENGTHS = np.array([5, 2, 0], np.int32)
LOOSE = {"rtol": 1e-4, "atol": 2e-5}  # five steps, each of which squashes sums of ten products


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def weights(gates: int, *more: str) -> dict[str, Array]:
    made = {"w": numbers(INPUTS, gates * CELLS, seed=1), "r": numbers(CELLS, gates * CELLS, seed=2)}
    made["bias"] = numbers(gates * CELLS, seed=3)
    for seed, name in enumerate(more, 4):
        made[name] = numbers(gates * CELLS if name == "r_bias" else CELLS, seed=seed)
    return made


def simple(x: Array, states: list[Array], w: dict[str, Array], activation: Any) -> list[Array]:
    return [activation(x @ w["w"] + states[0] @ w["r"] + w["bias"])]


def lstm(
    x: Array,
    states: list[Array],
    w: dict[str, Array],
    order: str = "ifco",
    gate: Any = sigmoid,
    clip: float = np.inf,
    coupled: bool = False,
) -> list[Array]:
    h, c = states
    parts = np.split(x @ w["w"] + h @ w["r"] + w["bias"], 4, 1)
    named = dict(zip(order, parts, strict=True))
    i = gate(np.clip(named["i"] + c * w.get("p_i", 0), -clip, clip))
    f = 1 - i if coupled else gate(np.clip(named["f"] + c * w.get("p_f", 0), -clip, clip))
    c = f * c + i * np.tanh(np.clip(named["c"], -clip, clip))
    o = gate(np.clip(named["o"] + c * w.get("p_o", 0), -clip, clip))
    return [o * np.tanh(c), c]


def gru(
    x: Array, states: list[Array], w: dict[str, Array], order: str = "zrh", after: bool = True
) -> list[Array]:
    h = states[0]
    own, shift = x @ w["w"] + w["bias"], w.get("r_bias", np.zeros(3 * CELLS))
    parts = dict(zip(order, np.split(own, 3, 1), strict=True))
    matrices = dict(zip(order, np.split(w["r"], 3, 1), strict=True))
    shifts = dict(zip(order, np.split(shift, 3), strict=True))
    z, r = (sigmoid(parts[g] + h @ matrices[g] + shifts[g]) for g in "zr")
    own = h @ matrices["h"] + shifts["h"]
    kept = r * own if after else (r * h) @ matrices["h"] + shifts["h"]
    return [z * h + (1 - z) * np.tanh(parts["h"] + kept)]


def run(
    step: Any,
    states: list[Array],
    w: dict[str, Array],
    counts: Array | None = None,
    keeps_last: bool = False,
    x: Array = X,
) -> tuple[Array, list[Array]]:
    """Step through x; `counts`: [time, n]."""
    found = []
    for t in range(TIME):
        made = step(x[t], states, w)
        on = np.ones((ROWS, 1), bool) if counts is None else counts[t][:, None]
        states = [np.where(on, new, old) for new, old in zip(made, states, strict=True)]
        found.append(states[0] if keeps_last else np.where(on, states[0], 0))
    return np.stack(found), states


def expect(cell: Cell, step: Any, count: int, w: dict[str, Array], **options: Any) -> None:
    """Check a layer that begins with given states."""
    first = [numbers(ROWS, CELLS, seed=10 + i) for i in range(count)]
    y, after = run(step, first, w)

    def make(b: Any, x: Any, *states: Any) -> Any:
        made, last = layer(b, cell, x, states, {k: b.const(v, what=k) for k, v in w.items()})
        return [made, *last]

    wanted = [np.asarray(t, np.float32) for t in (y, *after)]
    assert_composed(make, [X, *first], *wanted, **LOOSE, **options)


@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_simple(open_axes: Any) -> None:
    expect(Simple(), lambda *a: simple(*a, np.tanh), 1, weights(1), open_axes=open_axes)


def test_simple_with_another_activation() -> None:
    w = {name: value * 0.3 for name, value in weights(1).items()}
    expect(Simple(relu), lambda *a: simple(*a, lambda x: np.maximum(x, 0)), 1, w)


@pytest.mark.parametrize("order", ["ifco", "iofc"])
@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_lstm(order: str, open_axes: Any) -> None:
    cell = Lstm(order)
    expect(cell, lambda *a: lstm(*a, order), 2, weights(4), open_axes=open_axes)


def test_lstm_with_peepholes_clip_and_coupled_gates() -> None:
    w = weights(4, "p_i", "p_f", "p_o")
    expect(Lstm(gate_clip=0.5), lambda *a: lstm(*a, clip=0.5), 2, w)
    expect(Lstm(coupled=True), lambda *a: lstm(*a, coupled=True), 2, w)


def test_lstm_with_another_activation() -> None:
    cell = Lstm(gate=lambda b, x: hard_sigmoid(b, x, 0.2, 0.5))
    expect(cell, lambda *a: lstm(*a, gate=lambda x: np.clip(0.2 * x + 0.5, 0, 1)), 2, weights(4))


@pytest.mark.parametrize("order", ["zrh", "rzh"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("more", [(), ("r_bias",)])
def test_gru(order: str, after: bool, more: Any) -> None:
    cell = Gru(order, after)
    expect(cell, lambda *a: gru(*a, order, after), 1, weights(3, *more))


def test_gru_over_unknown_sizes() -> None:
    expect(Gru(), gru, 1, weights(3, "r_bias"), open_axes=(0, 1))


CELL_CASES = [
    (Lstm(), lstm, 2, 4),
    (Gru(), gru, 1, 3),
    (Simple(), lambda *a: simple(*a, np.tanh), 1, 1),
]


@pytest.mark.parametrize(("cell", "step", "count", "gates"), CELL_CASES)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("keeps_last", [False, True])
def test_steps_that_a_mask_leaves_out(
    cell: Cell, step: Any, count: int, gates: int, backward: bool, keeps_last: bool
) -> None:
    mask = np.random.default_rng(5).random((TIME, ROWS)) < 0.6
    w, zeros = weights(gates), [np.zeros((ROWS, CELLS))] * count
    way = slice(None, None, -1 if backward else 1)
    y, after = run(step, zeros, w, mask[way], keeps_last, X[way])

    def make(b: Any, x: Any, m: Any) -> Any:
        states = [zero_state(b, x, CELLS)] * count
        named = {k: b.const(v, what=k) for k, v in w.items()}
        options: Any = {"backward": backward, "mask": m, "keeps_last": keeps_last}
        made, last = layer(b, cell, x, states, named, **options)
        return [made, *last]

    wanted = [np.asarray(t, np.float32) for t in (y[way], *after)]
    assert_composed(make, [X, mask], *wanted, **LOOSE)


@pytest.mark.parametrize(("cell", "step", "count", "gates"), CELL_CASES)
@pytest.mark.parametrize("backward", [False, True])
def test_rows_of_different_lengths(
    cell: Cell, step: Any, count: int, gates: int, backward: bool
) -> None:
    w, zeros = weights(gates), [np.zeros((ROWS, CELLS))] * count
    counts = np.arange(TIME)[:, None] < LENGTHS
    x = X.copy()
    if backward:
        for row, length in enumerate(LENGTHS):
            x[:length, row] = X[:length, row][::-1]
    y, after = run(step, zeros, w, counts, x=x)
    if backward:
        for row, length in enumerate(LENGTHS):
            y[:length, row] = y[:length, row][::-1]

    def make(b: Any, x: Any, lengths: Any) -> Any:
        states = [zero_state(b, x, CELLS)] * count
        named = {k: b.const(v, what=k) for k, v in w.items()}
        made, last = layer(b, cell, x, states, named, backward=backward, lengths=lengths)
        return [made, *last]

    wanted = [np.asarray(t, np.float32) for t in (y, *after)]
    assert_composed(make, [X, LENGTHS], *wanted, **LOOSE)


@pytest.mark.parametrize("backward", [False, True])
def test_a_usual_lstm_becomes_its_operator(backward: bool) -> None:
    graph = Graph("main")
    b = Builder(graph, Source("model", "y", "LSTM"), "y")
    x = Tensor(graph.unique("x"), (TIME, ROWS, INPUTS), X.dtype)
    graph.inputs = [x]
    named = {k: b.const(v, what=k) for k, v in weights(4).items()}
    states = [zero_state(b, x, CELLS)] * 2
    graph.outputs = [layer(b, Lstm(), x, states, named, backward=backward)[0]]
    run_stages(Model([graph]), FLOAT_STAGES)
    types = [op.type for op in graph.ops]
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in types
    assert "WHILE" not in types
