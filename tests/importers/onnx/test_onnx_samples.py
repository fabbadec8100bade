"""The trained ONNX samples: their values, their layout and their accuracy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert

import tqconv

SAMPLES = Path(__file__).parents[3] / "sample_models"
STEP = 1 / 256
"""What a pair of onnxruntime stores probabilities in, at most: uint8 over [0, 1]."""


def arrays(name: str, file: str) -> dict[str, np.ndarray]:
    with np.load(SAMPLES / name / file) as found:
        return dict(found)


def accuracy(content: bytes, name: str) -> float:
    labelled = arrays(name, "labels.npz")
    (scores,) = run_litert(content, {"image": (labelled["features"] / 16).astype(np.float32)})
    return float(np.mean(scores.argmax(axis=1) == labelled["labels"]))


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize(
    ("name", "tolerance"), [("digits_onnx", 2e-6), ("digits_onnx_qdq", 1e-6)], ids=["float", "qdq"]
)
def test_a_float_conversion_computes_what_onnxruntime_does(
    name: str, tolerance: float, delegate: bool
) -> None:
    """A dozen float32 roundings of probabilities; behind pairs, the same steps."""
    content = tqconv.convert(SAMPLES / name / "model.onnx")
    (got,) = run_litert(content, arrays(name, "inputs.npz"), delegate)
    want = arrays(name, "expected.npz")["probabilities"]
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance)


def test_no_transpose_but_that_of_the_shuffle_is_left(tmp_path: Path) -> None:
    report = tqconv.convert(SAMPLES / "digits_onnx" / "model.onnx", tmp_path / "m.tflite")
    counts = Counter(op.type for op in report.model.main.ops)
    assert counts["TRANSPOSE"] == 1
    assert counts["PAD"] == 0
    assert counts.total() == 21


def test_images_may_come_channels_last(tmp_path: Path) -> None:
    source = SAMPLES / "digits_onnx" / "model.onnx"
    report = tqconv.convert(source, tmp_path / "m.tflite", nhwc_io=True)
    assert report.model.main.inputs[0].shape == (None, 8, 8, 1)
    feeds = {"image": np.moveaxis(arrays("digits_onnx", "inputs.npz")["image"], 1, -1)}
    (got,) = run_litert((tmp_path / "m.tflite").read_bytes(), feeds)
    want = arrays("digits_onnx", "expected.npz")["probabilities"]
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6)


def test_a_quantized_network_keeps_its_accuracy_without_samples() -> None:
    content = tqconv.convert(SAMPLES / "digits_onnx_qdq" / "model.onnx", quantize="int8")
    assert accuracy(content, "digits_onnx_qdq") >= 0.98
    (got,) = run_litert(content, arrays("digits_onnx_qdq", "inputs.npz"))
    want = arrays("digits_onnx_qdq", "expected.npz")["probabilities"]
    np.testing.assert_allclose(got, want, rtol=0, atol=3 * STEP)
