"""A file that is quantized already: it is written again as it is, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

import tqconv
from tqconv.cli.main import main
from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model, Tensor
from tqconv.jobs import quantize


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dense layer in int8, with integers at both ends."""
    model = Model([parse("x: f32[2,8] -> y\ny = FULLY_CONNECTED(x, f32[4,8], f32[4])")])
    options = QuantizeOptions(
        mode="int8", random=4, improve=False, input_type="int8", output_type="int8"
    )
    quantize.quantize(model, options)
    path = tmp_path_factory.mktemp("quantized") / "dense_int8.tflite"
    tqconv.save(model, path)
    return path


def run(*words: str | Path) -> int:
    return main([str(w) for w in words])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--quantize int16x8", "cannot be quantized again as int16x8"),
        ("--quantize dynamic", "cannot be quantized again as dynamic"),
        ("--quantize float16", "cannot be quantized again as float16"),
        ("--inference_type FLOAT", "cannot become float"),
        ("--inference_input_type INT16", "  input 'x' is INT8, and not to be INT16"),
        ("--inference_output_type INT16", "  output 'y' is INT8, and not to be INT16"),
    ],
)
def test_what_a_quantized_file_cannot_become_is_said(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, said: str
) -> None:
    target = tmp_path / "made.tflite"
    assert run("convert", source, "-o", target, *flags.split()) == 2
    assert said in capsys.readouterr().err
    assert not target.exists()


def test_a_quantized_file_is_written_as_it_is(source: Path, tmp_path: Path) -> None:
    assert run("convert", source, "-o", tmp_path / "made.tflite") == 0
    before, after = tqconv.load(source).main, tqconv.load(tmp_path / "made.tflite").main
    assert [op.type for op in after.ops] == [op.type for op in before.ops]
    for old, new in zip(before.tensors(), after.tensors(), strict=True):
        assert old.means(new)
        assert old.data is None or np.array_equal(old.data, new.data)


def reals(tensor: Tensor, stored: np.ndarray) -> np.ndarray:
    """Return what integers of a tensor stand for, as LiteRT computes it."""
    assert tensor.quant is not None
    shifted = (stored.astype(np.int32) - int(tensor.quant.zero_point[0])).astype(np.float32)
    return shifted * np.float32(tensor.quant.scale[0])


TYPES = ("int8", "uint8", "float32")


@pytest.mark.parametrize("first", TYPES)
@pytest.mark.parametrize("then", TYPES)
def test_borders_of_a_quantized_file_change_their_types(
    source: Path, tmp_path: Path, first: str, then: str
) -> None:
    words = ["--inference_input_type", first, "--inference_output_type", first]
    assert run("convert", source, "-o", tmp_path / "first.tflite", *words) == 0
    words = ["--inference_input_type", then, "--inference_output_type", then]
    assert run("convert", tmp_path / "first.tflite", "-o", tmp_path / "then.tflite", *words) == 0
    before, after = tqconv.load(source).main, tqconv.load(tmp_path / "then.tflite").main
    assert [t.name for t in (*after.inputs, *after.outputs)] == ["x", "y"]
    assert [t.dtype.name for t in (*after.inputs, *after.outputs)] == [then, then]
    assert len(after.ops) == len(before.ops) + (0 if then == "int8" else 2)
    whole = np.random.default_rng(1).integers(-128, 128, (2, 8)).astype(np.int8)
    (wanted,) = run_litert(source.read_bytes(), [whole])
    fed = whole if then == "int8" else (whole.astype(np.int16) + 128).astype(np.uint8)
    if then == "float32":
        fed, wanted = reals(before.inputs[0], whole), reals(before.outputs[0], wanted)
    elif then == "uint8":
        wanted = (wanted.astype(np.int16) + 128).astype(np.uint8)
    (found,) = run_litert((tmp_path / "then.tflite").read_bytes(), [fed])
    np.testing.assert_array_equal(found, wanted)
