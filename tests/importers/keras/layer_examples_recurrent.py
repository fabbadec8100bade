"""Examples of recurrent layers, their cells, and layers that go over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example, first_of, inside
from networks_keras import Array

GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


@dataclass(frozen=True)
class Cell:
    """What a recurrent layer repeats. sizes: of its states, without the batch."""

    config: dict[str, Any]
    weights: list[Array]
    step: ref.Step
    sizes: Sequence[tuple[int, ...]]


def cell_of(d: Draw, kind: str, inputs: int, units: int | None = None) -> Cell:
    units, gates = units or d.number(1, 3), GATES[kind]
    config: dict[str, Any] = {"units": units, "use_bias": d.flag()}
    config["activation"] = d.one_of("tanh", "tanh", "relu", "sigmoid")
    weights = [d.reals(n, gates * units) * F(0.5) for n in (inputs, units)]
    bias: tuple[int, ...] = (gates * units,)
    if kind != "SimpleRNN":
        config["recurrent_activation"] = d.one_of("sigmoid", "sigmoid", "hard_sigmoid")
    if kind == "GRU":
        config["reset_after"] = d.flag()
        bias = (2, *bias) if config["reset_after"] else bias
    if config["use_bias"]:
        weights.append(d.reals(*bias))
    step = ref.step_of(kind, weights, config, d.major)
    return Cell(config, weights, step, [(units,)] * (2 if kind == "LSTM" else 1))


def stacked(cells: Sequence[Cell], x: Array, states: list[Array]) -> list[Array]:
    """Take one step of cells that stand on each other; the result is the last one's first state."""
    made: list[Array] = []
    for cell in cells:
        count = len(made)
        own = cell.step(x, states[count : count + len(cell.sizes)])
        x, made = own[0], [*made, *own]
    return [x, *made]


def over_time(
    d: Draw, config: dict[str, Any], x: Array, cells: Sequence[Cell], weights: Sequence[Array]
) -> Example:
    """Return the example of a layer that repeats cells over the steps of x: [n, t, …]."""
    back, sequences, shows = d.flag(), d.flag(), d.flag()
    config = {**config, "go_backwards": back, "return_sequences": sequences}
    config |= {"return_state": shows, "stateful": d.flag()}
    sizes = [size for cell in cells for size in cell.sizes]
    states = [np.zeros((len(x), *size), F) for size in sizes]
    named: dict[str, Any] = {}
    if not config["stateful"] and d.flag():
        states = [d.reals(len(x), *size) for size in sizes]
        named = {"initial_state": states}
    free = (1,) if not named and d.flag() else ()  # how many steps there are
    operand = masked(d, x, bool(named))
    zeros = not operand.counts.all() and d.flag()
    if zeros:
        config["zero_output_for_mask"] = True
        zeros = x.ndim == 3 or d.major >= 3  # ConvLSTM of Keras 2 writes it only
    named |= operand.named
    runs = []
    for _ in range(2 if config["stateful"] else 1):
        step = partial(stacked, cells)
        found, states = ref.run(step, operand.x, states, operand.counts, back, zeros)
        result = found if sequences else found[:, -1]
        runs.append([result, *states] if shows else [result])
    made = Example(config, [operand.x], runs[0], weights, named, [operand.hidden], free=free)
    made.carried = operand.hidden if sequences else None
    made.later = [(made.inputs(), ys) for ys in runs[1:]]
    return made


@dataclass(frozen=True)
class Masked:
    """An operand x: [n, t, …], zero where a mask hides it, and how the mask reaches the layer.

    hidden: by a Masking layer in front. named: by a keyword. counts: the mask that has an effect.
    """

    x: Array
    hidden: Array | None
    named: dict[str, Any]
    counts: Array


def masked(d: Draw, x: Array, has_states: bool) -> Masked:
    """Return x, perhaps hidden in part.

    Keras 3 hands no mask on to a layer that is called with states, too; a keyword always counts.
    """
    every, mask = np.ones(x.shape[:2], bool), d.shown(*x.shape[:2])
    zeroed = x * mask.reshape(*x.shape[:2], *[1] * (x.ndim - 2))
    how = d.one_of("none", "keyword", *(["layer"] if x.ndim == 3 else []))
    if how == "none":
        return Masked(x, None, {}, every)
    if how == "keyword":
        return Masked(zeroed, None, {"mask": mask}, mask)
    return Masked(zeroed, mask, {}, every if has_states and d.major >= 3 else mask)


