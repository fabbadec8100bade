"""Permutations pass RESHAPEs of which several sizes are open and computed of what is reshaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph, Model
from tqconv.passes.driver import run_stages
from tqconv.passes.layout.groups import open_groups
from tqconv.passes.pipeline import STAGES

SPLIT = ("n, [3], [7], h, w", (0, 1, 3, 4, 2))
JOIN = ("n, [21], [-1]", (0, 2, 1))


def head(parts: str, order: Sequence[int], of: str = "t") -> Graph:
    """A map of 21 channels that is reshaped as a channels-first one, and turned."""
    return parse(
        f"""
        x: f32[?,?,?,21], other: f32[?,21,?,?] -> y
        t = TRANSPOSE(x, [0,3,1,2])
        s = SHAPE({of}) {{out_type=INT32}}
        n = STRIDED_SLICE(s, [0], [1], [1])
        h = STRIDED_SLICE(s, [2], [3], [1])
        w = STRIDED_SLICE(s, [3], [4], [1])
        v = CONCATENATION({parts}) {{axis=0}}
        r = RESHAPE(t, v)
        a = ABS(r)
        y = TRANSPOSE(a, [{",".join(map(str, order))}])
        """
    )


@pytest.mark.parametrize(("parts", "order", "left"), [(*SPLIT, 1), (*JOIN, 0)])
@pytest.mark.parametrize("shape", [(2, 3, 5, 21), (1, 4, 4, 21), (0, 3, 5, 21)])
def test_a_permutation_passes(
    parts: str, order: tuple[int, ...], left: int, shape: tuple[int, ...]
) -> None:
    graph = head(parts, order)
    x = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    n, h, w, _ = shape
    sizes = (n, 3, 7, h, w) if left else (n, 21, h * w)
    want = np.abs(x.transpose(0, 3, 1, 2).reshape(sizes).transpose(order))
    run_stages(Model([graph]), STAGES, check=True)
    assert [op.type for op in graph.ops].count("TRANSPOSE") == left
    feeds = [x, x.transpose(0, 3, 1, 2)]
    for delegate in (True, False):
        (got,) = run_litert(graph, feeds[: len(graph.inputs)], delegate)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("parts", "of", "want"),
    [
        ("n, [3], [7], h, w", "other", None),  # rows and columns may be others
        ("n, [3], [7], w, h", "t", None),
        ("n, h, [3], [7], w", "t", None),
        ("n, [2], [-1], h, w", "t", None),
        ("[-1], h, w", "t", [([0, 1], [0]), ([2], [1]), ([3], [2])]),
    ],
)
def test_groups_are_told_where_open_sizes_stay(parts: str, of: str, want: Any) -> None:
    graph = head(parts, range(parts.count(",") + 1), of)
    reshape = next(op for op in graph.ops if op.type == "RESHAPE")
    assert open_groups(reshape.input(0), reshape.output, reshape.inputs[1]) == want
