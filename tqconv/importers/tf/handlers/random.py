"""Random numbers: the distributions are TensorFlow's, the numbers are LiteRT's."""

from __future__ import annotations

import math

import numpy as np

from tqconv.compose import functions
from tqconv.compose.operands import int32_of
from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("RandomUniform")
def random_uniform(
    b: TFBuilder, shape: Tensor, *, dtype: TypeNumber, seed: int = 0, seed2: int = 0
) -> Tensor:
    """Reals in [0, 1)."""
    return b("RANDOM_UNIFORM", int32_of(b, shape), seed=seed, seed2=seed2)


@handles("RandomStandardNormal")
def random_normal(
    b: TFBuilder, shape: Tensor, *, dtype: TypeNumber, seed: int = 0, seed2: int = 0
) -> Tensor:
    """Reals of mean 0 and variance 1."""
    return b("RANDOM_STANDARD_NORMAL", int32_of(b, shape), seed=seed, seed2=seed2)


@handles("TruncatedNormal")
def truncated_normal(
    b: TFBuilder, shape: Tensor, *, dtype: TypeNumber, seed: int = 0, seed2: int = 0
) -> Tensor:
    """Normal reals within two deviations: the quantile function of uniform ones."""
    reach = math.erf(math.sqrt(2))
    uniform = random_uniform(b, shape, dtype=dtype, seed=seed, seed2=seed2)
    chances = b("SUB", b("MUL", uniform, F(2 * reach)), F(reach))
    return b("MUL", functions.erfinv(b, chances), F(math.sqrt(2)))


@handles("RandomUniformInt")
def random_uniform_int(
    b: TFBuilder, shape: Tensor, low: Tensor, high: Tensor, *, seed: int = 0, seed2: int = 0
) -> Tensor:
    """Integers in [low, high), for ranges that float32 tells apart."""
    span = b.scalar(high, "maxval") - b.scalar(low, "minval")
    if span > 2**23:
        raise Unsupported(f"{span} different random integers: the kernel makes float32")
    uniform = b("RANDOM_UNIFORM", int32_of(b, shape), seed=seed, seed2=seed2)
    steps = b("MINIMUM", b("FLOOR", b("MUL", uniform, F(span))), F(span - 1))
    return b("ADD", b.cast(steps, low.dtype), low)


@handles("Multinomial")
def multinomial(
    b: TFBuilder,
    logits: Tensor,
    count: Tensor,
    *,
    seed: int = 0,
    seed2: int = 0,
    output_dtype: TypeNumber = TypeNumber(9),  # noqa: B008
) -> Tensor:
    """Classes drawn by their unnormalized log-probabilities."""
    drawn = b("MULTINOMIAL", logits, int32_of(b, count), seed=seed, seed2=seed2)
    return b.cast(drawn, output_dtype.dtype)
