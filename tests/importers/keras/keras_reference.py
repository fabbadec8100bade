"""Keras layers in numpy, the plain way: what random configurations are compared with.

Every function takes the layer's configuration as keywords, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from window_reference import conv, transposed, windows

Array = NDArray[Any]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    power = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(power / power.sum(axis, keepdims=True))


ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "swish": lambda x: x * sigmoid(x),
}


def padded(padding: str, kernel: Sequence[int], rates: Sequence[int]) -> Any:
    """The padding as `window_reference` takes it."""
    if padding == "causal":
        return [((k - 1) * r, 0) for k, r in zip(kernel, rates, strict=True)]
    return padding.upper()


def convolution(
    x: Array, w: Array, bias: Array, strides: Sequence[int], rates: Sequence[int], padding: str
) -> Array:
    how = padded(padding, w.shape[:-2], rates)
    return np.asarray(conv(x, w, strides, how, rates) + bias)


def depthwise(
    x: Array, w: Array, strides: Sequence[int], rates: Sequence[int], padding: str
) -> Array:
    """w: [kernel…, in, multiplier]."""
    kernel = w.shape[:-2]
    seen = windows(x, kernel, strides, padded(padding, kernel, rates), rates)
    letters = "uvw"[: len(kernel)]
    y = np.einsum(f"...{letters}c,{letters}cm->...cm", seen, w)
    return y.reshape(*y.shape[:-2], -1)


def spread(x: Array, w: Array, strides: Sequence[int], padding: str) -> Array:
    """The transposed convolution, w: [kernel…, out, in]."""
    each = list(zip(x.shape[1:-1], w.shape[:-2], strides, strict=True))
    if padding == "same":
        return transposed(x, w, [n * s for n, _, s in each], strides, "SAME")
    return transposed(x, w, [n * s + max(k - s, 0) for n, k, s in each], strides, "VALID")


def pooled(kind: str, x: Array, size: Sequence[int], strides: Sequence[int], padding: str) -> Array:
    axes = tuple(range(1 + len(size), 1 + 2 * len(size)))
    fill = -np.inf if kind == "Max" else 0.0
    seen = windows(x, size, strides, padding.upper(), value=fill)
    if kind == "Max":
        return np.asarray(seen.max(axes))
    ones = windows(np.ones_like(x), size, strides, padding.upper())
    return np.asarray(seen.sum(axes) / ones.sum(axes))


def normalized(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """Mean 0 and variance 1 over axes."""
    spread_ = x.var(axes, keepdims=True) + epsilon
    return np.asarray((x - x.mean(axes, keepdims=True)) / np.sqrt(spread_))


Step = Callable[[Array, list[Array]], list[Array]]


def step_of(kind: str, w: Array, r: Array, bias: Array | None, config: Mapping[str, Any]) -> Step:
    """Return what a cell does with a row and its states."""
    act = ACTIVATIONS[config["activation"]]
    zero = np.zeros(w.shape[1], w.dtype)
    own = zero if bias is None else bias

    def simple(x: Array, s: list[Array]) -> list[Array]:
        return [act(x @ w + s[0] @ r + own)]

    def lstm(x: Array, s: list[Array]) -> list[Array]:
        i, f, g, o = np.split(x @ w + s[0] @ r + own, 4, -1)
        c = sigmoid(f) * s[1] + sigmoid(i) * act(g)
        return [sigmoid(o) * act(c), c]

    def gru(x: Array, s: list[Array]) -> list[Array]:
        h = s[0]
        after = config["reset_after"]
        rows = np.stack([own, zero]) if own.ndim == 1 else own
        part, state = np.split(x @ w + rows[0], 3, -1), np.split(h @ r + rows[1], 3, -1)
        z, reset = sigmoid(part[0] + state[0]), sigmoid(part[1] + state[1])
        kept = reset * state[2] if after else (reset * h) @ np.split(r, 3, -1)[2]
        return [z * h + (1 - z) * act(part[2] + kept)]

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[kind]


def run(
    step: Step, x: Array, states: list[Array], mask: Array, back: bool, zeros: bool = False
) -> tuple[Array, list[Array]]:
    """Return the results of all steps of x: [n, t, …], as they are computed, and the states."""
    order = range(x.shape[1])[::-1] if back else range(x.shape[1])
    results = []
    last = np.zeros_like(states[0])
    for t in order:
        shown = mask[:, t].reshape(-1, *[1] * (states[0].ndim - 1))
        made = step(x[:, t], states)
        last = np.where(shown, made[0], 0 if zeros else last)
        states = [np.where(shown, m, s) for m, s in zip(made, states, strict=True)]
        results.append(last)
    return np.stack(results, 1), states


def attended(q: Array, k: Array, v: Array, seen: Array | None = None, scale: float = 1.0) -> Array:
    """q: [n, …, t, d]; seen: what broadcasts to [n, …, t, s]."""
    scores = q @ k.swapaxes(-1, -2) * scale
    scores = scores if seen is None else np.where(seen, scores, -1e9)
    return np.asarray(softmax(scores) @ v)
