"""Dropout that keeps everything disappears; any other stays."""

from __future__ import annotations

import numpy as np
import pytest

from tqconv.ir.graph import Graph, Tensor
from tqconv.ops.emit import emit
from tqconv.passes.recognize.dropout import drop_dropout

FLOAT = np.dtype(np.float32)


def with_mask(form: str, number: float) -> tuple[Graph, Tensor]:
    """Return a graph NEG(dropout(RELU(x))) and the tensor that goes into the dropout."""
    graph = Graph("main")
    kept = emit(graph, "RELU", graph.add_input("x", (2, 3), FLOAT), name="kept")
    uniform = emit(graph, "RANDOM_UNIFORM", np.array([2, 3], np.int32), name="uniform")
    limit = np.array(number, np.float32)
    if form == "floor":
        mask = emit(graph, "FLOOR", emit(graph, "ADD", uniform, limit, name="sum"), name="mask")
        y = emit(graph, "MUL", kept, mask, name="y")
    elif form == "cast":
        ones = emit(graph, "GREATER_EQUAL", uniform, limit, name="test")
        types = {"in_data_type": "BOOL", "out_data_type": "FLOAT32"}
        mask = emit(graph, "CAST", ones, name="mask", **types)
        y = emit(graph, "MUL", mask, kept, name="y")
    else:
        mask = emit(graph, "GREATER_EQUAL", uniform, limit, name="mask")
        y = emit(graph, "SELECT_V2", mask, kept, np.zeros((), np.float32), name="y")
    graph.outputs = [emit(graph, "NEG", y, name="z")]
    return graph, kept


@pytest.mark.parametrize(("form", "number"), [("floor", 1.0), ("cast", 0.0), ("select", 0.0)])
def test_a_mask_of_ones_is_dropped(form: str, number: float) -> None:
    graph, kept = with_mask(form, number)
    assert drop_dropout(graph) == 1
    graph.prune()
    graph.check()
    assert [op.type for op in graph.ops] == ["RELU", "NEG"]
    assert graph.ops[1].input(0) is kept


@pytest.mark.parametrize(("form", "number"), [("floor", 0.5), ("cast", 0.1), ("select", 0.5)])
def test_a_real_mask_stays(form: str, number: float) -> None:
    graph, _ = with_mask(form, number)
    assert drop_dropout(graph) == 0
