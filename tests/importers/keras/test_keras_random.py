"""Random configurations of every family of layers equal their evaluation in numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_reference as ref
import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from networks_keras import Array, computed, functional, given, layer, of_layer, write_h5

F = np.float32
RUN = settings(max_examples=16, deadline=None, derandomize=True, database=None)
Data = st.DataObject


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples overwrite."""
    return tmp_path_factory.mktemp("random")


def noise(data: Data, *shape: int) -> Array:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31), label="seed"))
    return rng.normal(size=shape).astype(F)


def one_of(data: Data, *values: Any) -> Any:
    return data.draw(st.sampled_from(values))


def number(data: Data, low: int, high: int) -> int:
    return data.draw(st.integers(low, high))


def of_call(
    folder: Path,
    entry: dict[str, Any],
    xs: Sequence[Array],
    weights: Sequence[Array],
    major: int = 3,
) -> list[Array]:
    """Return what one call of a layer with several inputs makes; its keywords may be among them."""
    kwargs = entry.pop("call", {})
    names = [f"x{i}" for i in range(len(xs))]
    positional = names[: entry.pop("positional", len(xs))]
    entry["inbound_nodes"] = [[[name, 0, 0, kwargs] for name in positional]]
    borders = [given(n, [None, *x.shape[1:]], x.dtype.name) for n, x in zip(names, xs, strict=True)]
    ends = {"inputs": [[n, 0, 0] for n in names], "outputs": [[entry["name"], 0, 0]]}
    stored = {entry["name"]: [(str(i), w) for i, w in enumerate(weights)]}
    version = {2: "2.21.0", 3: "3.15.1"}[major]
    path = write_h5(folder / "m.h5", functional(*borders, entry, **ends), stored, version)
    return computed(path, *xs)


