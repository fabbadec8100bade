"""IF and WHILE lose what nobody reads."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert

from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.emit import emit, finish, infer
from tqconv.ops.table import spec
from tqconv.passes.bodies import trim_branches, trim_loops

FLOAT = np.dtype(np.float32)
X = np.array([1, 2, 3], np.float32)


def with_bodies(
    graph: Graph, type: str, operands: list[Tensor], bodies: tuple[Graph, Graph]
) -> list[Tensor]:
    op = Op(type, tuple(operands), (), {}, graphs=bodies)
    return list(finish(graph, spec(type), op, infer(op), "y"))


def body(name: str, *types: Tensor) -> tuple[Graph, list[Tensor]]:
    graph = Graph(name)
    return graph, [graph.add_input(t.name, t.shape, t.dtype) for t in types]


def a_branch(name: str, type: str, x: Tensor, z: Tensor) -> Graph:
    graph, (a, b) = body(name, x, z)
    graph.outputs = [
        emit(graph, type, a, name="used"),
        emit(graph, "ADD", b, b, name="unused"),
    ]
    return graph


@pytest.mark.parametrize("chosen", [True, False])
def test_if_returns_and_takes_what_is_read(chosen: bool) -> None:
    graph = Graph("main")
    p = graph.add_input("p", (), np.dtype(np.bool_))
    x, z = (graph.add_input(name, (3,), FLOAT) for name in "xz")
    then, other = a_branch("then", "NEG", x, z), a_branch("else", "SQUARE", x, z)
    graph.outputs = with_bodies(graph, "IF", [p, x, z], (then, other))[:1]
    assert trim_branches(graph) == 2
    assert trim_branches(graph) == 0
    op = graph.ops[0]
    assert [t.name for t in op.inputs if t is not None] == ["p", "x"]
    assert len(op.outputs) == len(then.outputs) == len(other.inputs) == 1
    for part in (graph, then, other):
        part.check()
    feeds = {"p": np.array(chosen), "x": X, "z": X}
    for delegate in (True, False):
        have = run_litert(Model([graph]), feeds, delegate)
        np.testing.assert_array_equal(have[0], -X if chosen else X * X)


def test_a_loop_keeps_what_its_result_depends_on_through_rounds() -> None:
    """I counts; a adds b; b adds c; c stays; d adds a, but nobody reads it."""
    graph = Graph("main")
    zero = graph.constant("zero", np.array(0, np.int32))
    x = [graph.add_input(name, (3,), FLOAT) for name in "abcd"]
    condition, (i, *_) = body("cond", zero, *x)
    condition.outputs = [emit(condition, "LESS", i, np.array(3, np.int32), name="less")]
    step, (i, a, b, c, d) = body("body", zero, *x)
    step.outputs = [
        emit(step, "ADD", i, np.array(1, np.int32), name="next"),
        emit(step, "ADD", a, b, name="a1"),
        emit(step, "ADD", b, c, name="b1"),
        c,
        emit(step, "ADD", d, a, name="d1"),
    ]
    graph.outputs = with_bodies(graph, "WHILE", [zero, *x], (condition, step))[1:2]
    assert trim_loops(graph) == 1
    assert trim_loops(graph) == 0
    assert [t.name for t in graph.ops[0].inputs if t is not None] == ["zero", "a", "b", "c"]
    assert len(condition.inputs) == len(step.inputs) == len(step.outputs) == 4
    for part in (graph, condition, step):
        part.check()
    for delegate in (True, False):
        have = run_litert(Model([graph]), dict.fromkeys("abcd", X), delegate)
        np.testing.assert_array_equal(have[0], X + 3 * X + 3 * X)
