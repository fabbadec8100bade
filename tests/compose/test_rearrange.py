"""Padding, slicing and rolling, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from composed import assert_composed

from tqconv.compose import rearrange, reduce, resize, slices
from tqconv.errors import UnsupportedError

X = numbers(3, 4, 5)
MODES: Any = {"EDGE": "edge", "REFLECT": "reflect", "SYMMETRIC": "symmetric", "WRAP": "wrap"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("amounts", [[(0, 0), (2, 3), (1, 0)], [(0, 7), (0, 0), (9, 6)]])
def test_pad_by_places(mode: str, amounts: Any) -> None:
    expected = np.pad(X, amounts, MODES[mode])
    assert_composed(lambda b, x: rearrange.pad_by_places(b, x, amounts, mode), [X], expected)


def test_padding_below_zero_cuts() -> None:
    amounts = [(0, 0), (-1, 2), (1, -2)]
    expected = np.pad(X, [(0, 0), (0, 2), (1, 0)], "edge")[:, 1:, :-2]
    make = lambda b, x: rearrange.pad_by_places(b, x, amounts, "EDGE")  # noqa: E731
    assert_composed(make, [X], expected)


def test_nothing_cannot_be_repeated() -> None:
    make = lambda b, x: rearrange.pad_by_places(b, x, [(1, 0)], "EDGE")  # noqa: E731
    with pytest.raises(UnsupportedError, match="has nothing along axis 0"):
        assert_composed(make, [numbers(0)])


def test_of_nothing_nothing_is_moved_where_another_size_is_unknown() -> None:
    nothing = np.zeros((3, 0), np.float32)
    for make, x in (
        (lambda b, x: rearrange.reversed_along(b, x, [0]), nothing),
        (lambda b, x: rearrange.roll(b, x, b.const([2], np.int32), [0]), nothing[:, None]),
        (lambda b, x: rearrange.roll(b, x, b.const([2], np.int32), [0]), nothing.T),
    ):
        assert_composed(make, [x], x, open_axes=(0,))


@pytest.mark.parametrize("kind", ["SUM", "REDUCE_PROD"])
def test_a_reduction_of_nothing_where_another_size_is_unknown(kind: str) -> None:
    expected = np.full((3, 1, 2), 0 if kind == "SUM" else 1, np.float32)
    make = lambda b, x: reduce.reduced(b, kind, x, [1], keep_dims=True)  # noqa: E731
    assert_composed(make, [np.zeros((3, 0, 2), np.float32)], expected, open_axes=(0,))


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [(1, 3, 1), (None, -1, 2), (-2, None, 1), (None, None, -1), (3, 0, -2), (0, 2**40, 1)],
)
@pytest.mark.parametrize("open_axes", [(), (0, 1)])
def test_cut(start: Any, stop: Any, step: int, open_axes: Any) -> None:
    expected = X[:, start:stop:step, 1:4]
    make = lambda b, x: slices.cut(b, x, {1: (start, stop, step), -1: (1, 4, 1)})  # noqa: E731
    assert_composed(make, [X], expected, open_axes=open_axes)


@pytest.mark.parametrize("axis", [0, -2])
def test_resampled_along_an_axis(axis: int) -> None:
    matrix = numbers(7, X.shape[axis], seed=1)
    expected = np.moveaxis(np.tensordot(matrix, X, (1, axis)), 0, axis)
    assert_composed(lambda b, x: resize.along_axis(b, x, axis, matrix), [X], expected)


@pytest.mark.parametrize("axes", [[0], [-1, 1]])
@pytest.mark.parametrize("keep_dims", [False, True])
def test_log_sum_exp(axes: Any, keep_dims: bool) -> None:
    x = X * 60
    top = x.max(axis=tuple(axes), keepdims=True)
    total = np.log(np.exp(x - top).sum(axis=tuple(axes), keepdims=True)) + top
    expected = total if keep_dims else np.squeeze(total, tuple(axes))
    make = lambda b, x: reduce.log_sum_exp(b, x, axes, keep_dims=keep_dims)  # noqa: E731
    assert_composed(make, [x], expected)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_the_last_place_of_an_extreme(dtype: Any) -> None:
    x = np.array([[1, 3, 3, 0], [2, 2, 1, 1]], dtype)
    for type, expected in (("ARG_MAX", [2, 1]), ("ARG_MIN", [3, 3])):
        made = lambda b, x, t=type: reduce.place_of_extreme(  # noqa: E731
            b, t, x, 1, np.dtype(np.int64), last=True
        )
        assert_composed(made, [x], np.array(expected, np.int64))
