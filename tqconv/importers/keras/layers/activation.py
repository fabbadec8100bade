"""Activations, by name as layers hold them and as layers of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.compose import activations, functions
from tqconv.compose.attention import masked
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
Activation = Callable[[Builder, Tensor], Tensor]


def _glu(b: Builder, x: Tensor) -> Tensor:
    first, second = b("SPLIT", np.array(x.rank - 1, np.int32), x, num_splits=2)
    return b("MUL", first, b("LOGISTIC", second))


def hard_sigmoid(b: Builder, x: Tensor) -> Tensor:
    """relu6(x + 3) / 6, as Keras 3 computes it."""
    return b("DIV", activations.relu6(b, b("ADD", x, np.array(3, F))), np.array(6, F))


def _squareplus(b: Builder, x: Tensor, offset: float = 4.0) -> Tensor:
    root = b("SQRT", b("ADD", b("MUL", x, x), np.array(offset, F)))
    return b("MUL", b("ADD", x, root), np.array(0.5, F))


def _sparse_plus(b: Builder, x: Tensor) -> Tensor:
    """0 up to -1, then (x + 1)² / 4, from 1 on x."""
    inner = activations.clamp(b, x, -1.0, 1.0)
    square = b("SQUARE", b("ADD", inner, np.array(1, F)))
    beyond = b("RELU", b("SUB", x, np.array(1, F)))
    return b("ADD", b("MUL", square, np.array(0.25, F)), beyond)


def sparsemax(b: Builder, x: Tensor, axis: int = -1) -> Tensor:
    """Sparsemax as Keras computes it (`backend/tensorflow/nn.py`).

    Its threshold sums the running sums inside the support, where algorithm 1 of Martins and
    Astudillo (2016) takes the last of them.
    """

    def project(x: Tensor) -> Tensor:
        size = x.shape[-1]
        if size is None:
            raise UnsupportedError("sparsemax over an axis of unknown size")
        b.pay(size, "input")
        ordered, _ = b("TOPK_V2", x, np.array(size, np.int32))
        total = b("CUMSUM", ordered, np.array(x.rank - 1, np.int32))
        counts = np.arange(1, size + 1, dtype=F)
        inside = b("GREATER", b("ADD", b("MUL", ordered, counts), np.array(1, F)), total)
        last = np.array([x.rank - 1], np.int32)
        kept = b("SUM", b.cast(inside, F), last, keep_dims=True)
        zero = np.array(0, F)
        taken = b("SUM", b("SELECT_V2", inside, total, zero), last, keep_dims=True)
        threshold = b("DIV", b("SUB", taken, np.array(1, F)), kept)
        return b("RELU", b("SUB", x, threshold))

    return b.on_last_axis(x, axis, project)


NAMED: Mapping[str, Activation] = {
    "linear": lambda b, x: x,
    "relu": activations.relu,
    "relu6": activations.relu6,
    "sigmoid": lambda b, x: b("LOGISTIC", x),
    "tanh": lambda b, x: b("TANH", x),
    "softmax": activations.softmax,
    "log_softmax": activations.log_softmax,
    "sparsemax": sparsemax,
    "elu": activations.elu,
    "selu": activations.selu,
    "celu": activations.celu,
    "gelu": activations.gelu,
    "silu": activations.silu,
    "swish": activations.silu,
    "mish": activations.mish,
    "softplus": functions.softplus,
    "softsign": functions.softsign,
    "exponential": lambda b, x: b("EXP", x),
    "log_sigmoid": lambda b, x: b("NEG", functions.softplus(b, b("NEG", x))),
    "hard_silu": activations.hard_swish,
    "hard_swish": activations.hard_swish,
    "hard_tanh": lambda b, x: activations.clamp(b, x, -1.0, 1.0),
    "hard_shrink": lambda b, x: activations.hard_shrink(b, x, 0.5),
    "soft_shrink": lambda b, x: activations.soft_shrink(b, x, 0.5),
    "threshold": lambda b, x: activations.thresholded(b, x, 0.0),
    "tanh_shrink": lambda b, x: b("SUB", x, b("TANH", x)),
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda b, x: activations.hard_sigmoid(b, x, 0.5, 0.5),
    "glu": _glu,
    "leaky_relu": lambda b, x: activations.leaky_relu(b, x, 0.2),
}
"""Name -> function. `hard_sigmoid` is not here: it depends on the version."""


def named(b: KerasBuilder, spec: Any) -> Activation:
    """Return the activation that a configuration holds: a name, an object, nothing, or itself.

    `hard_sigmoid` is clip(0.2 x + 0.5) up to Keras 2 and relu6(x + 3) / 6 since Keras 3;
    `leaky_relu` has the slope 0.2 in both.
    """
    if spec is None:
        return NAMED["linear"]
    if callable(spec):  # put there by a wrapper
        made: Activation = spec
        return made
    if isinstance(spec, Mapping):
        inner = spec.get("config")
        if isinstance(inner, str):
            return named(b, inner)
        if isinstance(inner, Mapping) and spec.get("class_name") in LAYERS:
            make = LAYERS[spec["class_name"]]
            return lambda here, x: make(here, x, inner, b.major)
        spec = spec.get("class_name")
    name = str(spec).rsplit(">", 1)[-1]
    if name == "hard_sigmoid":
        if b.major >= 3:
            return hard_sigmoid
        return lambda here, x: activations.hard_sigmoid(here, x, 0.2, 0.5)
    if name not in NAMED:
        name = name.removesuffix("_v2")  # what functions of TensorFlow are called inside
    if name not in NAMED:
        raise UnsupportedError(
            f"the activation `{spec}` is not one of Keras",
            hint="export the model as a SavedModel with `model.export`, and convert that",
        )
    return NAMED[name]


def activate(b: KerasBuilder, x: Tensor, spec: Any) -> Tensor:
    """Apply the activation that a configuration holds."""
    return named(b, spec)(b, x)


@handles("Activation")
def activation(b: KerasBuilder, x: Tensor, *, activation: Any) -> Tensor:
    """Apply an activation by name."""
    return activate(b, b.real(x), activation)


@handles("ReLU")
def relu(
    b: KerasBuilder,
    x: Tensor,
    *,
    max_value: float | None = None,
    negative_slope: float | None = 0.0,
    threshold: float | None = 0.0,
) -> Tensor:
    """Return x from the threshold up to a maximum, slope * (x - threshold) below."""
    return bounded_relu(b, b.real(x), max_value, negative_slope or 0.0, threshold or 0.0)


def bounded_relu(
    b: Builder, x: Tensor, maximum: float | None, slope: float, threshold: float
) -> Tensor:
    """Return the general ReLU."""
    if slope == 0 and threshold == 0:
        return activations.clamp(b, x, 0.0, maximum)
    if threshold == 0:
        y = activations.leaky_relu(b, x, slope)
    else:
        limit = np.array(threshold, F)
        below = b("MUL", b("SUB", x, limit), np.array(slope, F)) if slope else np.array(0, F)
        y = b("SELECT_V2", b("GREATER_EQUAL", x, limit), x, below)
    return y if maximum is None else b("MINIMUM", y, np.array(maximum, F))


@handles("LeakyReLU")
def leaky_relu(
    b: KerasBuilder, x: Tensor, *, alpha: Any = None, negative_slope: Any = None
) -> Tensor:
    """Return x where it is positive, else a multiple; the key changed its name in Keras 3."""
    return activations.leaky_relu(b, b.real(x), _slope(alpha, negative_slope, 0.3))


def _slope(alpha: Any, negative_slope: Any, default: float) -> float:
    value = alpha if negative_slope is None else negative_slope
    return default if value is None else number(value)


def number(value: Any) -> float:
    """Return a number that may be stored as an array of one element."""
    if isinstance(value, Mapping):
        value = value.get("value", value.get("config", {}).get("value"))
    return float(np.asarray(value).reshape(-1)[0])


@handles("PReLU")
def prelu(b: KerasBuilder, x: Tensor, *, shared_axes: Sequence[int] | None = None) -> Tensor:
    """Return x where it is positive, else alpha * x; alpha has 1 along shared axes."""
    return b("PRELU", b.real(x), b.weight("alpha"))


@handles("ELU")
def elu(b: KerasBuilder, x: Tensor, *, alpha: Any = 1.0) -> Tensor:
    """Return x where it is positive, else alpha * (exp(x) - 1)."""
    return activations.elu(b, b.real(x), number(alpha))


@handles("ThresholdedReLU")
def thresholded_relu(b: KerasBuilder, x: Tensor, *, theta: Any = 1.0) -> Tensor:
    """Return x where it is above theta, else 0."""
    return activations.thresholded(b, b.real(x), number(theta))


@handles("Softmax")
def softmax(
    b: KerasBuilder,
    x: Tensor,
    shown: Tensor | None = None,
    *,
    axis: int | Sequence[int] = -1,
    mask: Tensor | None = None,
) -> Tensor:
    """Softmax over one axis, or over several at once; a mask, second or named, hides elements.

    Keras 3 gives what is hidden the weight 0 also where everything along the axis is.
    """
    mask = shown if mask is None else mask
    x = b.real(x)
    if mask is None:
        return _softmax(b, x, axis)
    mask = b.cast(mask, np.bool_)
    y = _softmax(b, masked(b, x, mask), axis)
    return b("SELECT_V2", mask, y, np.array(0, np.float32)) if b.major >= 3 else y


def _softmax(b: KerasBuilder, x: Tensor, axis: int | Sequence[int]) -> Tensor:
    axes = [axis] if isinstance(axis, int) else list(axis)
    if len(axes) == 1:
        return activations.softmax(b, x, axes[0])
    along = np.array(sorted(a % x.rank for a in axes), np.int32)
    top = b("REDUCE_MAX", x, along, keep_dims=True)
    power = b("EXP", b("SUB", x, top))
    return b("DIV", power, b("SUM", power, along, keep_dims=True))


Make = Callable[[Builder, Tensor, Mapping[str, Any], int], Tensor]
LAYERS: Mapping[str, Make] = {
    "ReLU": lambda b, x, c, major: bounded_relu(
        b, x, c.get("max_value"), c.get("negative_slope") or 0.0, c.get("threshold") or 0.0
    ),
    "LeakyReLU": lambda b, x, c, major: activations.leaky_relu(
        b, x, _slope(c.get("alpha"), c.get("negative_slope"), 0.3)
    ),
    "ELU": lambda b, x, c, major: activations.elu(b, x, number(c.get("alpha", 1.0))),
    "Softmax": lambda b, x, c, major: activations.softmax(b, x, c.get("axis", -1)),
}
"""Layers that stand as activations inside other layers."""
