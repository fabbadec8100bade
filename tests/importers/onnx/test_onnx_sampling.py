"""GridSample, and the operators that ONNX Runtime fuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node

from tqconv.errors import UnsupportedError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
GRID = RNG.uniform(-1.5, 1.5, size=(2, 3, 6, 2)).astype(np.float32)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_images_are_read_on_a_grid(tmp_path: Path, mode: str, padding: str, corners: int) -> None:
    told: dict[str, Any] = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    model = network([node("GridSample", "x g", "y", **told)], {"x": X, "g": GRID}, ["y"], opset=20)
    assert_like_reference(model, tmp_path, {"x": X, "g": GRID}, rtol=1e-4)


def test_cubic_grids_are_refused(tmp_path: Path) -> None:
    one = node("GridSample", "x g", "y", mode="bicubic")
    with pytest.raises(UnsupportedError, match="mode `bicubic`"):
        load(network([one], {"x": X, "g": GRID}, ["y"]), tmp_path)


def test_fused_convolution(tmp_path: Path) -> None:
    constants = {
        "w": RNG.normal(size=(3, 3, 3, 3)).astype(np.float32),
        "b": RNG.normal(size=3).astype(np.float32),
    }
    told: dict[str, Any] = {"pads": [1, 1, 1, 1]}
    clip = {"activation": "LeakyRelu", "activation_params": [0.2]}
    fused = node("FusedConv", "x w b x", "y", domain="com.microsoft", **told, **clip)
    plain = [
        node("Conv", "x w b", "c", **told),
        node("Add", "c x", "s"),
        node("LeakyRelu", "s", "y", alpha=0.2),
    ]
    check(tmp_path, fused, plain, constants)


def test_fused_products(tmp_path: Path) -> None:
    w = {"w": RNG.normal(size=(2, 3, 6, 5)).astype(np.float32)}
    told: dict[str, Any] = {"alpha": 0.5, "transB": 1}
    fused = node("FusedMatMul", "x w", "y", domain="com.microsoft", **told)
    plain = [
        node("Transpose", "w", "t", perm=[0, 1, 3, 2]),
        node("MatMul", "x t", "p"),
        node("Mul", "p half", "y"),
    ]
    check(tmp_path, fused, plain, w | {"half": np.array(0.5, np.float32)})


def check(folder: Path, fused: Any, plain: list[Any], constants: dict[str, Any]) -> None:
    from onnx.reference import ReferenceEvaluator

    want = ReferenceEvaluator(network(plain, {"x": X}, ["y"], constants)).run(None, {"x": X})
    read = {name: a for name, a in constants.items() if name in fused.input}
    assert_like_reference(network([fused], {"x": X}, ["y"], read), folder, {"x": X}, want)
