"""What calibration remembers of a tensor: extremes and a histogram that merges without loss.

Bins are 2**exponent wide and start at multiples of their width, so a coarser histogram is the finer
one with neighbours added. The exponent follows from the extremes alone. Hence the result depends
on which samples were seen, not on their order, and merging shards equals one run.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError
from tqconv.records import dataclass

BINS = 2048
"""Most bins of a histogram: 8 for each step of an 8-bit range."""
COUNTED = 1 << 15
"""Elements of one sample that are counted; of larger tensors an even selection is."""
FINEST = -120
"""Smallest exponent: 2**120 is still a float32."""
FARTHEST = 1 << 31
"""Largest number of a bin; see `exponent_for`."""
MOST = 1 << 48
"""Largest count that is believed: sums of all bins stay exact in 64 bits and in float64."""


@dataclass(frozen=True)
class Extremes:
    """The ends of the finite values of a tensor over `samples` samples, and how many were not."""

    samples: int
    low: float
    high: float
    lost: int = 0


@dataclass(frozen=True)
class Histogram:
    """Counts of the values of a tensor over `samples` samples.

    `low`, `high`: extremes of all finite values (inf, -inf while there is none); `counts[i]`:
    values in [(first + i) * 2**exponent, (first + i + 1) * 2**exponent); `zeros`: how many of them
    are exactly zero; `lost`: values that were not finite.
    """

    samples: int
    low: float
    high: float
    exponent: int
    first: int
    counts: NDArray[np.int64]
    zeros: int = 0
    lost: int = 0

    @staticmethod
    def of(values: NDArray[Any]) -> Histogram:
        """Return the histogram of one sample."""
        flat = values.reshape(-1)
        lost = 0
        low, high = (float(flat.min()), float(flat.max())) if flat.size else (math.inf, -math.inf)
        if not (math.isfinite(low) and math.isfinite(high)):
            kept = flat[np.isfinite(flat)]
            lost, flat = flat.size - kept.size, kept
            low, high = (float(flat.min()), float(flat.max())) if flat.size else (low, high)
        if not flat.size:
            return Histogram(1, math.inf, -math.inf, FINEST, 0, np.zeros(0, np.int64), 0, lost)
        flat = selected(flat)
        exponent = exponent_for(low, high)
        first = math.floor(math.ldexp(low, -exponent))
        scaled = flat * np.float32(math.ldexp(1.0, -exponent))
        np.floor(scaled, out=scaled)
        zeros = flat.size - int(np.count_nonzero(flat))
        counts = np.bincount(scaled.astype(np.int64) - first)
        return Histogram(1, low, high, exponent, first, counts, zeros, lost)

    def merged(self, other: Histogram) -> Histogram:
        """Return the histogram of the samples of both."""
        low, high = min(self.low, other.low), max(self.high, other.high)
        parts = [h for h in (self, other) if h.counts.size]
        totals = (self.zeros + other.zeros, self.lost + other.lost)
        samples = self.samples + other.samples
        if not parts:
            return Histogram(samples, low, high, FINEST, 0, np.zeros(0, np.int64), *totals)
        exponent = exponent_for(low, high)
        coarse = [h.coarser(exponent) for h in parts]
        first = min(start for start, _ in coarse)
        counts = np.zeros(max(s + c.size for s, c in coarse) - first, np.int64)
        for start, part in coarse:
            counts[start - first : start - first + part.size] += part
        return Histogram(samples, low, high, exponent, first, counts, *totals)

    def coarser(self, exponent: int) -> tuple[int, NDArray[np.int64]]:
        """Return first bin and counts with bins of 2**exponent, not finer than now."""
        return Histogram.rebinned(self.first, self.counts, exponent - self.exponent)

    @staticmethod
    def rebinned(
        first: int, counts: NDArray[np.int64], shift: int
    ) -> tuple[int, NDArray[np.int64]]:
        """Return first bin and counts with bins that are 2**shift times as wide."""
        if shift == 0:
            return first, counts
        bins = (np.arange(counts.size) + first) >> shift
        start = int(bins[0])
        summed = np.bincount(bins - start, weights=counts.astype(np.float64))
        return start, summed.astype(np.int64)

    @property
    def total(self) -> int:
        """How many values are counted."""
        return int(self.counts.sum())

    def centers(self) -> NDArray[np.float64]:
        """Return the middle of each bin; the outer ones stay within the extremes."""
        middle = (np.arange(self.counts.size) + self.first + 0.5) * 2.0**self.exponent
        return np.clip(middle, self.low, self.high)

    def beyond(self, low: float, high: float) -> float:
        """Return the share of values outside [low, high], to the width of a bin."""
        if not self.counts.size:
            return 0.0
        centers = self.centers()
        return float(self.counts[(centers < low) | (centers > high)].sum() / self.total)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; the counts are packed, they are not for people."""
        packed = zlib.compress(self.counts.astype("<i8").tobytes(), 9)
        return {
            "exponent": self.exponent,
            "first": self.first,
            "zeros": self.zeros,
            "lost": self.lost,
            "counts": base64.b85encode(packed).decode(),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any], samples: int, low: float, high: float) -> Histogram:
        """Read what `to_json` wrote; FormatError when it is damaged."""
        try:
            packed = base64.b85decode(data["counts"])
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(packed, 8 * BINS + 1)  # more are never written
            counts = np.frombuffer(raw, "<i8").astype(np.int64)
            numbers = [int(data[key]) for key in ("exponent", "first", "zeros", "lost")]
        except (KeyError, ValueError, TypeError, OverflowError, zlib.error) as error:
            raise FormatError("the histogram of a ranges file is damaged") from error
        exponent, first, zeros, lost = numbers
        placed = abs(exponent) <= -FINEST and abs(first) <= FARTHEST and min(zeros, lost) >= 0
        if not (placed and unpacker.eof) or np.any(counts < 0) or np.any(counts > MOST):
            raise FormatError("the histogram of a ranges file is damaged")
        return Histogram(samples, low, high, exponent, first, counts, zeros, lost)


def selected(flat: NDArray[Any]) -> NDArray[Any]:
    """Return the values of one sample that are counted."""
    return flat[:: distance(flat.size)]


def distance(size: int, most: int = COUNTED) -> int:
    """Return the distance of the values that count, of which there are about `most`.

    It meets every channel equally often.
    A step that shares a factor with the size would see the same few channels again and again.
    """
    step = max(1, size // most)
    while math.gcd(step, size) != 1:
        step += 1
    return step


def exponent_for(low: float, high: float) -> int:
    """Return the smallest exponent with which [low, high] needs at most `BINS` bins."""
    # 31: bin numbers stay below 2**31; 12: one more than the bits of BINS, a lower bound.
    exponent = max(FINEST, _magnitude(max(abs(low), abs(high))) - 31, _magnitude(high - low) - 12)
    while _bins(low, high, exponent) > BINS:
        exponent += 1
    return exponent


def _magnitude(value: float) -> int:
    """Return the exponent of the next power of two; that of zero is below all others."""
    return math.frexp(value)[1] if value else FINEST


def _bins(low: float, high: float, exponent: int) -> int:
    return math.floor(math.ldexp(high, -exponent)) - math.floor(math.ldexp(low, -exponent)) + 1
