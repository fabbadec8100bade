"""Operators of each element by itself, in the types that ONNX allows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, network, node


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.float32])
def test_integers_shrink_by_reals(tmp_path: Path, dtype: Any) -> None:
    x = np.arange(-6, 7).astype(dtype)
    moved = np.where(x < -1.5, x + 1.25, np.where(x > 1.5, x - 1.25, 0))
    model = network([node("Shrink", "x", "y", lambd=1.5, bias=1.25)], {"x": x}, ["y"])
    assert_like_reference(model, tmp_path, {"x": x}, [moved.astype(dtype)])
