"""Elements at computed places, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed

from tqconv.compose import gather, scatter
from tqconv.compose.builder import Builder
from tqconv.ir.graph import Tensor

X = numbers(3, 4, 5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("open_axes", [(), (0, 2)])
def test_taken_along_an_axis(axis: int, open_axes: Any) -> None:
    shape = [2 if i == axis else d for i, d in enumerate(X.shape)]
    indices = np.random.default_rng(1).integers(0, X.shape[axis], shape).astype(np.int32)
    expected = np.take_along_axis(X, indices, axis)
    make = lambda b, x, i: gather.taken_along(b, x, i, axis)  # noqa: E731
    assert_composed(make, [X, indices], expected, open_axes=open_axes)


@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_indices_from_the_end(open_axes: Any) -> None:
    indices = np.array([[0, -1], [-4, 3]], np.int32)
    make = lambda b, x, i: gather.from_start(b, x, i, 1)  # noqa: E731
    assert_composed(make, [X, indices], indices % 4, open_axes=open_axes)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dynamic", [False, True])
def test_put_along_an_axis(axis: int, dynamic: bool) -> None:
    shape = [2 if i == axis else d for i, d in enumerate(X.shape)]
    places = np.argsort(numbers(*X.shape, seed=1), axis=axis)
    indices = np.take(places, [0, 1], axis=axis).astype(np.int32)
    updates = numbers(*shape, seed=2)
    expected = X.copy()
    np.put_along_axis(expected, indices, updates, axis)

    def make(b: Builder, x: Tensor, i: Tensor, u: Tensor) -> Tensor:
        return scatter.with_updates(b, x, scatter.places_along(b, i, axis), u)

    assert_composed(make, [X, indices, updates], expected, open_axes=(0,) if dynamic else ())
