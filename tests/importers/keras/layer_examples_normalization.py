"""Examples of normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example, inside
from networks_keras import Array


def along(w: Array, x: Array, axes: Sequence[int]) -> Array:
    """Return a weight over some axes of x reshaped so that it broadcasts."""
    there = {axis % x.ndim for axis in axes}
    return w.reshape([size if axis in there else 1 for axis, size in enumerate(x.shape)])


def scaled(
    d: Draw, options: dict[str, Any], x: Array, y: Array, axes: Sequence[int]
) -> tuple[Array, list[Array]]:
    """Return y with a scale and an offset over some axes, if drawn, and these weights."""
    weights: list[Array] = []
    options |= {"scale": d.flag(), "center": d.flag()}
    if options["scale"]:
        weights.append(d.reals(*(x.shape[axis] for axis in axes)))
        y = y * along(weights[-1], x, axes)
    if options["center"]:
        weights.append(d.reals(*(x.shape[axis] for axis in axes)))
        y = y + along(weights[-1], x, axes)
    return y, weights


def signed(d: Draw, axis: int, rank: int) -> int:
    return d.one_of(axis, axis - rank)


@example("BatchNormalization", "SyncBatchNormalization", count=12)
def batch_normalization(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(d.number(1, 4), 2, 4))
    axis, epsilon = d.number(1, x.ndim - 1), d.one_of(1e-3, 0.1)
    size = x.shape[axis]
    mean, variance = d.reals(size), d.reals(size) ** 2 + F(0.5)
    y = (x - along(mean, x, [axis])) / np.sqrt(along(variance, x, [axis]) + epsilon)
    options: dict[str, Any] = {"axis": signed(d, axis, x.ndim), "epsilon": epsilon}
    if d.major < 3 and d.flag():
        options["axis"] = [axis]  # as tf.keras writes it
    y, weights = scaled(d, options, x, y, [axis])
    return Example(options, [x], [y], [*weights, mean, variance])


@example("LayerNormalization", count=12)
def layer_normalization(d: Draw, op: str) -> Example:
    """Weights have the order in which Keras keeps the axes, and are reshaped, not transposed."""
    x = d.reals(2, *d.numbers(d.number(1, 3), 2, 4))
    axes = [axis + 1 for axis in d.order(x.ndim - 1)[: d.number(1, x.ndim - 1)]]
    axes = [signed(d, axis, x.ndim) for axis in axes]
    epsilon = d.one_of(1e-3, 0.1)
    options: dict[str, Any] = {"axis": axes[0] if len(axes) == 1 and d.flag() else axes}
    options["epsilon"] = epsilon
    if d.major >= 3:
        axes = sorted(axes)
    if d.major >= 3 and d.flag():
        options |= {"rms_scaling": True, "scale": True, "center": True}
        gamma = d.reals(*(x.shape[axis] for axis in axes))
        y = x / np.sqrt(x.var(tuple(axes), keepdims=True) + epsilon) * along(gamma, x, axes)
        return Example(options, [x], [y], [gamma])
    y, weights = scaled(d, options, x, ref.normalized(x, tuple(axes), epsilon), axes)
    return Example(options, [x], [y], weights)


@example("RMSNormalization", majors=[3])
def rms_normalization(d: Draw, op: str) -> Example:
    """The scale stands along the last axes, whatever the axes are."""
    x = d.reals(2, *[3] * d.number(1, 3))
    axes, epsilon = d.one_of([x.ndim - 1], [1], list(range(1, x.ndim))), d.one_of(1e-6, 0.1)
    scale = d.reals(*[3] * len(axes))
    y = x / np.sqrt((x**2).mean(tuple(axes), keepdims=True) + epsilon) * scale
    axis = axes[0] if len(axes) == 1 and d.flag() else axes
    return Example({"axis": axis, "epsilon": epsilon}, [x], [y], [scale])


@example("GroupNormalization", count=12)
def group_normalization(d: Draw, op: str) -> Example:
    sizes = d.numbers(d.number(1, 3), 2, 4)
    axis = d.number(1, len(sizes))
    sizes[axis - 1] = 4
    x = d.reals(2, *sizes)
    groups, epsilon = d.one_of(1, 2, 4, -1), d.one_of(1e-3, 0.1)
    last = np.moveaxis(x, axis, -1)
    apart = last.reshape(2, -1, abs(groups) if groups > 0 else 4, 4 // groups if groups > 0 else 1)
    y = ref.normalized(apart, (1, 3), epsilon).reshape(last.shape)
    options = {"groups": groups, "axis": signed(d, axis, x.ndim), "epsilon": epsilon}
    y, weights = scaled(d, options, x, np.moveaxis(y, -1, axis), [axis])
    return Example(options, [x], [y], weights)


@example("UnitNormalization")
def unit_normalization(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(d.number(1, 3), 2, 4))
    axes = [axis + 1 for axis in d.order(x.ndim - 1)[: d.number(1, x.ndim - 1)]]
    y = x / np.sqrt((x**2).sum(tuple(axes), keepdims=True))
    options: dict[str, Any] = {"axis": [signed(d, axis, x.ndim) for axis in axes]}
    if len(axes) == 1 and d.flag():
        options["axis"] = axes[0]
    return Example(options, [x], [y])


@example("Normalization", count=12)
def normalization(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(d.number(1, 3), 2, 4))
    axes = sorted(axis + 1 for axis in d.order(x.ndim - 1)[: d.number(0, x.ndim - 1)])
    sizes = [x.shape[axis] for axis in axes]
    mean, variance = d.reals(*sizes), np.asarray(d.reals(*sizes) ** 2 + F(0.5), F)
    invert = d.flag()
    center, root = along(mean, x, axes), np.sqrt(along(variance, x, axes))
    options: dict[str, Any] = {"axis": axes or None, "invert": invert}
    if len(axes) == 1 and d.flag():
        options["axis"] = signed(d, axes[0], x.ndim)
    weights = [mean, variance, np.array(7, np.int64)]
    if d.flag():
        options |= {"mean": mean.tolist(), "variance": variance.tolist()}
        weights = []
    y = x * root + center if invert else (x - center) / root
    return Example(options, [x], [y], weights)


@example("SpectralNormalization")
def spectral_normalization(d: Draw, op: str) -> Example:
    """The kernel is stored as it was normalized last."""
    x, w, bias, vector = d.reals(2, 4, 3), d.reals(3, 2), d.reals(2), d.reals(1, 2)
    inner = inside(d.major, "Dense", "dense", units=2)
    options = {"layer": inner, "power_iterations": 1}
    return Example(options, [x], [x @ w + bias], [w, bias, vector])
