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
z = ADD(s, t)
y = FULLY_CONNECTED(z, f32[3,3])
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
    e = FULLY_CONNECTED(x, f32[3,3])
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


SCALED = """
x: f32[1,?,4,2] -> z
s = SHAPE(x) {out_type=INT32}
n = STRIDED_SLICE(s, [1], [2], [1]) {shrink_axis_mask=1}
f = CAST(n) {in_data_type=INT32, out_data_type=FLOAT32}
m = MUL(f, 1.7)
a = ADD(m, 0.25)
c = CAST(a) {in_data_type=FLOAT32, out_data_type=INT32}
v = PACK(c, 4) {values_count=2}
r = RESIZE_NEAREST_NEIGHBOR(x, v)
z = LOGISTIC(r)
"""


@pytest.mark.parametrize("rows", [3, 5, 30])
def test_sizes_that_are_computed_in_reals_are_not_rounded(tmp_path: Path, rows: int) -> None:
    np.savez(tmp_path / "s.npz", x=RNG.normal(size=(1, 5, 4, 2)).astype(np.float32))
    model = Model([parse(SCALED)])
    quantize(model, QuantizeOptions(mode="int8", calibration_data=str(tmp_path / "s.npz")))
    assert "float: MUL 'm': computes positions" in "\n".join(model.notes)
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": np.zeros((1, rows, 4, 2), np.float32)}, delegate)
        assert got.shape == (1, int(rows * 1.7 + 0.25), 4, 2)


def test_counts_that_are_scaled_and_cut_are_exact(tmp_path: Path) -> None:
    """Nothing reads them as places, but 3 i + 1 in 255 steps would be other numbers."""
    text = """x: f32[4,900] -> c
    i = ARG_MAX(x, 1) {output_type=INT32}
    f = CAST(i) {in_data_type=INT32, out_data_type=FLOAT32}
    m = MUL(f, 3.0)
    a = ADD(m, 1.0)
    c = CAST(a) {in_data_type=FLOAT32, out_data_type=INT32}"""
    data = RNG.normal(size=(4, 900)).astype(np.float32)
    np.savez(tmp_path / "s.npz", x=data[None])
    model = Model([parse(text)])
    quantize(model, QuantizeOptions(mode="int8", calibration_data=str(tmp_path / "s.npz")))
    (got,) = run_litert(model, {"x": data})
    np.testing.assert_array_equal(got, 3 * data.argmax(1) + 1)


BRANCHES = """
x: f32[200,3], p: f32[9,1] -> y
m = MUL(p, 3.0)
a = LESS_EQUAL(m, 0.001)
b = CAST(a) {in_data_type=BOOL, out_data_type=INT32}
c = RESHAPE(b, [9])
y = GATHER(x, c) {axis=0}
"""


def test_a_branch_is_taken_by_reals(tmp_path: Path) -> None:
    """A step of p is 0.007: what lies closer to the threshold would go either way."""
    model = _quantized(BRANCHES, tmp_path)
    notes = "\n".join(model.notes)
    assert "float: LESS_EQUAL 'a': computes positions" in notes
    assert "float: MUL 'm': computes positions" in notes
    feed = {**FEED, "p": np.linspace(-0.004, 0.004, 9, dtype=np.float32)[:, None]}
    (want,) = run_litert(Model([parse(BRANCHES)]), feed)
    for delegate in (True, False):
        (got,) = run_litert(model, feed, delegate)
        np.testing.assert_allclose(got, want, atol=0.03)
