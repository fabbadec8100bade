"""What loops keep twice, keep for the last round alone, or compute anew in each."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert

from tqconv.compose import recurrent
from tqconv.compose.builder import Builder
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit, finish, infer
from tqconv.ops.table import spec
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES, LAST
from tqconv.passes.recurrent.loops import trip_count, write_out_one_round

FLOAT = np.dtype(np.float32)
TIME, ROWS, SIZE, CELLS = 4, 2, 3, 5
RNG = np.random.default_rng(4)
X = RNG.normal(size=(TIME, ROWS, SIZE)).astype(np.float32)
W = RNG.normal(size=(CELLS, SIZE)).astype(np.float32)
R = RNG.normal(size=(CELLS, CELLS)).astype(np.float32)
B = RNG.normal(size=CELLS).astype(np.float32)


def bodies(*given: Tensor) -> tuple[list[Graph], list[list[Tensor]]]:
    graphs = [Graph("cond"), Graph("body")]
    return graphs, [[g.add_input(t.name, t.shape, t.dtype) for t in given] for g in graphs]


def loop(graph: Graph, given: list[Tensor], parts: list[Graph]) -> list[Tensor]:
    op = Op("WHILE", tuple(given), (), {}, graphs=(parts[0], parts[1]))
    return list(finish(graph, spec("WHILE"), op, infer(op), "loop"))


def one(name: str, value: int) -> np.ndarray:
    return np.array(value, np.int32)


def network(starts: tuple[int, int], rounds: int) -> Graph:
    """H' = SIN(x w + b + h r); two counters, h twice, and h as the only row of a list."""
    graph = Graph("main")
    x = graph.add_input("x", X.shape, FLOAT)
    zeros = graph.constant("zeros", np.zeros((ROWS, CELLS), np.float32))
    row = graph.constant("row", np.zeros((1, ROWS, CELLS), np.float32))
    counters = [graph.constant(f"i{k}", one("i", start)) for k, start in enumerate(starts)]
    given = [*counters, zeros, zeros, row, x]
    parts, ((i, j, *_), inside) = bodies(*counters, zeros, zeros, row, x)
    limits = [
        emit(parts[0], "LESS", t, one("n", rounds), name=f"less{k}") for k, t in enumerate((i, j))
    ]
    parts[0].outputs = [emit(parts[0], "LOGICAL_AND", *limits, name="both")]
    i, j, h, g, _, xs = inside

    def add(type: str, *operands: object, **options: object) -> Tensor:
        made: Tensor = emit(parts[1], type, *operands, name=type.lower(), **options)  # type: ignore[arg-type]
        return made

    part = add("FULLY_CONNECTED", add("GATHER", xs, i, axis=0), W)
    total = add("ADD", add("ADD", part, add("FULLY_CONNECTED", h, R)), B)
    again = add("ADD", add("ADD", part, add("FULLY_CONNECTED", g, R)), B)
    now, twin = add("SIN", total), add("SIN", again)
    only = add("RESHAPE", twin, np.array([1, ROWS, CELLS], np.int32))
    parts[1].outputs = [
        add("ADD", i, one("1", 1)),
        add("ADD", j, one("1", 1)),
        now,
        twin,
        only,
        xs,
    ]
    graph.outputs = [loop(graph, given, parts)[4]]
    return graph


def wanted(rounds: int) -> np.ndarray:
    h = np.zeros((ROWS, CELLS), np.float32)
    for x in X[:rounds]:
        h = np.sin(x @ W.T + B + h @ R.T)
    return h[None]


def types_of(graph: Graph) -> tuple[list[str], list[str], list[str]]:
    op = next(op for op in graph.ops if op.type == "WHILE")
    condition, body = ([inner.type for inner in part.ops] for part in op.graphs)
    return [each.type for each in graph.ops], condition, body


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
def test_a_loop_keeps_each_value_once_and_projects_its_rows_before(delegate: bool) -> None:
    graph = network((0, 0), TIME)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    outside, condition, body = types_of(graph)
    assert outside == ["FULLY_CONNECTED", "WHILE", "RESHAPE"]
    assert condition == ["LESS"]
    assert sorted(body) == ["ADD", "ADD", "FULLY_CONNECTED", "GATHER", "SIN"]
    np.testing.assert_allclose(run_litert(graph, [X], delegate)[0], wanted(TIME), atol=1e-6)


def test_counters_that_begin_apart_stay_apart() -> None:
    graph = network((0, 1), TIME)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert types_of(graph)[1] == ["LESS", "LESS", "LOGICAL_AND"]
    np.testing.assert_allclose(run_litert(graph, [X])[0], wanted(TIME - 1), atol=1e-6)


def test_a_loop_without_rounds_returns_what_it_was_given() -> None:
    graph = network((0, 0), 0)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    np.testing.assert_array_equal(run_litert(graph, [X])[0], wanted(0))


