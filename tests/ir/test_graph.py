"""The graph keeps its order, and says so where there is none."""

from __future__ import annotations

import pytest
from graph_text import parse

from tqconv.errors import InternalError


def test_operators_are_sorted_behind_what_they_read() -> None:
    graph = parse("""x: f32[2] -> z
        a = RELU(x)
        b = NEG(a)
        z = ADD(a, b)""")
    graph.ops.reverse()
    graph.sort()
    assert [op.type for op in graph.ops] == ["RELU", "NEG", "ADD"]


def test_a_cycle_is_found() -> None:
    graph = parse("""x: f32[2] -> z
        a = RELU(x)
        b = NEG(a)
        z = ADD(a, b)""")
    graph.set_input(graph.ops[0], 0, graph.outputs[0])
    with pytest.raises(InternalError, match="depends on its own result"):
        graph.sort()
