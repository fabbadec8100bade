"""Where the elements of a resized axis come from, in all ways to count them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.records import dataclass

Places = NDArray[np.float32]
Wide = NDArray[np.float64]
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """One axis that is resized: `scale` is the wanted size over the size, before rounding.

    roi: which part of the axis is seen, from 0 for the first element to 1 for the last.
    """

    size: int
    wanted: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)

    @property
    def is_untouched(self) -> bool:
        """Whether the axis keeps its elements, however they are interpolated."""
        return self.size == self.wanted and self.scale == 1 and self.roi in ((0, 1), (0, 0))

    @property
    def unrounded(self) -> float:
        """The wanted size, before it is rounded."""
        return self.scale * self.size


def _half_pixel(axis: Axis, at: Places) -> Places:
    return (at + 0.5) / axis.scale - 0.5


def _half_pixel_or_first(axis: Axis, at: Places) -> Places:
    return _half_pixel(axis, at) if axis.wanted > 1 else np.zeros_like(at) - 0.5


def _symmetric(axis: Axis, at: Places) -> Places:
    adjustment = axis.wanted / axis.unrounded
    return axis.size / 2 * (1 - adjustment) + _half_pixel(axis, at)


def _corners(axis: Axis, at: Places) -> Places:
    if axis.wanted == 1:
        return np.zeros_like(at)
    return np.asarray(at * (axis.size - 1) / (axis.wanted - 1), np.float32)


def _cropped(axis: Axis, at: Places) -> Places:
    low, high = axis.roi
    if axis.wanted == 1:
        return np.full_like(at, (high + low) * (axis.size - 1) / 2)
    place = at * (high - low) / (axis.wanted - 1) + low
    return np.asarray(place * (axis.size - 1), np.float32)


CROP = "crop"
COORDINATES: Mapping[str, Callable[[Axis, Places], Places]] = {
    "align_corners": _corners,
    "asymmetric": lambda axis, at: at / axis.scale,
    "half_pixel": _half_pixel,
    "half_pixel_for_nearest": lambda axis, at: (at + 0.5) / axis.scale,
    "half_pixel_symmetric": _symmetric,
    "half_pixel_or_first": _half_pixel_or_first,
    CROP: _cropped,
}
ROUNDINGS: Mapping[str, Callable[[Places], Places]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}


LONGEST = 1 << 22
"""Places along a resized axis: all are computed here, and float32 counts no further than four times
as many. Images have some thousand."""

LARGEST = 1 << 25
"""Weights of an axis, of each result for each element: 256 MiB of float64, half of it kept."""


def check_matrix(size: int, wanted: int) -> None:
    """Raise UnsupportedError where the weights of a resized axis take too much memory."""
    if size * wanted > LARGEST:
        raise UnsupportedError(f"an axis is resized from {size} to {wanted} places")


def source_places(axis: Axis, mode: str) -> Places:
    """Return where on the axis each result lies; `mode` is one of COORDINATES.

    In float32, as runtimes compute it: 3 / 0.6 is 5, not just below.
    """
    if mode not in COORDINATES:
        raise UnsupportedError(f"coordinate_transformation_mode `{mode}`")
    if axis.wanted > LONGEST:
        raise UnsupportedError(f"an axis is resized from {axis.size} to {axis.wanted} places")
    return COORDINATES[mode](axis, np.arange(axis.wanted, dtype=np.float32))


def nearest_places(axis: Axis, mode: str, rounding: str) -> NDArray[np.int32]:
    """Return which element each result repeats; `rounding` is one of ROUNDINGS."""
    if rounding not in ROUNDINGS:
        raise UnsupportedError(f"nearest_mode `{rounding}`")
    found = ROUNDINGS[rounding](source_places(axis, mode))
    return np.clip(found, 0, axis.size - 1).astype(np.int32)


def is_outside(axis: Axis, mode: str) -> NDArray[np.bool_]:
    """Return which results see nothing of the axis; only a crop has such."""
    places = source_places(axis, mode)
    return (places < 0) | (places > axis.size - 1) if mode == CROP else np.zeros(len(places), bool)


@dataclass(frozen=True)
class Filter:
    """How neighbours are weighted.

    `cubic_a`: the parameter of the cubic kernel; None: linear. `antialias` widens the kernel where
    the axis shrinks; `exclude_outside` gives the weights beyond the ends to the rest.
    """

    cubic_a: float | None = None
    antialias: bool = False
    exclude_outside: bool = False


def matrix(axis: Axis, mode: str, filter: Filter) -> Weights:
    """Return the interpolation of an axis as a matrix: [wanted, size]."""
    check_matrix(axis.size, axis.wanted)
    places = source_places(axis, mode).astype(np.float64)
    first = np.ceil(places) - 1  # a place on an element belongs to the interval before it
    shrink = min(axis.scale, 1.0) if filter.antialias else 1.0
    radius = 1 if filter.cubic_a is None else 2
    start = int(np.floor(-radius / shrink)) + 1
    offsets = np.arange(start, 2 - start)
    distances = np.abs(offsets - (places - first)[:, None]) * shrink
    weights = _linear(distances) if filter.cubic_a is None else _cubic(distances, filter.cubic_a)
    sources = first[:, None].astype(np.int64) + offsets
    inside = np.clip(sources, 0, axis.size - 1)
    if filter.exclude_outside:
        weights = np.where(inside == sources, weights, 0)
    if filter.exclude_outside or filter.antialias:
        weights = weights / weights.sum(axis=1, keepdims=True)
    result = np.zeros((axis.wanted, axis.size))
    np.add.at(result, (np.arange(axis.wanted)[:, None], inside), weights)
    return result.astype(np.float32)


def _linear(distance: Wide) -> Wide:
    return np.maximum(1 - distance, 0)


def _cubic(x: Wide, a: float) -> Wide:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
