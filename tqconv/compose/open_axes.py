"""Axes that are resized to, or from, sizes that are known at run time only.

The graph computes what `interpolate` computes for known sizes: where results lie on the axis, which
elements are around, and their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.dims import source_element
from tqconv.compose.functions import polynomial
from tqconv.compose.interpolate import Filter
from tqconv.compose.sampling import clamped, inside, real, real_size
from tqconv.compose.sizes import Size, operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
ONE = np.array([1], INT32)
Real = float | Tensor
"""A number, or a float32 tensor of rank 0 that holds it at run time."""


@dataclass(frozen=True)
class OpenAxis:
    """One axis that is resized; `scale` is the wanted size over the size, before rounding."""

    size: Size
    wanted: Size
    scale: Real

    @staticmethod
    def by_factor(b: Builder, x: Tensor, axis: int, scale: Real) -> OpenAxis:
        """Return an axis of `x` that is scaled; the size is rounded down."""
        size = size_of(b, x, axis)
        wanted = b.cast(b("MUL", real_size(b, size), _operand(scale)), INT32)
        return OpenAxis(size, wanted, scale)

    @staticmethod
    def to_size(b: Builder, x: Tensor, axis: int, wanted: Size) -> OpenAxis:
        """Return an axis of `x` that gets a size."""
        size = size_of(b, x, axis)
        return OpenAxis(size, wanted, b("DIV", real_size(b, wanted), real_size(b, size)))


def number(b: Builder, vector: Tensor, index: int) -> Real:
    """Return an element of a float32 vector: a number where a constant part of it says so."""
    source, place = source_element(vector, index)
    if source.data is not None and source.dtype == np.float32:
        return float(source.data.reshape(-1)[place])
    at, following = np.array([index], INT32), np.array([index + 1], INT32)
    taken: Tensor = b("STRIDED_SLICE", vector, at, following, ONE, shrink_axis_mask=1)
    return taken


def _operand(number: Real) -> Tensor | np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return number if isinstance(number, Tensor) else real(number)


def _half_pixel(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    return b("SUB", _over(b, axis, at), real(0.5))


def _over(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    return b("DIV", b("ADD", at, real(0.5)), _operand(axis.scale))


def _asymmetric(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    return b("DIV", at, _operand(axis.scale))


def _corners(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    last, end = (b("SUB", real_size(b, size), real(1)) for size in (axis.size, axis.wanted))
    return b("DIV", b("MUL", at, last), b("MAXIMUM", end, real(1)))  # one result: 0 / 1


def _half_pixel_or_first(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    several = b("GREATER", real_size(b, axis.wanted), real(1))
    return b("SELECT_V2", several, _half_pixel(b, axis, at), real(-0.5))


def _symmetric(b: Builder, axis: OpenAxis, at: Tensor) -> Tensor:
    size = real_size(b, axis.size)
    kept = b("DIV", real_size(b, axis.wanted), b("MUL", size, _operand(axis.scale)))
    shift = b("MUL", b("MUL", size, real(0.5)), b("SUB", real(1), kept))
    return b("ADD", shift, _half_pixel(b, axis, at))


COORDINATES: Mapping[str, Callable[[Builder, OpenAxis, Tensor], Tensor]] = {
    "align_corners": _corners,
    "asymmetric": _asymmetric,
    "half_pixel": _half_pixel,
    "half_pixel_for_nearest": _over,
    "half_pixel_symmetric": _symmetric,
    "half_pixel_or_first": _half_pixel_or_first,
}
"""As `interpolate.COORDINATES`, but for crops."""
ROUNDINGS: Mapping[str, Callable[[Builder, Tensor], Tensor]] = {
    "ceil": lambda b, x: b("CEIL", x),
    "floor": lambda b, x: b("FLOOR", x),
    "round_prefer_ceil": lambda b, x: b("FLOOR", b("ADD", x, real(0.5))),
    "round_prefer_floor": lambda b, x: b("CEIL", b("SUB", x, real(0.5))),
}


def repeated(
    b: Builder, x: Tensor, number: int, axis: OpenAxis, coordinates: str, rounding: str
) -> Tensor:
    """Return `x` with the nearest elements of axis `number`."""
    if rounding not in ROUNDINGS:
        raise UnsupportedError(f"nearest_mode `{rounding}`")
    found = ROUNDINGS[rounding](b, _places(b, axis, coordinates))
    return b("GATHER", x, b.cast(clamped(b, found, _last(b, axis)), INT32), axis=number)


def filtered(
    b: Builder, x: Tensor, number: int, axis: OpenAxis, coordinates: str, filter: Filter
) -> Tensor:
    """Return real `x` with the elements of axis `number` weighted by their distance."""
    shrink = _shrink(axis, filter)
    reach = int(np.ceil((1 if filter.cubic_a is None else 2) / shrink))
    offsets = np.arange(1 - reach, 1 + reach, dtype=np.float32)
    places = reshaped(b, _places(b, axis, coordinates), [axis.wanted, 1])
    first = b("SUB", b("CEIL", places), real(1))
    sources = b("ADD", first, offsets)
    apart = b("ABS", b("SUB", sources, places))
    weights = _weights(b, b("MUL", apart, real(shrink)) if shrink < 1 else apart, filter.cubic_a)
    last = _last(b, axis)
    if filter.exclude_outside:
        weights = b("MUL", weights, b.cast(inside(b, sources, last), np.float32))
    if filter.exclude_outside or filter.antialias:
        weights = b("DIV", weights, b("SUM", weights, ONE, keep_dims=True))
    taps = b("GATHER", x, b.cast(clamped(b, sources, last), INT32), axis=number)
    shape = [*sizes_of(b, weights), *[1] * (x.rank - number - 1)]
    terms = b("MUL", taps, reshaped(b, weights, shape))
    return b("SUM", terms, np.array([number + 1], INT32), keep_dims=False)


def _places(b: Builder, axis: OpenAxis, coordinates: str) -> Tensor:
    """Return where on the axis each result lies: [wanted]."""
    if coordinates not in COORDINATES:
        raise UnsupportedError(
            f"`{coordinates}` places of axes of unknown size",
            hint="give the inputs a shape with --input_shapes",
        )
    zero, one = np.array(0, INT32), np.array(1, INT32)
    at = b.cast(b("RANGE", zero, operand(axis.wanted), one), np.float32)
    return COORDINATES[coordinates](b, axis, at)


def _last(b: Builder, axis: OpenAxis) -> Tensor:
    return b("SUB", real_size(b, axis.size), real(1))


def _shrink(axis: OpenAxis, filter: Filter) -> float:
    """Return how much wider the kernel is than between neighbours: how many elements it reaches."""
    if not filter.antialias:
        return 1.0
    if isinstance(axis.scale, Tensor):
        raise UnsupportedError(
            "antialias of axes that are resized by a factor that is not known",
            hint="give the inputs a shape with --input_shapes",
        )
    return min(axis.scale, 1.0)


def _weights(b: Builder, distance: Tensor, a: float | None) -> Tensor:
    """Return the weights of elements by their distance; `a`: of the cubic kernel, None: linear."""
    if a is None:
        return b("MAXIMUM", b("SUB", real(1), distance), real(0))
    near = polynomial(b, distance, [1, 0, -(a + 3), a + 2])
    far = polynomial(b, distance, [-4 * a, 8 * a, -5 * a, a])
    outer = b("SELECT_V2", b("LESS", distance, real(2)), far, real(0))
    return b("SELECT_V2", b("LESS_EQUAL", distance, real(1)), near, outer)
