"""Lowering: types and ranks that kernels lack are computed another way, with equal results."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.errors import UnsupportedError
from tqconv.passes.driver import Stage, run_stage
from tqconv.passes.legal.types import lower_ranks, lower_types

LOWER = Stage("lower", (lower_types, lower_ranks))
DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])


@DELEGATES
@pytest.mark.parametrize("kind", ["i8", "u8"])
def test_small_integers_add_in_a_wider_type(kind: str, delegate: bool) -> None:
    graph = parse(f"""x: {kind}[5], y: {kind}[5] -> z
        z = ADD(x, y)""")
    run_stage(LOWER, graph, check=True)
    dtype = graph.inputs[0].dtype
    assert [op.type for op in graph.ops] == ["CAST", "CAST", "ADD", "CAST"]
    assert graph.outputs[0].dtype == dtype
    a = np.array([1, 2, 100, 127, 3]).astype(dtype)
    b = np.array([1, 5, 100, 2, 7]).astype(dtype)
    (got,) = run_litert(graph, [a, b], delegate)
    np.testing.assert_array_equal(got, a + b)  # wraps around, as integers of that size do


def test_axes_keep_their_type_when_the_data_widens() -> None:
    graph = parse("""x: u8[2,3] -> z
        z = SUM(x, [1]) {keep_dims=False}""")
    run_stage(LOWER, graph, check=True)
    (total,) = [op for op in graph.ops if op.type == "SUM"]
    assert total.input(1).dtype == np.int32


def test_a_type_that_no_kernel_holds_is_an_error() -> None:
    graph = parse("""x: i64[3] -> z
        z = ABS(x)""")
    with pytest.raises(UnsupportedError, match="ABS has no kernel for int64"):
        run_stage(LOWER, graph)


def test_uint64_has_no_cast_to_another_type() -> None:
    graph = parse("""x: u64[3] -> z
        z = ABS(x)""")
    with pytest.raises(UnsupportedError, match="ABS has no kernel for uint64"):
        run_stage(LOWER, graph)


@DELEGATES
def test_more_dimensions_than_a_kernel_takes_are_collapsed(delegate: bool) -> None:
    graph = parse("""x: f32[2,1,3,2,1,2,2,1,2], y: f32[3,2,1,2,2,1,2] -> z
        z = ADD(x, y)""")
    run_stage(LOWER, graph, check=True)
    assert [op.type for op in graph.ops] == ["RESHAPE", "RESHAPE", "ADD", "RESHAPE"]
    a = np.arange(96, dtype=np.float32).reshape(2, 1, 3, 2, 1, 2, 2, 1, 2)
    b = np.arange(48, dtype=np.float32).reshape(3, 2, 1, 2, 2, 1, 2)
    (got,) = run_litert(graph, [a, b], delegate)
    np.testing.assert_array_equal(got, a + b)
