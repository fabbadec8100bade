"""Sparse tensors: other shapes, and rows that lack elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from graphs import (
    assert_close,
    assert_op,
    const,
    graph,
    model_of,
    node,
    one_op,
    placeholder,
    results,
)

from tqconv.errors import UnsupportedError

I32, I64, F32 = np.int32, np.int64, np.float32
SHAPE = (4, 3, 2)
PLACES = np.array([[0, 2, 1], [1, 0, 0], [3, 1, 1], [3, 2, 0]], I64)


def reshaped(places: np.ndarray, shape: Sequence[int], wanted: Sequence[int]) -> Any:
    new = np.empty(shape).reshape(wanted).shape
    flat = np.ravel_multi_index(tuple(places.T), tuple(shape))
    return np.stack(np.unravel_index(flat, new), 1).astype(I64), np.array(new, I64)


def filled(places: np.ndarray, values: np.ndarray, rows: int, default: Any) -> Any:
    """Follow the definition: row after row, the default where there is nothing."""
    new_places: list[list[int]] = []
    new_values: list[Any] = []
    now = np.zeros(len(places), I64)
    empty = np.zeros(rows, np.bool_)
    for row in range(rows):
        found = [i for i, place in enumerate(places) if place[0] == row]
        empty[row] = not found
        for i in found:
            now[i] = len(new_places)
            new_places.append(list(places[i]))
            new_values.append(values[i])
        if not found:
            new_places.append([row] + [0] * (places.shape[1] - 1))
            new_values.append(default)
    return np.array(new_places, I64), np.array(new_values, values.dtype), empty, now


@pytest.mark.parametrize("wanted", [(4, 3, 2), (4, 6), (12, 2), (24,), (2, 3, 2, 2)])
@pytest.mark.parametrize("unknown", [None, 0, -1])
@pytest.mark.parametrize("constants", [(1, 2), (1,), (2,), ()])
def test_places_in_another_shape(
    wanted: tuple[int, ...], unknown: int | None, constants: tuple[int, ...]
) -> None:
    given = np.array(wanted, I64)
    if unknown is not None:
        given[unknown] = -1
    operands = [PLACES, np.array(SHAPE, I64), given]
    assert_op("SparseReshape", operands, reshaped(PLACES, SHAPE, wanted), constants=constants)


def test_the_same_shape_keeps_the_places() -> None:
    operands = [PLACES, np.array(SHAPE, I64), np.array([4, -1, 2], I64)]
    message, feeds = one_op("SparseReshape", *operands, constants=[1, 2])
    types = [op.type for op in model_of(message, ["y"], feeds).main.ops]
    assert types == ["RESHAPE"]  # an output is a copy of the input


@pytest.mark.parametrize(
    "places",
    [
        [[0, 1], [2, 0], [2, 3], [4, 1]],
        [[2, 3], [0, 1], [4, 1], [2, 0]],
        [[0, 1], [1, 0], [2, 3], [3, 1], [4, 4]],
        [[3, 1], [3, 0], [3, 0]],
    ],
)
@pytest.mark.parametrize("dtype", [I32, I64, F32, np.bool_])
@pytest.mark.parametrize("constants", [(2, 3), (2,), ()])
def test_rows_without_elements_get_one(
    places: list[list[int]], dtype: Any, constants: tuple[int, ...]
) -> None:
    where = np.array(places, I64)
    values = np.arange(2, 2 + len(places)).astype(dtype)
    default = np.array(0, dtype)
    operands = [where, values, np.array([5, 6], I64), default]
    assert_op(
        "SparseFillEmptyRows", operands, filled(where, values, 5, default), constants=constants
    )


@pytest.mark.parametrize("count", [0, 1, 4])
def test_any_number_of_elements(count: int) -> None:
    places, values = PLACES[:count], np.array([3, 1, 4, 1], F32)[:count]
    message = graph(
        placeholder("places", I64, (None, 3)),
        placeholder("values", F32, (None,)),
        const("shape", np.array(SHAPE, I64)),
        const("wanted", np.array([-1, 2], I64)),
        const("default", np.array(-2.5, F32)),
        node("y", "SparseReshape", "places", "shape", "wanted"),
        node("z", "SparseFillEmptyRows", "y", "values", "y:1", "default"),
    )
    flat, shape = reshaped(places, SHAPE, (12, 2))
    wanted = [flat, shape, *filled(flat, values, 12, -2.5)]
    names = ["y", "y:1", "z", "z:1", "z:2", "z:3"]
    for measured in results(message, {"places": places, "values": values}, names):
        for have, want in zip(measured, wanted, strict=True):
            assert_close(have, want)


def test_filling_up_strings_says_why_not() -> None:
    operands = [PLACES, np.array([b"a"] * 4, object), np.array(SHAPE, I64), np.array(b"", object)]
    with pytest.raises(UnsupportedError, match="strings"):
        model_of(one_op("SparseFillEmptyRows", *operands)[0], ["y"])