def test_what_happens_once_is_no_loop() -> None:
    graph = network((0, 0), 1)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert "WHILE" not in {op.type for op in graph.ops}
    for delegate in (True, False):
        found = run_litert(graph, [X], delegate)[0]
        np.testing.assert_allclose(found, wanted(1), atol=1e-6)


def passing(rounds: int, places: tuple[int, int], size: int | None) -> Graph:
    """a, b = …, results of a round in these places: a, b, or their sum."""
    graph = Graph("main")
    x, y = (graph.add_input(name, (size,), FLOAT) for name in "xy")
    given = [graph.constant("i", one("i", 0)), x, y]
    parts, (tested, (i, *inside)) = bodies(*given)
    parts[0].outputs = [emit(parts[0], "LESS", tested[0], one("n", rounds), name="less")]
    values = [*inside, emit(parts[1], "ADD", *inside, name="sum")]
    now = emit(parts[1], "ADD", i, one("1", 1), name="next")
    parts[1].outputs = [now, *(values[place] for place in places)]
    graph.outputs = loop(graph, given, parts)[1:]
    return graph


@pytest.mark.parametrize("rounds", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [3, None], ids=["known", "open"])
@pytest.mark.parametrize("places", [(2, 0), (1, 2), (1, 0), (2, 2), (0, 0), (0, 1)], ids=str)
def test_variables_may_change_places(
    places: tuple[int, int], size: int | None, rounds: int
) -> None:
    graph = passing(rounds, places, size)
    names = [t.name for t in graph.outputs]
    run_stages(Model([graph]), (*FLOAT_STAGES, LAST), check=True)
    assert [t.name for t in graph.outputs] == names
    given = [np.array([1, 2, 3], np.float32), np.array([10, 20, 30], np.float32)]
    a, b = given
    for _ in range(rounds):
        values = (a, b, a + b)
        a, b = (values[place] for place in places)
    for delegate in (True, False):
        np.testing.assert_array_equal(run_litert(graph, given, delegate), [a, b])


def test_a_loop_that_returns_what_nothing_makes_stays() -> None:
    graph = network((0, 0), 1)
    (op,) = (op for op in graph.ops if op.type == "WHILE")
    body = op.graphs[1]
    body.outputs[2] = Tensor("state", body.outputs[2].shape, FLOAT, variable=True)
    assert write_out_one_round(graph) == 0
    assert op in graph.ops


def test_rows_that_are_read_out_of_order_are_not_projected() -> None:
    graph = Graph("main")
    x = graph.add_input("x", X.shape, FLOAT)
    given = [
        graph.constant("i", one("i", 0)),
        graph.constant("h", np.zeros((ROWS, CELLS), np.float32)),
        x,
    ]
    parts, ((i, *_), inside) = bodies(*given)
    parts[0].outputs = [emit(parts[0], "LESS", i, one("n", TIME), name="less")]
    i, h, xs = inside
    place = emit(parts[1], "SUB", one("n", TIME - 1), i, name="place")
    part = emit(
        parts[1], "FULLY_CONNECTED", emit(parts[1], "GATHER", xs, place, name="g"), W, name="p"
    )
    now = emit(parts[1], "SIN", emit(parts[1], "ADD", part, h, name="s"), name="now")
    parts[1].outputs = [emit(parts[1], "ADD", i, one("1", 1), name="next"), now, xs]
    graph.outputs = [loop(graph, given, parts)[1]]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert types_of(graph)[0] == ["WHILE"]


def test_rows_that_a_loop_returns_are_not_projected() -> None:
    graph = Graph("main")
    x = graph.add_input("x", X.shape, FLOAT)
    counter = graph.constant("i", one("i", 0))
    start = graph.constant("h", np.zeros((ROWS, CELLS), np.float32))
    others = graph.constant("others", np.zeros_like(X))
    given = [counter, start, x, others]
    parts, ((i, *_), inside) = bodies(*given)
    parts[0].outputs = [emit(parts[0], "LESS", i, one("n", TIME), name="less")]
    i, h, xs, _ = inside
    row = emit(parts[1], "GATHER", xs, i, name="g", axis=0)
    part = emit(parts[1], "FULLY_CONNECTED", row, W, name="p")
    now = emit(parts[1], "SIN", emit(parts[1], "ADD", part, h, name="s"), name="now")
    parts[1].outputs = [emit(parts[1], "ADD", i, one("1", 1), name="next"), now, xs, xs]
    _, last, _, kept = loop(graph, given, parts)
    graph.outputs = [last, kept]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    found = run_litert(graph, [X])
    np.testing.assert_array_equal(found[1], X)
    np.testing.assert_allclose(found[0], wanted_sums(), atol=1e-6)


def wanted_sums() -> np.ndarray:
    h = np.zeros((ROWS, CELLS), np.float32)
    for x in X:
        h = np.sin(x @ W.T + h)
    return h


