"""Comparisons of integers: with which steps LiteRT's kernels tell values apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError
from tqconv.ir.graph import Model
from tqconv.ir.types import Quant
from tqconv.jobs.quantize import quantize
from tqconv.ops.table import table

KINDS = {
    "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal,
    "LESS": np.less,
    "LESS_EQUAL": np.less_equal,
    "GREATER": np.greater,
    "GREATER_EQUAL": np.greater_equal,
}
PEAKS = (0.01, 1.0, 30.0, 1000.0)


def comparison(kind: str) -> Model:
    return Model([parse(f"x: f32[1,64] -> y\ny = {kind}(x, 0.0)")])


def values(peak: float) -> np.ndarray:
    """All multiples of a twentieth of `peak`, so that 8 bits hold them apart, and 0 exactly."""
    steps = np.random.default_rng(2).integers(-20, 21, size=(8, 1, 64))
    steps[:, :, :3] = -20, 0, 20
    return (steps * np.float32(peak / 20)).astype(np.float32)


@pytest.mark.parametrize("mode", ["int8", "uint8", "int16x8"])
@pytest.mark.parametrize("peak", PEAKS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_compared_in_integers_is_told_apart(
    run: Run, tmp_path: Path, kind: str, peak: float, mode: str
) -> None:
    """Else the comparison stays float, and where that is refused, so is the model."""
    x = values(peak)
    np.savez(tmp_path / "s.npz", x=x[:, 0])
    options = QuantizeOptions(
        mode=mode, calibration_data=str(tmp_path / "s.npz"), input_type="float32"
    )
    plain, strict = comparison(kind), comparison(kind)
    quantize(plain, options)
    made = [plain]
    if kind in ("EQUAL", "NOT_EQUAL") and peak == 0.01:
        with pytest.raises(QuantizationError, match=f"{kind} compares 'x'.*kernel tells multiples"):
            quantize(strict, replace(options, integer_only=True))
    else:
        quantize(strict, replace(options, integer_only=True))
        made.append(strict)
    for model in made:
        for delegate in (True, False):
            found = run(model, [x[0]], delegate)[0]
            np.testing.assert_array_equal(found, KINDS[kind](x[0], 0))


@pytest.mark.parametrize("step", [0.5, 1.5, 27.0])
def test_steps_of_one_or_more_are_why(run: Run, step: float) -> None:
    """If this fails, the kernels were mended, and `shifted` may go; 1 ends the process."""
    graph = parse("x: i8[1,4] w: i8[1,4] -> y\ny = NOT_EQUAL(x, w)")
    for tensor in graph.inputs:
        tensor.quant = Quant.per_tensor(step, 3)
    x, w = np.array([[3, 4, 5, 90]], np.int8), np.array([[3, 3, 7, -90]], np.int8)
    right = np.array_equal(run(graph, [x, w], False)[0], x != w)
    assert right == (step < 1)


def test_the_rows_say_where() -> None:
    rules = {row.name: row.quant for row in table().values() if row.quant is not None}
    found = {name: set(rule.shifted) for name, rule in rules.items() if rule.shifted}
    eight = {"INT8", "UINT8"}
    both = {name: eight | {"INT16"} for name in ("EQUAL", "NOT_EQUAL")}
    assert found == {**dict.fromkeys(KINDS, eight), **both}
