"""How fine an operand has to be, where small differences of results matter: the column `carries`.

What is rounded to steps s is off by s / sqrt(12) on average, up or down by chance.
"""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Op
from tqconv.ir.match import with_constant
from tqconv.ops.spec import Linear

ROUNDED = math.sqrt(12)
"""Steps in which a value is rounded, for each of the error that this makes on average."""


def before_products(places: Linear, op: Op, need: float) -> float:
    """Errors of many operands add up by chance, each as large as its weight."""
    weights = op.input(places.w).data
    if weights is None:
        return math.inf
    axes = tuple(axis for axis in range(weights.ndim) if axis != places.out_axis)
    size = float(np.sqrt(np.square(weights, dtype=np.float64).sum(axis=axes)).max(initial=0.0))
    return need * ROUNDED / size if size else math.inf


def before_sum(op: Op, need: float) -> float:
    """Of n operands each may be off by the n-th part of what their squares add up to."""
    count = op.input(0).size // max(op.output.size, 1) if op.input(0).is_static else 1
    return need * ROUNDED / math.sqrt(max(count, 1))


def before_transform(op: Op, need: float) -> float:
    """Each result of a Fourier transform is a sum of all operands, turned but as large."""
    sizes = op.input(1).data
    count = int(np.prod(sizes)) if sizes is not None else 1
    return need * ROUNDED / math.sqrt(count)


def before_product(op: Op, need: float) -> float:
    """A product by a constant is larger by as much; that of a value by itself is its square."""
    if op.input(0) is op.input(1):
        return before_square(op, need)
    operands = with_constant(op, clamped=True)
    if operands is None:
        return math.inf
    largest = float(np.abs(operands.constant).max(initial=0.0))
    return need / largest if largest else math.inf


def before_square(op: Op, need: float) -> float:
    """What is the square of less than a step of the operand would be zero."""
    return math.sqrt(need)


def before_root(op: Op, need: float) -> float:
    """The root of a step of the operand is the least that there is beside zero."""
    return need**2


def as_fine(op: Op, need: float) -> float:
    """Parts of a number and its size are off by as much as it is."""
    return need
