"""How near a plan's integers come to the float model, where its decisions are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from tqconv.ir.copy import copy_graph
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.jobs.drafts import Draft, Drafts
from tqconv.jobs.phases import nothing
from tqconv.quant.apply import apply
from tqconv.quant.decisions import Decision, decisions
from tqconv.quant.fit.codes import mapped
from tqconv.quant.params import Params
from tqconv.quant.plan import Plan
from tqconv.runtime.compare import EXACT, difference
from tqconv.runtime.litert import Array, Feed

CEILING = 120.0
"""Decibels that are as good as exact: an equal sample must not outweigh all others."""


Known = Callable[[Feed], Mapping[str, Array]]


@dataclass(frozen=True)
class Score:
    """How near a plan is: `ratios` [output, sample] in dB, `agreement` of each output or None.

    `ends`: the same as `ratios` at the outputs themselves, which say whether an answer was flipped.
    """

    ratios: Array
    agreement: tuple[float | None, ...]
    ends: Array

    @staticmethod
    def joined(parts: Sequence[Score]) -> Score:
        """Return the score over the samples of all parts."""
        ratios = np.concatenate([part.ratios for part in parts], axis=1)
        sizes = [part.ratios.shape[1] for part in parts]
        columns = zip(*(part.agreement for part in parts), strict=True)
        agreement = tuple(_average(column, sizes) for column in columns)
        return Score(ratios, agreement, np.concatenate([part.ends for part in parts], axis=1))

    def among(self, some: Sequence[int]) -> Score:
        """Return the score over some of the samples; agreement is not known of those alone."""
        unknown = tuple(None for _ in self.agreement)
        return Score(self.ratios[:, some], unknown, self.ends[:, some])

    @property
    def outputs(self) -> Array:
        """The mean over the samples for each output, in dB."""
        return np.asarray(self.ratios.mean(axis=1))

    @property
    def mean(self) -> float:
        """The mean over outputs and samples, in dB."""
        return float(self.ratios.mean())

    @property
    def joint(self) -> float:
        """The mean over outputs, in dB, of the share that noise has of the samples together."""
        return float(-10 * np.log10(np.mean(10 ** (self.ratios / -10), axis=1)).mean())

    @property
    def worst(self) -> float:
        """The mean over the outputs of the worst sample, in dB."""
        return float(self.ratios.mean(axis=0).min())

    @property
    def least(self) -> float:
        """The worst sample of the worst output, in dB."""
        return float(self.ratios.min())


def _average(shares: Sequence[float | None], sizes: Sequence[int]) -> float | None:
    known = [share * size for share, size in zip(shares, sizes, strict=True) if share is not None]
    return sum(known) / sum(sizes) if len(known) == len(sizes) else None


class Judge:
    """Scores plans for a model by some samples.

    `places`: where, in a graph and in the integers that it became; the tensors that decide about
    the outputs, if nothing else is said. `known`: what the float model made of a sample by the
    names of tensors, as far as that is known already. `step` is called when a sample has run.
    `drafts`: shared with other judges of the same model and places.
    The integers run with the default delegate, or as `builtin` on the kernels without it.
    """

    def __init__(
        self,
        model: Model,
        samples: Sequence[Feed],
        places: Callable[[Graph], list[Decision]] = decisions,
        known: Known | None = None,
        step: Callable[[], None] = nothing,
        drafts: Drafts | None = None,
    ) -> None:
        self.model = model
        self.drafts = drafts
        self.step = step
        self.samples = samples
        self.builtin = False
        self.places = places
        found = places(model.main)
        self.judged = [i for i, d in enumerate(found) if d.tensor.dtype == np.float32]
        self.decisions = [found[i] for i in self.judged]
        self.wanted = self._floats(known or (lambda feed: {}))

    def _floats(self, known: Known) -> list[list[Array]]:
        """Return what the float model makes of each sample, running those not known enough of."""
        tensors = self._places(self.model.main)
        told = [known(feed) for feed in self.samples]
        asked = [any(t.name not in made for t in tensors) for made in told]
        lacking = [feed for feed, more in zip(self.samples, asked, strict=True) if more]
        fresh = iter(Draft.of(self.model, tensors).run(lacking, self.step) if lacking else [])
        return [
            next(fresh) if more else [made[t.name] for t in tensors]
            for made, more in zip(told, asked, strict=True)
        ]

    def among(self, some: Sequence[int]) -> Judge:
        """Return a judge by some of the samples; what the float model makes of them is known."""
        fewer = copy(self)
        fewer.samples = [self.samples[i] for i in some]
        fewer.wanted = [self.wanted[i] for i in some]
        return fewer

    def on_builtin(self) -> Judge:
        """Return a judge of what the kernels without a delegate make of the same samples."""
        other = copy(self)
        other.builtin = True
        return other

    def score(self, plan: Plan) -> Score:
        """Return how near the plan's integers come to the float model."""
        if self.drafts is None:
            return self._scored(self._draft(plan))
        return self._scored(self.drafts.of(plan, lambda: self._draft(plan)))

    def of(self, other: Model) -> Score:
        """Return how near a model made of the judge's own comes; reals at its ends."""
        return self._scored(Draft.of(other, self._places(other.main)))

    def _draft(self, plan: Plan) -> Draft:
        mine = copy_graph(self.model.main)
        floats: dict[Tensor, Params | None] = {mine.tensors[t]: None for t in plan.borders}
        apply(mine.graph, replace(mapped(plan, mine.tensors, mine.ops), borders=floats))
        return Draft.of(Model([mine.graph, *self.model.graphs[1:]]), self._places(mine.graph))

    def _scored(self, draft: Draft) -> Score:
        made = draft.run(self.samples, self.step, delegate=not self.builtin)
        pairs = [([w[i] for w in self.wanted], [m[i] for m in made]) for i in range(len(made[0]))]
        inside, outside = pairs[: len(self.decisions)], pairs[len(self.decisions) :]
        ends = [_ratios(*pair, None) for pair in outside if pair[0][0].dtype.kind == "f"]
        parts = list(zip(inside, self.decisions, strict=True))
        return Score(
            np.array([_ratios(*pair, d.rows) for pair, d in parts], np.float64),
            tuple(_agreement(*pair, d) for pair, d in parts),
            np.array(ends, np.float64).reshape(-1, len(self.samples)),
        )

    def _places(self, graph: Graph) -> list[Tensor]:
        """Return the deciding tensors, then the outputs."""
        found = self.places(graph)
        return [*(found[i].tensor for i in self.judged), *graph.outputs]


