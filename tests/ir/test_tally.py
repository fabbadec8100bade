"""What is counted together is what is counted one sample after the other."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from tqconv.ir import tally
from tqconv.ir.histogram import FINEST, Histogram
from tqconv.ir.tally import Counting, Tallies

SHAPES = [(1, 7), (3,), (1, 40, 30), (1, 300, 301, 2), (0, 4), ()]


def samples(seed: int, count: int = 6) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    scales = rng.choice([0.01, 1.0, 3e7], size=(count, len(SHAPES)))
    return [
        [np.asarray(rng.normal(size=s) * k, np.float32) for s, k in zip(SHAPES, row, strict=True)]
        for row in scales
    ]


def spoil(seen: list[list[np.ndarray]]) -> None:
    seen[1][0][0, :2] = np.nan, np.inf
    seen[2][3][0, 5] = -np.inf
    seen[3][1][:] = np.nan
    for arrays in seen:
        arrays[5][()] = np.nan
        arrays[2][0, :20] = 0


@pytest.mark.parametrize("waiting", [1, 20_000, 1 << 30])
@pytest.mark.parametrize("spoiled", [False, True])
def test_histograms_are_those_of_one_sample_after_the_other(
    waiting: int, spoiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "WAITING", waiting)
    for seed in range(4):
        seen = samples(seed)
        if spoiled:
            spoil(seen)
        tallies = Tallies(len(SHAPES), Counting.ALL)
        plain = Tallies(len(SHAPES), Counting.NONE)
        for arrays in seen:
            reused = [array.copy() for array in arrays]
            tallies.add(reused)
            plain.add(reused)
            for array in reused:
                array[...] = 77  # as the next run does
        for i in range(len(SHAPES)):
            wanted = reduce(Histogram.merged, [Histogram.of(arrays[i]) for arrays in seen])
            got = tallies.histogram(i)
            assert same(got, wanted), i
            found = plain.extremes(i)
            assert (found.low, found.high, found.lost) == (wanted.low, wanted.high, wanted.lost)


def test_sizes_may_change_between_samples() -> None:
    seen = [[np.full((n, 2), n, np.float32), np.ones(n, np.float32)] for n in (1, 3, 3, 2)]
    tallies = Tallies(2, Counting.ALL)
    for arrays in seen:
        tallies.add(arrays)
    for i in range(2):
        wanted = reduce(Histogram.merged, [Histogram.of(arrays[i]) for arrays in seen])
        assert same(tallies.histogram(i), wanted)


def test_some_samples_count_for_the_others_and_extremes_are_of_all() -> None:
    rng = np.random.default_rng(3)
    seen = [rng.normal(0, 1 + n % 9, (4, 50)).astype(np.float32) for n in range(100)]
    some = Tallies(1, Counting.SOME)
    for array in seen:
        some.add([array])
    got = some.histogram(0)
    assert (got.low, got.high) == (min(map(np.min, seen)), max(map(np.max, seen)))
    assert (got.samples, got.total) == (100, 200 * 100)
    heard = [*range(8), *range(8, 32, 2), *range(32, 100, 4)]
    weights = [1] * 8 + [2] * 12 + [4] * 17
    parts = [Histogram.of(seen[i]) for i, n in zip(heard, weights, strict=True) for _ in range(n)]
    rest = Histogram(0, got.low, got.high, FINEST, 0, np.zeros(0, np.int64))
    assert places(got) == places(reduce(Histogram.merged, [*parts, rest]))


def test_of_later_samples_fewer_values_count_for_the_others() -> None:
    rng = np.random.default_rng(4)
    counted = 5 * tally.THIN
    seen = [rng.normal(n // 20, 1, (1, counted)).astype(np.float32) for n in range(40)]
    some, all_ = Tallies(1, Counting.SOME), Tallies(1, Counting.ALL)
    for array in seen:
        some.add([array])
        all_.add([array])
    got, wanted = some.histogram(0), all_.histogram(0)
    assert got.total == pytest.approx(wanted.total, rel=0.01)
    means = [np.average(found.centers(), weights=found.counts) for found in (got, wanted)]
    assert means[0] == pytest.approx(means[1], abs=0.02)


def places(found: Histogram) -> tuple[int, list[tuple[int, int]]]:
    """The width of the bins, and which of them hold how much."""
    held = np.flatnonzero(found.counts)
    return found.exponent, [(int(i) + found.first, int(found.counts[i])) for i in held]


def same(a: Histogram, b: Histogram) -> bool:
    scalars = ("samples", "low", "high", "exponent", "first", "zeros", "lost")
    equal = all(getattr(a, name) == getattr(b, name) for name in scalars)
    return equal and np.array_equal(a.counts, b.counts)


def test_ends_that_are_known_take_the_place_of_an_array() -> None:
    rng = np.random.default_rng(3)
    seen = [rng.normal(n % 5, 1, 2 * tally.SMALL).astype(np.float32) for n in range(40)]
    told, plain = Tallies(2, Counting.SOME), Tallies(2, Counting.SOME)
    for values in seen:
        rest = values[:9]
        plain.add([rest, values])
        ends = {1: (float(values.min()), float(values.max()))}
        told.add([rest, values if told.counts_next else None], known=ends)
    for i in range(2):
        assert same(told.histogram(i), plain.histogram(i))
