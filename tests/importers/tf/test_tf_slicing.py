"""Slices: every mask, constant and computed bounds, every rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op

X = np.arange(105, dtype=np.float32).reshape(5, 7, 3)
I32, I64 = np.int32, np.int64


def spec(*entries: Any, dtype: Any = I32) -> tuple[list[Any], dict[str, int]]:
    """Return the operands and the masks of an index, as TensorFlow's front end makes them."""
    begin, end, strides = [], [], []
    masks = dict.fromkeys(("begin", "end", "ellipsis", "new_axis", "shrink_axis"), 0)
    for i, entry in enumerate(entries):
        first, last, step = 0, 0, 1
        if entry is Ellipsis or entry is None:
            masks["ellipsis" if entry is Ellipsis else "new_axis"] |= 1 << i
        elif isinstance(entry, slice):
            masks["begin"] |= (entry.start is None) << i
            masks["end"] |= (entry.stop is None) << i
            first, last, step = entry.start or 0, entry.stop or 0, entry.step or 1
        else:
            masks["shrink_axis"] |= 1 << i
            first, last = entry, entry + 1
        begin, end, strides = [*begin, first], [*end, last], [*strides, step]
    vectors = [np.array(v, dtype) for v in (begin, end, strides)]
    return vectors, {f"{name}_mask": bits for name, bits in masks.items()}


INDICES: list[tuple[Any, ...]] = [
    (slice(1, 4), slice(None, None, 2)),
    (slice(None, None, -1), slice(5, 1, -2)),
    (slice(-100, 100, 3), slice(5, -100, -2)),
    (2, -1),
    (0, slice(None), -3),
    (Ellipsis, 1),
    (slice(1, None), Ellipsis),
    (None, slice(None), None, Ellipsis, None),
    (None, 1, Ellipsis, None, slice(None, None, -1)),
    (slice(None), slice(0, 7)),
    (slice(3, 1),),
    (1, 2, 0),
    (Ellipsis, 1, slice(2, 5), 0),
    (slice(1, 4), Ellipsis, 2, slice(None)),
    (1, None, 2, Ellipsis, slice(1, None)),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_strided_slice_with_constant_bounds(index: tuple[Any, ...], dynamic: bool) -> None:
    bounds, masks = spec(*index, dtype=I64)
    assert_op("StridedSlice", [X, *bounds], X[index], constants=[1, 2, 3], dynamic=dynamic, **masks)


# LiteRT's Python interface cannot read an empty tensor whose size was computed.
@pytest.mark.parametrize("index", [i for i in INDICES if X[i].size], ids=str)
def test_strided_slice_with_computed_begins(index: tuple[Any, ...]) -> None:
    bounds, masks = spec(*index)
    assert_op("StridedSlice", [X, *bounds], X[index], constants=[3], **masks)


def test_bounds_beyond_int32_mean_to_the_end() -> None:
    bounds = [np.array([v], I64) for v in (1, 2**63 - 1, 2)]
    assert_op("StridedSlice", [X, *bounds], X[1::2], constants=[1, 2, 3])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.uint32, I64, bool])
def test_strided_slice_of_every_type(dtype: Any) -> None:
    x = (X % 100).astype(dtype)
    bounds, masks = spec(slice(None, None, -2), 1)
    assert_op("StridedSlice", [x, *bounds], x[::-2, 1], constants=[1, 2, 3], **masks)


@pytest.mark.parametrize("rank", range(1, 8))
def test_strided_slice_of_every_rank(rank: int) -> None:
    shape = (2, 3, 1, 2, 2, 3, 2)[:rank]
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    index = (slice(None, None, -1),) * rank
    bounds, masks = spec(*index)
    assert_op("StridedSlice", [x, *bounds], x[index], constants=[1, 2, 3], **masks)


def test_an_update_of_a_slice() -> None:
    value = np.array([[-1, -2, -3]], np.float32)
    bounds, masks = spec(slice(1, 4, 2), slice(-2, None))
    expected = X.copy()
    expected[1:4:2, -2:] = value
    operands = [X, *bounds, value]
    assert_op("TensorStridedSliceUpdate", operands, expected, constants=[1, 2, 3], **masks)


@pytest.mark.parametrize("constants", [(1, 2), (2,), (1,), ()])
def test_slice(constants: tuple[int, ...]) -> None:
    begin, size = np.array([1, 2, 0], I64), np.array([-1, 3, 2], I64)
    assert_op("Slice", [X, begin, size], X[1:, 2:5, :2], constants=constants)


@pytest.mark.parametrize("start", [[1, 2], [9, -3]])
def test_a_slice_that_begins_anywhere_stays_within(start: list[int]) -> None:
    """XLA moves one that would reach beyond the end, or begin before the first element."""
    x = X[:, :, 0] if X.ndim == 3 else X
    sizes = np.array([2, 2], np.int32)
    begin = np.clip(start, 0, np.array(x.shape) - sizes)
    place = tuple(slice(b, b + s) for b, s in zip(begin, sizes, strict=True))
    given = np.array(start, np.int32)
    assert_op("XlaDynamicSlice", [x, given, sizes], x[place], constants=[2])
    value = -np.ones((2, 2), np.float32)
    expected = x.copy()
    expected[place] = value
    assert_op("XlaDynamicUpdateSlice", [x, value, given], expected)
