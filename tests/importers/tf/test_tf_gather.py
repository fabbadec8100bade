"""Reading at computed places, and choosing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

from tqconv.errors import UnsupportedError

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
I32, I64 = np.int32, np.int64
PAIRS = np.array([[0, 2], [1, 1]], I32)
HITS = np.array([[0, 2, -1], [3, 4, 1]])
BITS = np.array([[True, False, True], [False, False, True]])


def hot(indices: Any, depth: int, on: Any, off: Any) -> Any:
    return np.where(indices[..., None] == np.arange(depth), on, off)


CASES: list[tuple[str, list[Any], Any, dict[str, Any]]] = [
    ("Gather", [X, np.array([1, 0], I64)], X[[1, 0]], {"validate_indices": True}),
    ("GatherV2", [X, PAIRS, np.array(-1, I64)], X[:, :, PAIRS], {"constants": [2]}),
    ("GatherV2", [X, np.array(2, I32), np.array(1, I32)], X[:, 2], {"constants": [1, 2]}),
    ("GatherV2", [X, np.array([2, 0], np.int16), np.array(1, I32)], X[:, [2, 0]],
     {"constants": [2]}),
    ("GatherV2", [X, PAIRS, np.array(2, I32)], np.stack([X[0][:, [0, 2]], X[1][:, [1, 1]]]),
     {"constants": [2], "batch_dims": 1}),
    ("GatherV2", [X, PAIRS, np.array(1, I32)], np.stack([X[0, [0, 2]], X[1, [1, 1]]]),
     {"constants": [2], "batch_dims": -1, "dynamic": True}),
    ("ResourceGather", [X, PAIRS[1]], X[[1, 1]], {"constants": [0], "dtype": np.float32}),
    ("ResourceGather", [X, PAIRS], np.stack([X[0, [0, 2]], X[1, [1, 1]]]),
     {"constants": [0], "batch_dims": 1, "dynamic": True}),
    ("ResourceGatherNd", [X, PAIRS], X[[0, 1], [2, 1]], {"constants": [0], "dtype": np.float32}),
    ("GatherNd", [X, PAIRS], X[[0, 1], [2, 1]], {}),
    ("GatherNd", [X, PAIRS.astype(I64)], X[[0, 1], [2, 1]], {"constants": [1]}),
    ("GatherNd", [X, np.zeros((3, 0), I32)], np.stack([X] * 3), {"constants": [1]}),
    ("GatherNd", [X[0], np.zeros((0, 2), I32)], np.zeros(0, np.float32), {}),
    ("SelectV2", [BITS[0], X[:, :, :3], X[:1, :1, :3]],
     np.where(BITS[0], X[:, :, :3], X[:1, :1, :3]), {}),
    ("Select", [BITS[:, 0], X, -X], np.where(BITS[:, :1, None], X, -X), {"dynamic": True}),
    ("Select", [BITS, X[:, :, 0], X[:, :, 1]], np.where(BITS, X[:, :, 0], X[:, :, 1]), {}),
    ("Select", [np.array(False), X, -X], -X, {}),
    ("Where", [BITS], np.argwhere(BITS), {"dynamic": True}),
    ("Where", [np.array([0, np.nan, -0.0, 2], np.float32)], np.array([[1], [3]]), {}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "operands", "expected", "more"), CASES)
def test_gathering_operators(
    op: str, operands: list[Any], expected: Any, more: dict[str, Any]
) -> None:
    assert_op(op, operands, expected, **more)


@pytest.mark.parametrize("index_type", [np.uint8, I32, I64])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_one_hot(index_type: Any, axis: int) -> None:
    indices = HITS.astype(index_type)
    operands = [indices, np.array(4, I32), np.float32(2.5), np.float32(-1)]
    expected = np.moveaxis(hot(indices, 4, np.float32(2.5), np.float32(-1)), -1, axis)
    assert_op("OneHot", operands, expected, constants=[1], axis=axis)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.uint32, I64, np.uint64, bool]
)
def test_values_of_every_type(dtype: Any) -> None:
    top = 1 if dtype is bool else np.iinfo(dtype).max
    x = (
        np.array([[1, 0], [0, top]]).astype(dtype)
        if dtype is bool
        else np.array([[1, 0], [0, top]], dtype)
    )
    on, off = x[1, 1], x[0, 1]
    assert_op("GatherV2", [x, np.array([1, 1], I32), np.array(0, I32)], x[[1, 1]], constants=[2])
    assert_op("GatherNd", [x, np.array([[1, 1]], I32)], x[[1], [1]])
    operands = [np.array([1, 0], I32), np.array(2, I32), on, off]
    assert_op("OneHot", operands, hot(np.array([1, 0]), 2, on, off), constants=[1])
    assert_op("SelectV2", [BITS[:, :2], x, off], np.where(BITS[:, :2], x, off))
    assert_op("Where", [x], np.argwhere(x))


def test_places_beside_the_tensor_are_not_zeroed_in_silence() -> None:
    with pytest.raises(UnsupportedError, match="bad_indices_policy"):
        assert_op("GatherNd", [X, PAIRS], X[[0, 1], [2, 1]], bad_indices_policy="IGNORE")
