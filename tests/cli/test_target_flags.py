"""`--target`: what `inspect` says of a device, and where `convert` fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Tqconv
from tests.graph_text import parse
from tqconv.api import save
from tqconv.ir.graph import Model

BORDERS = ["--inference_input_type", "INT8", "--inference_output_type", "INT8"]


def test_convert_fails_where_the_target_does_not_run_the_result(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.tflite"
    words = ["convert", digits, "-o", target, "--quantize", "int8", "--target", "ethos-u55"]
    words += ["--calibration_data", digits.parent / "calibration.npz"]
    found = tqconv(*words)
    assert found.code == 7
    assert "1 QUANTIZE (float32 data)" in found.err
    assert " ".join(BORDERS) in found.err
    heading = "error: not all of the result runs on ethos-u55 (Arm Ethos-U55)"
    assert found.err.startswith(f"{heading}\n  ")
    assert not target.exists()
    found = tqconv(*words, "--allow_fallback")
    assert found.code == 0
    assert "target ethos-u55: 5 of 8 operators run on it" in found.err  # SOFTMAX computes reals
    target.unlink()
    assert tqconv(*words, *BORDERS).code == 0  # as the hint says
    assert target.exists()


@pytest.mark.parametrize(
    "words", [["--target", "ethos-u5"], ["--allow_fallback"]], ids=["misspelt", "without a target"]
)
def test_a_wrong_target_is_said_before_any_work(
    tqconv: Tqconv, digits: Path, tmp_path: Path, words: list[str]
) -> None:
    target = tmp_path / "m.tflite"
    assert tqconv("convert", digits, "-o", target, *words).code == 2
    assert not target.exists()


def test_convert_chooses_forms_that_a_release_takes(tqconv: Tqconv, tmp_path: Path) -> None:
    source, target = tmp_path / "gelu.tflite", tmp_path / "m.tflite"
    save(Model([parse("x: f32[2,3] -> y\ny = GELU(x)")]), source)
    found = tqconv("convert", source, "-o", target, "--target", "tflite-2.8")
    assert found.code == 0, found.err
    assert "note: target tflite-2.8: 1 operator in an older form" in found.err
    assert "GELU" not in tqconv("inspect", target).out
    assert tqconv("convert", source, "-o", target, "--target", "tflite-2.9").code == 0
    assert "GELU" in tqconv("inspect", target).out
    answer = json.loads(tqconv("inspect", target, "--target", "tflite-2.8", "--json").out)
    assert not answer["target"]["runs"]  # a .tflite is judged as it is


def test_inspect_says_what_runs_on_a_target(tqconv: Tqconv, digits: Path) -> None:
    found = tqconv("inspect", digits, "--target", "edgetpu")
    assert found.code == 0
    assert "target edgetpu (Google Edge TPU): 0 of 6 operators run on it" in found.out
    assert "mended by: --quantize int8 --integer_only" in found.out
    answer = json.loads(tqconv("inspect", digits, "--target", "tflm", "--json").out)["target"]
    assert (answer["runs"], answer["operators"], answer["on_target"]) == (True, 6, 6)
