"""Ragged tensors, against lists of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

I32, I64, F32 = np.int32, np.int64, np.float32
LENGTHS = [[2, 0, 3, 1], [0, 0, 0], [4]]


def rows_of(lengths: list[int]) -> tuple[Any, Any, Any]:
    """Return values, splits and the number of each value's row."""
    values = np.arange(sum(lengths), dtype=F32) + 1
    splits = np.cumsum([0, *lengths]).astype(I64)
    return values, splits, np.repeat(np.arange(len(lengths)), lengths).astype(I64)


def dense(lengths: list[int], shape: tuple[int, int], default: Any, values: Any) -> Any:
    """Follow the definition; -1: as many as there are."""
    rows = shape[0] if shape[0] >= 0 else len(lengths)
    columns = shape[1] if shape[1] >= 0 else max(lengths)
    y = np.empty((rows, columns, *values.shape[1:]), values.dtype)
    y[:] = default
    start = 0
    for row, length in enumerate(lengths):
        for column in range(min(length, columns)):
            if row < rows:
                y[row, column] = values[start + column]
        start += length
    return y


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("shape", [(-1, 3), (-1, 2), (-1, 5), (2, 3), (6, 3)])
@pytest.mark.parametrize("kind", ["ROW_SPLITS", "VALUE_ROWIDS"])
@pytest.mark.parametrize("constants", [(0, 2), (0, 2, 3, 4), (2,)])
def test_rows_fill_a_tensor(
    lengths: list[int], shape: tuple[int, int], kind: str, constants: tuple[int, ...]
) -> None:
    values, splits, numbers = rows_of(lengths)
    first = [splits] if kind == "ROW_SPLITS" else [np.array(len(lengths), I64), numbers]
    operands = [np.array(shape, I64), values, np.array(-1, F32), *first]
    kinds = [kind] if kind == "ROW_SPLITS" else ["FIRST_DIM_SIZE", kind]
    if not sum(lengths) and 3 not in constants and kind == "VALUE_ROWIDS":
        pytest.skip("LiteRT's Python interface has no inputs without elements")
    if not sum(lengths):
        constants = (*constants, 1)
    assert_op(
        "RaggedTensorToTensor",
        operands,
        dense(lengths, shape, -1, values),
        constants=[c for c in constants if c < len(operands)],
        row_partition_types=kinds,
    )


def test_as_long_as_the_longest_row_with_a_default_row() -> None:
    _, splits, _ = rows_of([2, 0, 3])
    values = np.arange(10, dtype=F32).reshape(5, 2)
    default = np.array([7, 8], F32)
    assert_op(
        "RaggedTensorToTensor",
        [np.array(-1, I64), values, default, splits],
        dense([2, 0, 3], (-1, -1), default, values),
        constants=[0, 2],
        row_partition_types=["ROW_SPLITS"],
    )


def test_rows_of_rows() -> None:
    outer, inner = np.array([0, 2, 2, 3], I64), np.array([0, 1, 3, 6], I64)
    values = np.arange(6, dtype=F32) + 1
    y = np.zeros((3, 2, 4), F32)
    y[0, 0, :1], y[0, 1, :2], y[2, 0, :3] = [1], [2, 3], [4, 5, 6]
    assert_op(
        "RaggedTensorToTensor",
        [np.array([-1, -1, 4], I64), values, np.array(0, F32), outer, inner],
        y,
        constants=[0, 2],
        row_partition_types=["ROW_SPLITS", "ROW_SPLITS"],
    )


@pytest.mark.parametrize("constants", [(), (0,), (0, 2)])
def test_ranges_are_rows(constants: tuple[int, ...]) -> None:
    starts, limits, steps = (np.array(v, I32) for v in ([0, 5, 9], [4, 5, 2], [1, 2, -3]))
    rows = [np.arange(*r) for r in zip(starts, limits, steps, strict=True)]
    splits = np.cumsum([0, *map(len, rows)]).astype(I64)
    wanted = splits, np.concatenate(rows).astype(I32)
    assert_op("RaggedRange", [starts, limits, steps], wanted, constants=constants, Tsplits=I64)


def test_rows_from_0_on() -> None:
    limits = np.array([3, 0, 2], I32)
    wanted = np.array([0, 3, 3, 5], I64), np.array([0, 1, 2, 0, 1], I32)
    operands = [np.array(0, I32), limits, np.array(1, I32)]
    assert_op("RaggedRange", operands, wanted, constants=[0, 2], Tsplits=I64)


def test_some_rows() -> None:
    values, splits, _ = rows_of([2, 0, 3, 1])
    wanted = np.array([0, 3, 5, 5, 8], I64), np.array([3, 4, 5, 1, 2, 3, 4, 5], F32)
    operands = [splits, values, np.array([2, 0, 1, 2], I32)]
    assert_op("RaggedGather", operands, wanted, PARAMS_RAGGED_RANK=1)


def test_rows_as_a_sparse_tensor() -> None:
    values, splits, numbers = rows_of([2, 0, 3, 1])
    places = np.stack([numbers, [0, 1, 0, 1, 2, 0]], 1).astype(I64)
    wanted = places, values, np.array([4, 3], I64)
    assert_op("RaggedTensorToSparse", [splits, values], wanted)
