"""Elements that no kernel moves travel as integers of their width."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph
from tqconv.ops.emit import emit
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.legal.bits import move_as_bits

STAGE = Stage("bits", (move_as_bits,))
EXTREMES = {
    "uint16": [0, 1, 2**15, 2**16 - 1],
    "uint32": [0, 1, 2**31, 2**32 - 1],
    "uint64": [0, 1, 2**63, 2**64 - 1],
    "complex64": [0, 1j, -1.5 + 2j, np.inf],
}


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("name", EXTREMES)
def test_bits_are_moved_unchanged(name: str, delegate: bool) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (4,), np.dtype(name))
    y = emit(graph, "REVERSE_V2", x, np.array([0], np.int32), name="y")
    z = emit(graph, "PAD", y, np.array([[1, 0]], np.int32), name="z")
    graph.outputs.append(z)
    run_stage(STAGE, graph, check=True)
    assert {op.input(0).dtype.kind for op in graph.ops if op.type != "BITCAST"} == {"i"}
    value = np.array(EXTREMES[name], name)
    (got,) = run_litert(graph, [value], delegate)
    assert got.dtype == value.dtype
    np.testing.assert_array_equal(got, np.concatenate([np.zeros(1, name), value[::-1]]))


def test_what_a_kernel_moves_is_left_alone() -> None:
    graph = parse("""x: u8[4] -> y
        y = REVERSE_V2(x, [0])""")
    assert run_stage(STAGE, graph, check=True) == 0


def test_arithmetic_is_not_done_on_other_bits() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (4,), np.dtype(np.uint16))
    graph.outputs.append(emit(graph, "MAXIMUM", x, x, name="y"))
    assert run_stage(STAGE, graph, check=True) == 0
