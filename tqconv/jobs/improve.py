"""Accuracy by trial: ranges, rounding and biases that do better on samples that were held back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tqconv.exporters.tflite import serialize
from tqconv.ir.copy import copy_graph
from tqconv.ir.graph import Model, Op, Tensor
from tqconv.quant.apply import apply
from tqconv.quant.fit import codes as fitting
from tqconv.quant.fit.moments import Moments, columns, empty, rows_each
from tqconv.quant.params import Params
from tqconv.quant.plan import Plan
from tqconv.runtime.calibrate import exposed
from tqconv.runtime.compare import EXACT, difference
from tqconv.runtime.litert import Array, Feed, Session

HELD_BACK = 5
"""One sample in so many judges; the others teach."""
FEWEST = 4
"""Samples below which nothing is tried."""
MOST = 64
"""Samples that are remembered; more add time and little knowledge."""
GAIN = 0.05
"""Decibels by which a trial must do better to be taken."""
LOSS, WATCHED = 3.0, 8
"""Decibels that the worst of so many other samples may lose for what the mean gains."""


def improved(
    model: Model, plan: Plan, samples: Sequence[Feed], others: Iterable[Plan] = ()
) -> Plan:
    """Return the plan, or one that comes closer to the float model on held-back samples.

    Tried in turn, each on top of what was taken before: `others` (with other ranges), rounding
    fitted to the inputs, corrected biases. The same samples give the same plan.
    """
    if len(samples) < FEWEST:
        return plan
    judge = _Judge(model, samples[::HELD_BACK])
    lessons = [s for i, s in enumerate(samples) if i % HELD_BACK]
    best, score = plan, judge.score(plan)
    before = score
    for other in others:
        best, score = judge.better(other, best, score)
    taken = _Fit(model, best, lessons)
    for candidate in taken.candidates():
        best, score = judge.better(candidate, best, score)
    if score > before and _spoils(
        _Judge(model, lessons[:: -(-len(lessons) // WATCHED)]), plan, best
    ):
        return plan
    if score > before:
        note = f"fitted to the samples: {before:.1f} -> {score:.1f} dB on those held back"
        best = replace(best, notes=[*best.notes, note])
    return best


def _spoils(judge: _Judge, plan: Plan, best: Plan) -> bool:
    """Whether a sample that is worst now would become much worse."""
    return min(judge.ratios(best)) < min(judge.ratios(plan)) - LOSS


class Memory:
    """Samples that were seen, an even selection of at most `MOST` of them."""

    def __init__(self) -> None:
        self.kept: list[Feed] = []
        self.stride = 1

    def watch(self, samples: Iterable[Feed]) -> Iterator[Feed]:
        """Yield the samples and remember some."""
        for position, feed in enumerate(samples):
            if position % self.stride == 0:
                self.kept.append(feed)
            if len(self.kept) > MOST:
                self.kept, self.stride = self.kept[::2], self.stride * 2
            yield feed


class _Judge:
    """Scores plans by the mean signal-to-noise ratio of the outputs on some samples."""

    def __init__(self, model: Model, samples: Sequence[Feed]) -> None:
        self.model = model
        self.samples = samples
        session = Session(serialize(model))
        self.wanted = [_run(session, feed) for feed in samples]

    def better(self, candidate: Plan, best: Plan, score: float) -> tuple[Plan, float]:
        """Return the candidate and its score if it is clearly better, else what there was."""
        found = self.score(candidate)
        return (candidate, found) if found > score + GAIN else (best, score)

    def score(self, plan: Plan) -> float:
        """Return the mean over outputs and samples, in dB."""
        return float(np.mean(self.ratios(plan)))

    def ratios(self, plan: Plan) -> list[float]:
        """Return the mean over the outputs for each sample, in dB; 0 where none is real."""
        copy = copy_graph(self.model.main)
        floats: dict[Tensor, Params | None] = {copy.tensors[t]: None for t in plan.borders}
        apply(copy.graph, replace(fitting.mapped(plan, copy.tensors, copy.ops), borders=floats))
        session = Session(serialize(Model([copy.graph, *self.model.graphs[1:]])))
        means = []
        for feed, wanted in zip(self.samples, self.wanted, strict=True):
            pairs = zip(wanted, _run(session, feed), strict=True)
            found = [difference(a, b)[0] for a, b in pairs if a.dtype.kind == "f"]
            means.append(float(np.mean(np.clip(found, -EXACT, EXACT))) if found else 0.0)
        return means


def _run(session: Session, feed: Feed) -> list[Array]:
    session.run(feed)
    return session.outputs()


class _Fit:
    """Rounding and biases fitted to samples, for one plan."""

    def __init__(self, model: Model, plan: Plan, samples: Sequence[Feed]) -> None:
        self.plan = plan
        self.seen = _moments(model, fitting.fittable(plan), samples)

    def candidates(self) -> Iterator[Plan]:
        """Yield plans: corrected biases, fitted rounding, both."""
        if not self.seen:
            return
        yield self._with({}, biases=True)
        codes = fitting.fitted_weights(self.plan, self.seen)
        yield self._with(codes, biases=False)
        yield self._with(codes, biases=True)

    def _with(self, codes: fitting.Codes, *, biases: bool) -> Plan:
        more = fitting.corrected_biases(self.plan, codes, self.seen) if biases else {}
        return fitting.with_codes(self.plan, {**codes, **more})


def _moments(model: Model, ops: Sequence[Op], samples: Sequence[Feed]) -> Mapping[Op, Moments]:
    """Return what each operator's weights meet in the float model."""
    seen = {op: empty(op) for op in ops}
    rows = {op: rows_each(op, len(samples)) for op in ops}
    tensors = list(dict.fromkeys(op.input(0) for op in ops))
    wide = exposed(model, tensors)
    positions = {t.name: i for i, t in enumerate(wide.main.outputs)}
    session = Session(serialize(wide))
    for feed in samples:
        session.run(feed)
        for op, moments in seen.items():
            name = op.input(0).name
            x = feed[name] if name in feed else session.output(positions[name])
            moments.add(columns(op, x, rows[op]))
            del x  # LiteRT does not run while a view of its memory is alive
    for moments in seen.values():
        moments.settle()
    return seen
