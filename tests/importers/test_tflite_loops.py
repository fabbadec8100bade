"""Loops of .tflite files whose states come back in other sizes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import run_litert

from tqconv import api
from tqconv.errors import UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.emit import emit

F, INT = np.dtype(np.float32), np.dtype(np.int32)
X = np.arange(4, dtype=np.float32)
Body = Callable[[Graph, Tensor], Tensor]


def shorter(graph: Graph, v: Tensor) -> Tensor:
    """Return all but the first element."""
    begin, end, strides = (np.array([n], np.int32) for n in (1, 0, 1))
    return emit(graph, "STRIDED_SLICE", v, begin, end, strides, end_mask=1, name="rest")


def as_row(graph: Graph, v: Tensor) -> Tensor:
    row = emit(graph, "EXPAND_DIMS", v, np.array(0, np.int32), name="row")
    begin, end, strides = (np.array([n, m], np.int32) for n, m in ((0, 1), (1, 0), (1, 1)))
    return emit(
        graph, "STRIDED_SLICE", row, begin, end, strides, end_mask=2, shrink_axis_mask=1, name="r"
    )


def counted(graph: Graph, v: Tensor) -> Tensor:
    count = emit(graph, "SHAPE", v, out_type="INT32", name="count")
    real = emit(graph, "CAST", count, in_data_type="INT32", out_data_type="FLOAT32", name="real")
    return shorter(graph, emit(graph, "ADD", v, real, name="sum"))


def with_constant(graph: Graph, v: Tensor) -> Tensor:
    return shorter(graph, emit(graph, "ADD", v, np.ones(4, np.float32), name="sum"))


def looped(make: Body, rounds: int = 2) -> bytes:
    """Return a file that runs a body over [4] so many times, and says that all states have 4."""
    graph = Graph("main")
    x, start = graph.add_input("x", (4,), F), graph.constant("start", np.array(0, np.int32))
    condition, body = graph.body("condition"), graph.body("body")
    i = condition.add_input("i", (), INT)
    condition.add_input("u", (4,), F)
    condition.outputs[:] = [emit(condition, "LESS", i, np.array(rounds, np.int32), name="go")]
    i, v = body.add_input("j", (), INT), body.add_input("v", (4,), F)
    after = emit(body, "ADD", i, np.array(1, np.int32), name="next")
    body.outputs[:] = [after, emit(body, "NEG", make(body, v), name="w")]
    ends = (Tensor("end", (), INT), Tensor("y", (4,), F))
    graph.add(Op("WHILE", (start, x), ends, {}, graphs=(condition, body)))
    graph.outputs[:] = [emit(graph, "EXPAND_DIMS", ends[1], np.array(0, np.int32), name="z")]
    return bytes(serialize(Model([graph])))


@pytest.mark.parametrize("make", [shorter, as_row, counted])
@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_states_that_get_shorter(make: Body, rounds: int) -> None:
    source = looped(make, rounds)
    want = run_litert(source, [X], delegate=False)[0]
    model = api.optimize(reader.parse(source, "n.tflite"))
    assert model.main.outputs[0].shape == (1, None)
    got = run_litert(model, [X], delegate=False)[0]
    np.testing.assert_array_equal(got, want)


def test_states_that_stay_keep_their_sizes() -> None:
    model = reader.parse(looped(lambda graph, v: emit(graph, "ABS", v, name="a")), "n.tflite")
    assert model.main.outputs[0].shape == (1, 4)


def test_a_body_that_cannot_run_again_is_named() -> None:
    with pytest.raises(RuntimeError, match="not broadcastable"):
        run_litert(looped(with_constant), [X], delegate=False)
    words = r"WHILE '.*' in n.tflite: its body returns 'v' of \[.\] as \[3\], and cannot run with"
    with pytest.raises(UnsupportedError, match=words):
        reader.parse(looped(with_constant), "n.tflite")
