"""Reductions, places of extremes, running sums and segments, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import assert_op
from numpy.typing import NDArray

Array = NDArray[Any]
RNG = np.random.default_rng(3)
REAL = RNG.uniform(-2, 2, (2, 3, 4, 5)).astype(np.float32)
LOGIC = RNG.integers(0, 2, (2, 3, 4, 5)).astype(bool)
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]

REDUCTIONS: dict[str, tuple[Callable[..., Any], Array]] = {
    "All": (np.all, LOGIC),
    "Any": (np.any, LOGIC),
    "EuclideanNorm": (
        lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis, keepdims=keepdims)),
        REAL,
    ),
    "Max": (np.max, REAL),
    "Mean": (np.mean, REAL),
    "Min": (np.min, REAL),
    "Prod": (np.prod, REAL),
    "Sum": (np.sum, REAL),
}
# Sums of 20 and products of 60 float32 numbers, in another order.
ROUNDED = {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize("axes", [[1], [0, 2], [-1, 1], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("op", REDUCTIONS)
def test_axes(op: str, axes: list[int], keep_dims: bool) -> None:
    function, x = REDUCTIONS[op]
    want = np.asarray(function(x, axis=tuple(axes), keepdims=keep_dims))
    for numbers in (np.array(axes, np.int32), np.array(axes, np.int64)):
        assert_op(op, [x, numbers], want, constants=[1], keep_dims=keep_dims, **ROUNDED)


@pytest.mark.parametrize("op", REDUCTIONS)
def test_no_axes_leave_every_element(op: str) -> None:
    x = REDUCTIONS[op][1]
    want = np.abs(x) if op == "EuclideanNorm" else x
    assert_op(op, [x, np.zeros(0, np.int32)], want, constants=[1], rtol=1e-6)


@pytest.mark.parametrize("op", REDUCTIONS)
def test_no_elements_give_the_neutral_one(op: str) -> None:
    x = REDUCTIONS[op][1][:0]
    neutral = {"All": True, "Prod": 1, "Max": -np.inf, "Min": np.inf, "Mean": np.nan}.get(op, 0)
    want = np.full((3, 4, 5), neutral, x.dtype)
    assert_op(op, [x, np.array([0], np.int32)], want, constants=[1])


@pytest.mark.parametrize("op", ["Max", "Mean", "Sum"])
def test_sizes_and_axes_may_be_unknown(op: str) -> None:
    function, x = REDUCTIONS[op]
    axes = np.array([1, 2], np.int32)
    want = function(x, axis=(1, 2), keepdims=True)
    assert_op(op, [x, axes], want, dynamic=True, keep_dims=True, **ROUNDED)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("op", ["Sum", "Max", "Min", "Prod"])
def test_integers_wrap_around(op: str, dtype: Any) -> None:
    limits = np.iinfo(dtype)
    x = RNG.integers(limits.min, limits.max, (3, 4), dtype, endpoint=True)
    function = {"Sum": np.sum, "Max": np.max, "Min": np.min, "Prod": np.prod}[op]
    # numpy adds and multiplies small integers in a wider type.
    want = np.asarray(function(x, 1)).astype(dtype)
    assert_op(op, [x, np.array([1], np.int32)], want, constants=[1])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64])
def test_integer_means_are_rounded_toward_zero(dtype: Any) -> None:
    x = np.array([[-7, 2, 3], [7, 1, 2]]).astype(dtype)
    if np.dtype(dtype).kind == "u":
        x = np.array([[200, 201, 203], [7, 1, 2]], dtype)
    want = np.array([int(row.sum(dtype=np.int64) / 3) for row in x], dtype)
    assert_op("Mean", [x, np.array(1, np.int32)], want, constants=[1])


@pytest.mark.parametrize("op", ["Sum", "Mean"])
def test_complex_numbers_are_added(op: str) -> None:
    x = (REAL + 1j * REAL[::-1]).astype(np.complex64)
    function = REDUCTIONS[op][0]
    want = function(x, axis=(1, 3)).astype(np.complex64)
    assert_op(op, [x, np.array([1, -1], np.int32)], want, constants=[1], **ROUNDED)


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, *INTEGERS])
@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_the_first_place_of_an_extreme(op: str, dtype: Any) -> None:
    x = RNG.integers(0, 3, (4, 5, 6)).astype(dtype)
    if np.dtype(dtype).itemsize == 8:
        x[x == 2] = np.iinfo(dtype).max
    want = (np.argmax if op == "ArgMax" else np.argmin)(x, 1)
    for output in (np.int32, np.int64):
        axis = np.array(-2, np.int64)
        assert_op(op, [x, axis], want.astype(output), constants=[1], output_type=output)


def test_half_the_sum_of_squares() -> None:
    assert_op("L2Loss", [REAL], np.float32(np.sum(REAL**2) / 2), **ROUNDED)


def scanned(
    function: Any, x: Array, axis: int, exclusive: bool, reverse: bool, first: float
) -> Array:
    """numpy's accumulation with TensorFlow's two switches."""
    x = np.flip(x, axis) if reverse else x
    y = function.accumulate(x, axis, dtype=x.dtype)
    if exclusive:
        start = np.full_like(np.take(y, [0], axis), first)
        y = np.concatenate([start, np.delete(y, -1, axis)], axis)
    return np.flip(y, axis) if reverse else y


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("axis", [0, -1, 1])
@pytest.mark.parametrize("op", ["Cumsum", "Cumprod", "CumulativeLogsumexp"])
def test_running_totals(op: str, axis: int, exclusive: bool, reverse: bool) -> None:
    function, first = {
        "Cumsum": (np.add, 0),
        "Cumprod": (np.multiply, 1),
        "CumulativeLogsumexp": (np.logaddexp, -np.inf),
    }[op]
    x = REAL[0]
    want = scanned(function, x, axis, exclusive, reverse, first)
    options = {"exclusive": exclusive, "reverse": reverse}
    assert_op(op, [x, np.array(axis, np.int32)], want, constants=[1], **options, **ROUNDED)


@pytest.mark.parametrize("dtype", [*INTEGERS, np.complex64])
@pytest.mark.parametrize("op", ["Cumsum", "Cumprod"])
def test_running_totals_of_any_type(op: str, dtype: Any) -> None:
    x = RNG.integers(1, 9, (2, 12)).astype(dtype)
    want = scanned(np.add if op == "Cumsum" else np.multiply, x, 1, False, False, 0)
    assert_op(op, [x, np.array(1, np.int32)], want, constants=[1], rtol=1e-6)


def test_minus_infinity_stays_in_running_logarithms() -> None:
    x = np.array([-np.inf, -np.inf, 2, -np.inf, 1e4], np.float32)
    want = np.array([-np.inf, -np.inf, 2, 2, 1e4], np.float32)
    assert_op("CumulativeLogsumexp", [x, np.array(0, np.int32)], want, constants=[1])


def segmented(kind: str, x: Array, ids: Array, count: int, empty: Any) -> Array:
    """One row per segment; `empty` where it has no elements."""
    function = {"Sum": np.sum, "Mean": np.mean, "Max": np.max, "Min": np.min, "Prod": np.prod}[kind]
    rest = x.shape[ids.ndim :]
    rows = [
        function(x[ids == i], 0) if (ids == i).any() else np.full(rest, empty) for i in range(count)
    ]
    return np.array(rows).astype(x.dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("kind", ["Sum", "Max", "Min", "Prod"])
def test_unsorted_segments(kind: str, dtype: Any) -> None:
    x = RNG.integers(0, 9, (6, 3)).astype(dtype)
    limits = np.finfo(dtype) if np.dtype(dtype).kind == "f" else np.iinfo(dtype)
    empty = {"Sum": 0, "Prod": 1, "Max": limits.min, "Min": limits.max}[kind]
    ids = np.array([3, 0, -1, 2, 2, 0], np.int32)
    want = segmented(kind, x, ids, 5, empty)
    for constants in ([1, 2], [2], []):
        operands = [x, ids, np.array(5, np.int32)]
        assert_op(f"UnsortedSegment{kind}", operands, want, constants=constants)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_segment_numbers_may_cover_several_dimensions(dtype: Any) -> None:
    x = RNG.integers(0, 9, (4, 3, 2)).astype(dtype)
    ids = RNG.integers(-1, 4, (4, 3)).astype(np.int64)
    want = segmented("Sum", x, ids, 4, 0)
    assert_op("UnsortedSegmentSum", [x, ids, np.array(4, np.int64)], want, constants=[2])


@pytest.mark.parametrize("constants", [[1], []], ids=["constant", "computed"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("kind", ["Sum", "Mean", "Max", "Min", "Prod"])
def test_sorted_segments_with_a_gap(kind: str, dtype: Any, constants: list[int]) -> None:
    x = RNG.integers(1, 9, (6, 3)).astype(dtype)
    ids = np.array([0, 0, 1, 3, 3, 3], np.int32)
    want = segmented(kind, x, ids, 4, 1 if kind == "Prod" else 0)
    assert_op(f"Segment{kind}", [x, ids], want, constants=constants, rtol=1e-6)


@pytest.mark.parametrize("kind", ["Sum", "Mean", "SqrtN"])
def test_segments_of_chosen_rows(kind: str) -> None:
    x, rows, ids = REAL[0, 0], np.array([0, 3, 2, 2], np.int32), np.array([0, 0, 0, 2], np.int32)
    want = segmented("Sum", x[rows], ids, 4, 0)
    if kind != "Sum":
        want[0] /= 3 if kind == "Mean" else np.sqrt(np.float32(3))
    assert_op(f"SparseSegment{kind}", [x, rows, ids], want[:3], rtol=1e-6)
    operands = [x, rows, ids, np.array(4, np.int32)]
    assert_op(f"SparseSegment{kind}WithNumSegments", operands, want, constants=[3], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_counts(dtype: Any) -> None:
    x, size = np.array([0, 1, 7, 2, 2, 9, 1], np.int32), np.array(5, np.int32)
    none, weights = np.zeros(0, dtype), np.arange(7).astype(dtype)
    want = np.array([1, 2, 2, 0, 0], dtype)
    assert_op("Bincount", [x, size, none], want, constants=[1, 2])
    assert_op("Bincount", [x, size, weights], np.array([0, 7, 7, 0, 0], dtype), constants=[1])
    binary = {"constants": [1, 2], "binary_output": True}
    assert_op("DenseBincount", [x, size, none], np.minimum(want, 1), **binary)
    rows = np.array([[0, 1, 7], [2, 2, 1]], np.int64)
    want = np.array([[1, 1, 0, 0, 0], [0, 1, 2, 0, 0]], dtype)
    assert_op("DenseBincount", [rows, np.array(5, np.int64), none], want, constants=[1, 2])


def test_a_target_among_the_best() -> None:
    x = np.array([[1, 3, 2], [1, 3, 3], [1, np.inf, 2], [1, 2, 3]], np.float32)
    targets = np.array([2, 1, 0, 5], np.int32)
    assert_op("InTopK", [x, targets], np.array([False, True, False, False]), k=1)
    two = np.array(2, np.int32)
    assert_op("InTopKV2", [x, targets, two], np.array([True, True, False, False]))
