"""TOCO's stages: which operators are left, in which order, and that they compute the same."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph
from tqconv.ir.types import Range
from tqconv.passes.driver import run_stage
from tqconv.passes.toco.stages import restore_order, stages

ROUNDING = 2e-6
"""Relative to the largest output: a dozen float32 roundings, as folding reorders sums."""
CONV = "{padding=SAME, stride_h=1, stride_w=1}"
FAKE = "{min=-9.0, max=9.0, num_bits=16}"


def prepared(text: str, **options: bool) -> Graph:
    graph = parse(text)
    for stage in stages(**options):
        run_stage(stage, graph, check=True)
    return graph


def types(graph: Graph) -> list[str]:
    return [op.type for op in graph.ops]


KEPT = {
    "clamps by other numbers than -1 and 1 stay": (
        "x: f32[1,4] -> z\ny = MAXIMUM(x, 0.0)\nz = MINIMUM(y, 6.0)",
        ["MAXIMUM", "MINIMUM"],
    ),
    "a clamp between -1 and 1 is an activation": (
        "x: f32[1,4] -> z\ny = MAXIMUM(x, -1.0)\nz = MINIMUM(y, 1.0)",
        ["RELU_N1_TO_1"],
    ),
    "equal operators both stay": (
        "x: f32[1,4] -> z\na = TANH(x)\nb = TANH(x)\nz = ADD(a, b)",
        ["TANH", "TANH", "ADD"],
    ),
    "two scales in a row stay two": (
        "x: f32[1,4] -> z\ny = MUL(x, f32[4])\nz = MUL(y, f32[4])",
        ["MUL", "MUL"],
    ),
    "a scale by channel before a convolution stays": (
        f"x: f32[1,4,4,3] -> z\ny = MUL(x, f32[3])\nz = CONV_2D(y, f32[2,3,3,3], zeros[2]) {CONV}",
        ["MUL", "CONV_2D"],
    ),
    "a scale by one number before a convolution is folded": (
        f"x: f32[1,4,4,3] -> z\ny = MUL(x, 0.5)\nz = CONV_2D(y, f32[2,3,3,3], zeros[2]) {CONV}",
        ["CONV_2D"],
    ),
    "a shift before a padded convolution stays": (
        f"x: f32[1,4,4,3] -> z\ny = ADD(x, 0.5)\nz = CONV_2D(y, f32[2,3,3,3], zeros[2]) {CONV}",
        ["ADD", "CONV_2D"],
    ),
    "a bias of a transposed convolution stays an ADD": (
        """x: f32[1,4,4,3] -> z
        y = TRANSPOSE_CONV([1,8,8,2], f32[2,3,3,3], x) {padding=SAME, stride_h=2, stride_w=2}
        z = ADD(y, f32[2])""",
        ["TRANSPOSE_CONV", "ADD"],
    ),
    "weights that two convolutions share are not scaled": (
        f"""x: f32[1,4,4,2] -> z
        w = RESHAPE(f32[4], [2,1,1,2])
        a = CONV_2D(x, w, zeros[2]) {CONV}
        m = MUL(a, f32[2])
        z = CONV_2D(m, w, zeros[2]) {CONV}""",
        ["CONV_2D", "MUL", "CONV_2D"],
    ),
    "a convolution of one channel is a depthwise one": (
        f"x: f32[1,4,4,1] -> z\nz = CONV_2D(x, f32[3,3,3,1], f32[3]) {CONV}",
        ["DEPTHWISE_CONV_2D"],
    ),
    "an activation moves before a transposition and is fused": (
        f"""x: f32[1,4,4,3] -> z
        y = CONV_2D(x, f32[2,3,3,3], f32[2]) {CONV}
        t = TRANSPOSE(y, [0,2,1,3])
        z = RELU(t)""",
        ["CONV_2D", "TRANSPOSE"],
    ),
    "a bias moves before a RESHAPE and is folded": (
        f"""x: f32[1,4,4,3] -> z
        y = CONV_2D(x, f32[2,3,3,3], f32[2]) {CONV}
        r = RESHAPE(y, [16,2])
        z = ADD(r, f32[2])""",
        ["CONV_2D", "RESHAPE"],
    ),
    "rows are not flattened before a matrix product": (
        "x: f32[1,2,2,3] -> z\ny = RESHAPE(x, [1,12])\nz = FULLY_CONNECTED(y, f32[5,12])",
        ["FULLY_CONNECTED"],
    ),
    "a RESHAPE before one that is an output stays": (
        "x: f32[1,2,2,3] -> z\ny = RESHAPE(x, [12])\nz = RESHAPE(y, [3,4])",
        ["RESHAPE", "RESHAPE"],
    ),
    "a RESHAPE before another one goes": (
        "x: f32[1,2,2,3] -> t\ny = RESHAPE(x, [12])\nz = RESHAPE(y, [3,4])\nt = TANH(z)",
        ["TANH", "RESHAPE"],
    ),
    "activations of other operators than TOCO's stay": (
        """x: f32[1,4,4,3] -> z
        y = TRANSPOSE_CONV([1,8,8,2], f32[2,3,3,3], x) {padding=SAME, stride_h=2, stride_w=2}
        z = RELU(y)""",
        ["TRANSPOSE_CONV", "RELU"],
    ),
    "a sum of two is an ADD": ("a: f32[4], b: f32[4] -> z\nz = ADD_N(a, b)", ["ADD"]),
    "steps that change nothing go": (
        "x: f32[1,4] -> z\ny = MUL(x, 1.0)\nt = TANH(y)\nz = SUB(t, 0.0)",
        ["TANH"],
    ),
    "transpositions that undo each other go": (
        "x: f32[2,3,4] -> z\na = TRANSPOSE(x, [1,2,0])\nb = TRANSPOSE(a, [2,0,1])\nz = TANH(b)",
        ["TANH"],
    ),
}


@pytest.mark.parametrize("claim", KEPT)
def test_operators_left(claim, rng):
    text, expected = KEPT[claim]
    before, after = parse(text), prepared(text)
    assert types(after) == expected
    inputs = [rng.standard_normal(t.shape).astype(np.float32) for t in before.inputs]
    for want, got in zip(run_litert(before, inputs), run_litert(after, inputs), strict=True):
        assert np.max(np.abs(want - got)) <= ROUNDING * np.max(np.abs(want))


CROSSED = f"""x: f32[1,4,4,3] -> r
y = CONV_2D(x, f32[2,3,3,3], f32[2]) {CONV}
f = FAKE_QUANT(y) {FAKE}
m = MUL(f, f32[2])
r = RELU(m)"""


@pytest.mark.parametrize(("cross", "expected"), [(False, ["CONV_2D", "MUL"]), (True, ["CONV_2D"])])
def test_fake_quant_is_crossed_only_on_request(cross, expected):
    graph = prepared(CROSSED, cross_fake_quant=cross)
    assert types(graph) == expected
    kept = graph.ops[0].output.range
    assert (kept is None) is cross, "the range before the scale does not hold behind it"


def test_a_fused_activation_brings_its_range():
    text = (
        "x: f32[1,4] -> f\ny = MUL(x, f32[4])\nr = RELU(y)\nf = FAKE_QUANT(r) {max=2.0, num_bits=8}"
    )
    graph = prepared(text)
    assert types(graph) == ["MUL"]
    assert (graph.outputs[0].range.low, graph.outputs[0].range.high) == (0.0, 2.0)
    assert graph.outputs[0].name == "f"


def test_scaled_weights_forget_their_range_but_not_that_it_is_narrow():
    text = f"x: f32[1,4,4,3] -> z\ny = CONV_2D(x, f32[2,3,3,3], f32[2]) {CONV}\nz = MUL(y, 3.0)"
    graph = parse(text)
    w = graph.ops[0].input(1)
    w.range = Range(-7.0, 7.0, "fake_quant", narrow=True)
    expected = np.float32(3) * w.data
    for stage in stages():
        run_stage(stage, graph, check=True)
    made = graph.ops[0].input(1)
    np.testing.assert_array_equal(made.data, expected)
    assert (made.range.low, made.range.high) == (expected.min(), expected.max())
    assert made.range.narrow


def test_operators_stand_where_the_source_has_them():
    text = """x: f32[1,4] -> z
    a = TANH(x)
    b = LOGISTIC(x)
    z = ADD(b, a)"""
    graph = parse(text)
    graph.ops[:] = [graph.ops[1], graph.ops[0], graph.ops[2]]
    for place, op in zip((5, 3, 4), graph.ops, strict=True):
        op.source = type(op.source)("", op.output.name, op.type, place=place)
    restore_order(graph)
    assert types(graph) == ["TANH", "LOGISTIC", "ADD"]


def test_channels_first_models_lose_their_transpositions():
    text = """x: f32[1,3,4,4] -> c
    a = TRANSPOSE(x, [0,2,3,1])
    b = LOGISTIC(a)
    c = TRANSPOSE(b, [0,3,1,2])"""
    assert types(prepared(text)) == ["TRANSPOSE", "LOGISTIC", "TRANSPOSE"]
    assert types(prepared(text, channels_first=True)) == ["LOGISTIC"]
