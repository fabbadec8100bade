"""Matrices that resample one axis of which only a run knows a size: [wanted, size].

They follow `resample.py` formula by formula; constant operands would fold to the same matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import polynomial
from tqconv.compose.resample import CUBIC_STEPS, KEYS, LEGACY, NEGLIGIBLE, kernel_of
from tqconv.compose.sampling import real, real_size
from tqconv.compose.sizes import Size, calculate, inserted, operand
from tqconv.ir.graph import Tensor

ENDLESS = float(np.finfo(np.float32).max)
"""Where the last element of an axis ends: what lies behind it is a part of it."""
Weight = Callable[[Builder, Tensor], Tensor]


def cubic_matrix(
    b: Builder, size: Size, wanted: Size, align_corners: bool, half_pixel_centers: bool
) -> Tensor:
    """Return cubic interpolation of an axis."""
    step, at = _step(b, size, wanted, align_corners), _numbers(b, wanted)
    place = _centers(b, at, step) if half_pixel_centers else b("MUL", at, step)
    first = b("FLOOR", place)
    part = b("MUL", b("SUB", place, first), real(CUBIC_STEPS))
    part = b("MUL", b("ROUND", part), real(1 / CUBIC_STEPS))
    taps = np.arange(-1, 3, dtype=np.float32)[:, None]
    distances = b("ABS", b("SUB", part, taps))
    weights = _keys(b, distances, float(KEYS if half_pixel_centers else LEGACY))
    sources = b("ADD", first, taps)
    last = b("SUB", real_size(b, size), real(1))
    inside = b("MINIMUM", b("MAXIMUM", sources, real(0)), last)
    if half_pixel_centers:
        weights = b("MUL", weights, b.cast(b("EQUAL", inside, sources), np.float32))
        weights = _scaled(b, weights, 0)
    columns = [b.cast(inside, np.int32), operand(size), real(1), real(0)]
    chosen = b("ONE_HOT", *columns, axis=-1)
    products = b("MUL", chosen, inserted(b, weights, 2))
    return b("SUM", products, np.array([0], np.int32))


def area_matrix(b: Builder, size: Size, wanted: Size, align_corners: bool) -> Tensor:
    """Return the mean over the part of an axis that each result covers."""
    step, source = _step(b, size, wanted, align_corners), _numbers(b, size)
    low = _column(b, b("MUL", _numbers(b, wanted), step))
    is_last = b("EQUAL", source, b("SUB", real_size(b, size), real(1)))
    ends = b("SELECT_V2", is_last, real(ENDLESS), b("ADD", source, real(1)))
    shared = b("MINIMUM", ends, b("ADD", low, step)), b("MAXIMUM", source, low)
    return b("DIV", b("MAXIMUM", b("SUB", *shared), real(0)), step)


def kernel_matrix(
    b: Builder,
    size: Size,
    wanted: Size,
    scale: Tensor,
    shift: float,
    kernel_type: str,
    antialias: bool,
    *,
    fills: bool,
) -> Tensor:
    """Return resampling of an axis by a kernel, which `antialias` widens where it gets smaller.

    fills: the axis reaches over all results; those beyond its ends are 0.
    """
    kernel = kernel_of(kernel_type)
    step = b("DIV", real(1), scale)
    sample = _column(b, _centers(b, _numbers(b, wanted), step))
    if shift:
        sample = b("SUB", sample, b("MUL", step, real(shift)))
    distance = b("ABS", b("SUB", _numbers(b, size), sample))
    if antialias:
        distance = b("DIV", distance, b("MAXIMUM", step, real(1)))
    weights = WEIGHTS[kernel_type](b, distance)
    seen = b("LESS", distance, real(kernel.radius))
    if not fills:
        seen = b("LOGICAL_AND", seen, _is_inside(b, sample, size))
    return _scaled(b, b("MUL", weights, b.cast(seen, np.float32)), 1)


def _is_inside(b: Builder, sample: Tensor, size: Size) -> Tensor:
    """Whether a place, in elements counted from their centers, is between the ends of an axis."""
    half = b("MUL", real_size(b, size), real(0.5))
    from_middle = b("ABS", b("SUB", sample, b("SUB", half, real(0.5))))
    return b("LESS_EQUAL", from_middle, half)


def _column(b: Builder, x: Tensor) -> Tensor:
    return inserted(b, x, 1)


def _numbers(b: Builder, count: Size) -> Tensor:
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    return b.cast(b("RANGE", zero, operand(count), one), np.float32)


def _step(b: Builder, size: Size, wanted: Size, align_corners: bool) -> Tensor:
    """Return how far apart results are; a single one is as large as the axis."""
    if align_corners:
        shrunk = calculate(b, "MINIMUM", calculate(b, "SUB", wanted, 1), 1)
        size, wanted = (calculate(b, "SUB", s, shrunk) for s in (size, wanted))
    return b("DIV", real_size(b, size), real_size(b, wanted))


def _centers(b: Builder, at: Tensor, step: Tensor) -> Tensor:
    return b("SUB", b("MUL", b("ADD", at, real(0.5)), step), real(0.5))


def _scaled(b: Builder, weights: Tensor, axis: int) -> Tensor:
    """Return weights of the sum 1, unless it is almost 0."""
    total = b("SUM", weights, np.array([axis], np.int32), keep_dims=True)
    is_nothing = b("LESS", b("ABS", total), real(float(NEGLIGIBLE)))
    return b("DIV", weights, b("SELECT_V2", is_nothing, real(1), total))


def _pieces(b: Builder, x: Tensor, inner: list[float], outer: list[float]) -> Tensor:
    """Return a polynomial of a distance below 1, and another one from there on."""
    is_near = b("LESS", x, real(1))
    return b("SELECT_V2", is_near, polynomial(b, x, inner), polynomial(b, x, outer))


def _keys(b: Builder, x: Tensor, a: float = float(KEYS)) -> Tensor:
    return _pieces(b, x, [1, 0, -(a + 3), a + 2], [-4 * a, 8 * a, -5 * a, a])


def _mitchell(b: Builder, x: Tensor) -> Tensor:
    return _pieces(b, x, [8 / 9, 0, -2, 7 / 6], [16 / 9, -10 / 3, 2, -7 / 18])


def _box(b: Builder, x: Tensor) -> Tensor:
    within = [b.cast(b(kind, x, real(0.5)), np.float32) for kind in ("LESS", "LESS_EQUAL")]
    return b("MUL", b("ADD", *within), real(0.5))


def _triangle(b: Builder, x: Tensor) -> Tensor:
    return b("SUB", real(1), x)


def _gaussian(b: Builder, x: Tensor) -> Tensor:
    return b("EXP", b("MUL", b("MUL", x, x), real(-2)))


def _lanczos(radius: float) -> Weight:
    def weight(b: Builder, x: Tensor) -> Tensor:
        turn = b("MUL", b("MAXIMUM", x, real(1e-3)), real(math.pi))
        slow = b("DIV", turn, real(radius))
        sines = b("MUL", b("SIN", turn), b("SIN", slow))
        return b("DIV", sines, b("MUL", turn, slow))

    return weight


WEIGHTS: Mapping[str, Weight] = {
    "lanczos1": _lanczos(1),
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
    "gaussian": _gaussian,
    "box": _box,
    "triangle": _triangle,
    "keyscubic": _keys,
    "mitchellcubic": _mitchell,
}
