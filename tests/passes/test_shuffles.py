"""Channels that change places, in images whose sizes are open."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph, Model
from tqconv.passes.driver import Stage, run_stages
from tqconv.passes.recognize.shuffles import recognize_channel_shuffle

STAGE = Stage("shuffles", (recognize_channel_shuffle,))


def shuffle(split: str = "[0,2,1,3,4]", sizes: str = "x", groups: str = "[2], [4]") -> Graph:
    return parse(
        f"""
        x: f32[?,8,?,?], other: f32[?,8,?,?] -> y
        s = SHAPE({sizes}) {{out_type=INT32}}
        n = STRIDED_SLICE(s, [0], [1], [1])
        h = STRIDED_SLICE(s, [2], [3], [1])
        w = STRIDED_SLICE(s, [3], [4], [1])
        v = CONCATENATION(n, {groups}, h, w) {{axis=0}}
        r = RESHAPE(x, v)
        t = TRANSPOSE(r, {split})
        u = CONCATENATION(n, [8], h, w) {{axis=0}}
        y = RESHAPE(t, u)
        """
    )


def types(graph: Graph) -> list[str]:
    run_stages(Model([graph]), (STAGE,), check=True)
    return [op.type for op in graph.ops]


def test_channels_are_gathered() -> None:
    graph = shuffle()
    x = np.random.default_rng(5).normal(size=(2, 8, 3, 5)).astype(np.float32)
    want = x.reshape(2, 2, 4, 3, 5).transpose(0, 2, 1, 3, 4).reshape(x.shape)
    assert types(graph) == ["GATHER"]
    (got,) = run_litert(graph, [x, x])
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "asked",
    [
        {"sizes": "other"},  # rows and columns may be others
        {"split": "[0,2,1,4,3]"},
        {"split": "[1,0,2,3,4]"},
        {"split": "[0,1,2,3,4]"},
    ],
)
def test_other_moves_stay(asked: dict[str, str]) -> None:
    assert "GATHER" not in types(shuffle(**asked))
