"""What is computed once, since nothing but constants goes into it."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Model
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES

TABLE = """
    x: f32[5,4] -> y
    h = FULLY_CONNECTED(f32[9,2], f32[16,2], f32[16]) {fused_activation_function=RELU}
    t = FULLY_CONNECTED(h, f32[4,16], _)
    g = GATHER(t, [8,0,3,3,1]) {axis=0}
    s = LOGISTIC(g)
    b = MUL(s, 16.0)
    y = ADD(x, b)
"""


def test_a_table_that_weights_make_of_places_is_a_constant() -> None:
    graph, before = parse(TABLE), parse(TABLE)
    run_stages(Model([graph]), STAGES, check=True)
    assert [op.type for op in graph.ops] == ["ADD"]
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    (got,), (want,) = run_litert(graph, [x]), run_litert(before, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("bias", ["zeros[3]", "_"])
def test_rows_of_any_number_of_dimensions(bias: str) -> None:
    text = f"""
        x: f32[2,5,3] -> y
        d = FULLY_CONNECTED(f32[2,5,4], f32[3,4], {bias}) {{keep_num_dims=True}}
        y = ADD(x, d)
    """
    graph, before = parse(text), parse(text)
    run_stages(Model([graph]), STAGES, check=True)
    assert [op.type for op in graph.ops] == ["ADD"]
    x = np.zeros((2, 5, 3), np.float32)
    (got,), (want,) = run_litert(graph, [x]), run_litert(before, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_an_output_stays_what_an_operator_makes() -> None:
    graph = parse("x: f32[2] -> y, z\ny = FULLY_CONNECTED(f32[2,4], f32[3,4], _)\nz = EXP(x)")
    run_stages(Model([graph]), STAGES, check=True)
    assert "FULLY_CONNECTED" in {op.type for op in graph.ops}
