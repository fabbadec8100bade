"""Histograms: merging loses nothing, whatever the order."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tqconv.errors import FormatError
from tqconv.ir.histogram import BINS, FINEST, Histogram, exponent_for

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
SAMPLES = st.lists(
    arrays.arrays(np.float32, st.integers(1, 40), elements=FLOATS), min_size=1, max_size=6
)


def same(a: Histogram, b: Histogram) -> bool:
    scalars = ("samples", "low", "high", "exponent", "first", "zeros", "lost")
    equal = all(getattr(a, name) == getattr(b, name) for name in scalars)
    return equal and np.array_equal(a.counts, b.counts)


@given(SAMPLES)
@settings(max_examples=200, deadline=None)
def test_any_order_and_grouping_of_samples_gives_the_same(samples: list[np.ndarray]) -> None:
    parts = [Histogram.of(s) for s in samples]
    forward = reduce(Histogram.merged, parts)
    backward = reduce(Histogram.merged, parts[::-1])
    halves = [reduce(Histogram.merged, p) for p in (parts[::2], parts[1::2]) if p]
    assert same(forward, backward)
    assert same(forward, reduce(Histogram.merged, halves))


# Whole numbers below 2**20 lie in their bins exactly; a float32 next to a border may round across.
WHOLE = st.integers(-(2**20), 2**20).map(float)
WHOLES = st.lists(
    arrays.arrays(np.float32, st.integers(1, 40), elements=WHOLE), min_size=1, max_size=6
)


@given(WHOLES)
@settings(max_examples=100, deadline=None)
def test_merging_counts_every_value_in_its_bin(samples: list[np.ndarray]) -> None:
    whole = reduce(Histogram.merged, [Histogram.of(s) for s in samples])
    values = np.concatenate(samples).astype(np.float64)
    assert (whole.low, whole.high) == (values.min(), values.max())
    assert whole.counts.size <= BINS
    bins = np.floor(values / 2.0**whole.exponent).astype(np.int64) - whole.first
    assert np.array_equal(whole.counts, np.bincount(bins, minlength=whole.counts.size))


def test_the_exponent_is_the_smallest_that_fits() -> None:
    assert exponent_for(0.0, 2047.5) == 0
    assert exponent_for(0.0, 2048.0) == 1
    assert exponent_for(0.0, 0.0) == FINEST


def test_values_that_are_not_finite_are_counted_apart() -> None:
    seen = Histogram.of(np.array([1.0, np.inf, np.nan, -2.0, 0.0], np.float32))
    assert (seen.low, seen.high, seen.lost, seen.zeros, seen.total) == (-2.0, 1.0, 2, 1, 3)


def test_nothing_but_nan_leaves_an_empty_histogram_that_merges() -> None:
    nothing = Histogram.of(np.array([np.nan], np.float32))
    something = Histogram.of(np.array([3.0], np.float32))
    merged = nothing.merged(something)
    assert (merged.low, merged.high, merged.lost, merged.samples) == (3.0, 3.0, 1, 2)
    assert nothing.merged(nothing).counts.size == 0


def test_plain_data_and_back() -> None:
    seen = Histogram.of(np.random.default_rng(5).normal(size=1000).astype(np.float32))
    assert same(Histogram.from_json(seen.to_json(), 1, seen.low, seen.high), seen)


@pytest.mark.parametrize("damage", [{"counts": "~~~"}, {"counts": ""}, {"exponent": "x"}])
def test_damaged_counts_are_an_error(damage: dict[str, str]) -> None:
    good = Histogram.of(np.ones(3, np.float32)).to_json()
    with pytest.raises(FormatError, match="damaged"):
        Histogram.from_json({**good, **damage}, 1, 1.0, 1.0)
