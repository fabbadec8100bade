"""Steps that a logarithm needs are needed by all that its operand is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import decibels, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize
from tqconv.ops.table import having

CARRIES = having(lambda row: row.carries)
RNG = np.random.default_rng(8)
ENERGY = """x: f32[1,1,8,64] -> y
c = CONV_2D(x, f32[32,1,1,64], zeros[32]) {{padding=VALID, stride_h=1, stride_w=1}}
{made}
m = FULLY_CONNECTED(p, f32[6,{width}], zeros[6]) {{keep_num_dims=true}}
a = ABS(m)
e = ADD(a, 0.0001)
l = LOG(e)
y = FULLY_CONNECTED(l, f32[5,6], zeros[5]) {{keep_num_dims=true}}"""
MADE = {
    "squares": ("p = MUL(c, c)", 32),
    "sizes": ("s = MUL(c, c)\nt = ADD(s, 0.000001)\np = SQRT(t)", 32),
    "parts": ("r, i = SPLIT(3, c) {num_splits=2}\nq = MUL(r, r)\nj = MUL(i, i)\np = ADD(q, j)", 16),
    "sums": ("s = MUL(c, c)\nr = RESHAPE(s, [1,8,2,16])\np = SUM(r, [2])", 16),
    "scaled": ("s = MUL(c, 30.0)\np = MUL(s, s)", 32),
}


def _samples(count: int) -> np.ndarray:
    """Sounds of which half is soft: a hundredth of the rest."""
    x = RNG.normal(0, 1, (count, 1, 1, 8, 64)).astype(np.float32)
    x[:, :, :, 4:] *= 0.01
    return x


@pytest.mark.parametrize("made", MADE)
def test_what_a_logarithm_looks_at_closely_is_not_rounded_before(tmp_path: Path, made: str) -> None:
    lines, width = MADE[made]
    text = ENERGY.format(made=lines, width=width)
    model, wanted = Model([parse(text)]), parse(text)
    np.savez(tmp_path / "s.npz", x=_samples(16))
    data = str(tmp_path / "s.npz")
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, improve=False))
    assert any("CONV_2D 'c': would lose its values" in note for note in model.notes)
    x = _samples(1)[0]
    for delegate in (True, False):
        (got,) = run_litert(model, [x], delegate)
        assert decibels(run_litert(wanted, [x])[0], got) > 25
    assert "int8" in {op.outputs[0].dtype.name for op in model.main.ops}


def test_without_a_logarithm_weights_are_integers(tmp_path: Path) -> None:
    text = ENERGY.format(made=MADE["squares"][0], width=32).replace("l = LOG(e)", "l = RELU(e)")
    model = Model([parse(text)])
    np.savez(tmp_path / "s.npz", x=_samples(16))
    data = str(tmp_path / "s.npz")
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, improve=False))
    assert not any("would lose" in note for note in model.notes)


SUMS = {
    "FULLY_CONNECTED": "y = FULLY_CONNECTED(x, f32[9,40])",
    "CONV_2D": "i = RESHAPE(x, [500,4,2,5])\n"
    "y = CONV_2D(i, f32[9,3,2,5], zeros[9]) {padding=VALID, stride_h=1, stride_w=1}",
    "DEPTHWISE_CONV_2D": "i = RESHAPE(x, [500,4,2,5])\n"
    "y = DEPTHWISE_CONV_2D(i, f32[1,3,2,5], zeros[5])"
    " {padding=VALID, stride_h=1, stride_w=1, depth_multiplier=1}",
    "TRANSPOSE_CONV": "i = RESHAPE(x, [500,4,2,5])\n"
    "y = TRANSPOSE_CONV([500,6,3,9], f32[9,3,2,5], i) {padding=VALID, stride_h=1, stride_w=1}",
    "SUM": "y = SUM(x, [1])",
    "MUL": "y = MUL(x, f32[40])",
}


@pytest.mark.parametrize("name", SUMS)
def test_errors_of_operands_add_up_to_no_more(name: str) -> None:
    """Rounded to such steps, operands make results that are off by less than the need."""
    graph = parse(f"x: f32[500,40] -> y\n{SUMS[name]}")
    (op,) = (op for op in graph.ops if op.type == name)
    step = CARRIES[name](op, 0.01)
    x = RNG.normal(0, 1, (500, 40)).astype(np.float32)
    rounded = (np.rint(x / step) * step).astype(np.float32)
    off = run_litert(graph, [rounded])[0] - run_litert(graph, [x])[0]
    assert 0.001 < np.sqrt(np.square(off).mean()) < 0.012  # by chance a little more


def test_small_squares_and_roots_are_told_from_zero() -> None:
    square = parse("x: f32[4] -> y\ny = MUL(x, x)").ops[0]
    root = parse("x: f32[4] -> y\ny = SQRT(x)").ops[0]
    assert CARRIES["MUL"](square, 0.01) == pytest.approx(0.1)
    assert CARRIES["SQRT"](root, 0.01) == pytest.approx(0.0001)


def test_products_of_two_values_carry_nothing() -> None:
    op = parse("x: f32[4], z: f32[4] -> y\ny = MUL(x, z)").ops[0]
    assert CARRIES["MUL"](op, 0.01) == np.inf
