"""Pixel shuffles: which of them DEPTH_TO_SPACE is, and in which order the channels are."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph
from tqconv.ops.emit import emit
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.recognize.pixels import recognize_depth_to_space, recognize_patches

STAGE = Stage("pixels", (recognize_depth_to_space,))
CONV = "c = CONV_2D(x, f32[12,1,1,3], f32[12]) {padding=SAME, stride_h=1, stride_w=1}"


def shuffle(parts: str, perm: str, *, conv: bool = True, more: str = "") -> str:
    """Return a graph that makes [1,6,10,3] of [1,3,5,12] by a permutation of parts."""
    given, made = ("x: f32[1,3,5,3]", CONV) if conv else ("x: f32[1,3,5,12]", "c = EXP(x)")
    return f"""{given} -> y{more and ", c"}
        {made}
        r = RESHAPE(c, [1,3,5,{parts}])
        t = TRANSPOSE(r, [{perm}])
        y = RESHAPE(t, [1,6,10,3])"""


CASES = {
    "rows, columns, rest": (shuffle("2,2,3", "0,1,3,2,4,5", conv=False), True),
    "rest, rows, columns, as PyTorch has them": (shuffle("3,2,2", "0,1,4,2,5,3"), True),
    "another order before no filters": (shuffle("3,2,2", "0,1,4,2,5,3", conv=False), False),
    "another order that is read again": (shuffle("3,2,2", "0,1,4,2,5,3", more="c"), False),
    "columns before rows": (shuffle("2,2,3", "0,1,4,2,3,5"), True),
    "one channel, in the order of NCHW": (
        """x: f32[1,3,5,3] -> y
        c = CONV_2D(x, f32[4,1,1,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        r = RESHAPE(c, [1,1,3,5,2,2])
        t = TRANSPOSE(r, [0,1,2,4,3,5])
        y = RESHAPE(t, [1,1,6,10])""",
        True,
    ),
    "a batch of any size": (
        shuffle("3,2,2", "0,1,4,2,5,3").replace("[1,3,5,3]", "[2,3,5,3]").replace("[1,", "[2,"),
        True,
    ),
    "places among the channels": (shuffle("2,2,3", "0,3,1,2,4,5"), False),
}


@pytest.mark.parametrize("claim", CASES)
def test_a_shuffle_is_one_operator(claim: str) -> None:
    text, found = CASES[claim]
    before, after = parse(text), parse(text)
    assert run_stage(STAGE, after, check=True) == int(found)
    assert ("DEPTH_TO_SPACE" in [op.type for op in after.ops]) == found
    assert ("TRANSPOSE" in [op.type for op in after.ops]) != found
    rng = np.random.default_rng(3)
    feeds = [rng.normal(size=[d or 1 for d in t.shape]).astype(np.float32) for t in before.inputs]
    for want, got in zip(run_litert(before, feeds), run_litert(after, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("padding", "stride", "order", "found"),
    [("VALID", 2, 1, True), ("SAME", 2, 1, True), ("VALID", 1, 1, False), ("VALID", 2, -1, False)],
)
def test_tiles_that_only_move_are_one_operator(
    padding: str, stride: int, order: int, found: bool
) -> None:
    w = np.eye(12, dtype=np.float32)[::order].reshape(12, 2, 2, 3)
    graphs = []
    for _ in range(2):
        graph = Graph("main")
        x = graph.add_input("x", (2, 4, 6, 3), np.dtype(np.float32))
        options = {"padding": padding, "stride_h": 2, "stride_w": stride}
        zero = np.zeros(12, np.float32)
        graph.outputs = [emit(graph, "CONV_2D", x, w, zero, name="y", **options)]
        graphs.append(graph)
    before, after = graphs
    run_stage(Stage("pixels", (recognize_patches,)), after, check=True)
    assert [op.type for op in after.ops] == ["SPACE_TO_DEPTH" if found else "CONV_2D"]
    feeds = [np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype(np.float32)]
    for want, got in zip(run_litert(before, feeds), run_litert(after, feeds), strict=True):
        np.testing.assert_array_equal(got, want)
