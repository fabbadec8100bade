"""Largest and distinct elements, sorted places, differences of sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

from tqconv.errors import UnsupportedError

I32, I64 = np.int32, np.int64
WHOLE = [np.int8, np.uint8, np.int16, np.uint16, I32, np.uint32, I64, np.uint64]
ROWS = np.array([[1, 2, 2, 1, 2], [0, 5, -3, 0, 0]], np.float32)


def largest(x: Any, k: int, dtype: Any = I32) -> tuple[Any, Any]:
    """Return the k largest, equal ones in their order, and their places."""
    order = np.argsort(-x.astype(np.longdouble), axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(dtype)


@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_top_k_keeps_the_order_of_equal_elements(k: int) -> None:
    assert_op("TopKV2", [ROWS, np.array(k, I32)], largest(ROWS, k), constants=[1], sorted=True)
    assert_op("TopK", [ROWS], largest(ROWS, k), k=k)


def test_top_k_with_a_computed_k_and_wide_places() -> None:
    expected = largest(ROWS, 2, I64)
    assert_op("TopKV2", [ROWS, np.array(2, I32)], expected, index_type=I64, dynamic=True)


@pytest.mark.parametrize("dtype", WHOLE)
def test_top_k_of_every_type(dtype: Any) -> None:
    limits = np.iinfo(dtype)
    x = np.array([[3, limits.max, limits.min, limits.max - 1]], dtype)
    assert_op("TopKV2", [x, np.array(3, I32)], largest(x, 3), constants=[1])


@pytest.mark.parametrize("dtype", [np.float32, *WHOLE])
def test_unique_in_the_order_of_first_occurrence(dtype: Any) -> None:
    x = np.array([3, 1, 3, 7, 1, 3], dtype)
    distinct = np.array([3, 1, 7], dtype)
    places, counts = np.array([0, 1, 0, 2, 1, 0]), np.array([3, 2, 1])
    assert_op("Unique", [x], (distinct, places.astype(I32)), out_idx=I32)
    assert_op("UniqueV2", [x, np.zeros(0, I64)], (distinct, places), constants=[1], out_idx=I64)
    assert_op("UniqueWithCounts", [x], (distinct, places, counts), out_idx=I64, dynamic=True)
    operands = [x, np.zeros(1, I64)]
    want = distinct, places, counts
    assert_op("UniqueWithCountsV2", operands, want, constants=[1], out_idx=I64)


def test_distinct_rows_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="distinct slices"):
        assert_op("UniqueV2", [ROWS, np.array([0], I32)], (ROWS, ROWS), constants=[1])


@pytest.mark.parametrize("dtype", [np.float32, *WHOLE])
def test_list_difference(dtype: Any) -> None:
    x, y = np.array([1, 2, 3, 4, 3], dtype), np.array([2, 4], dtype)
    assert_op(
        "ListDiff", [x, y], (np.array([1, 3, 3], dtype), np.array([0, 2, 4], I64)), out_idx=I64
    )


@pytest.mark.parametrize("dtype", [np.float32, *WHOLE])
@pytest.mark.parametrize(("op", "side"), [("LowerBound", "left"), ("UpperBound", "right")])
def test_bounds_in_sorted_rows(op: str, side: Any, dtype: Any) -> None:
    top = 100 if dtype is np.float32 else np.iinfo(dtype).max
    rows = np.array([[1, 3, 3, top], [0, 0, 7, 9]], dtype)
    wanted = np.array([[3, top, 0], [0, 8, top]], dtype)
    expected = np.stack([np.searchsorted(r, w, side) for r, w in zip(rows, wanted, strict=True)])
    assert_op(op, [rows, wanted], expected.astype(I32), out_type=I32)
    assert_op(op, [rows, wanted], expected.astype(I64), out_type=I64)


@pytest.mark.parametrize("dtype", [np.float32, I32, I64])
def test_bucketize(dtype: Any) -> None:
    x = np.array([[-2, -1, 0], [1, 2, 9]], dtype)
    expected = np.digitize(x, [-1.0, 0.0, 2.0, 5.5]).astype(I32)
    assert_op("Bucketize", [x], expected, boundaries=[-1.0, 0.0, 2.0, 5.5])


def test_unravel_index() -> None:
    places = np.array([0, 59, 22], I32)
    expected = np.stack(np.unravel_index(places, (3, 4, 5))).astype(I32)
    assert_op("UnravelIndex", [places, np.array([3, 4, 5], I32)], expected, constants=[1])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("largest", [True, False])
def test_approximate_top_k_is_exact(axis: int, largest: bool) -> None:
    x = np.random.default_rng(0).permutation(60).reshape(3, 4, 5).astype(np.float32)
    order = np.argsort(-x if largest else x, axis).astype(np.int32)
    places = np.take(order, range(2), axis)
    wanted = np.take_along_axis(x, places, axis), places
    assert_op("ApproxTopK", [x], wanted, k=2, reduction_dimension=axis, is_max_k=largest)


def test_candidates_alone_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="candidates"):
        assert_op("ApproxTopK", [np.zeros((2, 8), np.float32)], 0, k=2, aggregate_to_topk=False)


@pytest.mark.parametrize("merges", [True, False])
@pytest.mark.parametrize("blank", [0, 2, -1])
@pytest.mark.parametrize("dynamic", [True, False])
def test_ctc_greedy_decoding(merges: bool, blank: int, dynamic: bool) -> None:
    """Follow the definition: row after row, step after step."""
    best = np.array([[1, 1, 0, 1, 2, 2, 3], [3, 3, 3, 3, 3, 3, 3], [0, 0, 2, 2, 0, 1, 1]])
    lengths = np.array([7, 0, 6], np.int32)
    scores = np.random.default_rng(0).uniform(-1, 1, (7, 3, 4)).astype(np.float32)
    for row, classes in enumerate(best):
        scores[range(7), row, classes] = 2 + np.arange(7) / 8
    places, values, score = [], [], np.zeros((3, 1), np.float32)
    for row, count in enumerate(lengths):
        said = 0
        for step in range(count):
            score[row] -= scores[step, row, best[row, step]]
            again = merges and step and best[row, step] == best[row, step - 1]
            if best[row, step] != blank % 4 and not again:
                places.append([row, said])
                values.append(best[row, step])
                said += 1
    shape = [3, max(place for _, place in places) + 1]
    wanted = *(np.array(v, np.int64) for v in (places, values, shape)), score
    flags = {"merge_repeated": merges, "blank_index": blank}
    assert_op("CTCGreedyDecoder", [scores, lengths], wanted, rtol=1e-6, dynamic=dynamic, **flags)
