"""`--nhwc_io`: images at the borders are channels last, everything else stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from networks import network, node

import tqconv
from tqconv.config import CalibrateOptions, LoadOptions, QuantizeOptions

F = np.float32
RNG = np.random.default_rng(5)
FEEDS = {
    "image": RNG.normal(size=(1, 3, 6, 5)).astype(F),
    "mask": RNG.normal(size=(1, 2, 4, 4)).astype(F),
    "scale": RNG.normal(size=(1, 3, 1, 1)).astype(F),
}
ROUNDING = 2e-6
"""A dozen float32 roundings of numbers around 1."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An image that is scaled and convolved, and scores of attention, which have four axes, too."""
    nodes = [
        node("Mul", "image scale", "scaled"),
        node("Conv", "scaled w", "convolved", pads=[1, 1, 1, 1]),
        node("Relu", "convolved", "features"),
        node("Softmax", "mask", "weights", axis=-1),
    ]
    w = RNG.normal(size=(4, 3, 3, 3)).astype(F)
    model = network(nodes, FEEDS, ["features", "weights"], {"w": w})
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_images_are_turned_and_scores_are_not(path: Path, tmp_path: Path) -> None:
    model = tqconv.convert(path, tmp_path / "m.tflite", nhwc_io=True).model.main
    assert {t.name: t.shape for t in (*model.inputs, *model.outputs)} == {
        "image": (1, 6, 5, 3),
        "mask": (1, 2, 4, 4),
        "scale": (1, 1, 1, 3),
        "features": (1, 6, 5, 4),
        "weights": (1, 2, 4, 4),
    }
    assert [op.type for op in model.ops] == ["MUL", "CONV_2D", "SOFTMAX"]
    feeds = {n: a if n == "mask" else a.transpose(0, 2, 3, 1) for n, a in FEEDS.items()}
    features, weights = run_litert(tqconv.convert(path), FEEDS)
    turned, same = run_litert((tmp_path / "m.tflite").read_bytes(), feeds)
    np.testing.assert_allclose(turned.transpose(0, 3, 1, 2), features, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(same, weights, rtol=0, atol=ROUNDING)


def test_a_note_says_what_is_channels_last(path: Path, tmp_path: Path) -> None:
    report = tqconv.convert(path, tmp_path / "m.tflite", nhwc_io=True)
    said = [note for note in report.notes if note.startswith("--nhwc_io")]
    assert said == [
        "--nhwc_io: channels last: image: float32[1,6,5,3], scale: float32[1,1,1,3], "
        "features: float32[1,6,5,4]"
    ]


def test_without_images_nothing_changes(path: Path, tmp_path: Path) -> None:
    named = {"inputs": ("mask",), "outputs": ("weights",)}
    report = tqconv.convert(path, tmp_path / "m.tflite", nhwc_io=True, **named)
    assert "--nhwc_io: no input or output is an image" in report.notes
    assert report.model.main.inputs[0].shape == (1, 2, 4, 4)


def test_samples_of_a_calibration_are_channels_last(path: Path, tmp_path: Path) -> None:
    cut = {"inputs": ("image",), "outputs": ("features",), "values": {"scale": "1"}}
    samples = tmp_path / "samples.npz"
    np.savez(samples, image=RNG.uniform(0, 1, (4, 6, 5, 3)).astype(F))
    report = tqconv.convert(
        path,
        tmp_path / "m.tflite",
        nhwc_io=True,
        quantize="int8",
        calibration_data=str(samples),
        **cut,
    )
    assert report.model.main.inputs[0].shape == (1, 6, 5, 3)
    ranges = tmp_path / "ranges.json"
    tqconv.calibrate(
        path,
        ranges,
        CalibrateOptions(
            LoadOptions(nhwc_io=True, **cut), QuantizeOptions(calibration_data=str(samples))
        ),
    )
    measured = [entry["name"] for entry in json.loads(ranges.read_text())["tensors"]]
    assert measured == ["image", "features"]
