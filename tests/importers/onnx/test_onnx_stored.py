"""Constants in forms that no array has: sparse, and reals of 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from networks import assert_like_reference, load, network, node
from onnx import helper, numpy_helper

from tqconv.errors import FormatError, UnsupportedError

F = np.float32
X = np.array([[1, -2, 3], [0.5, 4, -1]], F)
DENSE = np.zeros((3, 4), F)
DENSE.flat[[1, 6, 11]] = 2, -3, 5


def sparse(places: Any, dims: tuple[int, ...] = (3, 4), *, values: Any = (2, -3, 5)) -> Any:
    stored = numpy_helper.from_array(np.array(values, F), "w")
    return helper.make_sparse_tensor(stored, numpy_helper.from_array(np.array(places)), dims)


@pytest.mark.parametrize("places", [[1, 6, 11], [[0, 1], [1, 2], [2, 3]]], ids=["flat", "rows"])
@pytest.mark.parametrize("kept", ["attribute", "initializer"])
def test_a_sparse_constant_is_a_dense_one(tmp_path: Path, kept: str, places: Any) -> None:
    nodes = [node("MatMul", "x w", "y")]
    if kept == "attribute":
        nodes.insert(0, node("Constant", "", "w", sparse_value=sparse(places)))
    model = network(nodes, {"x": X}, ["y"])
    if kept == "initializer":
        model.graph.sparse_initializer.append(sparse(places))
    assert_like_reference(model, tmp_path, {"x": X}, [X @ DENSE])


@pytest.mark.parametrize(
    ("places", "dims"),
    [
        ([1, 6, 12], (3, 4)),
        ([1, 6], (3, 4)),
        ([[0, 1], [1, 2], [3, 3]], (3, 4)),
        ([1, 6, 11], (3, -4)),
        ([1, 6, 11], (1 << 20, 1 << 20)),
    ],
    ids=["beyond", "few", "beyond_row", "negative", "huge"],
)
def test_a_sparse_constant_that_does_not_fit_is_damaged(
    tmp_path: Path, places: Any, dims: tuple[int, ...]
) -> None:
    model = network([node("MatMul", "x w", "y")], {"x": X}, ["y"])
    model.graph.sparse_initializer.append(sparse(places, dims))
    with pytest.raises(FormatError, match="sparse constant"):
        load(model, tmp_path)


@pytest.mark.parametrize(
    "dtype",
    ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"],
)
def test_reals_of_eight_bits_are_read(tmp_path: Path, dtype: str) -> None:
    w = np.array([[1, -0.5], [2, 0.75], [-1.5, 4]]).astype(getattr(ml_dtypes, dtype))
    nodes = [node("Cast", "w", "f", to=onnx.TensorProto.FLOAT), node("MatMul", "x f", "y")]
    model = network(nodes, {"x": X}, ["y"], {"w": w}, opset=19)
    assert_like_reference(model, tmp_path, {"x": X}, [X @ w.astype(F)])


def test_nothing_is_rounded_to_eight_bits(tmp_path: Path) -> None:
    nodes = [node("Cast", "x", "q", to=onnx.TensorProto.FLOAT8E5M2)]
    nodes += [node("Cast", "q", "y", to=onnx.TensorProto.FLOAT)]
    with pytest.raises(UnsupportedError, match="FLOAT8E5M2 is not supported"):
        load(network(nodes, {"x": X}, ["y"], opset=19), tmp_path)
