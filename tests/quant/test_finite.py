"""What a model does with infinities and NaN is done in reals: integers have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize

RNG = np.random.default_rng(3)
LARGEST = float(np.finfo(np.float32).max)
MADE = [
    "v = ADD(x, x)",
    "v = LOG(x)",
    "z = SUB(x, x); v = DIV([2.0], z)",
    "r = ADD(x, x); v = SQRT(r)",
]


def _replaced(made: str) -> str:
    """Values of which NaN becomes 2.5, inf 3 and -inf -3, as nan_to_num says it."""
    return f"""
        x: f32[4,6] -> y
        {made}
        n = NOT_EQUAL(v, v)
        a = SELECT_V2(n, 2.5, v)
        s = ABS(a)
        i = GREATER_EQUAL(s, {LARGEST})
        p = GREATER(a, 0.0)
        q = LOGICAL_AND(i, p)
        b = SELECT_V2(q, 3.0, a)
        t = ABS(b)
        j = GREATER_EQUAL(t, {LARGEST})
        c = SELECT_V2(j, -3.0, b)
        y = FULLY_CONNECTED(c, f32[5,6], zeros[5])
    """


def _quantized(text: str, path: Path, x: np.ndarray, mode: str = "int8") -> Model:
    model = Model([parse(text)])
    np.savez(path / "s.npz", x=x[None])
    options = QuantizeOptions(mode=mode, calibration_data=str(path / "s.npz"), improve=False)
    quantize(model, options)
    return model


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
@pytest.mark.parametrize("made", MADE)
def test_what_is_not_finite_is_replaced(tmp_path: Path, made: str, mode: str) -> None:
    x = RNG.uniform(0.1, 2, (4, 6)).astype(np.float32)
    x[0, :3] = (np.inf, np.nan, -np.inf) if made == MADE[0] else (0, -1, 0)
    text = _replaced("\n".join(part.strip() for part in made.split("; ")))
    model = _quantized(text, tmp_path, x, mode)
    assert "FULLY_CONNECTED" not in "\n".join(n for n in model.notes if "float:" in n)
    (want,) = run_litert(Model([parse(text)]), [x], False)
    for delegate in (True, False):
        (got,) = run_litert(model, [x], delegate)
        np.testing.assert_allclose(got, want, atol=0.03 * np.abs(want).max())


def test_what_a_product_makes_is_finite_and_needs_no_reals(tmp_path: Path) -> None:
    text = """
        x: f32[4,6] -> y
        v = FULLY_CONNECTED(x, f32[6,6], zeros[6])
        n = NOT_EQUAL(v, v)
        a = SELECT_V2(n, 0.5, v)
        y = FULLY_CONNECTED(a, f32[5,6], zeros[5])
    """
    model = _quantized(text, tmp_path, RNG.normal(size=(4, 6)).astype(np.float32))
    assert not [note for note in model.notes if "float:" in note]


def test_samples_are_finite_where_nothing_asks(tmp_path: Path) -> None:
    x = np.full((4, 6), np.nan, np.float32)
    with pytest.raises(UsageError, match="not finite"):
        _quantized("x: f32[4,6] -> y\ny = EXP(x)", tmp_path, x)


@pytest.mark.parametrize("root", ["SQRT", "RSQRT"])
def test_roots_of_less_than_zero_stay_float(tmp_path: Path, root: str) -> None:
    text = f"x: f32[4,6] -> y\nv = MUL(x, f32[1,6])\nr = {root}(v)\ny = ADD(r, 1.0)"
    x = RNG.normal(size=(4, 6)).astype(np.float32)
    model = _quantized(text, tmp_path, x)
    assert f"float: {root} 'r': stops where 'v' is stored as less than zero" in str(model.notes)
    (want,), (got,) = run_litert(Model([parse(text)]), [x]), run_litert(model, [x])
    assert np.abs(got - want)[np.isfinite(want)].max() < 0.1 * np.nanmax(want)
