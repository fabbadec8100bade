"""Normalizations and attention, against their definitions in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed
from numpy.typing import NDArray

from tqconv.compose import norm
from tqconv.compose.attention import CAUSAL, attention
from tqconv.errors import UnsupportedError

Array = NDArray[Any]
X = numbers(2, 3, 4, 6) * 3 + 5
SCALE, OFFSET = numbers(6, seed=1), numbers(6, seed=2)


def standard(x: Array, axes: Any, epsilon: float = 1e-3) -> Array:
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon), np.float32)


@pytest.mark.parametrize("axes", [[-1], [1, 2], [-1, -2], [3, 1, 2]])
@pytest.mark.parametrize("open_axes", [(), (0, 1, 2)])
def test_by_own_statistics(axes: Any, open_axes: Any) -> None:
    def make(b: Any, x: Any) -> Any:
        return norm.by_own_statistics(b, x, axes, b.const(SCALE), b.const(OFFSET), 1e-3)

    expected = standard(X, tuple(axes)) * SCALE + OFFSET
    assert_composed(make, [X], expected, open_axes=open_axes)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_group_norm(groups: int, open_axes: Any) -> None:
    parts = X.reshape(2, 3, 4, groups, 6 // groups)
    expected = standard(parts, (1, 2, 4)).reshape(X.shape) * SCALE + OFFSET

    def make(b: Any, x: Any) -> Any:
        return norm.group_norm(b, x, groups, b.const(SCALE), b.const(OFFSET), 1e-3)

    assert_composed(make, [X], expected, open_axes=open_axes)


def test_groups_split_the_channels() -> None:
    with pytest.raises(UnsupportedError, match="6 channels do not split into 4 groups"):
        assert_composed(lambda b, x: norm.group_norm(b, x, 4, None, None, 1e-3), [X])


def test_rms_norm() -> None:
    expected = X / np.sqrt(np.square(X).mean(axis=-1, keepdims=True) + 1e-6) * SCALE
    assert_composed(lambda b, x: norm.rms_norm(b, x, [-1], b.const(SCALE), 1e-6), [X], expected)


def test_unit_norm() -> None:
    x = numbers(3, 4)
    x[0] = 0
    expected = x / np.sqrt(np.maximum(np.square(x).sum(axis=-1, keepdims=True), 1e-12))
    assert_composed(lambda b, x: norm.unit_norm(b, x, [-1], 1e-12), [x], expected)


def test_normalized_along_an_axis_without_scale_and_offset() -> None:
    mean, variance = numbers(3, seed=3), np.square(numbers(3, seed=4))
    spread = np.sqrt(variance + 1e-3).reshape(3, 1, 1)
    expected = (X - mean.reshape(3, 1, 1)) / spread

    def make(b: Any, x: Any) -> Any:
        return norm.normalized(b, x, None, None, b.const(mean), b.const(variance), 1e-3, axis=1)

    assert_composed(make, [X], expected, atol=1e-4)  # x * factor + shift cancels up to 100


def attended(q: Array, k: Array, v: Array, mask: Array, scale: float) -> Array:
    repeats = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, repeats, 1), np.repeat(v, repeats, 1)
    scores = q @ k.swapaxes(-1, -2) * scale + mask
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True) @ v, np.float32)


Q, K, V = numbers(2, 4, 5, 8), numbers(2, 2, 5, 8, seed=1), numbers(2, 2, 5, 3, seed=2)


@pytest.mark.parametrize("open_axes", [(), (0, 2)])
@pytest.mark.parametrize("causal", [False, True])
def test_attention(causal: bool, open_axes: Any) -> None:
    mask = np.triu(np.full((5, 5), -1e9), 1) if causal else np.zeros((5, 5))

    def make(b: Any, q: Any, k: Any, v: Any) -> Any:
        return attention(b, q, k, v, view=CAUSAL if causal else None).result

    expected = attended(Q, K, V, mask, 8**-0.5)
    assert_composed(make, [Q, K, V], expected, open_axes=open_axes)


@pytest.mark.parametrize("kind", [np.bool_, np.float32])
def test_attention_with_a_mask(kind: Any) -> None:
    seen = np.random.default_rng(0).random((2, 1, 5, 5)) < 0.6
    seen[..., 0] = True
    mask = seen if kind is np.bool_ else np.where(seen, 0, -1e9).astype(np.float32)

    def make(b: Any, q: Any, k: Any, v: Any, m: Any) -> Any:
        return attention(b, q, k, v, m, scale=0.5).result

    expected = attended(Q, K, V, np.where(seen, 0, -1e9), 0.5)
    assert_composed(make, [Q, K, V, mask], expected)


def test_attention_with_capped_scores() -> None:
    def make(b: Any, q: Any, k: Any, v: Any) -> Any:
        return attention(b, q, k, v, softcap=0.5).capped

    scores = Q @ np.repeat(K, 2, 1).swapaxes(-1, -2) * 8**-0.5
    assert_composed(make, [Q, K, V], np.asarray(0.5 * np.tanh(scores / 0.5), np.float32))
