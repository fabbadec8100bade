"""Sums of integers that are computed in reals and cast back keep every unit."""

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

RNG = np.random.default_rng(3)
X = RNG.integers(0, 256, (1, 3, 9)).astype(np.uint8)
SUMS = """
x: u8[1,3,9] -> y
a = CAST(x) {in_data_type=UINT8, out_data_type=INT32}
f = CAST(a) {in_data_type=INT32, out_data_type=FLOAT32}
d = SUB(f, 120.0)
w = CAST(i8[4,9]) {in_data_type=INT8, out_data_type=FLOAT32}
s = FULLY_CONNECTED(d, w, zeros[4]) {keep_num_dims=true}
y = CAST(s) {in_data_type=FLOAT32, out_data_type=INT32}
"""


def test_products_of_integers_need_no_ranges_and_lose_nothing() -> None:
    (want,) = run_litert(Model([parse(SUMS)]), {"x": X})
    model = Model([parse(SUMS)])
    quantize(model, QuantizeOptions(mode="int8"))
    assert "float: FULLY_CONNECTED 's': computes whole numbers" in "\n".join(model.notes)
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": X}, delegate)
        np.testing.assert_array_equal(got, want)


def test_where_no_float_may_remain_products_of_integers_are_refused() -> None:
    with pytest.raises(QuantizationError, match="computes whole numbers, which a CAST takes"):
        quantize(Model([parse(SUMS)]), QuantizeOptions(mode="int8", integer_only=True))


def test_reals_that_are_cut_to_integers_are_still_quantized(tmp_path: Path) -> None:
    text = """x: f32[1,8] -> y
    s = FULLY_CONNECTED(x, f32[4,8], zeros[4])
    y = CAST(s) {in_data_type=FLOAT32, out_data_type=INT32}"""
    np.savez(tmp_path / "s.npz", x=RNG.normal(size=(8, 8)).astype(np.float32))
    model = Model([parse(text)])
    quantize(model, QuantizeOptions(mode="int8", calibration_data=str(tmp_path / "s.npz")))
    (dense,) = (op for op in model.main.ops if op.type == "FULLY_CONNECTED")
    assert dense.output.dtype == np.int8
