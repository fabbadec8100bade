"""`inspect MODEL OTHER`: two models side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from tests.cli.conftest import Tqconv
from tests.graph_text import parse
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model


def write(path: Path, text: str) -> Path:
    """Write a graph of tests as .tflite."""
    path.write_bytes(bytes(serialize(Model([parse(text)]))))
    return path


@pytest.fixture
def quantized(tqconv: Tqconv, digits: Path, tmp_path: Path) -> Path:
    """Return the digits network in int8."""
    target = tmp_path / "int8.tflite"
    data = digits.parent / "calibration.npz"
    words = ["--quantize", "int8", "--calibration_data", data, "--no_improve"]
    assert tqconv("convert", digits, "-o", target, *words).code == 0
    return target


def test_a_graph_and_its_conversion_are_the_same(
    tqconv: Tqconv, digits: Path, tflite: Path
) -> None:
    data = digits.parent / "calibration.npz"
    found = tqconv("inspect", digits, tflite, "--data", data, "--samples", 2)
    assert found.code == 0, found.err
    assert "operators that differ" not in found.out
    assert "parameters by name: 6 equal, 0 differ" in found.out
    assert "probabilities  equal  largest difference 0  cosine 1.000000" in found.out


def test_what_a_quantization_costs(tqconv: Tqconv, digits: Path, quantized: Path) -> None:
    data = digits.parent / "calibration.npz"
    found = tqconv("inspect", digits, quantized, "--data", data, "--samples", 4, "--json")
    document = json.loads(found.out)
    assert document["second"]["op_counts"]["QUANTIZE"] == 1
    kernel = next(p for p in document["parameters"] if p["name"] == "conv1/Conv2D/transpose")
    assert (kernel["first"], kernel["second"]) == ("float32", "int8")
    assert 40 < kernel["sqnr"] < 60  # eight bits per channel
    output = document["differences"][0]
    assert output["is_output"]
    assert 0.99 < output["cosine"] < 1
    assert output["samples"] == 4


def test_channels_that_stand_elsewhere_are_permuted(tqconv: Tqconv, tmp_path: Path) -> None:
    first = write(tmp_path / "a.tflite", "x: f32[1,2,4,4] -> y\ny = NEG(x)")
    second = write(tmp_path / "b.tflite", "image: f32[1,4,4,2] -> z\nz = NEG(image)")
    data = tmp_path / "data.npz"
    np.savez(data, x=np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4))
    found = tqconv("inspect", first, second, "--data", data)
    assert "y  equal" in found.out
    assert "input 'x', output 'y' permuted" in found.err


def test_an_onnx_model_is_computed_by_a_runtime_of_onnx(tqconv: Tqconv, tmp_path: Path) -> None:
    node = helper.make_node("Mul", ["x", "two"], ["y"])
    two = numpy_helper.from_array(np.float32(2), "two")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [3]) for n in "xy")
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(
        helper.make_graph([node], "g", [x], [y], [two]), opset_imports=opsets, ir_version=8
    )
    save(model, tmp_path / "m.onnx")
    other = write(tmp_path / "b.tflite", "x: f32[3] -> y\ny = MUL(x, 3.0)")
    data = tmp_path / "data.npz"
    np.savez(data, x=np.float32([1, 2, 4]))
    found = tqconv("inspect", tmp_path / "m.onnx", other, "--data", data)
    assert "y  6.0 dB  largest difference 4" in found.out  # an error of half: 20 * log10(2)
    assert "are those of onnx" in found.err


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("x: f32[4] -> y\ny = NEG(x)", "has shape [3], 'x' [4]"),
        ("x: f32[3], w: f32[3] -> y\ny = ADD(x, w)", "the first model has 1 input, the second 2"),
    ],
)
def test_models_that_cannot_be_compared(
    tqconv: Tqconv, tmp_path: Path, other: str, said: str
) -> None:
    first = write(tmp_path / "a.tflite", "x: f32[3] -> y\ny = NEG(x)")
    second = write(tmp_path / "b.tflite", other)
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros(3, np.float32))
    found = tqconv("inspect", first, second, "--data", data)
    assert found.code == 2
    assert said in found.err


def test_tables_are_of_one_model(tqconv: Tqconv, tflite: Path) -> None:
    assert "about one model" in tqconv("inspect", tflite, tflite, "--ops").err
    assert "--data compares two models" in tqconv("inspect", tflite, "--data", tflite).err
