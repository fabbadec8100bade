"""Examples of activations."""

from __future__ import annotations

from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example, inside


@example("Activation", count=40)
def activation(d: Draw, op: str) -> Example:
    table = ref.activations(d.major)
    x = d.reals(*[2, 3, 4][: d.number(1, 2)], 6) * 2
    if d.flag():
        name = d.one_of(*table)
        return Example({"activation": name}, [x], [table[name](x)])
    slope = d.one_of(0.1, 0.5)
    key = "negative_slope" if d.major >= 3 else "alpha"
    inner = inside(d.major, "LeakyReLU", "leaky", **{key: slope})
    return Example({"activation": inner}, [x], [np.where(x > 0, x, slope * x)])


@example("ReLU")
def relu(d: Draw, op: str) -> Example:
    x = d.reals(2, 3, 4) * 3
    slope, limit = d.one_of(0.0, 0.1, 0.5), d.one_of(0.0, 0.5)
    most = d.one_of(None, 1.0, 6.0)
    y = np.where(x >= limit, x if most is None else np.minimum(x, most), slope * (x - limit))
    options = {"negative_slope": slope, "threshold": limit, "max_value": most}
    return Example(options, [x], [y])


@example("LeakyReLU")
def leaky_relu(d: Draw, op: str) -> Example:
    x, slope = d.reals(2, 3, 4), d.one_of(None, 0.0, 0.1, 0.5)
    key = "negative_slope" if d.major >= 3 else "alpha"
    y = np.where(x > 0, x, (0.3 if slope is None else slope) * x)
    return Example({} if slope is None else {key: slope}, [x], [y])


@example("ELU")
def elu(d: Draw, op: str) -> Example:
    x, alpha = d.reals(2, 3, 4), d.one_of(0.1, 1.0, 2.0)
    return Example({"alpha": alpha}, [x], [np.where(x > 0, x, alpha * np.expm1(x))])


@example("ThresholdedReLU", majors=[2])
def thresholded_relu(d: Draw, op: str) -> Example:
    x, theta = d.reals(2, 3, 4), d.one_of(0.0, 0.5, 1.0)
    return Example({"theta": theta}, [x], [np.where(x > theta, x, 0)])


@example("PReLU")
def prelu(d: Draw, op: str) -> Example:
    sizes = d.numbers(d.number(1, 3), 2, 4)
    shared = [axis for axis in range(1, len(sizes) + 1) if d.flag()]
    x = d.reals(2, *sizes)
    alpha = d.reals(*(1 if axis in shared else size for axis, size in enumerate(sizes, 1)))
    options = {"shared_axes": shared or None}
    return Example(options, [x], [np.where(x > 0, x, alpha * x)], [alpha])


@example("Softmax", count=12)
def softmax(d: Draw, op: str) -> Example:
    x = d.reals(2, 3, 4)
    axis = d.one_of(-1, 1, [2], [1, 2], [-1, -2])
    along = tuple(axis) if isinstance(axis, list) else axis
    if d.flag():
        return Example({"axis": axis}, [x], [ref.softmax(x, along)])
    shown = d.one_of(d.flags(2, 3, 4), d.flags(2, 1, 4), d.flags(2, 3, 1))
    y = ref.softmax(np.where(shown, x, F(-1e9)), along)
    if d.major >= 3:
        y = np.where(shown, y, 0)
    named: dict[str, Any] = {"mask": shown}
    return Example({"axis": axis}, [x], [y], named=named)
