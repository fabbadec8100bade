"""Extremes and histograms of many tensors, sample after sample, with few calls for the small ones.

The histograms are those that `Histogram.of` and `merged` make of one sample after the other: bins
depend on the extremes alone, so it does not matter when values are counted.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.histogram import FINEST, Extremes, Histogram, distance, exponent_for

SMALL = 1 << 12
"""Elements up to which tensors are looked at together."""
WAITING = 1 << 24
"""Bytes of small tensors that wait to be counted together."""

THINNED = 8
"""Samples that are all counted where only some are; of four times as many every second one is."""
THIN = 1 << 13
"""Elements that are counted, and count for the others, of samples behind those: rare ones are seen
in the first samples. An eighth of the values of 8 samples made ranges worse by 1 dB."""

Floats = NDArray[np.floating[Any]]


class Counting(enum.Enum):
    """Whose values make a histogram: nobody's, some samples' for the others too, or everyone's."""

    NONE = enum.auto()
    SOME = enum.auto()
    ALL = enum.auto()

    def weight(self, position: int) -> int:
        """Return for how many samples the one at a position counts.

        Of some: 1 for each of `THINNED`, 2 for one in two of the samples up to four times as many,
        and so on, whatever their number: 37 of 100 are counted, 53 of 200.
        """
        stride = 1
        while self is Counting.SOME and position >= THINNED * stride * stride:
            stride *= 2
        return 0 if self is Counting.NONE or position % stride else stride


class Tallies:
    """What was seen of some tensors; they are told apart by their position."""

    def __init__(self, count: int, counting: Counting) -> None:
        self.counting = counting
        self.low = np.full(count, np.inf)
        self.high = np.full(count, -np.inf)
        self.lost = np.zeros(count, np.int64)
        self.samples = 0
        none = counting is Counting.NONE
        self.counters = None if none else [_Counter() for _ in range(count)]
        self._waiting: list[Floats] = []
        self._starts: NDArray[np.intp] = np.zeros(1, np.intp)
        self._small: list[int] = []
        self._weight = 1

    @property
    def counts_next(self) -> bool:
        """Whether the values of the next sample are counted."""
        return self.counting.weight(self.samples) > 0

    def add(
        self,
        arrays: Sequence[Floats | None],
        rows: Sequence[Floats] = (),
        known: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        """Look at a sample: an array for each tensor, which may change afterwards.

        rows: of small tensors of one size, [tensors, elements]; they stand behind the others.
        known: the ends of large tensors at a position that hold finite values only, of which there
        need be no array unless it is counted.
        """
        known = known or {}
        count = len(arrays)
        given = {i: array for i, array in enumerate(arrays) if array is not None}
        small = [i for i, array in given.items() if 0 < array.size <= SMALL]
        large = {i: array.reshape(-1) for i, array in given.items() if array.size > SMALL}
        together, starts = _joined([given[i] for i in small], rows)
        small += range(count, self.low.size)
        low, high = np.full(self.low.size, np.inf), np.full(self.low.size, -np.inf)
        if small:
            low[small] = np.minimum.reduceat(together, starts[:-1])
            high[small] = np.maximum.reduceat(together, starts[:-1])
        for i, array in large.items():
            if i not in known:
                low[i], high[i] = array.min(), array.max()
        for i, found in known.items():
            low[i], high[i] = found
        wild: dict[int, Floats] = {}
        for i in np.flatnonzero(~(np.isfinite(low) & np.isfinite(high))).tolist():
            if i in large:
                wild[i] = self._finite(i, large.pop(i), low, high)
            elif i in small:
                start, stop = starts[small.index(i) :][:2]
                wild[i] = self._finite(i, together[start:stop], low, high)
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)
        weight = self.counting.weight(self.samples)
        self.samples += 1
        if weight:
            self._count_alone({**large, **wild}, weight)
            self._count_together(small, together, starts, wild)

    def _count_alone(self, arrays: Mapping[int, Floats], weight: int) -> None:
        """Count a sample of the tensors that are large, or held what is not finite."""
        thin = self.counting is Counting.SOME and self.samples > THINNED
        if weight != self._weight:
            self._settle()
            self._weight = weight
        for i, array in arrays.items():
            full = distance(array.size)
            step = distance(array.size, THIN) if thin else full
            self._count(i, array[::step], weight * round(step / full))

    def _count_together(
        self, small: list[int], together: Floats, starts: NDArray[np.intp], wild: Collection[int]
    ) -> None:
        """Let small tensors wait to be counted, but those that were counted alone."""
        if not set(wild).isdisjoint(small):
            parts = zip(small, np.split(together, starts[1:-1]), strict=True)
            kept = {i: part for i, part in parts if i not in wild}
            small = list(kept)
            together, starts = _joined(list(kept.values()), ())
        if small:
            self._wait(small, starts, together)

    def _finite(self, i: int, values: Floats, low: Floats, high: Floats) -> Floats:
        """Return the finite values of a tensor that holds others too, and mend its extremes."""
        kept = values[np.isfinite(values)]
        self.lost[i] += values.size - kept.size
        low[i], high[i] = kept.min(initial=np.inf), kept.max(initial=-np.inf)
        return kept

    def _wait(self, small: list[int], starts: NDArray[np.intp], together: Floats) -> None:
        """Let the values of small tensors wait for more of the same."""
        if self._small != small or not np.array_equal(self._starts, starts):
            self._settle()
            self._small, self._starts = small, starts
        self._waiting.append(together)
        if sum(part.nbytes for part in self._waiting) >= WAITING:
            self._settle()

    def _settle(self) -> None:
        """Count what is waiting."""
        if not self._waiting:
            return
        rows = np.stack(self._waiting)
        self._waiting.clear()
        starts = self._starts.tolist()
        for i, start, stop in zip(self._small, starts, starts[1:], strict=False):
            self._count(i, rows[:, start:stop].reshape(-1), self._weight)

    def _count(self, i: int, values: Floats, weight: int) -> None:
        assert self.counters is not None
        if values.size:
            ends = float(self.low[i]), float(self.high[i])
            self.counters[i].count(values, *ends, weight)

    def extremes(self, i: int) -> Extremes:
        """Return the ends of what was seen of a tensor."""
        ends = float(self.low[i]), float(self.high[i])
        return Extremes(self.samples, *ends, int(self.lost[i]))

    def histogram(self, i: int) -> Histogram:
        """Return the histogram of a tensor."""
        assert self.counters is not None
        self._settle()
        found, seen = self.counters[i], self.extremes(i)
        found.widen(seen.low, seen.high)
        return Histogram(
            seen.samples,
            seen.low,
            seen.high,
            found.exponent,
            found.first,
            found.counts,
            found.zeros,
            seen.lost,
        )


