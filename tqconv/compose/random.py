"""Random numbers: distributions composed of those that LiteRT draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.functions import erfinv
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

F = np.float32
Seeds = tuple[int, int]
Sizes = Tensor | NDArray[Any]


def uniform(b: Builder, shape: Sizes, seeds: Seeds) -> Tensor:
    """Reals in [0, 1)."""
    return b("RANDOM_UNIFORM", shape, seed=seeds[0], seed2=seeds[1])


def normal(b: Builder, shape: Sizes, seeds: Seeds) -> Tensor:
    """Reals of mean 0 and variance 1."""
    return b("RANDOM_STANDARD_NORMAL", shape, seed=seeds[0], seed2=seeds[1])


def truncated_normal(b: Builder, shape: Sizes, seeds: Seeds) -> Tensor:
    """Normal reals within two deviations: the quantile function of uniform ones."""
    reach = math.erf(math.sqrt(2))
    drawn = uniform(b, shape, seeds)
    chances = b("SUB", b("MUL", drawn, F(2 * reach)), F(reach))
    return b("MUL", erfinv(b, chances), F(math.sqrt(2)))


def integers(b: Builder, shape: Sizes, low: Tensor, span: int, seeds: Seeds) -> Tensor:
    """Integers in [low, low + span), for ranges that float32 tells apart."""
    if span > 2**23:
        raise UnsupportedError(f"{span} different random integers: the kernel makes float32")
    steps = b("MINIMUM", b("FLOOR", b("MUL", uniform(b, shape, seeds), F(span))), F(span - 1))
    return b("ADD", b.cast(steps, low.dtype), low)
