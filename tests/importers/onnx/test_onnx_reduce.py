"""Reductions and clamps, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, network, node

F = np.float32
RNG = np.random.default_rng(12)
EACH: dict[str, Any] = {
    "ReduceL1": np.abs,
    "ReduceL2": np.abs,
    "ReduceLogSum": np.log,
    "ReduceLogSumExp": lambda x: x,
    "ReduceMax": lambda x: x,
    "ReduceMean": lambda x: x,
    "ReduceProd": lambda x: x,
    "ReduceSum": lambda x: x,
    "ReduceSumSquare": np.square,
}
"""What a reduction of one element makes of it."""


@pytest.mark.parametrize("op", EACH)
def test_no_axes_leave_what_a_reduction_makes_of_one_element(tmp_path: Path, op: str) -> None:
    x = RNG.normal(size=(2, 3)).astype(F)
    x = np.abs(x) if op == "ReduceLogSum" else x
    nodes = [node(op, "x a", "y", noop_with_empty_axes=1)]
    model = network(nodes, {"x": x}, ["y"], {"a": np.zeros(0, np.int64)}, opset=18)
    assert_like_reference(model, tmp_path, {"x": x}, [EACH[op](x)])


WHOLE: dict[str, Any] = {
    "ReduceL1": lambda x: np.abs(x).sum(1),
    "ReduceL2": lambda x: np.sqrt(np.square(x).sum(1)),
    "ReduceLogSum": lambda x: np.log(x.sum(1)),
    "ReduceLogSumExp": lambda x: np.log(np.exp(x).sum(1)),
    "ReduceSumSquare": lambda x: np.square(x).sum(1),
}


@pytest.mark.parametrize("op", WHOLE)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_lose_the_fraction(tmp_path: Path, op: str, dtype: Any) -> None:
    x = RNG.integers(1 if "Log" in op else -9, 9, (3, 5)).astype(dtype)
    nodes = [node(op, "x a", "y", keepdims=0)]
    model = network(nodes, {"x": x}, ["y"], {"a": np.array([1])}, opset=18)
    want = np.trunc(WHOLE[op](x.astype(float))).astype(dtype)
    assert_like_reference(model, tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("known", [True, False])
def test_the_upper_bound_of_a_clamp_counts_last(tmp_path: Path, known: bool) -> None:
    x = RNG.normal(size=(2, 3)).astype(F)
    bounds = {"low": np.array(0.5, F), "high": np.array(0.25, F)}
    feeds = {"x": x} | ({} if known else bounds)
    model = network(
        [node("Clip", "x low high", "y")], feeds, ["y"], bounds if known else {}, opset=13
    )
    assert_like_reference(model, tmp_path, feeds, [np.full_like(x, 0.25)])
