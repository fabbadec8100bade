"""Equal arrays are found, and sizes that differ cost no checksum."""

from __future__ import annotations

import numpy as np
import pytest

from tqconv.ir import arrays
from tqconv.ir.arrays import Shared, is_repeated, narrowed, repeated


def test_the_first_of_equal_arrays_is_found() -> None:
    shared = Shared()
    rows = [np.arange(4, dtype=np.int32), np.arange(1, 5, dtype=np.int32), np.zeros(4, np.float32)]
    for i, row in enumerate(rows):
        assert shared.find(row) is None
        shared.add(row, i)
    assert [shared.find(row.copy()) for row in rows] == [0, 1, 2]
    assert shared.find(np.zeros(4, np.int32)) == 2  # the same bytes


def test_sizes_that_differ_are_not_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    monkeypatch.setattr(arrays, "checksum", lambda array: hashed.append(array.size) or 0)
    shared = Shared()
    for size in (1, 2, 3, 3):
        shared.find(np.zeros(size))
        shared.add(np.zeros(size), size)
    assert hashed == [3, 3]


def test_checksums_do_not_depend_on_how_an_array_lies_in_memory() -> None:
    rng = np.random.default_rng(4)
    large = rng.integers(0, 9, (600, 70, 8)).astype(np.int16)
    turned = np.ascontiguousarray(large.transpose(2, 0, 1)).transpose(1, 2, 0)
    assert not turned.flags.c_contiguous
    other_type = large.reshape(-1).view(np.float32)
    assert {arrays.checksum(a) for a in (large, turned, other_type)} == {arrays.checksum(large)}
    zeros = arrays.repeated(0, (500, 1000), np.dtype(np.float32))
    assert arrays.checksum(zeros) == arrays.checksum(np.zeros(500_000, np.float32))


def test_arrays_that_differ_in_the_middle_are_told_apart() -> None:
    shared = Shared()
    first, second = np.zeros(500_000, np.int8), np.zeros(500_000, np.int8)
    second[250_000] = 1
    shared.find(first)
    shared.add(first, "first")
    assert shared.find(second) is None
    assert shared.find(first.copy()) == "first"


def test_what_is_finite_stays_finite_in_a_narrower_type() -> None:
    numbers = np.array([1e300, -1e300, np.inf, -np.inf, np.nan, 1e-300, 3])
    largest = np.finfo(np.float32).max
    expected = np.array([largest, -largest, np.inf, -np.inf, np.nan, 0, 3], np.float32)
    np.testing.assert_array_equal(narrowed(numbers, np.dtype(np.float32)), expected)
    mask = narrowed(repeated(-1e300, (1000, 1000), np.dtype(np.float64)), np.dtype(np.float32))
    assert is_repeated(mask)
    assert mask[0, 0] == -largest
