"""The sample models, whatever their format, give what their framework computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert

import tqconv

SAMPLES = Path(__file__).parents[1] / "sample_models"
NAMES = sorted(path.parent.name for path in SAMPLES.glob("*/case.json"))


def loaded(name: str) -> tuple[Path, dict[str, Any]]:
    folder = SAMPLES / name
    facts: dict[str, Any] = json.loads((folder / "case.json").read_text("utf-8"))
    return folder, facts


def only(path: Path) -> np.ndarray:
    """Return the array of a file that holds one."""
    with np.load(path) as archive:
        (name,) = archive.files
        return archive[name]


def probabilities(content: bytes, x: np.ndarray, is_open: bool) -> np.ndarray:
    """Run all samples: at once where the batch is open, else one by one."""
    parts = [x] if is_open else np.split(x, len(x))
    return np.concatenate([run_litert(content, [part])[0] for part in parts])


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_computes_what_its_framework_did(name: str) -> None:
    folder, facts = loaded(name)
    content = tqconv.convert(folder / facts["model"])
    assert isinstance(content, bytes)
    made = probabilities(content, only(folder / "inputs.npz"), facts["dynamic"])
    # float32 in another order of summation; fake quantization may round one step otherwise
    tolerance = 1 / 255 if name == "digits_qat" else 1e-5
    np.testing.assert_allclose(made, only(folder / "expected.npz"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["digits_forest", "digits_keras", "digits_rows"])
def test_an_int8_sample_knows_as_many_digits(name: str) -> None:
    """Of 300, three fewer at most: one standard error is two."""
    folder, facts = loaded(name)
    samples = only(folder / "calibration.npz")
    content = tqconv.convert(folder / facts["model"], quantize="int8", samples=samples)
    assert isinstance(content, bytes)
    with np.load(folder / "labels.npz") as labelled:
        features, labels = labelled["features"].astype(np.float32), labelled["labels"]
    right = probabilities(content, features, True).argmax(1) == labels
    assert right.mean() >= facts["accuracy_float"] - 0.01
