"""Random numbers: the distributions are TensorFlow's, the numbers are LiteRT's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import random
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

ANY_SEED = (0, 0)
"""Seeds of an operator that draws other numbers in each process."""


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


def _told_anew(b: TFBuilder, key: Tensor) -> None:
    """Refuse numbers of a fixed key, which are the same in each run; note those that are not."""
    if key.data is not None:
        raise UnsupportedError("random numbers of a fixed seed: LiteRT draws others in each run")
    note = "random numbers are drawn in each run, as in the source; the numbers are LiteRT's"
    if note not in b.shared.translation.notes:
        b.shared.translation.notes.append(note)


def _unknown(b: Builder, sizes: Sequence[int], dtype: Any) -> Tensor:
    """Return integers that only generators read, and of which nothing is left behind these."""
    drawn = random.uniform(b, np.array(sizes, np.int32), ANY_SEED)
    return b.cast(drawn, dtype)


@handles("RngReadAndSkip")
def generator_state(b: Builder, generator: Tensor, algorithm: Tensor, count: Tensor) -> Tensor:
    """Return the state of a generator, which LiteRT's own takes the place of."""
    return _unknown(b, [3], np.int64)


@handles("StatelessRandomGetKeyCounter")
def key_and_counter(b: TFBuilder, seed: Tensor) -> list[Tensor]:
    """Return what a seed that is not fixed becomes."""
    _told_anew(b, seed)
    return [_unknown(b, [size], np.int64) for size in (1, 2)]


@handles("StatelessRandomGetAlg")
def algorithm(b: Builder) -> Tensor:
    """Return which algorithm draws; LiteRT has one."""
    return b.const(np.array(1, np.int32))


@handles(
    StatelessRandomNormalV2=random.normal,
    StatelessRandomUniformV2=random.uniform,
    StatelessTruncatedNormalV2=random.truncated_normal,
)
def stateless_reals(
    b: TFBuilder,
    draw: Callable[..., Tensor],
    shape: Tensor,
    key: Tensor,
    counter: Tensor,
    algorithm: Tensor,
    *,
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Reals, by the state of a generator."""
    _told_anew(b, key)
    return draw(b, int32_of(b, shape), ANY_SEED)


@handles("StatelessRandomUniformIntV2")
def stateless_integers(
    b: TFBuilder,
    shape: Tensor,
    key: Tensor,
    counter: Tensor,
    algorithm: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Integers in [low, high), by the state of a generator."""
    _told_anew(b, key)
    span = b.scalar(high, "maxval") - b.scalar(low, "minval")
    return random.integers(b, int32_of(b, shape), low, span, ANY_SEED)


@handles("StatelessRandomUniformFullIntV2")
def stateless_bits(
    b: TFBuilder,
    shape: Tensor,
    key: Tensor,
    counter: Tensor,
    algorithm: Tensor,
    *,
    dtype: TypeNumber,
) -> Tensor:
    """Integers that are the seeds of other generators; 23 bits of them are random."""
    _told_anew(b, key)
    zero = b.const(0, np.int32, "low")
    return b.cast(random.integers(b, int32_of(b, shape), zero, 2**23, ANY_SEED), dtype.dtype)
