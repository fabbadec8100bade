"""Activations, against their definitions in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed

from tqconv.compose import activations

X = numbers(4, 3, 5) * 3
WIDE = X.astype(np.float64)
ERF = np.vectorize(math.erf)

CASES: dict[str, tuple[Callable[..., Any], Any]] = {
    "elu": (lambda b, x: activations.elu(b, x, 0.5), np.where(X > 0, X, 0.5 * np.expm1(WIDE))),
    "celu": (lambda b, x: activations.celu(b, x, 2.0), np.where(X > 0, X, 2 * np.expm1(WIDE / 2))),
    "selu": (
        lambda b, x: activations.selu(b, x, 2.0, 3.0),
        np.where(X > 0, 3 * X, 6 * np.expm1(WIDE)),
    ),
    "gelu": (activations.gelu, WIDE / 2 * (1 + ERF(WIDE / math.sqrt(2)))),
    "silu": (activations.silu, WIDE / (1 + np.exp(-WIDE))),
    "swish": (lambda b, x: activations.silu(b, x, 1.5), WIDE / (1 + np.exp(-1.5 * WIDE))),
    "mish": (activations.mish, WIDE * np.tanh(np.log1p(np.exp(WIDE)))),
    "hard_sigmoid": (
        lambda b, x: activations.hard_sigmoid(b, x, 0.2, 0.5),
        np.clip(0.2 * WIDE + 0.5, 0, 1),
    ),
    "hard_swish": (activations.hard_swish, WIDE * np.clip(WIDE / 6 + 0.5, 0, 1)),
    "thresholded": (lambda b, x: activations.thresholded(b, x, 0.7), np.where(X > 0.7, X, 0)),
    "hard_shrink": (lambda b, x: activations.hard_shrink(b, x, 1), np.where(np.abs(X) > 1, X, 0)),
    "soft_shrink": (
        lambda b, x: activations.soft_shrink(b, x, 1),
        np.sign(X) * np.maximum(np.abs(X) - 1, 0),
    ),
    "shrink with a bias": (
        lambda b, x: activations.soft_shrink(b, x, 1, 0.5),
        np.where(np.abs(X) > 1, X - 0.5 * np.sign(X), 0),
    ),
    "clamp": (lambda b, x: activations.clamp(b, x, -0.5, 2.0), np.clip(X, -0.5, 2)),
    "clamp to [-1, 1]": (lambda b, x: activations.clamp(b, x, -1, 1), np.clip(X, -1, 1)),
    "clamp from above": (lambda b, x: activations.clamp(b, x, None, 2.0), np.minimum(X, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_activation(name: str) -> None:
    make, expected = CASES[name]
    assert_composed(make, [X], np.asarray(expected, np.float32), rtol=2e-5)


def test_clamp_of_integers() -> None:
    x = np.arange(-5, 9, dtype=np.int32)
    made: Any = lambda b, x: activations.clamp(b, x, 0, 6)  # noqa: E731
    assert_composed(made, [x], np.clip(x, 0, 6))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_along_an_axis(axis: int) -> None:
    powers = np.exp(WIDE - WIDE.max(axis=axis, keepdims=True))
    expected = powers / powers.sum(axis=axis, keepdims=True)
    made = lambda b, x: activations.softmax(b, x, axis)  # noqa: E731
    assert_composed(made, [X], np.asarray(expected, np.float32))
    made = lambda b, x: activations.log_softmax(b, x, axis)  # noqa: E731
    assert_composed(made, [X], np.asarray(np.log(expected), np.float32))
