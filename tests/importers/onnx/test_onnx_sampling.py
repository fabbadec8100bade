"""GridSample, and the operators that ONNX Runtime fuses."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node
from onnx.reference import ReferenceEvaluator

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


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
def test_cubic_grids(tmp_path: Path, padding: str, corners: int) -> None:
    told: dict[str, Any] = {"mode": "cubic", "padding_mode": padding, "align_corners": corners}
    feeds = {"x": X, "g": GRID}
    open_sizes = {"x": ["n", 3, "h", "w"], "g": ["n", "r", "s", 2]}
    want = on_wider_image(told) if padding == "border" else None
    for shapes in ({}, open_sizes):
        nodes = [node("GridSample", "x g", "y", **told)]
        model = network(nodes, feeds, ["y"], opset=20, shapes=shapes)
        assert_like_reference(model, tmp_path, feeds, want, rtol=1e-4)


def on_wider_image(told: dict[str, Any], margin: int = 9) -> list[np.ndarray]:
    """Return what PyTorch and onnxruntime read beyond the border: the outer elements, repeated.

    The reference evaluator moves the place itself to the border, so that all weights but one go.
    """
    wide = np.pad(X, [(0, 0), (0, 0), (margin, margin), (margin, margin)], mode="edge")
    shrunk = 1 if told["align_corners"] else 0
    sizes, wider = (np.array(x.shape[:1:-1], np.float32) - shrunk for x in (X, wide))
    half = 0.0 if shrunk else 0.5
    places = (GRID + 1) / 2 * sizes - half + margin
    grid = ((places + half) / wider * 2 - 1).astype(np.float32)
    one = node("GridSample", "x g", "y", **(told | {"padding_mode": "zeros"}))
    feeds = {"x": wide, "g": grid}
    return ReferenceEvaluator(network([one], feeds, ["y"], opset=20)).run(None, feeds)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grids_in_space(tmp_path: Path, mode: str, padding: str) -> None:
    grid = RNG.uniform(-1.3, 1.3, size=(2, 2, 3, 2, 3)).astype(np.float32)
    feeds = {"x": RNG.normal(size=(2, 2, 3, 4, 3)).astype(np.float32), "g": grid}
    told: dict[str, Any] = {"mode": mode, "padding_mode": padding}
    model = network([node("GridSample", "x g", "y", **told)], feeds, ["y"], opset=20)
    assert_like_reference(model, tmp_path, feeds, rtol=1e-4)


@pytest.mark.parametrize("opset", [10, 16])
@pytest.mark.parametrize("mode", ["avg", "max"])
def test_regions(tmp_path: Path, opset: int, mode: str) -> None:
    rois = np.array([[0.3, 0.5, 6.2, 5.1], [2, 1, 2.2, 7.9], [-3, -2, 20, 20]], np.float32)
    feeds = {"x": X, "r": rois, "i": np.array([1, 0, 1])}
    told = {"output_height": 3, "output_width": 2, "sampling_ratio": 2, "spatial_scale": 0.5}
    one = node("RoiAlign", "x r i", "y", mode=mode, **told)
    halves = {"coordinate_transformation_mode": "output_half_pixel" if opset < 16 else "half_pixel"}
    judge = node("RoiAlign", "x r i", "y", mode=mode, **told, **halves)
    want = ReferenceEvaluator(network([judge], feeds, ["y"], opset=16)).run(None, dict(feeds))
    assert_like_reference(network([one], feeds, ["y"], opset=opset), tmp_path, feeds, want, 1e-4)


def test_regions_of_their_own_sampling_are_refused(tmp_path: Path) -> None:
    feeds = {"x": X, "r": np.zeros((1, 4), np.float32), "i": np.array([0])}
    with pytest.raises(UnsupportedError, match="depends on the sizes of its regions"):
        load(network([node("RoiAlign", "x r i", "y")], feeds, ["y"]), tmp_path)


@pytest.mark.parametrize(("group", "offset_group"), [(1, 1), (2, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_deformed_convolution(tmp_path: Path, group: int, offset_group: int, masked: bool) -> None:
    shapes = {
        "x": (2, 4, 6, 7),
        "o": (2, offset_group * 12, 3, 6),
        "m": (2, offset_group * 6, 3, 6),
    }
    feeds = {n: RNG.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    feeds = feeds if masked else {n: feeds[n] for n in "xo"}
    constants = {
        "w": RNG.normal(size=(6, 4 // group, 2, 3)).astype(np.float32),
        "b": RNG.normal(size=6).astype(np.float32),
    }
    told: dict[str, Any] = {"group": group, "offset_group": offset_group, "strides": [2, 1]}
    told |= {"pads": [1, 0, 0, 1], "dilations": [2, 1]}
    nodes = [node("DeformConv", f"x w o b {'m' if masked else ''}", "y", **told)]
    model = network(nodes, feeds, ["y"], constants, opset=19)
    assert_like_reference(model, tmp_path, feeds, rtol=1e-4)


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


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_crops_in_parts_of_an_image(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(8)
    feeds = {"x": rng.normal(size=(2, 3, 6, 7)).astype(np.float32)}
    feeds["r"] = np.array([[0, 0, 1, 1], [0.2, 0.5, 0.8, -0.1]], np.float32)
    constants = {"b": np.array([1, 0], np.int32), "s": np.array([4, 3], np.int32)}
    told: dict[str, Any] = {"mode": mode, "extrapolation_value": 0.5}
    nodes = [node("CropAndResize", "x r b s", "y", "com.microsoft", **told)]
    want = np.full((2, 3, 4, 3), 0.5)
    for n, (image, box) in enumerate(zip(constants["b"], feeds["r"].astype(float), strict=True)):
        rows = 5 * (box[0] + (box[2] - box[0]) * np.arange(4) / 3)
        columns = 6 * (box[1] + (box[3] - box[1]) * np.arange(3) / 2)
        for (i, y), (j, x) in product(enumerate(rows), enumerate(columns)):
            if not (0 <= y <= 5 and 0 <= x <= 6):
                continue
            shares = [(0, 0, 1.0)]
            if mode == "bilinear":
                shares = [(p, q, abs(1 - p - y % 1) * abs(1 - q - x % 1)) for p, q in CORNERS]
            else:
                y, x = np.floor(y + 0.5), np.floor(x + 0.5)
            seen = feeds["x"][image]
            want[n, :, i, j] = sum(
                share * seen[:, min(int(y) + p, 5), min(int(x) + q, 6)] for p, q, share in shares
            )
    assert_like_reference(network(nodes, feeds, ["y"], constants), tmp_path, feeds, [want])


CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
