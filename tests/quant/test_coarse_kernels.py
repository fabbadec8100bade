"""Kernels with steps of their own, of which results may span a few."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import decibels, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize

RNG = np.random.default_rng(8)
CAPPED = """
    x: f32[16,24] -> y
    s = FULLY_CONNECTED(x, f32[24,24], zeros[24])
    d = MUL(s, FACTOR)
    t = TANH(d)
    c = MUL(t, 50.0)
    y = FULLY_CONNECTED(c, f32[8,24], zeros[8])
"""


def _quantized(factor: float, path: Path, **more: bool) -> tuple[Model, np.ndarray, np.ndarray]:
    text = CAPPED.replace("FACTOR", str(factor))
    x = RNG.normal(size=(16, 24)).astype(np.float32)
    np.savez(path / "s.npz", x=x[None])
    model = Model([parse(text)])
    data = str(path / "s.npz")
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, improve=False, **more))
    return model, x, run_litert(Model([parse(text)]), [x])[0]


def test_scores_that_are_capped_keep_their_values(tmp_path: Path) -> None:
    model, x, want = _quantized(0.002, tmp_path)
    assert any(n.startswith("float: TANH 't': its integers have steps of") for n in model.notes)
    (got,) = run_litert(model, [x])
    assert decibels(want, got) > 30


@pytest.mark.parametrize(("factor", "more"), [(0.2, {}), (0.002, {"integer_only": True})])
def test_others_stay_integers(tmp_path: Path, factor: float, more: dict[str, bool]) -> None:
    model, _, _ = _quantized(factor, tmp_path, **more)
    (tanh,) = (op for op in model.main.ops if op.type == "TANH")
    assert tanh.output.dtype == np.int8


@pytest.mark.parametrize("total", ["ADD(e, 1.0)", "SUB(e, 1.0)"])
def test_steps_that_a_sum_cannot_divide_are_not_planned(tmp_path: Path, total: str) -> None:
    """LiteRT ends the process: of 1 + EXP(x) as one-against-all classifiers spell LOGISTIC."""
    text = f"x: f32[2,3] -> y\ne = EXP(x)\ns = {total}\ny = DIV(1.0, s)"
    x = np.array([[-20.0, 0.0, 5.0], [87.0, 86.0, 1.0]], np.float32)
    np.savez(tmp_path / "s.npz", x=x[None])
    model = Model([parse(text)])
    data = str(tmp_path / "s.npz")
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, improve=False))
    (op,) = (op for op in model.main.ops if op.type == total[:3])
    assert op.output.dtype == np.float32
    assert any("are too large for its kernel" in note for note in model.notes)
