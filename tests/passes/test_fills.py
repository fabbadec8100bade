"""A tensor of one number is that number where what stands beside it has the shape."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Source
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

F = np.dtype(np.float32)
X = np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)


def zeros_of(b: Builder, x: Tensor) -> Tensor:
    made: Tensor = b("FILL", b("SHAPE", x, out_type="INT32"), np.array(0, np.float32))
    return made


def types_of(graph: Graph, want: np.ndarray, *feeds: np.ndarray) -> list[str]:
    """Optimize, compare with what is wanted, and return the operators."""
    model = Model([graph])
    run_stages(model, FLOAT_STAGES, check=True)
    np.testing.assert_allclose(run_litert(model, list(feeds))[0], want, rtol=1e-6)
    return [op.type for op in graph.ops]


@pytest.mark.parametrize("place", [1, 2])
def test_what_is_chosen_instead_is_a_number(place: int) -> None:
    graph = Graph("main")
    b = Builder(graph, Source("m", "y", "Op"), "y")
    x = graph.add_input("x", (None, 3), F)
    y = b("SIN", x)
    parts = [y, zeros_of(b, y)] if place == 2 else [zeros_of(b, y), y]
    graph.outputs = [b("SELECT_V2", b("GREATER", y, np.array(0.5, np.float32)), *parts)]
    chosen = (np.sin(X) > 0.5) == (place == 2)
    types = types_of(graph, np.where(chosen, np.sin(X), 0), X)
    assert types == ["SIN", "GREATER", "SELECT_V2"]


def test_what_gives_the_result_its_shape_stays() -> None:
    graph = Graph("main")
    b = Builder(graph, Source("m", "y", "Op"), "y")
    x, row = graph.add_input("x", (None, 3), F), graph.add_input("row", (None, 3), F)
    ones = b("FILL", b("SHAPE", x, out_type="INT32"), np.array(2, np.float32))
    graph.outputs = [b("ATAN2", b("ADD", ones, row), x)]
    want = np.arctan2(2 + X[:1], X).astype(np.float32)
    assert "FILL" in types_of(graph, want, X, X[:1])


def test_an_operator_that_does_not_broadcast_keeps_its_operand() -> None:
    graph = Graph("main")
    b = Builder(graph, Source("m", "y", "Op"), "y")
    x = graph.add_input("x", (None, 3), F)
    graph.outputs = [b("ATAN2", b("SIN", x), zeros_of(b, x))]
    assert "FILL" in types_of(graph, np.arctan2(np.sin(X), 0).astype(np.float32), X)