@pytest.mark.parametrize("limit", [np.nan, np.inf, 1.5])
def test_counters_of_reals_are_not_counted(limit: float) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (3,), FLOAT)
    given = [graph.constant("i", np.array(0, np.float32)), x]
    parts, ((i, _), (j, y)) = bodies(*given)
    test = emit(parts[0], "LESS", i, np.array(limit, np.float32), name="less")
    parts[0].outputs = [test]
    now = emit(parts[1], "SIN", y, name="now")
    parts[1].outputs = [emit(parts[1], "ADD", j, np.array(1, np.float32), name="next"), now]
    graph.outputs = loop(graph, given, parts)[1:]
    assert trip_count(graph.ops[-1]) is None


SHOWN = np.array([[True, False], [True, True], [False, True], [True, False]])
"""The steps that a mask shows, [time, rows]."""


def masked(**how: bool) -> Graph:
    """H' = SIN(x w + b + h r) where the mask shows a step, behind all stages."""
    graph = Graph("main")
    b = Builder(graph, Source("m", "y", "Layer"), "y")
    x = graph.add_input("x", X.shape, FLOAT)
    mask = graph.add_input("mask", (TIME, ROWS), np.dtype(np.bool_))
    weights = {"w": b.const(W.T), "r": b.const(R.T), "bias": b.const(B)}
    zeros = b.const(np.zeros((ROWS, CELLS), np.float32))
    cell = recurrent.Simple(activation=lambda b, x: b("SIN", x))
    y, _ = recurrent.layer(b, cell, x, [zeros], weights, mask=mask, **how)
    graph.outputs = [y]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    return graph


def test_a_masked_layer_carries_its_mask_beside_the_rows() -> None:
    graph = masked(keeps_last=True)
    body = next(op for op in graph.ops if op.type == "WHILE").graphs[1]
    (choice,) = (op for op in body.ops if op.type == "SELECT_V2")
    assert getattr(choice.input(0).producer, "type", "") == "GATHER"
    h, rows = np.zeros((ROWS, CELLS), np.float32), []
    for part, counts in zip(X, SHOWN, strict=True):
        h = np.where(counts[:, None], np.sin(part @ W.T + B + h @ R.T), h)
        rows.append(h)
    np.testing.assert_allclose(run_litert(graph, [X, SHOWN])[0], np.stack(rows), atol=1e-6)


def test_a_layer_that_is_written_out_is_what_the_loop_computes() -> None:
    """Rows are projected before they are taken apart; the first step begins with zeros."""
    graph = masked(unrolled=True)
    types = [op.type for op in graph.ops]
    assert "WHILE" not in types
    assert types.count("FULLY_CONNECTED") == TIME
    h, rows = np.zeros((ROWS, CELLS), np.float32), []
    for part, counts in zip(X, SHOWN, strict=True):
        now = np.sin(part @ W.T + B + h @ R.T)
        h = np.where(counts[:, None], now, h)
        rows.append(np.where(counts[:, None], now, 0))
    np.testing.assert_allclose(run_litert(graph, [X, SHOWN])[0], np.stack(rows), atol=1e-6)


def test_pictures_are_convolved_before_the_loop() -> None:
    graph = Graph("main")
    pictures = RNG.normal(size=(TIME, ROWS, 4, 4, 2)).astype(np.float32)
    filters = RNG.normal(size=(3, 1, 1, 2)).astype(np.float32)
    x = graph.add_input("x", pictures.shape, FLOAT)
    given = [
        graph.constant("i", one("i", 0)),
        graph.constant("h", np.zeros((ROWS, 4, 4, 3), np.float32)),
        x,
    ]
    parts, ((i, *_), inside) = bodies(*given)
    parts[0].outputs = [emit(parts[0], "LESS", i, one("n", TIME), name="less")]
    i, h, xs = inside
    row = emit(parts[1], "GATHER", xs, i, name="row", axis=0)
    options = {"padding": "SAME", "stride_h": 1, "stride_w": 1}
    part = emit(parts[1], "CONV_2D", row, filters, np.ones(3, np.float32), name="part", **options)
    now = emit(parts[1], "SIN", emit(parts[1], "ADD", part, h, name="sum"), name="now")
    parts[1].outputs = [emit(parts[1], "ADD", i, one("1", 1), name="next"), now, xs]
    graph.outputs = [loop(graph, given, parts)[1]]
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    assert types_of(graph)[0] == ["RESHAPE", "CONV_2D", "RESHAPE", "WHILE"]
    assert "CONV_2D" not in types_of(graph)[2]
    want = np.zeros((ROWS, 4, 4, 3), np.float32)
    for picture in pictures:
        want = np.sin(picture @ filters[:, 0, 0].T + 1 + want)
    np.testing.assert_allclose(run_litert(graph, [pictures])[0], want, atol=1e-5)