def _joined(arrays: Sequence[Floats], rows: Sequence[Floats]) -> tuple[Floats, NDArray[np.intp]]:
    """Return the values of arrays, then of rows, one behind the other, and where each starts."""
    parts = [*(array.reshape(-1) for array in arrays), *(row.reshape(-1) for row in rows)]
    sizes = [np.array([array.size for array in arrays], np.intp)]
    sizes += [np.full(len(row), row.shape[1], np.intp) for row in rows]
    starts = np.cumsum(np.concatenate([[0], *sizes]))
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), starts


class _Counter:
    """The bins of one tensor; see `Histogram`."""

    __slots__ = ("counts", "exponent", "first", "high", "low", "zeros")

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.exponent, self.first, self.zeros = FINEST, 0, 0
        self.counts: NDArray[np.int64] = np.zeros(0, np.int64)

    def count(self, values: Floats, low: float, high: float, weight: int) -> None:
        """Add finite values so many times; `low` and `high`: of all that were and are seen."""
        self.widen(low, high)
        values = np.ascontiguousarray(values)  # a selection: each step would gather it again
        self.zeros += weight * int(np.count_nonzero(values == 0))
        scaled = values * np.float32(math.ldexp(1.0, -self.exponent))
        np.floor(scaled, out=scaled)
        scaled -= np.float32(self.first)  # whole numbers that float32 holds, as is what is left
        fresh = weight * np.bincount(scaled.astype(np.int32))
        if fresh.size > self.counts.size:
            fresh[: self.counts.size] += self.counts
            self.counts = fresh
        else:
            self.counts[: fresh.size] += fresh

    def widen(self, low: float, high: float) -> None:
        """Make room for values between these ends, if there are any."""
        if low > high or (low, high) == (self.low, self.high):
            return
        exponent = exponent_for(low, high)
        first = math.floor(math.ldexp(low, -exponent))
        self.low, self.high = low, high
        if self.counts.size:
            start, counts = Histogram.rebinned(self.first, self.counts, exponent - self.exponent)
            grown = np.zeros(start - first + counts.size, np.int64)
            grown[start - first :] = counts
            self.counts = grown
        self.exponent, self.first = exponent, first
