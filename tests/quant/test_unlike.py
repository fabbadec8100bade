"""Integers that are made of coarse reals, and operands that share the steps of much larger ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize

COARSE = """x: f32[4,100] -> z
y = FULLY_CONNECTED(x, f32[100,100])
m = MUL(y, 30.0)
z = CAST(m) {in_data_type=FLOAT32, out_data_type=INT32}"""
CHOSEN = """x: f32[4,100], y: f32[4,100] -> z
m = MUL(x, 1000.0)
n = MUL(y, %s)
c = LESS(x, y)
s = SELECT_V2(c, m, n)
z = NEG(s)"""
MASKED = """x: f32[4,100], y: f32[4,100] -> z
n = MUL(y, 0.1)
c = LESS(x, y)
s = SELECT_V2(c, n, -1000000.0)
z = NEG(s)"""


def quantized(folder: Path, text: str, mode: str) -> Model:
    """Return the quantized graph."""
    model, rng = Model([parse(text)]), np.random.default_rng(0)
    samples = {
        t.name: rng.integers(0, 90, (20, *t.shape)).astype(t.dtype)
        if t.dtype.kind == "i"
        else rng.uniform(-1, 1, (20, *t.shape)).astype(t.dtype)
        for t in model.main.inputs
    }
    np.savez(folder / "samples.npz", **samples)
    data = str(folder / "samples.npz")
    quantize(model, QuantizeOptions(mode=mode, calibration_data=data, improve=False))
    return model


def test_integers_of_reals_in_coarse_steps_are_told(tmp_path: Path) -> None:
    words = (
        "CAST 'z' makes integers of 'm', which is stored in steps of [1-9].*; --keep_float '.m.'"
    )
    model = quantized(tmp_path, COARSE, "int8")
    assert any(re.search(words, note) for note in model.notes)
    model = quantized(tmp_path, COARSE, "int16x8")
    assert not any("makes integers" in note for note in model.notes)


def test_what_is_chosen_beside_much_larger_values_is_not_lost(tmp_path: Path) -> None:
    model = quantized(tmp_path, CHOSEN % "0.1", "int8")
    assert any("SELECT_V2 's': would lose the values of 'n'" in note for note in model.notes)
    model = quantized(tmp_path, CHOSEN % "20.0", "int8")
    words = "SELECT_V2 's' stores 'n' (-20 … 20) in 5 steps of 255, beside 'm'"
    assert any(words in note for note in model.notes)
    model = quantized(tmp_path, CHOSEN % "0.1", "int16x8")
    words = "SELECT_V2 's' stores 'n' \\(.* … .*\\) in . steps of 65535, beside 'm'"
    assert any(re.search(words, note) for note in model.notes)
    assert any("--keep_float '^s$'" in note for note in model.notes)


def test_a_constant_for_what_is_left_out_says_nothing_of_the_others(tmp_path: Path) -> None:
    model = quantized(tmp_path, MASKED, "int8")
    assert not any("lose the values" in note or "stores" in note for note in model.notes)
