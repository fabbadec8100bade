"""Writing to computed places; taking apart and together by them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

X = np.arange(12, dtype=np.float32).reshape(4, 3)
I32, I64 = np.int32, np.int64
ROWS = np.array([[0], [2], [0]], I32)
CELLS = np.array([[0, 1], [3, 2], [0, 1]], I64)
UPDATES = np.array([[9, -1, 5], [7, 8, 20], [-4, 2, 6]], np.float32)


def scattered(x: Any, indices: Any, updates: Any, combine: Any) -> Any:
    y = x.copy()
    for place, update in zip(indices, updates, strict=True):
        y[tuple(place)] = combine(y[tuple(place)], update)
    return y


COMBINE = {
    "TensorScatterUpdate": lambda old, new: new,
    "TensorScatterAdd": np.add,
    "ScatterNdNonAliasingAdd": np.add,
    "TensorScatterSub": np.subtract,
    "TensorScatterMax": np.maximum,
    "TensorScatterMin": np.minimum,
}


@pytest.mark.parametrize("constants", [(), (1,)])
@pytest.mark.parametrize("op", COMBINE)
def test_updates_of_one_place_follow_each_other(op: str, constants: tuple[int, ...]) -> None:
    expected = scattered(X, ROWS, UPDATES, COMBINE[op])
    assert_op(op, [X, ROWS, UPDATES], expected, constants=constants)


@pytest.mark.parametrize("op", COMBINE)
def test_a_vector_of_unknown_length_is_written_to(op: str) -> None:
    x, updates = np.arange(5, dtype=np.float32), UPDATES[:, 0]
    expected = scattered(x, ROWS, updates, COMBINE[op])
    assert_op(op, [x, ROWS, updates], expected, constants=[1], dynamic=True)


@pytest.mark.parametrize("op", COMBINE)
def test_coordinates_of_single_elements(op: str) -> None:
    expected = scattered(X, CELLS, UPDATES[0], COMBINE[op])
    assert_op(op, [X, CELLS, UPDATES[0]], expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, I32, np.uint32, I64, np.uint64])
@pytest.mark.parametrize("op", COMBINE)
def test_integers_of_every_type(op: str, dtype: Any) -> None:
    top = np.iinfo(dtype).max
    x = np.array([0, top, 5, 7], dtype)
    updates = np.array([top, 1, 3], dtype)
    with np.errstate(over="ignore"):
        expected = scattered(x, ROWS, updates, COMBINE[op])
    assert_op(op, [x, ROWS, updates], expected)


def test_no_update_leaves_the_tensor_as_it_is() -> None:
    none, rows = np.zeros((0, 1), I32), np.zeros((0, 3), np.float32)
    assert_op("TensorScatterUpdate", [X, none, rows], X)


@pytest.mark.parametrize("shape", [np.array([4, 3], I32), np.array([4, 3], I64)])
def test_scatter_nd_adds_up(shape: Any) -> None:
    expected = scattered(np.zeros_like(X), CELLS, UPDATES[0], np.add)
    assert_op("ScatterNd", [CELLS.astype(shape.dtype), UPDATES[0], shape], expected)


@pytest.mark.parametrize("rank", [1, 2, 4, 5, 6])
def test_sparse_to_dense_of_every_rank(rank: int) -> None:
    sizes = (3, 2, 2, 1, 2, 2)[:rank]
    places = np.array([[0] * rank, [2, *(s - 1 for s in sizes[1:])]], I64)
    expected = np.full(sizes, -1, np.float32)
    expected[tuple(places.T)] = 5, 6
    operands = [places, np.array(sizes, I64), np.array([5, 6], np.float32), np.float32(-1)]
    assert_op("SparseToDense", operands, expected, constants=[1], validate_indices=True)


@pytest.mark.parametrize("dynamic", [False, True])
def test_partition_and_stitch_undo_each_other(dynamic: bool) -> None:
    parts = np.array([1, 0, 1, 2], I32)
    wanted = tuple(X[parts == i] for i in range(3))
    assert_op(
        "DynamicPartition", [X[:, 0], parts], tuple(w[:, 0] for w in wanted), num_partitions=3
    )
    if not dynamic:
        assert_op("DynamicPartition", [X, parts], wanted, num_partitions=3)
    places = [np.flatnonzero(parts == i).astype(I32) for i in range(3)]
    assert_op("DynamicStitch", [*places, *wanted], X, constants=() if dynamic else (0, 1, 2))


def test_the_last_row_of_a_place_is_stitched() -> None:
    first, second = np.array([0, 2], I32), np.array([1, 0], I32)
    expected = np.array([X[3], X[2], X[1]])
    assert_op("ParallelDynamicStitch", [first, second, X[:2], X[2:]], expected)


def test_complex_updates_add_up() -> None:
    updates = np.array([1 + 2j, 3, -1j], np.complex64)
    expected = np.array([1 + 1j, 0, 3, 0], np.complex64)
    assert_op("ScatterNd", [ROWS, updates, np.array([4], I32)], expected)
    x = np.array([1, 2, 3, 4j], np.complex64)
    assert_op("TensorScatterSub", [x, ROWS, updates], x - expected)
