"""A SOFTMAX over many classes in integers: what its steps lose, and the remedies that are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run, decibels, run_litert
from graph_text import parse

import tqconv
from tqconv.api import save
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Model

F = np.float32
FLAT = """
x: f32[1,16] -> y
a = FULLY_CONNECTED(x, f32[500,16], f32[500])
y = SOFTMAX(a) {beta=0.05}
"""
"""Of 500 classes none has more than a few steps of 1/256."""
MOVED = FLAT.replace("y = SOFTMAX", "b = SOFTMAX") + "y = RESHAPE(b, [5,100])"
XS = np.random.default_rng(5).normal(size=(30, 1, 16)).astype(F)
WHOLE = {"quantize": "int8", "integer_only": True}


def made(folder: Path, text: str, **more: object) -> bytes:
    save(Model([parse(text)]), folder / "m.tflite")
    return tqconv.convert(folder / "m.tflite", samples={"x": XS}, input_type="float32", **more)


def kept(content: bytes, wanted: np.ndarray, *, delegate: bool) -> float:
    """Return the signal-to-noise ratio in dB of the reals that the output stands for."""
    found = run_litert(content, [XS[0]], delegate)[0].astype(np.float64)
    quant = read(content, "n").main.outputs[0].quant
    if quant is not None:
        found = (found - quant.zero_point[0]) * quant.scale[0]
    return decibels(wanted, found)


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("text", [FLAT, MOVED], ids=["direct", "in another shape"])
def test_each_remedy_works(run: Run, tmp_path: Path, text: str, delegate: bool) -> None:
    wanted = run(parse(text), [XS[0]])[0]
    assert kept(made(tmp_path, text, **WHOLE), wanted, delegate=delegate) < 10
    finer = (
        {**WHOLE, "output_type": "int16"},
        {"quantize": "int8", "output_type": "int16"},
        {**WHOLE, "int16": ("^(y|b)$",)},
        {"quantize": "int8"},
    )
    for more in finer:
        assert kept(made(tmp_path, text, **more), wanted, delegate=delegate) > 30
    logits = run(parse(FLAT.replace("-> y", "-> a")), [XS[0]])[0].reshape(wanted.shape)
    ends = made(tmp_path, text, **WHOLE, logits=True)
    assert kept(ends, logits, delegate=delegate) > 30


def test_the_samples_tell_what_is_lost(tmp_path: Path) -> None:
    save(Model([parse(FLAT)]), tmp_path / "m.tflite")
    report = tqconv.convert(
        tmp_path / "m.tflite", tmp_path / "q.tflite", samples={"x": XS}, **WHOLE
    )
    note = next(n for n in report.notes if "shares 1 among 500 results" in n)
    assert "of 30 rows 100 % keep less than 15 dB" in note
    assert "--logits ends before it, --inference_output_type int16 has steps of 1/32768" in note
