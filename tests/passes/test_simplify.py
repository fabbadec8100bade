"""Passes: what they rewrite, what they refuse, and that LiteRT computes the same after."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse
from pass_cases import CASES

from tqconv.config import TocoOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.passes import cleanup
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.pipeline import STAGES, stages_before

ROUNDING = 2e-6
"""Relative to the largest output: a dozen float32 roundings, as folding reorders sums."""


@pytest.mark.parametrize("claim", CASES)
@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
def test_optimized_graph_computes_the_same(claim: str, delegate: bool) -> None:
    text, expected = CASES[claim]
    before, after = parse(text), parse(text)
    optimize(after)
    assert [op.type for op in after.ops] == expected
    assert [t.name for t in after.outputs] == [t.name for t in before.outputs]
    rng = np.random.default_rng(7)
    inputs = [
        rng.uniform(-4, 4, [d or 1 for d in t.shape]).astype(np.float32) for t in before.inputs
    ]
    for want, got in zip(
        run_litert(before, inputs, delegate), run_litert(after, inputs, delegate), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=0, atol=ROUNDING * max(1.0, np.abs(want).max()))


def optimize(graph: Graph) -> None:
    """Run all stages, checking the invariants after every pass that changed something."""
    graph.check()
    for stage in STAGES:
        run_stage(stage, graph, check=True)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_settled_stage_changes_nothing(stage: Stage) -> None:
    for text, _ in CASES.values():
        graph = parse(text)
        run_stage(stage, graph)
        assert run_stage(stage, graph) == 0


def test_the_same_graph_gives_the_same_bytes() -> None:
    text, _ = CASES["a residual block in NCHW loses its transposes"]
    files = []
    for _ in range(2):
        graph = parse(text)
        optimize(graph)
        files.append(bytes(serialize(Model([graph]))))
    assert files[0] == files[1]


def test_integer_conversions_ignore_an_epsilon_that_counts_for_reals() -> None:
    norms = next(s for s in stages_before(TocoOptions(), quantizing=True) if s.name == "norms")
    graph = parse("""x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = ADD(s, 1e-6)
        r = SQRT(m)
        z = DIV(x, r)""")
    run_stage(norms, graph, check=True)
    assert [op.type for op in graph.ops] == ["L2_NORMALIZATION"]
    assert all(s.name != "norms" for s in stages_before(TocoOptions(), quantizing=False))


def test_a_scalar_is_no_vector_that_is_normalized() -> None:
    norms = next(s for s in stages_before(TocoOptions(), quantizing=True) if s.name == "norms")
    graph = parse("""x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        r = RSQRT(s)
        z = MUL(r, 0.5)""")
    assert not run_stage(norms, graph, check=True)


def test_equal_integers_of_unlike_scales_are_not_compared_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A network with thousands of layers has a bias of zeros at each, with a scale of its own."""
    count = 300
    graph = parse("x: f32[4] -> y\ny = RELU(x)")
    zeros = np.zeros(4, np.int32)
    for number in range(2 * count):
        bias = graph.constant(f"b{number}", zeros.copy())
        bias.quant = Quant.per_tensor(1.0 + number // 2, 0)
        graph.add(Op("ABS", (bias,), (Tensor(f"a{number}", (4,), zeros.dtype),)))
    calls = []
    real = cleanup.same_bytes
    monkeypatch.setattr(cleanup, "same_bytes", lambda a, b: calls.append(a) or real(a, b))
    assert cleanup.share_constants(graph) == count
    assert len(calls) == count
