"""Operators of ai.onnx.ml on numbers, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, network, node

X = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
ML = "ai.onnx.ml"
SIZES: dict[str, Any] = {
    "MAX": X.max(1, keepdims=True),
    "L1": np.abs(X).sum(1, keepdims=True),
    "L2": np.sqrt((X**2).sum(1, keepdims=True)),
}


@pytest.mark.parametrize("norm", SIZES)
def test_normalizer(tmp_path: Path, norm: str) -> None:
    model = network([node("Normalizer", "x", "y", ML, norm=norm)], {"x": X}, ["y"])
    assert_like_reference(model, tmp_path, {"x": X}, [X / SIZES[norm]])


def test_scaler(tmp_path: Path) -> None:
    offset, scale = [0.5, 1.0, -1.0, 0.0, 2.0], [2.0]
    model = network([node("Scaler", "x", "y", ML, offset=offset, scale=scale)], {"x": X}, ["y"])
    want = (X - np.array(offset, np.float32)) * np.float32(2)
    assert_like_reference(model, tmp_path, {"x": X}, [want])


def test_binarizer_and_features(tmp_path: Path) -> None:
    nodes = [
        node("Binarizer", "x", "z", ML, threshold=0.25),
        node("ArrayFeatureExtractor", "z i", "y", ML),
    ]
    model = network(nodes, {"x": X}, ["y"], {"i": np.array([[3, 0]])})
    assert_like_reference(model, tmp_path, {"x": X}, [(X > 0.25)[:, [3, 0]].astype(np.float32)])