def _ratios(wanted: list[Array], got: list[Array], axis: int | None) -> list[float]:
    """Return the signal-to-noise ratio of each sample; where it is silent, beside the loudest.

    What elements along `axis` have in common does not count.
    """
    pairs = list(zip(wanted, got, strict=True))
    if axis is not None:
        pairs = [
            (_without_mean(a, axis), _without_mean(b, axis))
            if a.shape == b.shape and a.size
            else (a, b)
            for a, b in pairs
        ]
    energies = [float(np.sum(np.square(a, dtype=np.float64))) for a, _ in pairs]
    return [_ratio(a, b, own or max(energies)) for (a, b), own in zip(pairs, energies, strict=True)]


def _ratio(wanted: Array, got: Array, energy: float) -> float:
    found = difference(wanted, got)[0]
    if found == -EXACT and wanted.shape == got.shape and energy > 0:
        noise = float(np.sum(np.square(np.subtract(got, wanted, dtype=np.float64))))
        found = 10 * float(np.log10(energy / noise)) if np.isfinite(noise) else found
    return float(np.clip(found, -CEILING, CEILING))


def _without_mean(x: Array, axis: int) -> Array:
    return np.asarray(x - x.mean(axis=axis, keepdims=True, dtype=np.float64))


def _agreement(wanted: list[Array], got: list[Array], decision: Decision) -> float | None:
    """Return the share of rows in which the same element is the largest; None without classes."""
    axis = decision.classes
    if axis is None or any(a.shape != b.shape for a, b in zip(wanted, got, strict=True)):
        return None
    same = [a.argmax(axis=axis) == b.argmax(axis=axis) for a, b in zip(wanted, got, strict=True)]
    flat = np.concatenate([s.reshape(-1) for s in same])
    return float(flat.mean()) if flat.size else None
