"""Scales that kernels cannot compute: LiteRT aborts the process on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tqconv.ir.graph import Graph, Op, Use
from tqconv.quant.groups import Grouping
from tqconv.quant.select import reals

Floor = Callable[[Sequence[float], int], float]
MARGIN = 1.01
"""Keeps a rescale that must be below one clear of it."""


def _sum(scales: Sequence[float], width: int) -> float:
    """Sums add at twice the coarser scale, shifted left by 20 bits (int16: 15): kernels/add.cc."""
    return 2 * max(scales) / 2 ** (20 if width == 1 else 15)


def _squared_difference(scales: Sequence[float], width: int) -> float:
    """Differences are shifted left by 7 bits and squared: kernels/squared_difference.cc."""
    return float((2 * max(scales)) ** 2 / 2**14)


def _hard_swish(scales: Sequence[float], width: int) -> float:
    """Inputs are scaled by 1/128 and then down to the output: kernels/activations.cc."""
    return scales[0] / 128


FLOORS: dict[str, Floor] = {
    "ADD": _sum,
    "SUB": _sum,
    "SQUARED_DIFFERENCE": _squared_difference,
    "HARD_SWISH": _hard_swish,
}
"""The least output scale, from the input scales and the bytes of the activation type."""


def raise_scales(graph: Graph, groups: Grouping, types: Mapping[Op, np.dtype]) -> None:
    """Raise the output scales that lie below what the kernels compute.

    A raised scale may be the input of another such operator, so this repeats until none is left.
    """
    bounded = [op for op in graph.ops if op.type in FLOORS and op in types]
    for _ in bounded:
        if not any([_raise(op, groups, types[op]) for op in bounded]):
            return


def _raise(op: Op, groups: Grouping, dtype: np.dtype) -> bool:
    scales = [
        groups.read(Use(op, index), tensor, dtype).known().scale[0] for index, tensor in reals(op)
    ]
    floor = FLOORS[op.type]([float(s) for s in scales], dtype.itemsize) * MARGIN
    made = groups.home(op.output, dtype)
    if made.known().scale[0] >= floor or made.least >= floor:
        return False
    made.least = floor
    return True
