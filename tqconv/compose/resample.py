"""Matrices that resample one axis: the output is matrix @ input, matrix: [wanted, size].

They follow TensorFlow's kernels (core/kernels/image/) in float32, with their rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.interpolate import check_matrix
from tqconv.errors import UnsupportedError, suggestion
from tqconv.records import dataclass

Array = NDArray[np.float32]

CUBIC_STEPS = 1024
"""Entries of TensorFlow's table of cubic weights between two neighbours."""
KEYS, LEGACY = np.float32(-0.5), np.float32(-0.75)
"""Parameter of the cubic kernel: with centers at half pixels, and without."""
NEGLIGIBLE = np.float32(1000 * np.finfo(np.float32).tiny)
"""A smaller sum of weights is not scaled to 1."""
HALF = np.float32(0.5)


def step_of(size: int, wanted: int, align_corners: bool) -> np.float32:
    """Return how far apart results are, in elements of the input."""
    shrunk = 1 if align_corners and wanted > 1 else 0
    return np.float32(size - shrunk) / np.float32(wanted - shrunk)


def cubic_matrix(size: int, wanted: int, align_corners: bool, half_pixel_centers: bool) -> Array:
    """Return cubic interpolation; half pixel centers give weights outside the image to the rest."""
    check_matrix(size, wanted)
    step, at = step_of(size, wanted, align_corners), np.arange(wanted, dtype=np.float32)
    place = (at + HALF) * step - HALF if half_pixel_centers else at * step
    first = np.floor(place)
    offset = np.rint((place - first) * np.float32(CUBIC_STEPS)).astype(np.int64)
    near, far = _cubic_table(KEYS if half_pixel_centers else LEGACY)
    weights = np.stack(
        [far[offset], near[offset], near[CUBIC_STEPS - offset], far[CUBIC_STEPS - offset]]
    )
    sources = first.astype(np.int64) + np.arange(-1, 3)[:, None]
    inside = np.clip(sources, 0, size - 1)
    if half_pixel_centers:
        weights = np.where(inside == sources, weights, np.float32(0))
        total = weights.sum(axis=0)
        weights = np.where(np.abs(total) >= NEGLIGIBLE, weights / total, weights)
    return _scattered(size, wanted, inside, weights)


def area_matrix(size: int, wanted: int, align_corners: bool) -> Array:
    """Return the mean over the part of the input that each result covers."""
    check_matrix(size, wanted)
    step = step_of(size, wanted, align_corners)
    at = np.arange(wanted + 1, dtype=np.float32)
    matrix = np.zeros((wanted, size), np.float32)
    for row in range(wanted):
        low, high = at[row] * step, at[row + 1] * step
        for source in range(int(np.floor(low)), int(np.ceil(high))):
            covered = min(np.float32(source + 1), high) - max(np.float32(source), low)
            matrix[row, min(max(source, 0), size - 1)] += np.float32(covered) / step
    return matrix


def _cubic_table(a: np.float32) -> tuple[Array, Array]:
    """Return the weights of a neighbour at distance x and at 1 + x, x in steps from 0 to 1."""
    x = np.arange(CUBIC_STEPS + 1, dtype=np.float32) / np.float32(CUBIC_STEPS)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return near.astype(np.float32), far.astype(np.float32)


def _scattered(size: int, wanted: int, sources: NDArray[np.int64], weights: Array) -> Array:
    matrix = np.zeros((wanted, size), np.float32)
    np.add.at(matrix, (np.broadcast_to(np.arange(wanted), sources.shape), sources), weights)
    return matrix


@dataclass(frozen=True)
class Kernel:
    """A symmetric weight function of the distance, zero beyond `radius`."""

    radius: float
    weight: Callable[[Array], Array]


def _lanczos(radius: float) -> Kernel:
    def weight(x: Array) -> Array:
        x = np.maximum(x, np.float32(1e-3))  # TensorFlow's value at the center, to 1e-6
        return np.asarray(np.sinc(x) * np.sinc(x / radius), np.float32)

    return Kernel(radius, weight)


def _gaussian(x: Array) -> Array:
    deviation = 0.5  # a third of the radius
    return np.asarray(np.exp(-x * x / (2 * deviation * deviation)), np.float32)


def _keys(x: Array) -> Array:
    outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 1, outer, (1.5 * x - 2.5) * x * x + 1)


def _mitchell(x: Array) -> Array:
    outer = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x >= 1, outer, (7 / 6 * x - 2) * x * x + 8 / 9)


KERNELS: Mapping[str, Kernel] = {
    "lanczos1": _lanczos(1.0),
    "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0),
    "gaussian": Kernel(1.5, _gaussian),
    "box": Kernel(1.0, lambda x: np.where(x == HALF, HALF, (x < HALF).astype(np.float32))),
    "triangle": Kernel(1.0, lambda x: 1 - x),
    "keyscubic": Kernel(2.0, _keys),
    "mitchellcubic": Kernel(2.0, _mitchell),
}


def kernel_of(name: str) -> Kernel:
    """Return the kernel of a name; UnsupportedError where there is none."""
    if name not in KERNELS:
        raise UnsupportedError(f"kernel_type `{name}`{suggestion(name, KERNELS)}")
    return KERNELS[name]


def kernel_matrix(
    size: int, wanted: int, scale: float, shift: float, kernel_type: str, antialias: bool
) -> Array:
    """Return resampling by a kernel, which `antialias` widens where the image gets smaller.

    Results beyond the ends of the image are 0.
    """
    kernel = kernel_of(kernel_type)
    check_matrix(size, wanted)
    step = np.float32(1.0 / np.float32(scale))
    width = max(step, np.float32(1)) if antialias else np.float32(1)
    sample = (np.arange(wanted, dtype=np.float32) + HALF) * step - step * np.float32(shift)
    reach = np.float32(kernel.radius) * width
    low = np.clip(np.ceil(sample - reach - HALF), 0, size - 1)[:, None]
    high = np.clip(np.floor(sample + reach - HALF), 0, size - 1)[:, None]
    source = np.arange(size, dtype=np.float32)
    distance = np.abs((source + HALF - sample[:, None]) / width)
    weights = np.where(distance >= kernel.radius, 0, kernel.weight(distance))
    outside = ((sample < 0) | (sample > size))[:, None]
    weights = np.where((source < low) | (source > high) | outside, 0, weights)
    total = weights.sum(axis=1, keepdims=True)
    scaled = np.divide(weights, total, out=weights.copy(), where=np.abs(total) >= NEGLIGIBLE)
    return scaled.astype(np.float32)
