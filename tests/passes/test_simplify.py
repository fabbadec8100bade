"""Passes: what they rewrite, what they refuse, and that LiteRT computes the same after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.api import _stages
from tqconv.config import ConvertOptions, QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model
from tqconv.passes.pipeline import STAGES, Stage, run_stage

INT8 = ConvertOptions(quantize=QuantizeOptions(mode="int8"))
ROUNDING = 2e-6
"""Relative to the largest output: a dozen float32 roundings, as folding reorders sums."""

CASES = {
    "a scale after a convolution goes into its weights": (
        """x: f32[1,6,6,3] -> z
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4])""",
        ["CONV_2D"],
    ),
    "a scale after a depthwise convolution goes into its weights": (
        """x: f32[1,6,6,4] -> z
        y = DEPTHWISE_CONV_2D(x, f32[1,3,3,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        z = MUL(f32[1,1,1,4], y)""",
        ["DEPTHWISE_CONV_2D"],
    ),
    "batch normalization arithmetic vanishes": (
        """x: f32[1,6,6,3] -> r
        y = CONV_2D(x, f32[4,1,1,3], zeros[4]) {padding=SAME, stride_h=2, stride_w=2}
        m = MUL(y, f32[4])
        s = ADD(m, f32[4])
        r = RELU6(s)""",
        ["CONV_2D"],
    ),
    "a scale by position stays": (
        """x: f32[1,6,6,3] -> z
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4,4,1])""",
        ["CONV_2D", "MUL"],
    ),
    "a convolution that is read twice keeps its weights": (
        """x: f32[1,6,6,3] -> z, y
        y = CONV_2D(x, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = MUL(y, f32[4])""",
        ["CONV_2D", "MUL"],
    ),
    "a scale before a padded convolution goes into its weights": (
        """x: f32[1,6,6,3] -> z
        y = MUL(x, f32[3])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["CONV_2D"],
    ),
    "a shift before a padded convolution stays": (
        """x: f32[1,6,6,3] -> z
        y = ADD(x, f32[3])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}""",
        ["ADD", "CONV_2D"],
    ),
    "a shift before a dense layer goes into its bias": (
        """x: f32[2,5] -> z
        y = SUB(x, f32[5])
        z = FULLY_CONNECTED(y, f32[3,5], f32[3])""",
        ["FULLY_CONNECTED"],
    ),
    "padding that SAME would add is left to the convolution": (
        """x: f32[1,6,6,3] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,0]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["CONV_2D"],
    ),
    "padding that SAME would place elsewhere stays": (
        """x: f32[1,6,6,3] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,0]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=2, stride_w=2}""",
        ["PAD", "CONV_2D"],
    ),
    "padding of channels is not fused": (
        """x: f32[1,6,6,2] -> z
        y = PAD(x, [[0,0],[1,1],[1,1],[0,1]])
        z = CONV_2D(y, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}""",
        ["PAD", "CONV_2D"],
    ),
    "a residual block in NCHW loses its transposes": (
        """x: f32[1,6,6,4] -> z
        n = TRANSPOSE(x, [0,3,1,2])
        r = RELU(n)
        b = TRANSPOSE(r, [0,2,3,1])
        c = CONV_2D(b, f32[4,3,3,4], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        t = TRANSPOSE(c, [0,3,1,2])
        s = ADD(t, n)
        z = TRANSPOSE(s, [0,2,3,1])""",
        ["RELU", "CONV_2D", "ADD"],
    ),
    "a mean over the pixels of NCHW renumbers its axes": (
        """x: f32[1,6,5,4] -> z
        t = TRANSPOSE(x, [0,3,1,2])
        z = MEAN(t, [2,3])""",
        ["MEAN"],
    ),
    "clamps are activations": (
        """x: f32[1,4] -> z, w
        a = MAXIMUM(x, 0.0)
        z = MINIMUM(a, 6.0)
        b = MINIMUM(x, 1.0)
        w = MAXIMUM(b, -1.0)""",
        ["RELU6", "RELU_N1_TO_1"],
    ),
    "a PRelu in two halves is one": (
        """x: f32[1,3,3,4] -> z
        p = RELU(x)
        n = NEG(x)
        q = RELU(n)
        m = MUL(f32[4], q)
        z = SUB(p, m)""",
        ["PRELU"],
    ),
    "hard swish is recognized": (
        """x: f32[1,3,3,4] -> z
        a = ADD(x, 3.0)
        r = RELU6(a)
        m = MUL(x, r)
        z = MUL(m, 0.16666667)""",
        ["HARD_SWISH"],
    ),
    "a gate that opens elsewhere is no hard swish": (
        """x: f32[1,3,3,4] -> z
        a = ADD(x, 2.9)
        r = RELU6(a)
        m = MUL(x, r)
        z = MUL(m, 0.16666667)""",
        ["ADD", "MUL", "MUL"],
    ),
    "gelu by its tanh is recognized": (
        """x: f32[2,5] -> z
        q = MUL(x, x)
        c = MUL(q, x)
        d = MUL(c, 0.044715)
        e = ADD(x, d)
        f = MUL(e, 0.7978846)
        t = TANH(f)
        o = ADD(t, 1.0)
        h = MUL(x, 0.5)
        z = MUL(h, o)""",
        ["GELU"],
    ),
    "l2 normalization over the last axis is recognized": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r)""",
        ["L2_NORMALIZATION"],
    ),
    "l2 normalization with an epsilon that counts stays spelled out": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = ADD(s, 1e-6)
        r = SQRT(m)
        z = DIV(x, r)""",
        ["SQUARE", "SUM", "ADD", "SQRT", "DIV"],
    ),
    "l2 normalization over another axis stays spelled out": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [0]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r)""",
        ["SQUARE", "SUM", "MAXIMUM", "RSQRT", "MUL"],
    ),
    "space folded into the batch is a dilation": (
        """x: f32[1,8,8,3] -> z
        b = SPACE_TO_BATCH_ND(x, [2,2], [[2,2],[2,2]])
        c = CONV_2D(b, f32[4,3,3,3], f32[4]) {padding=VALID, stride_h=1, stride_w=1}
        z = BATCH_TO_SPACE_ND(c, [2,2], [[0,0],[0,0]])""",
        ["CONV_2D"],
    ),
    "two reshapes are one": (
        """x: f32[1,2,2,3] -> z
        a = RESHAPE(x, [4,3])
        b = RESHAPE(a, [1,12])
        z = FULLY_CONNECTED(b, f32[5,12], f32[5])""",
        ["RESHAPE", "FULLY_CONNECTED"],
    ),
    "bias and activation behind the squeeze of a 1-D convolution are the convolution's": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        a = ADD(s, f32[4])
        z = RELU(a)""",
        ["RESHAPE", "CONV_2D", "RESHAPE"],
    ),
    "a shift by position behind a reshape stays": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        z = ADD(s, f32[8,4])""",
        ["RESHAPE", "CONV_2D", "RESHAPE", "ADD"],
    ),
    "a squeeze before a dense layer is not needed": (
        """x: f32[1,1,1,6] -> z
        s = RESHAPE(x, [1,6])
        z = FULLY_CONNECTED(s, f32[5,6], f32[5])""",
        ["FULLY_CONNECTED"],
    ),
    "a mean over one element is a reshape": (
        """x: f32[1,6] -> z
        m = MEAN(x, [0])
        z = EXP(m)""",
        ["RESHAPE", "EXP"],
    ),
    "zero times anything is zero": (
        """x: f32[2,3], y: f32[2,3] -> z
        m = MUL(x, zeros[2,3])
        a = ADD(m, y)
        z = EXP(a)""",
        ["EXP"],
    ),
    "equal operators run once": (
        """x: f32[2,3] -> z
        a = EXP(x)
        b = EXP(x)
        z = ADD(a, b)""",
        ["EXP", "ADD"],
    ),
    "an activation goes into the sum before it": (
        """x: f32[2,3], y: f32[2,3] -> z
        a = ADD(x, y)
        z = RELU(a)""",
        ["ADD"],
    ),
    "an activation behind a concatenation stays": (
        """x: f32[2,3], y: f32[2,3] -> z
        a = CONCATENATION(x, y) {axis=1}
        z = RELU(a)""",
        ["CONCATENATION", "RELU"],
    ),
}


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
    norms = next(s for s in _stages(Path("m.pb"), INT8) if s.name == "norms")
    graph = parse("""x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = ADD(s, 1e-6)
        r = SQRT(m)
        z = DIV(x, r)""")
    run_stage(norms, graph, check=True)
    assert [op.type for op in graph.ops] == ["L2_NORMALIZATION"]
    assert all(s.name != "norms" for s in _stages(Path("m.pb"), ConvertOptions()))
