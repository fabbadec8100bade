"""Random operators: shapes, ranges and moments; the numbers are LiteRT's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import const, graph, node, placeholder, results
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
F = np.dtype(np.float32)
COUNT = 20_000
# Five standard errors of a mean of COUNT numbers of variance 1.
NEAR = 5 / COUNT**0.5


def drawn(op: str, *more: Any, **attrs: Any) -> list[NDArray[Any]]:
    """What both sets of kernels draw, for a shape that is known only at run time."""
    operands = [const(f"c{i}", value) for i, value in enumerate(more)]
    names = [f"c{i}" for i in range(len(more))]
    y = node("y", op, "shape", *names, seed=3, seed2=4, **attrs)
    message = graph(placeholder("shape", np.int32, (2,)), *operands, y)
    shape = np.array([2, COUNT // 2], np.int32)
    return [y for (y,) in results(message, {"shape": shape}, ["y"])]


# Function -> lowest, highest, mean, variance; within two deviations it is 1 - 4 φ(2) / erf(√2).
MOMENTS = {
    "RandomUniform": (0, 1, 0.5, 1 / 12),
    "RandomStandardNormal": (-np.inf, np.inf, 0, 1),
    "TruncatedNormal": (-2, 2, 0, 0.7737),
}


@pytest.mark.parametrize("op", MOMENTS)
def test_distributions(op: str) -> None:
    low, high, mean, variance = MOMENTS[op]
    for y in drawn(op, dtype=np.float32):
        assert (y.shape, y.dtype) == ((2, COUNT // 2), np.float32)
        assert y.min() >= low
        assert y.max() <= high
        assert abs(y.mean() - mean) < NEAR
        assert abs(y.var() - variance) < 2 * NEAR


def test_integers_cover_their_range() -> None:
    bounds = np.array(-2, np.int64), np.array(3, np.int64)
    for y in drawn("RandomUniformInt", *bounds):
        assert y.dtype == np.int64
        values, counts = np.unique(y, return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert np.abs(counts / COUNT - 0.2).max() < NEAR


def test_classes_are_drawn_by_their_chance() -> None:
    logits = np.log(np.array([[1, 3], [1, 1]], np.float32))
    message = graph(
        placeholder("x", np.float32, (2, 2)),
        const("n", np.array(COUNT, np.int32)),
        node("y", "Multinomial", "x", "n", output_dtype=np.int32, seed=3, seed2=4),
    )
    for (y,) in results(message, {"x": logits}, ["y"]):
        assert (y.shape, y.dtype) == ((2, COUNT), np.int32)
        assert np.abs(y.mean(1) - [0.75, 0.5]).max() < NEAR


STATELESS = {
    "StatelessRandomNormalV2": (-np.inf, np.inf, 0.0, 1.0),
    "StatelessRandomUniformV2": (0.0, 1.0, 0.5, 1 / 12),
    "StatelessTruncatedNormalV2": (-2.0, 2.0, 0.0, 0.774),
}


def by_state(op: str, dtype: Any, *bounds: Array, fixed: bool = False) -> list[Array]:
    """Return what a generator draws whose state is an input, or a constant."""
    seed = np.array([3, 5], np.int32)
    message = graph(
        const("seed", seed) if fixed else placeholder("seed", np.int32, (2,)),
        const("n", np.array([2, COUNT // 2], np.int32)),
        *(const(f"bound{i}", bound) for i, bound in enumerate(bounds)),
        node("state", "StatelessRandomGetKeyCounter", "seed"),
        node("alg", "StatelessRandomGetAlg"),
        node(
            "y",
            op,
            *("n", "state", "state:1", "alg"),
            *(f"bound{i}" for i in range(len(bounds))),
            dtype=np.dtype(dtype),
        ),
    )
    return [y for (y,) in results(message, {} if fixed else {"seed": seed}, ["y"])]


@pytest.mark.parametrize("op", STATELESS)
def test_distributions_by_the_state_of_a_generator(op: str) -> None:
    low, high, mean, variance = STATELESS[op]
    for y in by_state(op, np.float32):
        assert (y.shape, y.dtype) == ((2, COUNT // 2), np.float32)
        assert y.min() >= low
        assert y.max() <= high
        assert abs(y.mean() - mean) < NEAR
        assert abs(y.var() - variance) < 2 * NEAR


def test_integers_by_the_state_of_a_generator() -> None:
    for y in by_state(
        "StatelessRandomUniformIntV2", np.int32, *(np.array(v, np.int32) for v in (-2, 3))
    ):
        values, counts = np.unique(y, return_counts=True)
        assert values.tolist() == [-2, -1, 0, 1, 2]
        assert np.abs(counts / COUNT - 0.2).max() < NEAR
    for y in by_state("StatelessRandomUniformFullIntV2", np.int64):
        assert len(np.unique(y)) > 0.99 * COUNT


def test_a_fixed_seed_is_refused() -> None:
    """TensorFlow draws the same numbers in each run then."""
    with pytest.raises(UnsupportedError, match="a fixed seed"):
        by_state("StatelessRandomNormalV2", np.float32, fixed=True)


def test_a_generator_is_one_of_litert() -> None:
    """Its state, which it stores, only says where it is."""
    message = graph(
        const("generator", np.zeros(3, np.int64)),
        const("alg", np.array(1, np.int32)),
        const("count", np.array(256, np.int64)),
        node("state", "RngReadAndSkip", "generator", "alg", "count"),
        const("n", np.array([COUNT], np.int32)),
        node("y", "StatelessRandomUniformV2", *("n", "state", "state", "alg"), dtype=F),
    )
    for (y,) in results(message, {}, ["y"]):
        assert abs(y.mean() - 0.5) < NEAR
