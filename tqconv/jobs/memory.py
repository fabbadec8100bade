"""What is remembered of the samples of a calibration: some of them, and what the float model made.

The float model runs each sample once. What judges and teaches later on is taken down meanwhile:
deciding values of the samples that are kept, and the moments of what weights meet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from tqconv.ir.graph import Model, Op
from tqconv.quant.decisions import decisions
from tqconv.quant.fit.moments import Lesson, can_fit, portions
from tqconv.runtime.calibrate import Read, goes_on, observed
from tqconv.runtime.litert import Array, Feed

HELD_BACK = 5
"""One sample in so many judges; the others teach."""
FEWEST = 4
"""Samples below which nothing is tried."""
FEW = 25
"""Samples below which each half of them judges what the other has taught."""
WATCHED = 8
"""So many of those that teach are watched, lest the worst of them become far worse."""
MOST = 64
"""Samples that are remembered; more add time and little knowledge."""
RECORDED = 1 << 25
"""Bytes of what the float model made that are kept; samples beyond them run again."""
ALL = 1 << 24
"""Bytes of samples up to which they are all there to be asked about ranges, which they all made."""

T = TypeVar("T")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """Samples that teach and judge: what is fitted to `teaching[i]` is judged by `judging[i]`.

    `watched`: some of those that teach, whose worst must not become far worse.
    """

    teaching: list[Sequence[T]]
    judging: list[Sequence[T]]
    watched: Sequence[T] = ()


def parts_of(samples: Sequence[T]) -> Parts[T]:
    """Hold one sample in `HELD_BACK` back; where there are few, each half judges the other.

    Two or three would decide by chance; so every sample judges what it has not taught.
    """
    if len(samples) < FEW:
        halves = [samples[0::2], samples[1::2]]
        return Parts(halves[::-1], halves)
    lessons = [s for i, s in enumerate(samples) if i % HELD_BACK]
    return Parts([lessons], [samples[::HELD_BACK]], lessons[:: -(-len(lessons) // WATCHED)])


class Memory:
    """Samples that were seen, an even selection of at most `MOST` of them, and all small ones.

    model: what runs them; its deciding values are remembered. total: how many there will be: only
    where that is known, it is known which ones will teach, and with `teaches` they do at once.
    outputs: the names of the model's.
    """

    def __init__(
        self, model: Model | None = None, total: int | None = None, *, teaches: bool = False
    ) -> None:
        self.kept: list[Feed] = []
        self.all: list[Feed] = []
        self._left = ALL
        self.stride = 1
        while total is not None and -(-total // self.stride) > MOST:
            self.stride *= 2
        self._expected = -(-(total or 0) // self.stride)
        self.outputs = [] if model is None else [t.name for t in model.main.outputs]
        self._places = set() if model is None else _places(model)
        self._floats: dict[int, dict[str, Array]] = {}
        self._room = RECORDED
        self._lessons: list[Lesson] = []
        self._teaching: dict[int, Lesson] = {}
        if model is not None and teaches and self._expected >= FEWEST:
            self._prepare(model)

    def _prepare(self, model: Model) -> None:
        """Open a lesson for each part, about operators whose moments there is room for at once."""
        parts = parts_of(range(self._expected)).teaching
        ops = portions(_teachable(model), max(map(len, parts)))
        if ops:
            self._lessons = [Lesson(ops[0], len(part)) for part in parts]
            pairs = zip(self._lessons, parts, strict=True)
            self._teaching = {position: lesson for lesson, part in pairs for position in part}

    @property
    def names(self) -> Collection[str] | None:
        """What is read of what the float model makes of a sample; None: what weights meet, too."""
        return None if self._lessons else self._places

    def watch(self, samples: Iterable[Feed]) -> Iterator[Feed]:
        """Yield the samples and remember some."""
        for position, feed in enumerate(samples):
            self._left -= sum(array.nbytes for array in feed.values())
            if self._left >= 0:
                self.all.append(feed)
            else:
                self.all = []
            if position % self.stride == 0:
                self.kept.append(feed)
            if len(self.kept) > MOST:
                self.kept, self.stride = self.kept[::2], self.stride * 2
                self._forget()
            yield feed

    def _forget(self) -> None:
        """Forget what was made of samples that are no longer kept, and lessons that they gave."""
        known = {id(feed) for feed in self.kept}
        self._floats = {key: made for key, made in self._floats.items() if key in known}
        self._lessons, self._teaching = [], {}

    def hear(self, feed: Feed, read: Read) -> None:
        """Take down what the float model has just made of a sample, where that is kept."""
        if not self.kept or feed is not self.kept[-1]:
            return
        made = {name: np.array(read(name)) for name in self._places}
        size = sum(array.nbytes for array in made.values())
        if size <= self._room or not self._floats:
            self._floats[id(feed)] = made
            self._room -= size
        if len(self.kept) - 1 in self._teaching:
            self._teaching[len(self.kept) - 1].hear(read)

    def floats(self, feed: Feed) -> Mapping[str, Array]:
        """Return what the float model made of a sample, by the names of tensors, if anything."""
        return self._floats.get(id(feed), {})

    def outputs_seen(self) -> dict[str, list[Array]]:
        """Return what the float model made of the outputs, by name, as far as that is kept."""
        made = [self.floats(feed) for feed in self.kept]
        return {
            name: [each[name] for each in made if name in each]
            for name in self.outputs
            if any(name in each for each in made)
        }

    def lessons(self) -> list[Lesson]:
        """Return what each part taught: nothing where other samples came than were expected."""
        if len(self.kept) != self._expected:
            return []
        for lesson in self._lessons:
            lesson.settle()
        return self._lessons


def _places(model: Model) -> set[str]:
    """Return the names of what decides about the outputs, and of these, where they are reals.

    Not where a sample makes something else of them when it runs alone.
    """
    if goes_on(model):
        return set()
    found = [*(d.tensor for d in decisions(model.main)), *model.main.outputs]
    return {t.name for t in found} & _readable(model)


def _readable(model: Model) -> set[str]:
    return {t.name for t in observed(model.main)}


def _teachable(model: Model) -> list[Op]:
    """Return the operators that may be fitted and whose inputs are read in a calibration."""
    known = _readable(model)
    return [op for op in model.main.ops if can_fit(op) and op.input(0).name in known]
