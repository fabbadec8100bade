"""Random numbers: the distributions are TensorFlow's, the numbers are LiteRT's."""

from __future__ import annotations

from collections.abc import Callable

from tqconv.compose import random
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles(
    RandomStandardNormal=random.normal,
    RandomUniform=random.uniform,
    TruncatedNormal=random.truncated_normal,
)
def random_reals(
    b: Builder,
    draw: Callable[..., Tensor],
    shape: Tensor,
    *,
    dtype: TypeNumber,
    seed: int = 0,
    seed2: int = 0,
) -> Tensor:
    """Reals: in [0, 1), of mean 0 and variance 1, or those within two deviations."""
    return draw(b, int32_of(b, shape), (seed, seed2))


@handles("RandomUniformInt")
def random_uniform_int(
    b: Builder, shape: Tensor, low: Tensor, high: Tensor, *, seed: int = 0, seed2: int = 0
) -> Tensor:
    """Integers in [low, high), for ranges that float32 tells apart."""
    span = b.scalar(high, "maxval") - b.scalar(low, "minval")
    return random.integers(b, int32_of(b, shape), low, span, (seed, seed2))


@handles("Multinomial")
def multinomial(
    b: Builder,
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