@example("SimpleRNN", "LSTM", "GRU", count=16)
def recurrent(d: Draw, op: str) -> Example:
    x = d.reals(2, d.number(1, 4), 3)
    cell = cell_of(d, op, 3)
    return over_time(d, cell.config, x, [cell], cell.weights)


@example("RNN", count=16)
def rnn(d: Draw, op: str) -> Example:
    x, kinds = d.reals(2, d.number(1, 4), 3), [d.one_of(*GATES) for _ in range(d.number(1, 3))]
    cells: list[Cell] = []
    for kind in kinds:
        cells.append(cell_of(d, kind, cells[-1].sizes[0][0] if cells else 3))
    entries = [
        inside(d.major, f"{kind}Cell", f"cell{i}", **cell.config)
        for i, (kind, cell) in enumerate(zip(kinds, cells, strict=True))
    ]
    whole = inside(d.major, "StackedRNNCells", "cells", cells=entries)
    entry = entries[0] if len(cells) == 1 and d.flag() else whole
    weights = [w for cell in cells for w in cell.weights]
    return over_time(d, {"cell": entry}, x, cells, weights)


@example("SimpleRNNCell", "LSTMCell", "GRUCell")
def cell(d: Draw, op: str) -> Example:
    made = cell_of(d, op.removesuffix("Cell"), 3)
    x, states = d.reals(2, 3), [d.reals(2, *size) for size in made.sizes]
    after = made.step(x, states)
    return Example(made.config, [x], [after[0], *after], made.weights, {"states": states})


MERGES = {
    "sum": lambda y, z: y + z,
    "ave": lambda y, z: (y + z) / 2,
    "mul": lambda y, z: y * z,
    "concat": lambda y, z: np.concatenate([y, z], -1),
}


@example("Bidirectional", count=24)
def bidirectional(d: Draw, op: str) -> Example:
    kind, x = d.one_of(*GATES), d.reals(2, d.number(1, 4), 3)
    cells = [cell_of(d, kind, 3)]
    own = d.flag()  # whether the backward layer has a configuration of its own
    units = cells[0].config["units"]
    if own:
        cells.append(cell_of(d, kind, 3, units))
    else:
        others = [d.reals(*w.shape) * F(0.5) for w in cells[0].weights]
        step = ref.step_of(kind, others, cells[0].config, d.major)
        cells.append(Cell(cells[0].config, others, step, cells[0].sizes))
    sequences, shows, mode = d.flag(), d.flag(), d.one_of(*MERGES, None)
    first = [[d.reals(2, units) for _ in cells[0].sizes] for _ in cells]
    named: dict[str, Any] = {"initial_state": [*first[0], *first[1]]} if d.flag() else {}
    operand = masked(d, x, bool(named))
    pair, after = [], []
    for cell, states, back in zip(cells, first, (False, True), strict=True):
        begin = states if named else [np.zeros_like(s) for s in states]
        step = partial(stacked, [cell])
        found, last = ref.run(step, operand.x, begin, operand.counts, back, zeros=sequences)
        pair.append((found[:, ::-1] if back else found) if sequences else found[:, -1])
        after += last
    ys = pair if mode is None else [MERGES[mode](*pair)]
    said = {"return_sequences": sequences, "return_state": shows}
    options: dict[str, Any] = {"merge_mode": mode}
    options["layer"] = inside(d.major, kind, "inner", **cells[0].config, **said)
    if own:
        config = {**cells[1].config, **said, "go_backwards": True}
        options["backward_layer"] = inside(d.major, kind, "back", **config)
    weights = [*cells[0].weights, *cells[1].weights]
    ys, named = [*ys, *after] if shows else ys, named | operand.named
    carried = operand.hidden if sequences else None
    return Example(options, [operand.x], ys, weights, named, [operand.hidden], carried)


