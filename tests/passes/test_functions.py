"""Functions known by their values: what is looked at stays bounded, whatever the graph."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph, Model
from tqconv.ops.emit import emit
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES
from tqconv.passes.recognize import functions

SIGMOID_OF_TANH = """x: f32[2,8] -> y
        half = MUL(x, 0.5)
        square = MUL(x, x)
        cube = MUL(square, x)
        part = MUL(cube, 0.044715)
        sum = ADD(x, part)
        inner = MUL(sum, 1.5957691216)
        s = LOGISTIC(inner)
        y = MUL(x, s)"""


def test_a_spelling_behind_other_operators_is_found() -> None:
    graph = parse(
        SIGMOID_OF_TANH.replace("x: f32[2,8]", "i: f32[2,8]").replace(
            "half =", "t = TANH(i)\n        x = MUL(t, 3.0)\n        half ="
        )
    )
    assert functions.recognize_functions(graph) == 1
    graph.prune()
    assert [op.type for op in graph.ops] == ["TANH", "MUL", "GELU"]


TWICE = """x: f32[2,8] -> y
        square = MUL(x, x)
        cube = MUL(square, x)
        part = MUL(cube, 0.044715)
        sum = ADD(x, part)
        inner = MUL(sum, 0.7978845608)
        t = TANH(inner)
        one = ADD(t, 1.0)
        twice = MUL(x, one)
        """


@pytest.mark.parametrize(
    ("behind", "left"),
    [
        ("y = MUL(twice, [1.0,2,3,4,5,6,7,8])", ["GELU", "MUL"]),
        ("y = FULLY_CONNECTED(twice, [[1.0,2,3,4,5,6,7,8]])", ["GELU", "FULLY_CONNECTED"]),
        ("y = MUL(twice, 0.5)", ["GELU"]),
        ("h = MUL(twice, 0.5)\n        y = MUL(h, [1.0,2,3,4,5,6,7,8])", ["GELU", "MUL"]),
    ],
)
def test_the_half_of_a_gelu_may_stand_in_the_weights_behind(behind: str, left: list[str]) -> None:
    graph = parse(TWICE + behind)
    x = np.random.default_rng(1).normal(scale=3, size=(2, 8)).astype(np.float32)
    (want,) = run_litert(graph, [x])
    run_stages(Model([graph]), STAGES, check=True)
    assert [op.type for op in graph.ops] == left
    (got,) = run_litert(graph, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("shape", ["tree", "chain", "diamond", "bent"])
def test_products_are_walked_in_linear_time(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [steps(shape, size, monkeypatch) for size in (100, 400)]
    assert counts[1] < 6 * counts[0]


def steps(shape: str, size: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many operators the pass looks at."""
    count = 0
    looked = functions._is_scalar_function

    def counting(op: object) -> bool:
        nonlocal count
        count += 1
        return looked(op)

    with monkeypatch.context() as patch:
        patch.setattr(functions, "_is_scalar_function", counting)
        assert functions.recognize_functions(products(shape, size)) == 0
    return count


def products(shape: str, size: int) -> Graph:
    graph = Graph("main")
    y = x = graph.add_input("x", (1, 4), np.dtype(np.float32))
    if shape == "tree":
        layer = [graph.add_input("x", (1, 4), np.dtype(np.float32)) for _ in range(size)]
        while len(layer) > 1:
            pairs = zip(layer[::2], layer[1::2], strict=False)
            layer = [emit(graph, "MUL", a, b, name="m") for a, b in pairs]
        y = layer[0]
    for _ in range(0 if shape == "tree" else size):
        other = {"chain": x, "diamond": y}.get(shape)
        y = emit(
            graph, "MUL", y, emit(graph, "TANH", y, name="t") if other is None else other, name="m"
        )
    graph.outputs.append(y)
    return graph


def test_all_rows_say_whether_they_bend() -> None:
    assert {"TANH", "EXP", "RELU6", "MINIMUM", "LOGISTIC", "ABS", "SIGN"} <= functions.BENDS
    assert not functions.BENDS & {"ADD", "SUB", "MUL", "DIV", "NEG", "SQUARE", "POW"}
