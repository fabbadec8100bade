"""How far two models are apart: the signal-to-noise ratio of each tensor that both have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tqconv.ir.graph import Model, Tensor
from tqconv.runtime.calibrate import exposed
from tqconv.runtime.litert import Array, Feed, Session

Serialize = Callable[[Model], "bytes | memoryview"]
EXACT = 200.0
"""Decibels reported where two tensors are equal."""


@dataclass(frozen=True)
class Difference:
    """How a tensor of the second model differs from the first's: `sqnr` in dB, worst sample."""

    name: str
    sqnr: float
    largest: float
    """Largest absolute difference."""
    is_output: bool


def compare(
    reference: Model, other: Model, samples: Sequence[Feed], serialize: Serialize
) -> list[Difference]:
    """Return the differences of the outputs, in order, then of inner tensors, the worst first.

    Tensors are matched by name; quantized ones are compared as the reals they stand for.
    """
    mine, theirs = _readable(reference), _readable(other)
    outputs = [t.name for t in reference.main.outputs]
    names = [n for n in dict.fromkeys([*outputs, *mine]) if n in mine and n in theirs]
    worst = {name: (EXACT, 0.0) for name in names}
    first = _runner(reference, [mine[n] for n in names], serialize)
    second = _runner(other, [theirs[n] for n in names], serialize)
    for feed in samples:
        left, right = first(feed), second(feed)
        for name in names:
            wanted = left[mine[name].name]
            got = _real(right[theirs[name].name], theirs[name])
            sqnr, largest = difference(wanted, got)
            worst[name] = (min(worst[name][0], sqnr), max(worst[name][1], largest))
    found = [Difference(n, *worst[n], n in outputs) for n in names]
    inner = sorted((d for d in found if not d.is_output), key=lambda d: d.sqnr)
    return [d for d in found if d.is_output] + inner


def difference(wanted: Array, got: Array) -> tuple[float, float]:
    """Return the signal-to-noise ratio in dB and the largest difference."""
    a, b = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    if a.shape != b.shape or not a.size:
        return (EXACT, 0.0) if a.shape == b.shape else (-EXACT, np.inf)
    known = np.isfinite(a)
    error = np.zeros_like(a)
    np.subtract(b, a, out=error, where=known & np.isfinite(b))
    error[known & ~np.isfinite(b)] = np.inf
    noise, signal = float(np.sum(error**2)), float(np.sum(np.where(known, a, 0.0) ** 2))
    if noise == 0.0:
        return EXACT, 0.0
    ratio = 10 * (np.log10(signal) - np.log10(noise)) if signal > 0 else -EXACT
    return float(np.clip(ratio, -EXACT, EXACT)), float(np.max(np.abs(error)))


def _readable(model: Model) -> dict[str, Tensor]:
    """Return what can be compared, by the name it has in the float model."""
    found: dict[str, Tensor] = {}
    for tensor in model.main.tensors():
        real = tensor.dtype == np.float32 or tensor.quant is not None
        if tensor.is_constant or tensor.variable or not real or tensor in model.main.inputs:
            continue
        found.setdefault(tensor.name, tensor)
    return found


def _runner(
    model: Model, tensors: Sequence[Tensor], serialize: Serialize
) -> Callable[[Feed], Mapping[str, Array]]:
    """Return a function that runs a sample and returns these tensors by name."""
    wide = exposed(model, tensors)
    session = Session(serialize(wide))
    inputs = {t.name: t for t in model.main.inputs}

    def run(feed: Feed) -> Mapping[str, Array]:
        session.run({name: _stored(array, inputs[name]) for name, array in feed.items()})
        return {t.name: np.array(session.output(i)) for i, t in enumerate(wide.main.outputs)}

    return run


def _stored(array: Array, tensor: Tensor) -> Array:
    """Return a fed array in the type that the input takes."""
    if tensor.quant is None or array.dtype.kind != "f":
        return array
    limits = np.iinfo(tensor.dtype)
    steps = np.round(array / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)


def _real(array: Array, tensor: Tensor) -> Array:
    if tensor.quant is None:
        return array
    scale, zero = tensor.quant.scale[0], tensor.quant.zero_point[0]
    return np.asarray((array.astype(np.float64) - zero) * scale)
