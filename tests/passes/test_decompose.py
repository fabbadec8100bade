"""What a kernel does not take is composed of what it takes."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert

from tqconv.ir.graph import Graph
from tqconv.ops.emit import emit
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.legal.rewriters import REWRITERS
from tqconv.targets.target import LITERT

LOWER = Stage("lower", REWRITERS)


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("adjoint", [True, False])
def test_a_product_over_four_batch_axes(adjoint: bool, delegate: bool) -> None:
    left, right = (2, 1, 2, 3, 4, 5), (1, 3, 2, 1, 6, 5) if adjoint else (1, 3, 2, 1, 5, 6)
    graph = Graph("main")
    x = graph.add_input("x", left, np.dtype(np.float32))
    w = graph.add_input("w", right, np.dtype(np.float32))
    graph.outputs.append(emit(graph, "BATCH_MATMUL", x, w, name="y", adj_y=adjoint))
    (before,) = graph.ops
    assert LITERT.refuses(before) == "BATCH_MATMUL takes at most 5 dimensions"
    run_stage(LOWER, graph, check=True)
    assert all(LITERT.refuses(op) is None for op in graph.ops)
    assert graph.outputs[0].name == "y"
    rng = np.random.default_rng(3)
    a, b = (rng.integers(-4, 5, shape).astype(np.float32) for shape in (left, right))
    (got,) = run_litert(graph, [a, b], delegate)
    # Sums of five products of small whole numbers are exact.
    np.testing.assert_array_equal(got, a @ (b.swapaxes(-1, -2) if adjoint else b))
