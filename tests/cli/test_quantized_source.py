"""A file that is quantized already: it is written again as it is, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_text import parse

import tqconv
from tqconv.cli.main import main
from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
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
        ("--inference_input_type FLOAT", "input 'x' is INT8 in dense_int8.tflite"),
        ("--inference_output_type FLOAT", "output 'y' is INT8 in dense_int8.tflite"),
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
