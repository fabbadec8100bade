"""What arithmetic makes of ranges: between which ends results lie, and how fine they have to be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tqconv.ir.types import Range

Ends = tuple[float, float]


def sum_floor(scales: Sequence[float], width: int) -> float:
    """Sums add at twice the coarser scale, shifted left by 20 bits (int16: 15): kernels/add.cc."""
    return 2 * max(scales) / 2 ** (20 if width == 1 else 15)


def squared_difference_floor(scales: Sequence[float], width: int) -> float:
    """Differences are shifted left by 7 bits and squared: kernels/squared_difference.cc."""
    return float((2 * max(scales)) ** 2 / 2**14)


def before_log(made: Range) -> float:
    """The smallest input: what is below one step becomes the logarithm of zero."""
    return math.exp(min(made.low, 700.0))  # exp(709) is the largest float64


def before_inverse_root(made: Range) -> float:
    """The smallest input, 1 / y**2 of the largest output."""
    return 1 / max(made.high, 1e-150) ** 2


def product_ends(a: Ends, b: Ends) -> Ends:
    """Every corner of the rectangle may be an end."""
    corners = [x * y for x in a for y in b]
    return min(corners), max(corners)


def square_ends(a: Ends) -> Ends:
    """The least square is zero where the operand may be."""
    low, high = sorted((a[0] ** 2, a[1] ** 2))
    return (0.0 if a[0] <= 0 <= a[1] else low), high


def size_ends(a: Ends) -> Ends:
    """The least size is zero where the operand may be."""
    return (0.0 if a[0] <= 0 <= a[1] else min(map(abs, a))), max(map(abs, a))


def sum_ends(a: Ends, b: Ends) -> Ends:
    """Ends add up."""
    return a[0] + b[0], a[1] + b[1]


def difference_ends(a: Ends, b: Ends) -> Ends:
    """The least is the least minus the most."""
    return a[0] - b[1], a[1] - b[0]


def quotient_ends(a: Ends, b: Ends) -> Ends:
    """Quotients have no ends where the divisor may be zero."""
    if b[0] <= 0 <= b[1]:
        return -math.inf, math.inf
    return product_ends(a, (1 / b[1], 1 / b[0]))


def squared_difference_ends(a: Ends, b: Ends) -> Ends:
    """The ends of a difference, squared."""
    return square_ends(difference_ends(a, b))


def root_ends(a: Ends) -> Ends:
    """What is below zero has no root."""
    return math.sqrt(max(a[0], 0.0)), math.sqrt(max(a[1], 0.0))


def same_ends(a: Ends) -> Ends:
    """Means lie between what they are taken of."""
    return a
