"""A dilated convolution over a sequence of any length, which a source folds into the batch."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Model
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

FOLDED = """x: f32[?,?,3] -> z
s = SHAPE(x) {out_type=INT32}
l = STRIDED_SLICE(s, [1], [2], [1]) {shrink_axis_mask=1}
m = FLOOR_MOD(l, 2)
q = PACK(%s) {values_count=2}
p = RESHAPE(q, [1,2])
b = SPACE_TO_BATCH_ND(x, [2], p)
e = EXPAND_DIMS(b, %d)
c = CONV_2D(e, f32[4,%s,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
t = SQUEEZE(c) {squeeze_dims=[%d]}
z = BATCH_TO_SPACE_ND(t, [2], p)"""


def left_of(text: str, length: int) -> set[str]:
    """Compare with the graph as it is; return the operators that are left."""
    before, after = parse(text), parse(text)
    run_stages(Model([after]), FLOAT_STAGES, check=True)
    x = np.random.default_rng(0).normal(size=(2, length, 3)).astype(np.float32)
    (want,), (got,) = run_litert(before, [x]), run_litert(after, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    return {op.type for op in after.ops}


@pytest.mark.parametrize("length", [8, 9])
@pytest.mark.parametrize(("axis", "kernel"), [(1, "1,3"), (2, "3,1")])
def test_what_is_filled_up_and_cut_again_is_dilated(axis: int, kernel: str, length: int) -> None:
    text = FOLDED % ("0, m", axis, kernel, axis)
    assert left_of(text, length) == {"EXPAND_DIMS", "CONV_2D", "SQUEEZE"}


@pytest.mark.parametrize("length", [8, 9])
def test_what_is_filled_up_in_front_stays(length: int) -> None:
    text = FOLDED % ("m, 0", 1, "1,3", 1)
    assert {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"} <= left_of(text, length)
