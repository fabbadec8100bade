"""Equal arrays are found, and sizes that differ cost no checksum."""

from __future__ import annotations

import numpy as np
import pytest

from tqconv.ir import arrays
from tqconv.ir.arrays import Shared


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
