"""Operators without weights between float ones stay float: integers cost them and save nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import decibels, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize

SOUND = """x: f32[1,8,32] -> y
a = SLICE(x, [0,0,0], [1,7,32])
b = SLICE(x, [0,1,0], [1,7,32])
s = CONCATENATION(a, b) {{axis=2}}
{made}
w = RESHAPE(h, [7,1,64])
c = RFFT2D(w, [1,64])
m = COMPLEX_ABS(c)
e = ADD(m, 0.0001)
l = LOG(e)
y = FULLY_CONNECTED(l, f32[5,33], zeros[5]) {{keep_num_dims=true}}"""
WINDOWED = SOUND.format(made="h = MUL(s, f32[64])")
FILTERED = """x: f32[4,1,64] -> y
h = FULLY_CONNECTED(x, f32[64,64], zeros[64]) {keep_num_dims=true}
w = MUL(h, f32[64])
c = RFFT2D(w, [1,64])
m = COMPLEX_ABS(c)
y = FULLY_CONNECTED(m, f32[5,33], zeros[5]) {keep_num_dims=true}"""
BETWEEN = """x: f32[4,6] -> y
s = SIN(x)
m = MUL(s, s)
n = ADD(m, 1.0)
y = COS(n)"""
SOFT = 1e-2
"""Of what is soft beside what is loud: below a step of 8 bits."""
ALONE = """x: f32[4,6] -> y
m = MUL(x, x)
y = ADD(m, 1.0)"""
TABLE = """i: i32[4,6] -> y
t = GATHER(f32[9,32], i) {axis=0}
m = MUL(t, 3.0)
y = SIN(m)"""


def _quantized(text: str, path: Path, mode: str = "int8", **options: object) -> Model:
    model, rng = Model([parse(text)]), np.random.default_rng(1)
    samples = {
        t.name: rng.integers(0, 9, (8, *t.shape)).astype(t.dtype)
        if t.dtype.kind == "i"
        else rng.normal(0, 0.1, (8, *t.shape)).astype(t.dtype)
        for t in model.main.inputs
    }
    if text == WINDOWED:
        samples["x"][:, :, 4:] *= SOFT
    np.savez(path / "s.npz", **samples)
    wishes = {"calibration_data": str(path / "s.npz"), "improve": False, **options}
    quantize(model, QuantizeOptions(mode=mode, **wishes))
    return model


def _integers(model: Model) -> set[str]:
    kinds = ("int8", "int16")
    return {op.type for op in model.main.ops if op.outputs[0].dtype.name in kinds} - {"QUANTIZE"}


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
def test_a_window_before_a_transform_stays_float(tmp_path: Path, mode: str) -> None:
    model = _quantized(WINDOWED, tmp_path, mode)
    assert _integers(model) <= {"ADD", "LOG", "FULLY_CONNECTED"}
    x = np.random.default_rng(2).normal(0, 0.1, (1, 8, 32)).astype(np.float32)
    x[:, 4:] *= SOFT
    made, wanted = run_litert(model, [x])[0], run_litert(parse(WINDOWED), [x])[0]
    assert decibels(wanted, made) > 20


def test_weights_before_a_transform_are_integers(tmp_path: Path) -> None:
    assert "MUL" in _integers(_quantized(FILTERED, tmp_path))


def test_between_two_float_operators_nothing_is_converted(tmp_path: Path) -> None:
    model = _quantized(BETWEEN, tmp_path)
    assert [op.type for op in model.main.ops] == ["SIN", "MUL", "ADD", "COS"]
    assert any("ADD 'n': has no weights and lies among float" in note for note in model.notes)


def test_a_model_of_operators_without_weights_is_quantized(tmp_path: Path) -> None:
    assert _integers(_quantized(ALONE, tmp_path)) == {"MUL", "ADD"}


def test_what_a_person_keeps_float_changes_nothing_around_it(tmp_path: Path) -> None:
    assert _integers(_quantized(ALONE, tmp_path, keep_float=("^m$",))) == {"ADD"}


def test_tables_are_stored_in_8_bits(tmp_path: Path) -> None:
    assert _integers(_quantized(TABLE, tmp_path)) == {"GATHER", "MUL"}


def test_integers_only_are_refused_as_before(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="SIN"):
        _quantized(BETWEEN, tmp_path, integer_only=True)


def test_of_many_that_stay_float_for_one_reason_the_first_are_named(tmp_path: Path) -> None:
    lines = [f"m{i} = ADD(m{i - 1}, 1.0)" for i in range(1, 9)]
    text = "\n".join(["x: f32[4,6] -> y", "m0 = SIN(x)", *lines, "y = COS(m8)"])
    (note,) = (n for n in _quantized(text, tmp_path).notes if "ADD" in n)
    assert note == (
        "float: ADD 'm1', ADD 'm2', ADD 'm3' and 5 more, each of which has no weights and lies "
        "among float operators"
    )
