"""Positions that are computed in reals say what is read: they are not rounded to integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize

RNG = np.random.default_rng(4)
FEED = {
    "x": RNG.normal(size=(200, 3)).astype(np.float32),
    "p": RNG.uniform(-0.95, 0.95, (9, 1)).astype(np.float32),
}
BETWEEN = """
x: f32[200,3], p: f32[9,1] -> y
m = MUL(p, 100.0)
a = ADD(m, 99.0)
f = FLOOR(a)
w = SUB(a, f)
v = SUB(1.0, w)
c = CAST(f) {in_data_type=FLOAT32, out_data_type=INT32}
d = ADD(c, 1)
i = RESHAPE(c, [9])
j = RESHAPE(d, [9])
g = GATHER(x, i) {axis=0}
h = GATHER(x, j) {axis=0}
s = MUL(g, v)
t = MUL(h, w)
y = ADD(s, t)
"""


def _quantized(text: str, path: Path, integer_only: bool = False) -> Model:
    model = Model([parse(text)])
    np.savez(path / "s.npz", x=FEED["x"][None], p=FEED["p"][None])
    options = QuantizeOptions(
        mode="int8",
        calibration_data=str(path / "s.npz"),
        improve=False,
        integer_only=integer_only,
    )
    quantize(model, options)
    return model


def test_what_is_read_between_places_is_as_exact_as_the_data(tmp_path: Path) -> None:
    model = _quantized(BETWEEN, tmp_path)
    assert "float: MUL 'm': computes positions" in "\n".join(model.notes)
    (want,) = run_litert(Model([parse(BETWEEN)]), FEED)
    for delegate in (True, False):
        (got,) = run_litert(model, FEED, delegate)
        np.testing.assert_allclose(got, want, atol=0.06)
    stored = {op.output.name: op.output.dtype for op in model.main.ops}
    assert [stored[name] for name in "mafwvgh"] == [np.float32] * 5 + [np.int8] * 2


def test_where_no_float_may_remain_positions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuantizationError, match="MUL computes positions, of which indices"):
        _quantized(BETWEEN, tmp_path, integer_only=True)


def test_what_is_decided_is_no_place(tmp_path: Path) -> None:
    text = """x: f32[200,3] -> y
    e = MUL(x, 3.0)
    i = ARG_MAX(e, 1) {output_type=INT32}
    y = GATHER(x, i) {axis=0}"""
    model = _quantized(text, tmp_path)
    assert {op.output.name for op in model.main.ops if op.output.dtype == np.int8} > {"e"}


def test_shapes_of_integers_and_operators_with_weights_are_no_places(tmp_path: Path) -> None:
    """`c` has a shape that is read, `d` is rounded before places are made of it."""
    text = """x: f32[?,3], p: f32[9,1] -> y, r
    e = MUL(x, 3.0)
    c = CAST(e) {in_data_type=FLOAT32, out_data_type=INT32}
    n = SHAPE(c) {out_type=INT32}
    r = RESHAPE(c, n)
    q = LOGISTIC(p)
    d = FULLY_CONNECTED(q, f32[1,1], zeros[1]) {keep_num_dims=true}
    m = RELU6(d)
    i = CAST(m) {in_data_type=FLOAT32, out_data_type=INT32}
    y = GATHER(x, i) {axis=0}"""
    stored = {op.output.name: op.output.dtype for op in _quantized(text, tmp_path).main.ops}
    assert [stored[name] for name in "eqdm"] == [np.int8, np.int8, np.int8, np.float32]
