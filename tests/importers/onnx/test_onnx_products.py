"""Products of matrices and vectors, against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import assert_like_reference, network, node

F = np.float32
RNG = np.random.default_rng(31)


@pytest.mark.parametrize("fixed", [True, False], ids=["weights", "inputs"])
@pytest.mark.parametrize(
    ("left", "right"),
    [((4,), (4,)), ((4,), (4, 3)), ((2, 4), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,))],
    ids=str,
)
def test_a_vector_is_a_row_or_a_column(
    tmp_path: Path, left: tuple[int, ...], right: tuple[int, ...], fixed: bool
) -> None:
    x, w = RNG.normal(size=left).astype(F), RNG.normal(size=right).astype(F)
    feeds, constants = ({"x": x}, {"w": w}) if fixed else ({"x": x, "w": w}, {})
    model = network([node("MatMul", "x w", "y")], feeds, ["y"], constants)
    assert_like_reference(model, tmp_path, feeds, [np.asarray(x @ w)])
