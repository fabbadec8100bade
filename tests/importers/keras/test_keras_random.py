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
from networks_keras import Array, computed, functional, given, layer, write_h5

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
