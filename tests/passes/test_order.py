"""The order of operators: what LiteRT overwrites has been read."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.passes.order import IN_PLACE, read_before_reuse

OPERATORS = {"SOFTMAX": "SOFTMAX(r) {beta=1.0}"} | {
    kind: f"{kind}(r, 0.5)" for kind in IN_PLACE if kind != "SOFTMAX"
}


def late(reader: str) -> str:
    return f"""x: f32[2,10] -> s, y
        k = TANH(x)
        t = MUL(k, 0.7)
        r = RESHAPE(t, [2,2,5])
        u = {reader}
        s = NEG(u)
        y = ABS(t)"""


@pytest.mark.parametrize("kind", sorted(OPERATORS))
@pytest.mark.parametrize("delegate", [True, False])
def test_a_late_reader_comes_before_its_operand_is_overwritten(kind: str, delegate: bool) -> None:
    graph = parse(late(OPERATORS[kind]))
    x = np.random.default_rng(5).normal(size=(2, 10)).astype(np.float32)
    assert read_before_reuse(graph) == 1
    assert [op.type for op in graph.ops].index("ABS") < [op.type for op in graph.ops].index(
        "RESHAPE"
    )
    assert read_before_reuse(graph) == 0
    got = run_litert(graph, [x], delegate)[1]
    np.testing.assert_allclose(got, np.abs(np.tanh(x) * np.float32(0.7)), rtol=1e-5)


def test_a_reader_that_needs_the_result_stays_behind() -> None:
    graph = parse("""x: f32[2,10] -> y
        k = TANH(x)
        t = MUL(k, 0.7)
        r = RESHAPE(t, [2,2,5])
        u = SOFTMAX(r) {beta=1.0}
        v = RESHAPE(u, [2,10])
        y = ADD(t, v)""")
    assert read_before_reuse(graph) == 0


def test_nothing_moves_where_nothing_is_overwritten() -> None:
    assert read_before_reuse(parse(late("EXP(r)"))) == 0
