"""How far the range of an activation reaches: from a histogram to (low, high)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.histogram import Histogram

STEPS = 255
"""Steps of an 8-bit range."""
SHARE = 99.999
"""Percentile that is kept; 99.9 costs up to 11 dB (measured on MLPerf Tiny's models)."""
RATIOS = np.linspace(1.0, 0.2, 65)
"""Parts of the observed ends that are tried."""

Ends = tuple[float, float]


def extremes(seen: Histogram) -> Ends:
    """Return what was observed; (0, 0) when nothing finite was."""
    return (seen.low, seen.high) if seen.counts.size else (0.0, 0.0)


def percentile(seen: Histogram) -> Ends:
    """Return the range without the outer `100 - SHARE` percent, half of it on each side."""
    if not seen.counts.size:
        return 0.0, 0.0
    outside = (100 - SHARE) / 200 * seen.total
    below = np.cumsum(seen.counts)
    width = 2.0**seen.exponent
    low = (seen.first + int(np.searchsorted(below, outside, "right"))) * width
    above = np.cumsum(seen.counts[::-1])
    skipped = int(np.searchsorted(above, outside, "right"))
    high = (seen.first + seen.counts.size - skipped) * width
    return max(low, seen.low), min(high, seen.high)


def least_squares(seen: Histogram) -> Ends:
    """Return the range with the least squared error of rounding and clipping together.

    Both ends are tried independently. Exact zeros stay exact, so they do not count as rounded.
    """
    low, high = _with_zero(seen)
    if high <= low or seen.total == seen.zeros:
        return extremes(seen)
    lows, highs = low * RATIOS, high * RATIOS
    cut_low = _clipped(seen, lows, below=True)
    cut_high = _clipped(seen, highs, below=False)
    steps = (highs[None, :] - lows[:, None]) / STEPS
    rounding = (seen.total - seen.zeros) * steps**2 / 12
    error = cut_low[:, None] + cut_high[None, :] + rounding
    best_low, best_high = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(lows[best_low]), float(highs[best_high])


def _with_zero(seen: Histogram) -> Ends:
    low, high = extremes(seen)
    return min(low, 0.0), max(high, 0.0)


def _clipped(seen: Histogram, ends: NDArray[np.float64], *, below: bool) -> NDArray[np.float64]:
    """Return the squared error of the values beyond each end.

    Of values u and an end t, both counted from the extreme: sum (t - u)² over the u below t, from
    running sums of 1, u and u².
    """
    counts = seen.counts if below else seen.counts[::-1]
    centers = seen.centers() if below else seen.centers()[::-1]
    u = np.abs(centers - (seen.low if below else seen.high))
    t = np.abs(ends - (seen.low if below else seen.high))
    inside = ends <= seen.low if below else ends >= seen.high
    place = np.searchsorted(u, np.where(inside, 0.0, t), "left")
    sums = np.zeros((3, u.size + 1))
    np.cumsum([counts, counts * u, counts * u * u], axis=1, out=sums[:, 1:])
    number, first, second = sums[:, place]
    return np.asarray(np.maximum(t * t * number - 2 * t * first + second, 0.0))


def entropy(seen: Histogram) -> Ends:
    """Return the range whose 8-bit distribution diverges least from the observed one.

    Both ends shrink together; what lies outside is counted at the ends (TensorRT's calibration).
    """
    low, high = _with_zero(seen)
    if high <= low or seen.total == seen.zeros:
        return extremes(seen)
    divergences = [_divergence(seen, low * ratio, high * ratio) for ratio in RATIOS]
    best = RATIOS[int(np.argmin(divergences))]
    return low * float(best), high * float(best)


def _divergence(seen: Histogram, low: float, high: float) -> float:
    """Return the Kullback-Leibler divergence of the quantized from the clipped distribution."""
    centers = seen.centers()
    kept = (centers >= low) & (centers <= high)
    if not kept.any():
        return np.inf
    inside = seen.counts[kept].astype(np.float64)
    clipped = inside.copy()
    clipped[0] += seen.counts[centers < low].sum()
    clipped[-1] += seen.counts[centers > high].sum()
    step = np.floor((centers[kept] - low) / (high - low) * STEPS).astype(np.int64)
    mass = np.bincount(step, weights=inside, minlength=STEPS + 1)
    filled = np.bincount(step, weights=inside > 0, minlength=STEPS + 1)
    spread = np.where(inside > 0, mass[step] / np.maximum(filled[step], 1), 0.0)
    p, q = clipped / clipped.sum(), spread / max(spread.sum(), 1.0)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))))


METHODS: dict[str, Callable[[Histogram], Ends]] = {
    "minmax": extremes,
    "percentile": percentile,
    "mse": least_squares,
    "entropy": entropy,
}
"""Estimators by the name that `--method` takes."""
