"""Sizes of inputs that only what reads them says."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.compose import dims
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model
from tqconv.passes import sizes
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES
from tqconv.passes.sizes import size_inputs

CONV = "{padding=SAME, stride_h=1, stride_w=1}"
FIXED = {
    "rows of a dense layer": (
        "x: f32[?,?] -> y\ny = FULLY_CONNECTED(x, f32[5,8], f32[5])",
        (None, 8),
    ),
    "behind other operators": (
        """x: f32[?,?] -> y
        r = RELU(x)
        d = FULLY_CONNECTED(r, f32[5,8], f32[5]) {keep_num_dims=true}
        y = NEG(d)""",
        (None, 8),
    ),
    "a product with a permuted input": (
        "x: f32[?,?] -> y\nt = TRANSPOSE(x, [1,0])\ny = BATCH_MATMUL(f32[3,8], t)",
        (None, 8),
    ),
    "channels that do not make groups": (
        f"x: f32[1,4,4,?] -> y\ny = CONV_2D(x, f32[3,2,2,5], f32[3]) {CONV}",
        (1, 4, 4, 5),
    ),
    "channels of one group": (
        f"x: f32[1,4,4,?] -> y\ny = CONV_2D(x, f32[4,2,2,5], f32[4]) {CONV}",
        (1, 4, 4, 5),
    ),
    "a product with another input": (
        "x: f32[2,?], z: f32[8,3] -> y\ny = BATCH_MATMUL(x, z)",
        (2, 8),
    ),
    "what is stacked": (
        "x: f32[?,4], z: f32[3,4] -> y\ny = PACK(x, z) {values_count=2, axis=0}",
        (3, 4),
    ),
    "what is chosen from": (
        "x: f32[?,4], z: f32[3,4] -> y\nc = GREATER(z, z)\ny = SELECT(c, x, z)",
        (3, 4),
    ),
    "what is joined": ("x: f32[?,?] -> y\ny = CONCATENATION(x, f32[5,8]) {axis=0}", (None, 8)),
}
OPEN = {
    "one or all": "x: f32[?,?] -> y\ny = ADD(x, f32[5,8])",
    "two that do not agree": """x: f32[?,?] -> y, z
        y = FULLY_CONNECTED(x, f32[5,8], f32[5])
        z = BATCH_MATMUL(x, f32[7,3])""",
    "a size that is computed": """x: f32[?] -> y
        r = RESHAPE(x, [-1,2])
        y = FULLY_CONNECTED(r, f32[5,4], f32[5])""",
}


@pytest.mark.parametrize("name", FIXED)
def test_the_only_size_that_runs_is_that_of_the_input(name: str) -> None:
    text, shape = FIXED[name]
    graph = parse(text)
    with pytest.raises((RuntimeError, ValueError)):
        run_litert(graph, _zeros(graph))
    model = reader.parse(bytes(serialize(Model([parse(text)]))), "n.tflite")
    run_stages(model, FLOAT_STAGES, check=True)
    assert model.main.inputs[0].shape == shape
    run_litert(model, _zeros(model.main))


def _zeros(graph: Graph) -> list[np.ndarray]:
    """What LiteRT runs a model with that is not told other sizes."""
    return [np.zeros([1 if d is None else d for d in t.shape], np.float32) for t in graph.inputs]


@pytest.mark.parametrize("name", OPEN)
def test_other_sizes_stay_open(name: str) -> None:
    graph = parse(OPEN[name])
    before = [t.shape for t in graph.tensors()]
    assert size_inputs(graph) == 0
    assert [t.shape for t in graph.tensors()] == before


@pytest.mark.parametrize(("width", "most"), [("8", 1), ("?", 12)])
def test_long_chains_are_looked_at_once(
    monkeypatch: pytest.MonkeyPatch, width: str, most: int
) -> None:
    """Each operator a few times, not for each of those behind it."""
    count = 200
    chain = [f"a{i + 1} = RELU(a{i})" for i in range(count)]
    last = f"z = FULLY_CONNECTED(a{count}, f32[5,8], f32[5])"
    graph = parse("\n".join([f"a0: f32[?,{width}] -> z", *chain, last]))
    calls = []
    for module in (sizes, dims):
        real = module.infer
        monkeypatch.setattr(module, "infer", lambda op, real=real: calls.append(op) or real(op))
    size_inputs(graph)
    assert graph.inputs[0].shape == (None, 8)
    assert 0 < len(calls) <= most * (count + 1)