def first_of(x: Array) -> Array:
    """[n, …, c] -> [n, c, …]."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def cell(data: Data, inputs: int) -> tuple[str, dict[str, Any], list[Array], int]:
    """Return a cell's class, configuration, weights, and its number of states."""
    kind = one_of(data, "SimpleRNN", "LSTM", "GRU")
    units, gates = number(data, 1, 3), {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[kind]
    config: dict[str, Any] = {"units": units, "activation": one_of(data, "tanh", "relu")}
    config |= {"use_bias": data.draw(st.booleans())}
    weights = [noise(data, n, gates * units) * F(0.5) for n in (inputs, units)]
    bias: tuple[int, ...] = (gates * units,)
    if kind != "SimpleRNN":
        config["recurrent_activation"] = "sigmoid"
    if kind == "GRU":
        config["reset_after"] = data.draw(st.booleans())
        bias = (2, *bias) if config["reset_after"] else bias
    if config["use_bias"]:
        weights.append(noise(data, *bias))
    return kind, config, weights, 2 if kind == "LSTM" else 1


def states_of(config: dict[str, Any], count: int) -> list[Array]:
    return [np.zeros((2, config["units"]), F) for _ in range(count)]


@RUN
@drawn(st.data())
def test_recurrent_layers(folder: Path, data: Data) -> None:
    kind, config, weights, count = cell(data, 3)
    back, sequences, hidden = (data.draw(st.booleans()) for _ in range(3))
    x = noise(data, 2, number(data, 1, 4), 3)
    mask = np.random.default_rng(number(data, 0, 99)).random(x.shape[:2]) > 0.4
    mask = mask if hidden else np.ones_like(mask)
    config |= {"go_backwards": back, "return_sequences": sequences}
    step = ref.step_of(kind, weights[0], weights[1], (*weights, None)[2], config)
    y, states = ref.run(step, x, states_of(config, count), mask, back)
    entry = layer(kind, "tested", **config)
    if hidden:
        entry |= {"call": {"mask": ["x1", 0, 0]}, "positional": 1}
        made = of_call(folder, entry, [x, mask], weights, major=2)[0]
    else:
        made = of_layer(folder, kind, x, *weights, **config)
    np.testing.assert_allclose(made, y if sequences else states[0], atol=1e-4)


@RUN
@drawn(st.data())
def test_bidirectional_layers(folder: Path, data: Data) -> None:
    kind, config, weights, count = cell(data, 3)
    others = [noise(data, *w.shape) for w in weights]
    mode, sequences = one_of(data, "concat", "sum", "ave", "mul"), data.draw(st.booleans())
    config |= {"return_sequences": sequences}
    x = noise(data, 2, number(data, 1, 4), 3)
    found = []
    for arrays, back in ((weights, False), (others, True)):
        step = ref.step_of(kind, arrays[0], arrays[1], (*arrays, None)[2], config)
        y, states = ref.run(step, x, states_of(config, count), np.ones(x.shape[:2], bool), back)
        found.append((y[:, ::-1] if back else y) if sequences else states[0])
    merged = {"sum": found[0] + found[1], "ave": (found[0] + found[1]) / 2}
    merged |= {"mul": found[0] * found[1], "concat": np.concatenate(found, -1)}
    inner = layer(kind, "inner", **config)
    options = {"layer": inner, "merge_mode": mode}
    made = of_layer(folder, "Bidirectional", x, *weights, *others, major=2, **options)
    np.testing.assert_allclose(made, merged[mode], atol=1e-4)


@settings(RUN, max_examples=6)
@drawn(st.data())
def test_recurrent_convolutions(folder: Path, data: Data) -> None:
    rank, sequences, back = number(data, 1, 2), data.draw(st.booleans()), data.draw(st.booleans())
    x = noise(data, 2, 2, *[4] * rank, 2)
    weights = [noise(data, *[2] * rank, inputs, 12) * F(0.4) for inputs in (2, 3)]
    weights.append(noise(data, 12))

    def step(now: Array, states: list[Array]) -> list[Array]:
        ones = [1] * rank
        total = ref.convolution(now, weights[0], weights[2], ones, ones, "same")
        total = total + ref.convolution(states[0], weights[1], np.zeros(12), ones, ones, "same")
        i, f, g, o = np.split(total, 4, -1)
        c = ref.sigmoid(f) * states[1] + ref.sigmoid(i) * np.tanh(g)
        return [ref.sigmoid(o) * np.tanh(c), c]

    zero = np.zeros((2, *[4] * rank, 3), F)
    y, states = ref.run(step, x, [zero, zero], np.ones((2, 2), bool), back)
    options = {"filters": 3, "kernel_size": [2] * rank, "padding": "same", "go_backwards": back}
    options |= {"return_sequences": sequences, "recurrent_activation": "sigmoid"}
    made = of_layer(folder, f"ConvLSTM{rank}D", x, *weights, **options)
    np.testing.assert_allclose(made, y if sequences else states[0], atol=1e-4)


@RUN
@drawn(st.data())
def test_attention(folder: Path, data: Data) -> None:
    t, s = number(data, 1, 4), number(data, 1, 4)
    q, v, k = noise(data, 2, t, 3), noise(data, 2, s, 5), noise(data, 2, s, 3)
    causal = data.draw(st.booleans())
    seen = np.tril(np.ones((t, s), bool)) if causal else None
    kind = one_of(data, "Attention", "AdditiveAttention")
    scale = noise(data, *(() if kind == "Attention" else (3,)))
    if kind == "Attention":
        y = ref.attended(q * scale, k, v, seen)
    else:
        scores = (np.tanh(q[:, :, None] + k[:, None]) * scale).sum(-1)
        y = ref.softmax(scores if seen is None else np.where(seen, scores, -1e9)) @ v
    entry = layer(kind, "tested", use_scale=True)
    entry["call"] = {"use_causal_mask": causal}
    made = of_call(folder, entry, [q, v, k], [scale], major=2)[0]
    np.testing.assert_allclose(made, y, atol=1e-4)


@RUN
@drawn(st.data())
def test_attention_of_heads_over_axes(folder: Path, data: Data) -> None:
    heads, width, gate = number(data, 1, 2), number(data, 1, 3), data.draw(st.booleans())
    axes = data.draw(st.sampled_from(([1], [2], [1, 2])))
    x = noise(data, 2, 2, 3, 4)
    parts = ["query", "key", *(["gate"] if gate else []), "value"]
    kernels = {part: noise(data, 4, heads, width) for part in parts}
    biases = {part: noise(data, heads, width) for part in parts}
    ends = [noise(data, heads, width, 5), noise(data, 5)]
    rows = {(1,): x.swapaxes(1, 2), (2,): x, (1, 2): x.reshape(2, 1, 6, 4)}[tuple(axes)]
    made = {p: np.einsum("nrtc,chd->nrhtd", rows, kernels[p]) + biases[p][:, None] for p in parts}
    y = ref.attended(made["query"], made["key"], made["value"], scale=1 / math.sqrt(width))
    y = y * ref.sigmoid(made["gate"]) if gate else y
    y = np.einsum("nrhtd,hdo->nrto", y, ends[0]) + ends[1]
    y = y.swapaxes(1, 2) if axes == [1] else y.reshape(2, 2, 3, 5)
    options = {"num_heads": heads, "key_dim": width, "attention_axes": axes, "use_gate": gate}
    weights = [array for part in parts for array in (kernels[part], biases[part])]
    entry = {**layer("MultiHeadAttention", "tested", **options), "positional": 1}
    entry["call"] = {"value": ["x0", 0, 0]}
    got = of_call(folder, entry, [x], [*weights, *ends])[0]
    np.testing.assert_allclose(got, y, atol=1e-4)
