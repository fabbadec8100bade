"""Recurrent layers become operators for sequences, exactly and in every run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import run_litert
from written_out import (
    BATCH,
    C0,
    CELLS,
    FLOAT,
    H0,
    INPUTS,
    RNG,
    TIME,
    B,
    Builder,
    R,
    W,
    X,
    check,
    expected,
    lstm,
    one_row,
    plain,
    sigmoid,
)

from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.text import graph_text
from tqconv.ops.emit import finish, infer
from tqconv.ops.table import spec
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES
from tqconv.passes.recurrent.loops import fuse_loops
from tqconv.passes.recurrent.steps import fuse_steps


@pytest.mark.parametrize("kind", ["joined", "apart", "plain"])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("batch", [BATCH, None])
def test_steps_become_a_sequence(kind: str, given: bool, batch: int | None) -> None:
    graph = Graph("main")
    b = Builder(graph)
    x = graph.add_input("x", (TIME, batch, INPUTS), FLOAT)
    feeds, states = [X], []
    for name, value in (("h", H0), ("c", C0)):
        if given and not (name == "c" and kind == "plain"):
            start = graph.add_input(name, (batch, CELLS), FLOAT)
            feeds.append(value)
            states.append(b("MUL", start, np.array(0.5, np.float32)))
        else:
            states.append(graph.constant(name, np.zeros((BATCH, CELLS), np.float32)))
    h, c = states
    steps = []
    for part in b("UNPACK", x, num=TIME, axis=0):
        if kind == "plain":
            h = plain(b, part, h)
        else:
            h, c = lstm(b, part, h, c, joined=kind == "joined")
        steps.append(h)
    graph.outputs = [b("PACK", *steps, values_count=TIME, axis=0), b("NEG", steps[-1])]
    scale = 0.5 if given else 0.0
    want = expected(kind, H0 * scale, C0 * scale)
    types = check(graph, feeds, [want, -want[-1]])
    fused = "UNIDIRECTIONAL_SEQUENCE_" + ("RNN" if kind == "plain" else "LSTM")
    assert types.count(fused) == 1
    assert "LOGISTIC" not in types
    assert "FULLY_CONNECTED" not in types


def test_a_state_of_one_row_may_be_added_as_a_bias() -> None:
    graph = Graph("main")
    b = Builder(graph)
    x = graph.add_input("x", (TIME, 1, INPUTS), FLOAT)
    h = graph.constant("h", np.zeros((1, CELLS), np.float32))
    for part in b("UNPACK", x, num=TIME, axis=0):
        h = one_row(b, part, h)
    graph.outputs = [b("NEG", h)]
    want = expected("plain", H0 * 0, C0 * 0)[-1, :1]
    types = check(graph, [X[:, :1]], [-want])
    assert "UNIDIRECTIONAL_SEQUENCE_RNN" in types


def steps_of(weights: Sequence[np.ndarray]) -> Graph:
    """Return unrolled plain steps with one matrix R each."""
    graph = Graph("main")
    b = Builder(graph)
    h = graph.constant("h", H0)
    for i, r in enumerate(weights):
        x = graph.add_input(f"x{i}", (BATCH, INPUTS), FLOAT)
        total = b("ADD", b("FULLY_CONNECTED", x, W[:CELLS]), b("FULLY_CONNECTED", h, r))
        h = b("TANH", total)
    graph.outputs = [h]
    return graph


@pytest.mark.parametrize("kind", ["joined", "plain"])
def test_steps_that_read_the_result_before_are_no_sequence(kind: str) -> None:
    graph = Graph("main")
    b = Builder(graph)
    x = graph.add_input("x", (BATCH, INPUTS), FLOAT)
    h, c = graph.constant("h", H0), graph.constant("c", C0)
    back = RNG.standard_normal((INPUTS, CELLS)).astype(np.float32)
    fed, want, inner = x, H0, C0
    for step in range(3):
        read = X[0] if step == 0 else np.sin(want @ back.T)
        if kind == "plain":
            h = plain(b, fed, h)
            want = np.tanh(read @ W[:CELLS].T + want @ R[:CELLS].T + B[:CELLS])
        else:
            h, c = lstm(b, fed, h, c, joined=True)
            i, g, f, o = np.split(read @ W.T + want @ R.T + B, 4, 1)
            inner = sigmoid(f + 1) * inner + sigmoid(i) * np.tanh(g)
            want = sigmoid(o) * np.tanh(inner)
        fed = b("SIN", b("FULLY_CONNECTED", h, back))
    graph.outputs = [b("NEG", h)]
    types = check(graph, [X[0]], [-want])
    assert not [t for t in types if t.startswith("UNIDIRECTIONAL")]


def test_steps_from_a_state_of_one_row_stay() -> None:
    """The first step broadcasts it; the operator for sequences wants it for every row."""
    graph = Graph("main")
    b = Builder(graph)
    h = b("RELU", graph.add_input("h", (1, CELLS), FLOAT))
    for step in range(3):
        h = plain(b, graph.add_input(f"x{step}", (BATCH, INPUTS), FLOAT), h)
    graph.outputs.append(h)
    before = graph_text(graph)
    assert fuse_steps(graph) == 0
    assert graph_text(graph) == before
    graph.check()


def test_steps_with_other_weights_are_no_sequence() -> None:
    same = R[:CELLS]
    assert fuse_steps(steps_of([same, same + 1, same])) == 0
    assert fuse_steps(steps_of([same, same, same])) == 1


def test_an_inner_state_that_is_read_keeps_the_steps() -> None:
    graph = Graph("main")
    b = Builder(graph)
    h, c = graph.constant("h", H0), graph.constant("c", C0)
    for i in range(3):
        x = graph.add_input(f"x{i}", (BATCH, INPUTS), FLOAT)
        h, c = lstm(b, x, h, c, joined=True)
    graph.outputs = [h, c]
    assert fuse_steps(graph) == 0


def loop(
    graph: Graph, kind: str, limit: int = TIME, start: int = 0, count: int = 1
) -> list[Tensor]:
    """Emit a loop over `x`; return its results: counter, h, c, the list of h, x."""
    x = graph.add_input("x", (TIME, BATCH, INPUTS), FLOAT)
    given = [
        graph.constant("i", np.array(start, np.int32)),
        graph.constant("h", np.zeros((BATCH, CELLS), np.float32)),
        graph.constant("c", np.zeros((BATCH, CELLS), np.float32)),
        graph.constant("list", np.zeros((TIME, BATCH, CELLS), np.float32)),
        x,
    ]
    bodies = [Graph("cond"), Graph("body")]
    inputs = [[g.add_input(t.name, t.shape, t.dtype) for t in given] for g in bodies]
    b = Builder(bodies[0])
    bodies[0].outputs = [b("LESS", inputs[0][0], np.array(limit, np.int32))]
    b = Builder(bodies[1])
    i, h, c, rows, xs = inputs[1]
    part = b("GATHER", xs, i, axis=0)
    if kind == "plain":
        h1, c1 = plain(b, part, h), b("NEG", c)
    else:
        h1, c1 = lstm(b, part, h, c, joined=kind == "joined")
    begin = b(
        "CONCATENATION", b("RESHAPE", i, np.array([1], np.int32)), np.zeros(2, np.int32), axis=0
    )
    written = b("DYNAMIC_UPDATE_SLICE", rows, b("EXPAND_DIMS", h1, np.array(0, np.int32)), begin)
    following = b("ADD", i, np.array(count, np.int32))
    bodies[1].outputs = [following, h1, c1, written, xs]
    op = Op("WHILE", tuple(given), (), {}, graphs=tuple(bodies))
    return list(finish(graph, spec("WHILE"), op, infer(op), "loop"))


@pytest.mark.parametrize("kind", ["joined", "apart", "plain"])
def test_a_loop_becomes_a_sequence(kind: str) -> None:
    graph = Graph("main")
    _, h, _, rows, _ = loop(graph, kind)
    graph.outputs = [Builder(graph)("NEG", h), rows]
    want = expected(kind, H0 * 0, C0 * 0)
    types = check(graph, [X], [-want[-1], want])
    fused = "UNIDIRECTIONAL_SEQUENCE_" + ("RNN" if kind == "plain" else "LSTM")
    assert types.count(fused) == 1
    assert "WHILE" not in types


@pytest.mark.parametrize("change", [{"limit": 3}, {"start": 1}, {"count": 2}])
def test_a_loop_that_does_not_visit_each_row_stays(change: dict[str, int]) -> None:
    graph = Graph("main")
    graph.outputs = [loop(graph, "joined", **change)[1]]
    assert fuse_loops(graph) == 0


def test_a_loop_whose_inner_state_is_read_stays_and_is_right() -> None:
    graph = Graph("main")
    _, h, c, _, _ = loop(graph, "apart")
    b = Builder(graph)
    graph.outputs = [b("NEG", h), b("TANH", c)]
    inner = np.zeros_like(C0)
    h_now = np.zeros_like(H0)
    for x in X:
        i, g, f, o = np.split(x @ W.T + h_now @ R.T + B, 4, 1)
        inner = sigmoid(f + 1) * inner + sigmoid(i) * np.tanh(g)
        h_now = sigmoid(o) * np.tanh(inner)
    assert "WHILE" in check(graph, [X], [-h_now, np.tanh(inner)])


def test_a_state_that_ones_are_multiplied_with_is_that_state() -> None:
    """Layers trained with dropout of their state have such a mask in use, of the state's shape."""
    graph = Graph("main")
    xs = graph.add_input("x", (TIME, None, INPUTS), FLOAT)
    given = [graph.constant("i", np.array(0, np.int32)), xs]
    given += [graph.add_input(name, (None, CELLS), FLOAT) for name in "hc"]
    bodies = [Graph("cond"), Graph("body")]
    inputs = [[g.add_input(t.name, t.shape, t.dtype) for t in given] for g in bodies]
    limit = np.array(TIME, np.int32)
    bodies[0].outputs = [Builder(bodies[0])("LESS", inputs[0][0], limit)]
    b, (i, x, h, c) = Builder(bodies[1]), inputs[1]
    ones = b("FILL", b("SHAPE", h, out_type="INT32"), np.array(1, np.float32))
    h1, c1 = lstm(b, b("GATHER", x, i, axis=0), b("MUL", h, ones), c, joined=False)
    bodies[1].outputs = [b("ADD", i, np.array(1, np.int32)), x, h1, c1]
    op = Op("WHILE", tuple(given), (), {}, graphs=tuple(bodies))
    *_, last, _ = finish(graph, spec("WHILE"), op, infer(op), "loop")
    graph.outputs = [Builder(graph)("NEG", last)]
    model = Model([graph])
    run_stages(model, FLOAT_STAGES, check=True)
    found = run_litert(model, [X, H0, C0])[0]
    np.testing.assert_allclose(found, -expected("apart", H0, C0)[-1], rtol=1e-4, atol=1e-5)
    types = [op.type for op in graph.ops]
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in types
    assert "WHILE" not in types
