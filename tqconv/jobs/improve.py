"""Accuracy by trial: ranges, rounding and biases that do better on samples that were held back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tqconv.errors import counted
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model, Op
from tqconv.jobs.judge import Judge
from tqconv.quant.decisions import Decision
from tqconv.quant.fit import codes as fitting
from tqconv.quant.fit.moments import Moments, columns, empty, rows_each
from tqconv.quant.plan import Plan
from tqconv.runtime.calibrate import exposed
from tqconv.runtime.litert import Feed, Session

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
LEAST_OUTPUT = 1.0
"""Decibels that an output may lose for what the others gain."""
SHOWN = 4
"""Outputs that the note names."""


def improved(
    model: Model, plan: Plan, samples: Sequence[Feed], others: Iterable[tuple[str, Plan]] = ()
) -> Plan:
    """Return the plan, or one that comes closer to the float model on held-back samples.

    Tried in turn, each on top of what was taken before: `others` (with other ranges, by name),
    rounding fitted to the inputs, corrected biases. A note says what was tried and what it brought.
    The same samples give the same plan.
    """
    if len(samples) < FEWEST:
        return plan
    lessons = [s for i, s in enumerate(samples) if i % HELD_BACK]
    search = _Search(Judge(model, samples[::HELD_BACK]), plan)
    if not search.judge.decisions:
        return plan
    for name, other in others:
        search.offer(name, other)
    for name, candidate in _Fit(model, search.best, lessons).candidates():
        search.offer(name, candidate)
    if search.best is not plan and _spoils(
        Judge(model, lessons[:: -(-len(lessons) // WATCHED)]), plan, search.best
    ):
        search.withdraw()
    return replace(search.best, notes=[*search.best.notes, *search.notes()])


class _Search:
    """The best plan so far, how near it is, and what became of the others."""

    def __init__(self, judge: Judge, plan: Plan) -> None:
        self.judge = judge
        self.first = self.best = plan
        self.before = self.score = judge.score(plan)
        self.kept: list[str] = []
        self.refused: list[str] = []

    def offer(self, name: str, plan: Plan) -> None:
        """Take a plan that is clearly nearer and spoils no output."""
        found = self.judge.score(plan)
        gain = found.mean - self.score.mean
        if gain > GAIN and np.all(found.outputs > self.score.outputs - LEAST_OUTPUT):
            self.best, self.score = plan, found
            self.kept.append(f"{name} ({gain:+.1f})")
        else:
            self.refused.append(f"{name} ({gain:+.1f})")

    def withdraw(self) -> None:
        """Go back to the first plan, because other samples are worse with the best one."""
        self.best, self.score = self.first, self.before
        self.refused = [*self.kept, *self.refused]
        self.kept = []

    def notes(self) -> list[str]:
        """Return what was tried, kept and refused, and what it brought, in a line."""
        judge = self.judge
        count = counted(len(judge.samples), "sample")
        ends = [
            f"{_place(decision)} {before:.1f} -> {after:.1f} dB{_agreement(*shares)}"
            for decision, before, after, *shares in zip(
                judge.decisions,
                self.before.outputs,
                self.score.outputs,
                self.before.agreement,
                self.score.agreement,
                strict=True,
            )
        ]
        more = f", … {len(ends) - SHOWN} more" if len(ends) > SHOWN else ""
        kept, refused = ", ".join(self.kept) or "nothing", ", ".join(self.refused) or "nothing"
        return [
            f"fitted to the samples, judged on {count} held back: {', '.join(ends[:SHOWN])}{more}; "
            f"kept: {kept}; refused: {refused}"
        ]


def _place(decision: Decision) -> str:
    inner = decision.tensor.name
    behind = f" at '{inner}'" if inner != decision.output else ""
    return f"'{decision.output}'{behind}"


def _agreement(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return f" (largest the same in {before:.3g} -> {after:.3g})"


def _spoils(judge: Judge, plan: Plan, best: Plan) -> bool:
    """Whether a sample that is worst now would become much worse."""
    return judge.score(best).worst < judge.score(plan).worst - LOSS


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


class _Fit:
    """Rounding and biases fitted to samples, for one plan."""

    def __init__(self, model: Model, plan: Plan, samples: Sequence[Feed]) -> None:
        self.plan = plan
        self.seen = _moments(model, fitting.fittable(plan), samples)

    def candidates(self) -> Iterator[tuple[str, Plan]]:
        """Yield plans: corrected biases, fitted rounding, both."""
        if not self.seen:
            return
        yield "biases", self._with({}, biases=True)
        codes = fitting.fitted_weights(self.plan, self.seen)
        yield "rounding", self._with(codes, biases=False)
        yield "rounding and biases", self._with(codes, biases=True)

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
