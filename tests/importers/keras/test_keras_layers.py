"""Layers against their definition in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_keras import Array, computed, given, layer, of_layer, sequential, write_h5

R = np.random.default_rng(7)
F = np.float32


def noise(*shape: int) -> Array:
    return R.normal(size=shape).astype(F)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("major", "slope"), [(2, 0.2), (3, 1 / 6)])
def test_hard_sigmoid_is_that_of_the_version(tmp_path: Path, major: int, slope: float) -> None:
    x = noise(4, 9) * 3
    y = of_layer(tmp_path, "Activation", x, major=major, activation="hard_sigmoid")
    np.testing.assert_allclose(y, np.clip(slope * x + 0.5, 0, 1), atol=1e-6)


def test_causal_convolution(tmp_path: Path) -> None:
    x, w, bias = noise(2, 7, 3), noise(3, 3, 4), noise(4)
    options: dict[str, Any] = {"filters": 4, "kernel_size": [3], "strides": [1]}
    options |= {"padding": "causal", "dilation_rate": [2], "use_bias": True}
    y = of_layer(tmp_path, "Conv1D", x, w, bias, **options)
    padded = np.pad(x, ((0, 0), (4, 0), (0, 0)))
    expected = sum(padded[:, 2 * k : 2 * k + 7] @ w[k] for k in range(3)) + bias
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize(("extra", "size"), [(None, 9), ([1], 10)])
def test_transposed_convolution(tmp_path: Path, extra: list[int] | None, size: int) -> None:
    x, w = noise(1, 4, 2), noise(3, 5, 2)
    options: dict[str, Any] = {"filters": 5, "kernel_size": [3], "strides": [2]}
    options |= {"padding": "valid", "output_padding": extra, "use_bias": False}
    y = of_layer(tmp_path, "Conv1DTranspose", x, w, **options)
    expected = np.zeros((1, size, 5), F)
    for at in range(4):
        for k in range(3):
            expected[:, 2 * at + k] += x[:, at] @ w[k].T
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_channels_first_pooling(tmp_path: Path) -> None:
    x = noise(1, 2, 4, 4)
    options = {"pool_size": [2, 2], "strides": None, "padding": "valid"}
    y = of_layer(tmp_path, "MaxPooling2D", x, data_format="channels_first", **options)
    np.testing.assert_array_equal(y, x.reshape(1, 2, 2, 2, 2, 2).max((3, 5)))


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru(tmp_path: Path, reset_after: bool) -> None:
    x, w, r = noise(2, 5, 3), noise(3, 12), noise(4, 12)
    bias = noise(2, 12) if reset_after else noise(12)
    options: dict[str, Any] = {"units": 4, "activation": "tanh", "reset_after": reset_after}
    options |= {"recurrent_activation": "sigmoid", "return_sequences": True, "use_bias": True}
    y = of_layer(tmp_path, "GRU", x, w, r, bias, **options)
    own = bias if reset_after else np.stack([bias, np.zeros_like(bias)])
    h, expected = np.zeros((2, 4), F), []
    for step in range(5):
        part = x[:, step] @ w + own[0]
        state = h @ r + own[1]
        z = sigmoid(part[:, :4] + state[:, :4])
        reset = sigmoid(part[:, 4:8] + state[:, 4:8])
        kept = reset * state[:, 8:] if reset_after else (reset * h) @ r[:, 8:]
        h = z * h + (1 - z) * np.tanh(part[:, 8:] + kept)
        expected.append(h)
    np.testing.assert_allclose(y, np.stack(expected, 1), atol=1e-5)


def lstm(x: Array, w: Array, r: Array, bias: Array) -> Array:
    h = c = np.zeros((len(x), len(r)), F)
    found = []
    for step in range(x.shape[1]):
        i, f, g, o = np.split(x[:, step] @ w + h @ r + bias, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        found.append(h)
    return np.stack(found, 1)


@pytest.mark.parametrize("mode", ["concat", "sum"])
def test_bidirectional_without_a_layer_of_its_own_backward(tmp_path: Path, mode: str) -> None:
    x = noise(2, 4, 3)
    pairs = [[noise(3, 8), noise(2, 8), noise(8)] for _ in range(2)]
    inner = layer("LSTM", "lstm", units=2, return_sequences=True, use_bias=True)
    arrays = [array for pair in pairs for array in pair]
    y = of_layer(tmp_path, "Bidirectional", x, *arrays, major=2, layer=inner, merge_mode=mode)
    ahead, back = lstm(x, *pairs[0]), lstm(x[:, ::-1], *pairs[1])[:, ::-1]
    expected = np.concatenate([ahead, back], 2) if mode == "concat" else ahead + back
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_a_mask_keeps_the_state(tmp_path: Path) -> None:
    ids = np.array([[3, 1, 0, 0], [2, 0, 0, 0]], np.int32)
    table, w, r, bias = noise(5, 3), noise(3, 8), noise(2, 8), noise(8)
    model = sequential(
        given("x", [None, 4], "int32"),
        layer("Embedding", "table", input_dim=5, output_dim=3, mask_zero=True),
        layer("LSTM", "lstm", units=2, use_bias=True),
    )
    weights = {"table": [("e", table)], "lstm": [("w", w), ("r", r), ("b", bias)]}
    y = computed(write_h5(tmp_path / "m.h5", model, weights), ids)[0]
    whole = lstm(table[ids], w, r, bias)
    np.testing.assert_allclose(y, [whole[0, 1], whole[1, 0]], atol=1e-5)


def test_attention_of_several_heads(tmp_path: Path) -> None:
    x = noise(1, 3, 4)
    kernels, biases = [noise(4, 2, 5) for _ in range(3)], [noise(2, 5) for _ in range(3)]
    out, last = noise(2, 5, 4), noise(4)
    entry = layer("MultiHeadAttention", "heads", num_heads=2, key_dim=5, use_bias=True)
    ref = {"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}
    entry["inbound_nodes"] = [{"args": [ref, ref], "kwargs": {}}]
    config = {"name": "m", "layers": [given("x", [None, 3, 4]), entry]}
    config |= {"input_layers": ["x", 0, 0], "output_layers": ["heads", 0, 0]}
    pairs = [array for pair in zip(kernels, biases, strict=True) for array in pair]
    named = [(str(i), array) for i, array in enumerate([*pairs, out, last])]
    model = {"class_name": "Functional", "config": config}
    y = computed(write_h5(tmp_path / "m.h5", model, {"heads": named}, "3.15.1"), x)[0]
    q, k, v = (
        np.einsum("btc,chd->bhtd", x, w) + b[:, None] for w, b in zip(kernels, biases, strict=True)
    )
    scores = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(5))
    scores /= scores.sum(3, keepdims=True)
    expected = np.einsum("bhtd,hdo->bto", scores @ v, out) + last
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_a_layer_is_applied_to_each_step(tmp_path: Path) -> None:
    x, w = noise(2, 3, 4), noise(4, 5)
    inner = layer("Dense", "dense", units=5, use_bias=False)
    y = of_layer(tmp_path, "TimeDistributed", x, w, layer=inner)
    np.testing.assert_allclose(y, x @ w, atol=1e-5)


def test_the_blocks_of_convnext(tmp_path: Path) -> None:
    x, gamma = noise(2, 3, 4), noise(4)
    y = of_layer(tmp_path, "LayerScale", x, gamma, projection_dim=4, init_values=1e-6)
    np.testing.assert_allclose(y, x * gamma, atol=1e-6)
    np.testing.assert_array_equal(of_layer(tmp_path, "StochasticDepth", x, drop_path_rate=0.1), x)
