"""Accuracy by trial: ranges, rounding and biases that do better on samples that were held back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tqconv.config import Watch
from tqconv.errors import counted
from tqconv.exporters.report import macs_of
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model, Op
from tqconv.jobs.drafts import Drafts
from tqconv.jobs.judge import Judge, Score
from tqconv.jobs.memory import FEWEST, Memory, Parts, parts_of
from tqconv.jobs.phases import Steps, unwatched
from tqconv.quant.decisions import Decision
from tqconv.quant.fit import codes as fitting
from tqconv.quant.fit.moments import Lesson, Moments, joined, portions, selection, sharing
from tqconv.quant.plan import Plan
from tqconv.runtime.calibrate import leading_to, reader
from tqconv.runtime.litert import Array, Feed, Session

GAIN = 0.05
"""Decibels by which a trial must do better to be taken."""
DOUBT = 0.5
"""Standard errors by which what is expected to be nearer may seem worse."""
LOSS = 3.0
"""Decibels that the worst of the samples that are watched may lose for what the mean gains. At the
outputs it may lose as much as the mean gains, within `LEAST_OUTPUT` and this."""
FINE = 30.0
"""Decibels of an output above which it does not matter that it loses some."""
LEAST_OUTPUT = 1.0
"""Decibels that an output may lose for what the others gain."""
SHOWN = 4
"""Outputs that the note names."""
GOOD = 40.0
"""Decibels of an output beyond which a sample gains nothing by more: a hundredth of its values."""
LOOKS = 3
"""How often few samples run for a trial: to judge fairly, and twice what is made."""
CROWD, CALL = 1 << 29, 1 << 12
"""Products that all samples may take, a tenth of a second, and what calling an operator is worth.
For six of 30 networks of a few thousand weights, ten judges of 100 samples took ranges by which
others lost 2 to 9 dB: values were cut off in few of them, and far."""
TRIALS, SPOILED = 3, 3
"""What `_Fit` tries, and how often the watched samples run: as reals, as planned, as fitted."""


def improved(
    model: Model,
    plan: Plan,
    memory: Memory,
    others: Sequence[tuple[str, Callable[[], Plan]]] = (),
    *,
    watch: Watch = unwatched,
) -> Plan:
    """Return the plan, or one that comes closer to the float model on held-back samples.

    Tried in turn, each on top of what was taken before: `others` (with other ranges, by name), then
    rounding fitted to the inputs and corrected biases together; where that is refused, biases
    alone, and rounding alone where these are what spoiled it. A note says what was tried and what
    it brought. The same samples give the same plan.
    """
    if len(memory.kept) < FEWEST:
        return plan
    parts = parts_of(memory.kept)
    taught = memory.lessons()
    crowd = _crowd(model, memory, parts)
    count = _count(plan, parts, len(others), taught) + len(crowd) * (1 + 2 * len(others))
    steps = Steps(watch("fitting", "steps"), count)
    drafts = Drafts()

    def judge(samples: Sequence[Feed]) -> Judge:
        return Judge(model, samples, known=memory.floats, step=steps, drafts=drafts)

    judges = [judge(part) for part in parts.judging]
    panel = _Panel(judges)
    if not panel.decisions:  # no real number decides anything, so nothing says what is better
        return plan
    search = _Search(panel, plan, drafts)
    for name, other in others:
        search.offer(name, _Trial.same(other()), crowd=judge(crowd) if crowd else None)
    trials = _Fit(model, search.best, parts, taught, steps).trials()
    for i, trial in enumerate(trials):
        if search.offer(*trial, expected=i == 0) and not panel.is_small:
            break
    taken = search.best is not plan
    if taken and parts.watched and _spoils(judge(parts.watched), plan, search.best):
        search.withdraw()
    steps.reach(steps.total)
    return replace(search.best, notes=[*search.best.notes, *search.notes()])


def _count(plan: Plan, parts: Parts[Feed], others: int, taught: Sequence[Lesson]) -> int:
    """Return the most steps: samples that run through a model, and weights that are rounded."""
    judging = sum(map(len, parts.judging))
    ops = fitting.fittable(plan)
    rounds = _rounds(len(parts.teaching))
    trials = others + TRIALS
    looks = LOOKS if len(parts.judging) > 1 else 1
    rest = [op for op in ops if not _is_known(op, taught)]
    again = portions(rest, max(map(len, parts.teaching)))
    fit = sum(len(selection(some, part)) for some in again for part in parts.teaching)
    return (
        judging * (1 + looks * (1 + trials))
        + fit
        + len(rounds) * len(sharing(ops))
        + SPOILED * len(parts.watched)
    )


@dataclass(frozen=True)
class _Trial:
    """A way to choose numbers: what it makes of all samples, and of those that each judge lacks."""

    plan: Callable[[], Plan]
    judged: Callable[[int], Plan]

    @staticmethod
    def same(plan: Plan) -> _Trial:
        """Return a trial that owes nothing to single samples."""
        return _Trial(lambda: plan, lambda part: plan)


class _Panel:
    """Judges that each score what their samples did not teach.

    Few samples have all taught the plan that is made of them. What it answers to them is looked at
    without the delegate, too: those kernels round otherwise now and then, as new samples would.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self.judges = judges
        self.decisions = judges[0].decisions
        self.count = sum(len(judge.samples) for judge in judges)
        self.is_small = len(judges) > 1

    def score(self, trial: _Trial) -> Score:
        """Return the scores of all judges as one."""
        found = [judge.score(trial.judged(i)) for i, judge in enumerate(self.judges)]
        return found[0] if len(found) == 1 else Score.joined(found)

    def answers(self, trial: _Trial, fair: Score) -> Score:
        """Return how near all samples come with the plan of a trial, which they have taught.

        `fair`: what the judges said, which is part of it where each saw that very plan.
        """
        plan = trial.plan()
        seen = all(trial.judged(i) is plan for i in range(len(self.judges)))
        own = fair if seen else self.score(_Trial.same(plan))
        return Score.joined([own, *(judge.on_builtin().score(plan) for judge in self.judges)])


