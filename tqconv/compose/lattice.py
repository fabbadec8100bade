"""Reading a tensor between its elements, along any number of axes, at places that a graph computes.

A place is read by taps: elements around it with weights, whose products over all axes are summed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import polynomial
from tqconv.compose.sampling import clamped, inside, real, real_size
from tqconv.compose.sizes import Size, calculate, operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)
SHARPNESS = -0.75
"""The free parameter of Keys' cubic convolution (IEEE ASSP 1981), as PyTorch and ONNX choose it."""
NEAREST, LINEAR, CUBIC = "nearest", "linear", "cubic"
ZEROS, BORDER, REFLECTION = "zeros", "border", "reflection"


@dataclass(frozen=True)
class Edge:
    """What lies beyond the first and last elements of an axis.

    mode: zeros, the border's elements, or mirror images: of the elements' middles (`corners`), or
    of their outer edges.
    """

    mode: str = ZEROS
    corners: bool = False


ZEROS_BEYOND = Edge()


@dataclass(frozen=True)
class _Tap:
    """One element along an axis: int32 places, and weights (None: 1), both of one shape."""

    place: Tensor
    weight: Tensor | None


def read(
    b: Builder,
    x: Tensor,
    places: Sequence[Tensor],
    mode: str = LINEAR,
    edge: Edge = ZEROS_BEYOND,
    images: Tensor | None = None,
) -> Tensor:
    """Return float32 x: [n, …, c] at places, one real tensor [n, *p] for each axis: [n, *p, c].

    images: int32 [n, 1, …], which image of `x` each row of places reads; its own by default.
    """
    total = None
    for value in weighted(b, x, places, mode, edge, images):
        total = value if total is None else b("ADD", total, value)
    assert total is not None
    return total


def weighted(
    b: Builder,
    x: Tensor,
    places: Sequence[Tensor],
    mode: str = LINEAR,
    edge: Edge = ZEROS_BEYOND,
    images: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield the weighted elements whose sum `read` returns."""
    sizes = sizes_of(b, x)
    flat = reshaped(b, x, [calculate(b, "MUL", *sizes[:-1]), sizes[-1]])
    numbers = _numbers(b, x, places[0].rank) if images is None else images
    axes = [
        _taps(b, place, size_of(b, x, axis), mode, edge) for axis, place in enumerate(places, 1)
    ]
    for taps in product(*axes):
        index, weight = numbers, None
        for tap, size in zip(taps, sizes[1:-1], strict=True):
            index = b("ADD", b("MUL", index, operand(size)), tap.place)
            if tap.weight is not None:
                weight = tap.weight if weight is None else b("MUL", weight, tap.weight)
        value = b("GATHER", flat, index, axis=0)
        if weight is not None:
            value = b("MUL", value, reshaped(b, weight, [*sizes_of(b, weight), 1]))
        yield value


def _numbers(b: Builder, x: Tensor, rank: int) -> Tensor:
    count = size_of(b, x, 0)
    zero, one = np.array(0, INT32), np.array(1, INT32)
    return reshaped(b, b("RANGE", zero, operand(count), one), [count, *[1] * (rank - 1)])


def _taps(b: Builder, place: Tensor, size: Size, mode: str, edge: Edge) -> list[_Tap]:
    if mode not in (NEAREST, LINEAR, CUBIC):
        raise UnsupportedError(f"interpolation `{mode}`")
    length = real_size(b, size)
    last = b("SUB", length, real(1))
    if mode == NEAREST:
        place = b("ROUND", place)  # halves go to the even element
    if not (mode == CUBIC and edge.mode == BORDER):  # each of the four elements is brought back
        place = _brought_back(b, place, length, last, edge)
    if mode == NEAREST:
        return [_at(b, place, None, length, last, edge)]
    floor = b("FLOOR", place)
    part = b("SUB", place, floor)
    rest = b("SUB", real(1), part)
    first, weights = (0, [rest, part]) if mode == LINEAR else (-1, _cubic(b, part, rest))
    return [
        _at(b, b("ADD", floor, real(first + i)) if first + i else floor, w, length, last, edge)
        for i, w in enumerate(weights)
    ]


def _cubic(b: Builder, part: Tensor, rest: Tensor) -> list[Tensor]:
    """Return the weights of the four elements around a place, by how far they are."""
    a = SHARPNESS

    def near(t: Tensor) -> Tensor:
        return polynomial(b, t, [1, 0, -(a + 3), a + 2])

    def far(t: Tensor) -> Tensor:
        return polynomial(b, b("ADD", t, real(1)), [-4 * a, 8 * a, -5 * a, a])

    return [far(part), near(part), near(rest), far(rest)]


def _brought_back(b: Builder, place: Tensor, length: Tensor, last: Tensor, edge: Edge) -> Tensor:
    """Return places beyond the outer elements, or their edges, inside."""
    if edge.mode == ZEROS:
        return place
    if edge.mode == REFLECTION:
        return _reflected(b, place, length, last, edge.corners)
    if edge.mode != BORDER:
        raise UnsupportedError(f"padding `{edge.mode}`")
    held = clamped(b, place, last)
    if edge.corners:
        return held
    low, high = real(-0.5), b("SUB", length, real(0.5))
    beyond = b("LOGICAL_OR", b("LESS", place, low), b("GREATER", place, high))
    return b("SELECT_V2", beyond, held, place)


def _at(
    b: Builder, place: Tensor, weight: Tensor | None, length: Tensor, last: Tensor, edge: Edge
) -> _Tap:
    """Return a tap at a whole place, of no weight where that is outside and nothing is there."""
    if edge.mode == ZEROS:
        seen = b.cast(inside(b, place, last), np.float32)
        weight = seen if weight is None else b("MUL", weight, seen)
    elif edge.mode == REFLECTION:
        place = _reflected(b, place, length, last, edge.corners)
    return _Tap(b.cast(clamped(b, place, last), INT32), weight)


def _reflected(b: Builder, place: Tensor, length: Tensor, last: Tensor, corners: bool) -> Tensor:
    low = real(0 if corners else -0.5)
    # One element has no mirror image: everything is there, after the clamp.
    span = b("MAXIMUM", last, real(1)) if corners else length
    period = b("MUL", span, real(2))
    rest = b("FLOOR_MOD", b("ABS", b("SUB", place, low)), period)
    return b("ADD", b("MINIMUM", rest, b("SUB", period, rest)), low)
