"""Estimators: how far a range reaches."""

from __future__ import annotations

import numpy as np
import pytest

from tqconv.ir.histogram import Histogram
from tqconv.quant.evidence.thresholds import METHODS
from tqconv.quant.params import activation, decode, encode
from tqconv.quant.schemes import INT8

NORMAL = np.random.default_rng(3).normal(size=50_000).astype(np.float32)


def seen(values: np.ndarray) -> Histogram:
    return Histogram.of(np.asarray(values, np.float32))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_stays_within_what_was_seen(method: str) -> None:
    low, high = METHODS[method](seen(NORMAL))
    assert NORMAL.min() <= low < -2
    assert 2 < high <= NORMAL.max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [[0.0], [5.0], [-3.0, -3.0], [np.nan], [0.0, 1e-30]])
def test_degenerate_samples_give_a_finite_range(method: str, values: list[float]) -> None:
    low, high = METHODS[method](seen(np.array(values)))
    assert np.isfinite([low, high]).all()
    assert low <= high


def test_least_squares_clips_long_tails_and_lowers_the_error() -> None:
    values = NORMAL**3
    low, high = METHODS["mse"](seen(values))
    assert values.min() < low < high < values.max()

    def error(a: float, b: float) -> float:
        made = activation(a, b, INT8)
        return float(np.square(decode(encode(values, made), made) - values).mean())

    assert error(low, high) < error(float(values.min()), float(values.max()))


def test_least_squares_does_not_clip_a_uniform_distribution() -> None:
    values = np.linspace(-1, 1, 10_000)
    low, high = METHODS["mse"](seen(values))
    assert (low, high) == pytest.approx((-1, 1), abs=0.02)


def test_percentile_drops_the_outer_share() -> None:
    values = seen(np.append(np.linspace(0, 1, 60_000), np.float32(4.0)))
    for _ in range(3):
        values = values.merged(seen(np.linspace(0, 1, 60_000)))
    assert METHODS["percentile"](values) == pytest.approx((0, 1), abs=2 * 2.0**values.exponent)
    assert METHODS["minmax"](values) == (0.0, 4.0)