@example("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
def conv_lstm(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    kernel, padding = d.numbers(rank, 1, 2), d.one_of("valid", "same")
    strides, rates = d.one_of(
        ([1] * rank, [1] * rank), ([2] * rank, [1] * rank), ([1] * rank, [2] * rank)
    )
    config: dict[str, Any] = {"filters": 2, "kernel_size": kernel, "padding": padding}
    config |= {"strides": strides, "dilation_rate": rates, "use_bias": d.flag()}
    config["activation"] = d.one_of("tanh", "relu")
    config["recurrent_activation"] = d.one_of("sigmoid", "hard_sigmoid")
    x = d.reals(2, d.number(1, 3), *d.numbers(rank, 3, 4), 2)
    weights = [d.reals(*kernel, 2, 8) * F(0.4) for _ in range(2)]
    bias = d.reals(8)
    act = ref.ACTIVATIONS[config["activation"]]
    gate = ref.activation(config["recurrent_activation"], d.major)
    ones, none = [1] * rank, np.zeros(8, F)

    def step(now: Array, states: list[Array]) -> list[Array]:
        own = bias if config["use_bias"] else none
        total = ref.convolution(now, weights[0], own, strides, rates, padding)
        total = total + ref.convolution(states[0], weights[1], none, ones, ones, "same")
        i, f, g, o = np.split(total, 4, -1)
        c = gate(f) * states[1] + gate(i) * act(g)
        return [gate(o) * act(c), c]

    made = ref.convolution(x[:, 0], weights[0], none, strides, rates, padding)
    cell = Cell(config, weights, step, [(*made.shape[1:-1], 2)] * 2)
    stored = [*weights, bias] if config["use_bias"] else weights
    return channels_first(d, over_time(d, config, x, [cell], stored))


def channels_first(d: Draw, made: Example) -> Example:
    """Return an example in one of the two layouts; it has channels last."""
    if d.flag():
        return made
    steps = int(bool(made.config["return_sequences"]))

    def inputs(arrays: Sequence[Array]) -> list[Array]:
        """Move the channels of x: [n, t, …, c] and of states; a mask has none."""
        parts = [a if a.dtype == np.bool_ else first_of(a) for a in arrays[1:]]
        return [np.ascontiguousarray(np.moveaxis(arrays[0], -1, 2)), *parts]

    def results(arrays: Sequence[Array]) -> list[Array]:
        first = np.ascontiguousarray(np.moveaxis(arrays[0], -1, 1 + steps))
        return [first, *map(first_of, arrays[1:])]

    made.config = {**made.config, "data_format": "channels_first"}
    made.later = [(inputs(xs), results(ys)) for xs, ys in made.later]
    made.xs, made.ys = inputs(made.xs), results(made.ys)
    if "initial_state" in made.named:
        states = [first_of(state) for state in made.named["initial_state"]]
        made.named = {**made.named, "initial_state": states}
    return made


@example("TimeDistributed")
def time_distributed(d: Draw, op: str) -> Example:
    """The layer inside sees each step as if it were a row of its own."""
    kind = d.one_of("Dense", "Conv2D", "Flatten", "LSTM")
    if kind == "Dense":
        x, w = d.reals(2, d.number(1, 3), 4), d.reals(4, 3)
        config: dict[str, Any] = {"units": 3, "use_bias": False, "activation": "relu"}
        y, weights = np.maximum(x @ w, 0), [w]
    elif kind == "Conv2D":
        x, w = d.reals(2, d.number(1, 3), 4, 4, 2), d.reals(2, 2, 2, 3)
        config = {"filters": 3, "kernel_size": [2, 2], "use_bias": False}
        rows = x.reshape(-1, *x.shape[2:])
        y = ref.convolution(rows, w, np.zeros(3, F), [1, 1], [1, 1], "valid")
        y, weights = y.reshape(*x.shape[:2], *y.shape[1:]), [w]
    elif kind == "Flatten":
        x = d.reals(2, d.number(1, 3), 2, 3)
        config, y, weights = {}, x.reshape(*x.shape[:2], -1), []
    else:
        x, cell = d.reals(2, d.number(1, 3), 2, 3), cell_of(d, "LSTM", 3)
        rows = x.reshape(-1, *x.shape[2:])
        states = [np.zeros((len(rows), *size), F) for size in cell.sizes]
        mask = np.ones(rows.shape[:2], bool)
        found, _ = ref.run(partial(stacked, [cell]), rows, states, mask, back=False)
        config, weights = cell.config, cell.weights
        y = found[:, -1].reshape(*x.shape[:2], -1)
    return Example({"layer": inside(d.major, kind, "inner", **config)}, [x], [y], weights)
