"""Integer borders of float models, inputs whose type is fixed, and sources that are integers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    from .conftest import Tqconv

MEAN_STD = ["--mean_values", "0", "--std_values", "255"]


def run(path: Path, image: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))


@pytest.fixture
def integers(tqconv: Tqconv, digits: Path, tmp_path: Path) -> Path:
    """Return the digits network on int8, with float borders."""
    target = tmp_path / "int8.tflite"
    words = ["--quantize", "int8", "--calibration_data", digits.with_name("calibration.npz")]
    result = tqconv("convert", digits, "-o", target, *words)
    assert result.code == 0, result.err
    return target


@pytest.mark.parametrize("mode", [[], ["--quantize", "float16"]])
@pytest.mark.parametrize(("type", "least"), [("QUANTIZED_UINT8", 0), ("INT8", -128)])
def test_a_float_model_takes_integers_that_are_dequantized(
    tqconv: Tqconv, digits: Path, tmp_path: Path, mode: list[str], type: str, least: int
) -> None:
    words = ["--inference_input_type", type, "--input_range", "image:0,1", *mode]
    whole, real = tmp_path / "whole.tflite", tmp_path / "real.tflite"
    result = tqconv("convert", digits, "-o", whole, *words)
    assert result.code == 0, result.err
    assert tqconv("convert", digits, "-o", real, *mode).code == 0
    pixels = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 1))
    stored = (pixels + least).astype(np.uint8 if least == 0 else np.int8)
    wanted = run(real, (pixels / 255).astype(np.float32))
    # One rounding of pixel / 255 to float32 differs: 1e-7 relative, through five layers.
    np.testing.assert_allclose(run(whole, stored), wanted, rtol=1e-5, atol=1e-6)


def test_old_command_lines_state_the_integers_by_mean_and_std(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    words = ["--inference_type=FLOAT", "--inference_input_type=QUANTIZED_UINT8", *MEAN_STD]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 0
    assert "  image  uint8  [1, 8, 8, 1]  scale 0.00392156" in result.out
    assert "no effect" not in result.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--inference_input_type", "UINT8"],
         "--inference_input_type UINT8 is for integer activations"),
        (["--inference_output_type", "INT8"],
         "--inference_output_type INT8 is for integer activations"),
        (["--quantize", "dynamic", "--inference_input_type", "INT8"],
         "in mode dynamic they stay as they are"),
        (["--quantize", "float16", "--inference_output_type", "INT8"],
         "in mode float16 they stay as they are"),
        (["--inference_input_type", "UINT8", "--input_range", "imagine:0,1"],
         "`imagine` is not an input of the model; did you mean `image`?"),
        (["--inference_input_type", "UINT8", "--mean_values=1,2"],
         "--mean_values and --std_values have 2 entries for 1 input"),
        (["--input_data_type", "QUANTIZED_UINT8"],
         "input `image` has type FLOAT32 in the graph, --input_data_types gives UINT8"),
        (["--input_data_type", "BOOL"], "--input_data_types gives BOOL"),
        (["--input_arrays", "conv1/Relu", "--input_data_type", "UINT8"],
         "input `conv1/Relu` has type FLOAT32 in the graph, --input_data_types gives UINT8"),
        (["--input_data_types", "FLOAT,FLOAT"], "separate types by `,`"),
        (["--input_arrays", "image:1"], "`image:1`: a placeholder has one output"),
        (["--output_arrays", "prob"], "did you mean `probabilities`?"),
        (["--output_arrays", "zzz"], "nobody reads probabilities"),
        (["-o", "-"], "`-o` is given twice"),
    ],
)  # fmt: skip
def test_borders_that_cannot_be_are_refused(
    tqconv: Tqconv, digits: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--inference_type", "FLOAT"], "it cannot become float"),
        (["--quantize", "dynamic"], "it cannot be quantized again as dynamic"),
        (["--quantize", "int8", "--calibration_random", "2"], "quantized again as int8"),
        (["--inference_input_type", "INT16"], "'image' is FLOAT32, and not to be INT16"),
        (["--input_data_type", "INT8"], "has type FLOAT32 in the file"),
        (["--output_arrays", "nope"], "its inputs are image; its outputs probabilities"),
        (["--input_shapes", "imagine=1,8,8,1"], "which is no input; did you mean `image`?"),
        (["--set_input", "image=1"], "--set_input is for graphs of TensorFlow"),
    ],
)
def test_what_a_quantized_file_cannot_become_is_refused(
    tqconv: Tqconv, integers: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    result = tqconv("convert", integers, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 2
    assert says in result.err
    assert not (tmp_path / "m.tflite").exists()


def test_a_quantized_file_takes_bytes(tqconv: Tqconv, integers: Path, tmp_path: Path) -> None:
    words = ["convert", integers, "-o", tmp_path / "m.tflite", "--inference_input_type", "UINT8"]
    found = tqconv(*words)
    assert (found.code, found.err) == (0, "")
    assert "  image  uint8  [1, 8, 8, 1]  scale 0.00" in found.out
    found = tqconv(*words, "--inference_output_type", "INT8")
    assert found.code == 2
    assert "output 'probabilities' is FLOAT32, and not to be INT8" in found.err


def test_a_quantized_file_is_written_anew(tqconv: Tqconv, integers: Path, tmp_path: Path) -> None:
    assert tqconv("convert", integers, "-o", tmp_path / "m.tflite").code == 0