class _Found:
    """What the judges found: `fair`, of samples that did not teach; `made`, of the plan itself."""

    def __init__(self, panel: _Panel, trial: _Trial, fair: Score | None = None) -> None:
        self.fair = panel.score(trial) if fair is None else fair
        self.made = panel.answers(trial, self.fair) if panel.is_small else self.fair
        self.values = self.fair.ratios.mean(axis=0)
        """What each sample says: decibels at the decisions; where there are few, also those at the
        outputs while these are not good."""
        if panel.is_small and len(self.made.ends):
            looks = np.minimum(self.made.ends, GOOD).mean(axis=0)
            self.values = self.values + looks.reshape(-1, self.values.size).mean(axis=0)

    @property
    def worst(self) -> NDArray[np.float64]:
        """Decibels of the worst sample of each output, as far as they matter."""
        return np.asarray(self.made.ends.min(axis=1, initial=FINE))


class _Search:
    """The best plan so far, how near it is, and what became of the others."""

    def __init__(self, panel: _Panel, plan: Plan, drafts: Drafts) -> None:
        self.panel = panel
        self.drafts = drafts
        self.first = self.best = plan
        self.before = self.found = _Found(panel, _Trial.same(plan))
        self.kept: list[str] = []
        self.refused: list[str] = []

    def offer(
        self, name: str, trial: _Trial, *, expected: bool = False, crowd: Judge | None = None
    ) -> bool:
        """Take a plan that is clearly nearer and spoils no output; return whether it was taken.

        expected: it is nearer by all that is known, unless the judges clearly say that it is not;
        crowd: more samples, which have to agree.
        """
        fair = self.panel.score(trial)
        gain = fair.mean - self.found.fair.mean
        spoiled = bool(np.any(fair.outputs <= self.found.fair.outputs - LEAST_OUTPUT))
        spoiled = spoiled or (crowd is not None and not _agrees(crowd, self.best, trial.plan()))
        taken = not spoiled and self._accept(trial, fair, gain, expected=expected)
        (self.kept if taken else self.refused).append(f"{name} ({gain:+.1f})")
        self.drafts.keep(self.first, self.best)
        return taken

    def _accept(self, trial: _Trial, fair: Score, gain: float, *, expected: bool) -> bool:
        """Take a plan that gains enough, and by which no answer turns over."""
        found = _Found(self.panel, trial, fair)
        gains = found.values - self.found.values
        # Logits may come nearer on average while one answer turns over.
        flips = np.any(found.worst < self.found.worst - min(LOSS, max(LEAST_OUTPUT, gain)))
        if flips or gains.mean() <= self._least(gains, expected=expected):
            return False
        self.best, self.found = trial.plan(), found
        return True

    def _least(self, gains: Array, *, expected: bool) -> float:
        """Return the gain from which on a plan is taken: what makes no difference is not.

        Few samples are too few to doubt by: what they say is all that is known.
        """
        doubted = expected and not self.panel.is_small and gains.any()
        return -DOUBT * _doubt(gains) if doubted else GAIN

    def withdraw(self) -> None:
        """Go back to the first plan, because other samples are worse with the best one."""
        self.best, self.found = self.first, self.before
        self.refused = [*self.kept, *self.refused]
        self.kept = []

    def notes(self) -> list[str]:
        """Return what was tried, kept and refused, and what it brought, in a line."""
        count = counted(self.panel.count, "sample")
        ends = [
            f"{_place(decision)} {before:.1f} -> {after:.1f} dB{_agreement(*shares)}"
            for decision, before, after, *shares in zip(
                self.panel.decisions,
                self.before.fair.outputs,
                self.found.fair.outputs,
                self.before.fair.agreement,
                self.found.fair.agreement,
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
    return f" (largest the same in {100 * before:.3g} -> {100 * after:.3g} %)"


def _doubt(gains: Array) -> float:
    """Return by how many dB a mean gain may differ from that on other samples: its standard error.

    Of eight samples of a recurrent network, 0.1 dB on average was between -2 and 2 on each.
    """
    return float(gains.std() / np.sqrt(max(gains.size - 1, 1)))


def _spoils(judge: Judge, plan: Plan, best: Plan) -> bool:
    """Whether a sample that is worst now would become much worse.

    Mostly the one that comes out worst was as bad before, and the others need not run.
    """
    after = judge.score(best).ratios.mean(axis=0)
    most = float(after.min()) + LOSS
    same = judge.among([int(after.argmin())])
    return same.score(plan).worst > most and judge.score(plan).worst > most


def _crowd(model: Model, memory: Memory, parts: Parts[Feed]) -> Sequence[Feed]:
    """Return all samples, which are asked about ranges, or none where few judge or it takes long.

    A small network makes few values, and the largest in samples that do not judge.
    """
    work = sum(max(macs_of(op), CALL) for graph in model.all_graphs() for op in graph.ops)
    few = len(parts.judging) > 1 or work * len(memory.all) > CROWD
    return [] if few else memory.all


def _agrees(crowd: Judge, plan: Plan, best: Plan) -> bool:
    """Whether samples are nearer on average, and those that are farther off do not outweigh it."""
    old, new = crowd.score(plan), crowd.score(best)
    return new.mean > old.mean and new.joint > old.joint


class _Fit:
    """Rounding and biases fitted to samples, for one plan."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        parts: Parts[Feed],
        taught: Sequence[Lesson],
        steps: Callable[[], None],
    ) -> None:
        self.plan = plan
        count = len(parts.teaching)
        self.seen: list[dict[Op, Moments]] = [{} for _ in range(count)]
        self._codes: dict[int | None, fitting.Codes] = {}
        for ops, lessons in _portions(model, fitting.fittable(plan), parts, taught, steps):
            found = [{op: lesson.moments[op] for op in ops} for lesson in lessons]
            for seen, fresh in zip(self.seen, found, strict=True):
                seen.update(fresh)
            # The roundings are found at once, so that the next portion has the memory.
            for part in _rounds(count):
                codes = fitting.fitted_weights(plan, self._lesson(part, ops), steps)
                self._codes.setdefault(part, {}).update(codes)
            for moments in (m for lesson in lessons for m in lesson.moments.values()):
                moments.forget_second()

    def trials(self) -> list[tuple[str, _Trial]]:
        """Return fitted rounding with biases corrected for it, the likeliest; then each alone."""
        if not self.seen[0]:
            return []
        biases = ("biases", self._trial(rounding=False, biases=True))
        if not any(self._codes.values()):
            return [biases]
        return [
            ("rounding and biases", self._trial(rounding=True, biases=True)),
            biases,
            ("rounding", self._trial(rounding=True, biases=False)),
        ]

    def _trial(self, *, rounding: bool, biases: bool) -> _Trial:
        @cache
        def made(part: int | None) -> Plan:
            codes = self._rounded(part) if rounding else {}
            more = fitting.corrected_biases(self.plan, codes, self._lesson(part)) if biases else {}
            return fitting.with_codes(self.plan, {**codes, **more})

        return _Trial(lambda: made(0 if len(self.seen) == 1 else None), made)

    def _rounded(self, part: int | None) -> fitting.Codes:
        return self._codes.get(0 if len(self.seen) == 1 else part, {})

    def _lesson(self, part: int | None, ops: Sequence[Op] | None = None) -> Mapping[Op, Moments]:
        """Return what a part was taught about operators, all parts together for None."""
        ops = list(self.seen[0]) if ops is None else ops
        if part is not None or len(self.seen) == 1:
            return {op: self.seen[part or 0][op] for op in ops}
        return {op: joined([seen[op] for seen in self.seen]) for op in ops}


def _rounds(parts: int) -> Sequence[int | None]:
    """Return the lessons that are fitted to: each part's, and that of all where there are more."""
    return [0] if parts == 1 else [None, *range(parts)]


def _is_known(op: Op, taught: Sequence[Lesson]) -> bool:
    return bool(taught) and op in taught[0].moments


def _portions(
    model: Model,
    ops: Sequence[Op],
    parts: Parts[Feed],
    taught: Sequence[Lesson],
    step: Callable[[], None],
) -> Iterator[tuple[list[Op], list[Lesson]]]:
    """Yield operators with what each part teaches about them: what is known, then by new runs.

    Of a new run's samples, as many as teach enough.
    """
    told = [op for op in ops if _is_known(op, taught)]
    if told:
        yield told, list(taught)
    rest = [op for op in ops if not _is_known(op, taught)]
    for some in portions(rest, max(map(len, parts.teaching))):
        yield some, [_lesson(model, some, selection(some, p), step) for p in parts.teaching]


def _lesson(
    model: Model, ops: Sequence[Op], samples: Sequence[Feed], step: Callable[[], None]
) -> Lesson:
    """Return what the float model teaches about operators when it runs samples once more."""
    lesson = Lesson(ops, len(samples))
    wide = leading_to(model, dict.fromkeys(op.input(0) for op in ops))
    positions = {t.name: i for i, t in enumerate(wide.main.outputs)}
    session = Session(serialize(wide))
    for feed in samples:
        session.run(feed)
        lesson.hear(reader(session, positions, feed))
        step()
    lesson.settle()
    return lesson
