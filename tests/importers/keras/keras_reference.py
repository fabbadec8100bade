"""Keras layers in numpy, the plain way: what random configurations are compared with.

Every function takes the layer's configuration as keywords, channels last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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


def erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def selu(x: Array) -> Array:
    """Self-normalizing: Klambauer et al. (2017), with their two constants."""
    return np.asarray(1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)))


Function = Callable[[Array], Array]
ACTIVATIONS: Mapping[str, Function] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "selu": selu,
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "exponential": np.exp,
    "swish": lambda x: x * sigmoid(x),
    "silu": lambda x: x * sigmoid(x),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "log_softmax": lambda x: np.log(softmax(x)),
}
"""Activations whose meaning all versions share."""


def sparsemax(x: Array) -> Array:
    """Subtract a threshold that sums the running sums inside the support (backend/…/nn.py)."""
    ordered = -np.sort(-x, -1)
    total = ordered.cumsum(-1)
    inside = ordered - (total - 1) / np.arange(1, x.shape[-1] + 1) > 0
    excess = np.where(inside, total, 0).sum(-1, keepdims=True) - 1
    return np.maximum(x - excess / inside.sum(-1, keepdims=True), 0)


def glu(x: Array) -> Array:
    first, second = np.split(x, 2, -1)
    return first * sigmoid(second)


def hard_sigmoid(major: int, x: Array) -> Array:
    """Both lines are 0.5 at 0; up to Keras 2 the slope is 0.2, then a sixth."""
    return np.clip(x / 6 + 0.5 if major >= 3 else x / 5 + 0.5, 0, 1)


SINCE_3: Mapping[str, Function] = {
    "hard_sigmoid": partial(hard_sigmoid, 3),
    "celu": lambda x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)),
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0),
    "hard_silu": lambda x: x * hard_sigmoid(3, x),
    "hard_swish": lambda x: x * hard_sigmoid(3, x),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "sparse_plus": lambda x: np.where(x >= 1, x, np.maximum(x + 1, 0) ** 2 / 4),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparsemax": sparsemax,
    "glu": glu,
}
"""Activations of Keras 3, and those that mean something else there."""
BEFORE_3: Mapping[str, Function] = {"hard_sigmoid": partial(hard_sigmoid, 2)}


def activation(name: str, major: int) -> Function:
    """Return an activation as a generation of Keras means it."""
    return activations(major)[name]


def activations(major: int) -> Mapping[str, Function]:
    """Return all activations of a generation of Keras by name."""
    return {**ACTIVATIONS, **(SINCE_3 if major >= 3 else BEFORE_3)}


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


def dilated(w: Array, rates: Sequence[int]) -> Array:
    """Return a kernel [kernel…, a, b] with zeros between its taps."""
    sizes = [(k - 1) * r + 1 for k, r in zip(w.shape, rates, strict=False)]
    wide = np.zeros((*sizes, *w.shape[-2:]), w.dtype)
    wide[tuple(slice(None, None, r) for r in rates)] = w
    return wide


def spread(
    x: Array, w: Array, strides: Sequence[int], padding: str, extra: Sequence[int] | None = None
) -> Array:
    """The transposed convolution, w: [kernel…, out, in]; extra: `output_padding`."""
    each = list(zip(x.shape[1:-1], w.shape[:-2], strides, strict=True))
    if extra is not None:
        pads = [k // 2 if padding == "same" else 0 for _, k, _ in each]
        more = zip(each, pads, extra, strict=True)
        sizes = [(n - 1) * s + k - 2 * pad + e for (n, k, s), pad, e in more]
    elif padding == "same":
        sizes = [n * s for n, _, s in each]
    else:
        sizes = [n * s + max(k - s, 0) for n, k, s in each]
    return transposed(x, w, sizes, strides, padding.upper())


def places_read(
    sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: str
) -> Array:
    """Return which places of the input each of the result reads: [outputs…, inputs…].

    With padding the middle of a window of k lies k // 2 from its start, as LocallyConnected has it.
    """
    found = np.ones([1] * 2 * len(sizes), bool)
    for axis, (size, k, s) in enumerate(zip(sizes, kernel, strides, strict=True)):
        count = -(-size // s) if padding == "same" else (size - k) // s + 1
        start = np.arange(count)[:, None] * s - (k // 2 if padding == "same" else 0)
        apart = np.arange(size) - start
        shape = np.ones(2 * len(sizes), int)
        shape[axis], shape[len(sizes) + axis] = count, size
        found = found & ((apart >= 0) & (apart < k)).reshape(shape)
    return found


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


def step_of(kind: str, weights: Sequence[Array], config: Mapping[str, Any], major: int) -> Step:
    """Return what a cell makes of a row and its states: the new states, the first its result."""
    act = activation(config["activation"], major)
    gate = activation(config.get("recurrent_activation", "sigmoid"), major)
    w, r, zero = weights[0], weights[1], np.zeros(weights[0].shape[1], weights[0].dtype)
    own = weights[2] if len(weights) > 2 else zero

    def simple(x: Array, s: list[Array]) -> list[Array]:
        return [act(x @ w + s[0] @ r + own)]

    def lstm(x: Array, s: list[Array]) -> list[Array]:
        i, f, g, o = np.split(x @ w + s[0] @ r + own, 4, -1)
        c = gate(f) * s[1] + gate(i) * act(g)
        return [gate(o) * act(c), c]

    def gru(x: Array, s: list[Array]) -> list[Array]:
        h = s[0]
        after = config["reset_after"]
        rows = np.stack([own, zero]) if own.ndim == 1 else own
        part, state = np.split(x @ w + rows[0], 3, -1), np.split(h @ r + rows[1], 3, -1)
        z, reset = gate(part[0] + state[0]), gate(part[1] + state[1])
        kept = reset * state[2] if after else (reset * h) @ np.split(r, 3, -1)[2]
        return [z * h + (1 - z) * act(part[2] + kept)]

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[kind]


def run(
    step: Step, x: Array, states: list[Array], mask: Array, back: bool, zeros: bool = False
) -> tuple[Array, list[Array]]:
    """Return the results of all steps of x: [n, t, …], as they are computed, and the states.

    step: returns a result and the new states. A step that the mask hides keeps the states, and
    repeats the result before it, which is zero in front of the first one, or is zero.
    """
    order = range(x.shape[1])[::-1] if back else range(x.shape[1])
    results: list[Array] = []
    for t in order:
        shown = mask[:, t].reshape(-1, *[1] * (states[0].ndim - 1))
        made, *after = step(x[:, t], states)
        before = results[-1] if results and not zeros else np.zeros_like(made)
        results.append(np.where(shown, made, before))
        states = [np.where(shown, new, old) for new, old in zip(after, states, strict=True)]
    return np.stack(results, 1), states


def attended(q: Array, k: Array, v: Array, seen: Array | None = None, scale: float = 1.0) -> Array:
    """q: [n, …, t, d]; seen: what broadcasts to [n, …, t, s]."""
    scores = q @ k.swapaxes(-1, -2) * scale
    scores = scores if seen is None else np.where(seen, scores, -1e9)
    return np.asarray(softmax(scores) @ v)


def grid(x: Any, low: Any, high: Any, narrow: bool = False, bits: int = 8) -> Any:
    """TensorFlow's definition of fake quantization (fake_quant_ops_functor.h)."""
    first, most = np.float32(narrow), np.float32(2**bits - 1)
    scale = (high - low) / (most - first)
    zero = np.floor(np.clip(first - low / scale, first, most) + np.float32(0.5))
    ends = (first - zero) * scale, (most - zero) * scale
    return np.floor((np.clip(x, *ends) - ends[0]) / scale + np.float32(0.5)) * scale + ends[0]
