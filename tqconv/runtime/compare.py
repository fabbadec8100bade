"""How far two models are apart: the signal-to-noise ratio of each tensor that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from tqconv.ir.graph import Model, Tensor
from tqconv.ir.types import Quant
from tqconv.records import dataclass
from tqconv.runtime.calibrate import exposed
from tqconv.runtime.layout import Borders
from tqconv.runtime.litert import Array, Feed, Session

Serialize = Callable[[Model], bytes]
EXACT = 200.0
"""Decibels reported where two tensors are equal."""


@dataclass(frozen=True)
class Difference:
    """How a tensor of the second model differs from the first's.

    sqnr: signal-to-noise ratio of the worst sample in dB; the noise of one that is softer than half
    of them is compared with their median, that of silence with the loudest. largest: largest
    difference.
    agreement: share of the rows along the last axis whose largest element is the same one, None for
    rows of one element. samples: how many were compared. cosine: of the angle between all that the
    one and the other made; None where one of them is zero.
    """

    name: str
    sqnr: float
    largest: float
    is_output: bool
    agreement: float | None
    samples: int
    cosine: float | None = None


def compare(
    reference: Model,
    other: Model,
    samples: Iterable[Feed],
    serialize: Serialize,
    *,
    inner: bool = True,
    borders: Borders | None = None,
) -> list[Difference]:
    """Return the differences of the outputs, in order, then of inner tensors, the worst first.

    Outputs are matched by position, inner tensors by name; `inner`: whether to look at those.
    `borders`: how the second model is fed, where its inputs are not those of the first.
    Quantized tensors are compared as the reals they stand for, other integers not at all.
    """
    mine, theirs = _readable(reference), _readable(other)
    for left_end, right_end in zip(reference.main.outputs, other.main.outputs, strict=True):
        if right_end.name in theirs:
            theirs[left_end.name] = right_end
    outputs = [t.name for t in reference.main.outputs]
    asked = dict.fromkeys([*outputs, *(mine if inner else ())])
    names = [n for n in asked if n in mine and n in theirs]
    tallies = {name: Tally() for name in names}
    first = _runner(reference, [mine[n] for n in names], serialize)
    second = _runner(other, [theirs[n] for n in names], serialize)
    for feed in samples:
        left = first(feed)
        right = second(feed if borders is None else borders.feed(feed))
        for name in names:
            wanted = reals(left[mine[name].name], mine[name].quant)
            got = reals(right[theirs[name].name], theirs[name].quant)
            if borders is not None and name in outputs:
                got = borders.output(outputs.index(name), got)
            tallies[name].add(wanted, got)
    found = [tally.result(name, is_output=name in outputs) for name, tally in tallies.items()]
    inside = sorted((d for d in found if not d.is_output), key=lambda d: d.sqnr)
    return [d for d in found if d.is_output] + inside


def compare_outputs(
    outputs: Sequence[str],
    known: Iterable[tuple[Feed, Mapping[str, Array]]],
    other: Model,
    serialize: Serialize,
) -> list[Difference]:
    """Return the differences of a model's outputs from what is known of another's, in order.

    `known`: samples with what the other model made of them, by name; `outputs`: the names there.
    """
    theirs = _readable(other)
    ends = zip(outputs, other.main.outputs, strict=True)
    pairs = [(name, end) for name, end in ends if end.name in theirs]
    if not pairs:
        return []
    run = _runner(other, [end for _, end in pairs], serialize)
    tallies = {name: Tally() for name, _ in pairs}
    for feed, wanted in known:
        got = run(feed)
        for name, end in pairs:
            if name in wanted:
                tallies[name].add(wanted[name], reals(got[end.name], end.quant))
    return [t.result(n, is_output=True) for n, t in tallies.items() if t.energies]


class Tally:
    """What is known about a tensor after some samples."""

    def __init__(self) -> None:
        self.largest = 0.0
        self.energies: list[tuple[float, float]] = []
        """Of the signal and of the noise in each sample."""
        self.rows, self.same = 0, 0
        self.products = np.zeros(3)  # of both, of the first with itself, of the second with itself

    def add(self, wanted: Array, got: Array) -> None:
        """Compare what the two models make of one sample."""
        signal, noise, largest = _energies(wanted, got)
        self.energies.append((signal, noise))
        self.largest = max(self.largest, largest)
        if wanted.shape == got.shape:
            a, b = wanted.astype(np.float64).reshape(-1), got.astype(np.float64).reshape(-1)
            with np.errstate(all="ignore"):  # what is not finite has no angle
                self.products += (a @ b, a @ a, b @ b)
        if wanted.ndim and wanted.shape[-1] > 1 and wanted.size:
            same_shape = wanted.shape == got.shape
            self.rows += wanted.size // wanted.shape[-1]
            self.same += int(np.sum(_largest(wanted) == _largest(got))) if same_shape else 0

    def result(self, name: str, *, is_output: bool) -> Difference:
        """Return what was found."""
        samples = len(self.energies)
        worst = min(_beside_usual(self.energies), default=EXACT)
        agreement = self.same / self.rows if self.rows else None
        both, mine, theirs = self.products
        norm = float(np.sqrt(mine) * np.sqrt(theirs))
        known = np.isfinite(norm) and norm > 0
        cosine = float(both / norm) if known else None
        return Difference(name, worst, self.largest, is_output, agreement, samples, cosine)


def _largest(array: Array) -> Array:
    """Return where the largest element of each row is."""
    return np.asarray(np.argmax(array, axis=-1))


def difference(wanted: Array, got: Array) -> tuple[float, float]:
    """Return the signal-to-noise ratio in dB and the largest difference."""
    signal, noise, largest = _energies(wanted, got)
    return _decibels(signal, noise), largest


def _beside_usual(energies: Sequence[tuple[float, float]]) -> list[float]:
    """Return the signal-to-noise ratio of samples in dB, by the energies of signal and noise.

    The noise of one that is softer than half of them is compared with the median: what is almost
    zero by chance, as one number often is, says nothing of how near a model is. That of silence is
    compared with the loudest.
    """
    signals = [signal for signal, _ in energies]
    usual, loudest = (float(np.median(signals)), max(signals)) if signals else (0.0, 0.0)
    return [
        _decibels(max(signal, usual) if signal else loudest, noise) for signal, noise in energies
    ]


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return EXACT
    ratio = 10 * (np.log10(signal) - np.log10(noise)) if signal > 0 else -EXACT
    return float(np.clip(ratio, -EXACT, EXACT))


def _energies(wanted: Array, got: Array) -> tuple[float, float, float]:
    """Return the energy of the signal, that of the noise, and the largest difference."""
    a, b = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    if a.shape != b.shape or not a.size:
        return (0.0, 0.0, 0.0) if a.shape == b.shape else (0.0, np.inf, np.inf)
    known = np.isfinite(a)
    error = np.zeros_like(a)
    np.subtract(b, a, out=error, where=known & np.isfinite(b))
    error[known & ~np.isfinite(b)] = np.inf
    signal, noise = float(np.sum(np.where(known, a, 0.0) ** 2)), float(np.sum(error**2))
    return signal, noise, float(np.max(np.abs(error)))


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


def outputs_of(model: Model, serialize: Serialize) -> Callable[[Feed], list[Array]]:
    """Return a function that runs a sample and returns the outputs as reals, in order."""
    run = _runner(model, model.main.outputs, serialize)

    def outputs(feed: Feed) -> list[Array]:
        made = run(feed)
        return [reals(made[t.name], t.quant) for t in model.main.outputs]

    return outputs


def _stored(array: Array, tensor: Tensor) -> Array:
    """Return a fed array in the type that the input takes."""
    if tensor.quant is None or array.dtype.kind != "f":
        return array
    limits = np.iinfo(tensor.dtype)
    steps = np.round(array / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)


def reals(array: Array, quant: Quant | None) -> Array:
    """Return the reals that an array stands for, by the parameters of its tensor."""
    return array if quant is None else quant.decode(array)
