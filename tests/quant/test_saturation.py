"""No steps are spent on what saturates all that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Graph, Model
from tqconv.ir.types import Range
from tqconv.jobs.quantize import quantize
from tqconv.quant import plan
from tqconv.quant.saturation import without_tails
from tqconv.quant.schemes import scheme
from tqconv.runtime.compare import difference

INT8 = np.dtype(np.int8)
WIDE = {"a": (-400.0, 300.0), "b": (-2.0, 3.0), "c": (-401.0, 302.0), "x": (-9.0, 9.0)}


def left(
    graph: Graph, kind: str = "calibrated", integer: bool = True
) -> dict[str, tuple[float, float]]:
    found = {t: Range(*WIDE[t.name], kind) for t in graph.tensors() if t.name in WIDE}
    types = {op: INT8 for op in graph.ops if integer or op.type == "NEG"}
    ranges = without_tails(graph, found, types)
    assert ranges.keys() == found.keys()
    return {t.name: (r.low, r.high) for t, r in ranges.items() if r != found[t]}


MAKES = "x: f32[1,8] -> y\na = MUL(x, 50.0)\nb = NEG(x)\n"
CASES: Mapping[str, tuple[str, dict[str, tuple[float, float]]]] = {
    "one gate": ("d = LOGISTIC(a)\ny = MUL(d, b)", {"a": (-8, 8)}),
    "a finer gate": ("d = TANH(a)\ny = MUL(d, b)", {"a": (-4, 4)}),
    "zero below an end": ("d = HARD_SWISH(a)\ny = MUL(d, b)", {"a": (-3, 300)}),
    "a clamp": ("d = RELU6(a)\ny = MUL(d, b)", {"a": (0, 6)}),
    "both of two": ("d = TANH(a)\ne = LOGISTIC(a)\ny = MUL(d, e)", {"a": (-8, 8)}),
    "parts": (
        "d, e = SPLIT(1, a) {num_splits=2}\nf = TANH(d)\ng = RELU(e)\ny = MUL(f, g)",
        {"a": (-4, 300)},
    ),
    "the larger of two": ("c = MAXIMUM(a, b)\ny = LOGISTIC(c)", {"a": (-8, 8), "c": (-8, 8)}),
    "a sum": ("c = ADD(a, b)\nd = TANH(c)\ny = MUL(d, b)", {"a": (-7, 6), "c": (-4, 4)}),
    "a difference": ("c = SUB(b, a)\nd = TANH(c)\ny = MUL(d, b)", {"a": (-6, 7), "c": (-4, 4)}),
    "a sum with a constant": (
        "c = ADD(a, 5.0)\nd = TANH(c)\ny = MUL(d, b)",
        {"a": (-9, 4), "c": (-4, 4)},
    ),
    "a clamped sum": (
        "c = ADD(a, b) {fused_activation_function=RELU}\nd = TANH(c)\ny = MUL(d, b)",
        {"c": (-4, 4)},
    ),
    "twice the same": ("c = ADD(a, a)\nd = TANH(c)\ny = MUL(d, b)", {"c": (-4, 4)}),
    "another reader": ("d = LOGISTIC(a)\ny = MUL(d, a)", {}),
    "an average": (
        "c = MEAN(a, [1]) {keep_dims=True}\nd = LOGISTIC(c)\ny = MUL(d, b)",
        {"c": (-8, 8)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_ends_are_those_that_something_behind_tells_apart(name: str) -> None:
    text, wanted = CASES[name]
    graph = parse(MAKES + text)
    found = left(graph)
    assert found.keys() == wanted.keys()
    for cut, (low, high) in zip(found.values(), wanted.values(), strict=True):
        assert (
            low - (high - low) / 250 < cut[0] <= low
        )  # a step more, lest 0 as an integer moves it
        assert high <= cut[1] < high + (high - low) / 250
    assert left(graph, "fake_quant") == {}
    assert left(graph, integer=False) == {}


def test_outputs_keep_their_range() -> None:
    assert left(parse("x: f32[1,8] -> a, y\na = MUL(x, 50.0)\ny = LOGISTIC(a)")) == {}


def test_a_gate_of_16_bits_is_planned_with_all_that_was_measured() -> None:
    graph = parse(MAKES.replace("NEG(x)", "MUL(x, -1.0)") + "d = TANH(a)\ny = MUL(d, b)")
    found = {t: Range(*WIDE[t.name], "calibrated") for t in graph.tensors() if t.name in WIDE}
    found[graph.outputs[0]] = found[graph.ops[2].output] = Range(-9.0, 9.0, "calibrated")
    made = plan.plan(graph, scheme("int8"), found, plan.Choice(), plan.Borders(None, None))
    (a,) = (t for t in graph.tensors() if t.name == "a")
    low, high = made.tensors[a].covers()
    assert -4.1 < low < -3.9
    assert 3.9 < high < 4.1
    assert made.request is not None
    assert made.request.found[a] == found[a]


GATES = """
x: f32[1,16], h: f32[1,16] -> y
p = FULLY_CONNECTED(x, f32[48,16], f32[48])
q = FULLY_CONNECTED(h, f32[48,16], f32[48])
s = ADD(p, q)
f, i, g = SPLIT(1, s) {num_splits=3}
a = LOGISTIC(f)
b = LOGISTIC(i)
c = TANH(g)
d = MUL(a, h)
e = MUL(b, c)
k = ADD(d, e)
y = FULLY_CONNECTED(k, f32[4,16], f32[4])
"""


def gates() -> Model:
    """Return a network in which some gates read far larger sums than others."""
    graph = parse(GATES)
    weights = graph.ops[0].input(1)
    assert weights.data is not None
    sizes = np.exp(2 * np.random.default_rng(3).normal(size=(48, 1)))
    weights.data = (weights.data * sizes).astype(np.float32)
    return Model([graph])


def test_gates_that_are_open_or_shut_take_no_steps_from_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 1, 16)).astype(np.float32)
    h = rng.uniform(-1, 1, size=(40, 1, 16)).astype(np.float32)
    np.savez(tmp_path / "s.npz", x=x, h=h)
    options = QuantizeOptions("int8", calibration_data=str(tmp_path / "s.npz"), improve=False)
    feeds = [{"x": x[i], "h": h[i]} for i in range(20)]
    wanted = [run_litert(gates(), feed)[0] for feed in feeds]
    kept = []
    for cut in (without_tails, lambda graph, found, types: found):
        monkeypatch.setattr(plan, "without_tails", cut)
        model = gates()
        quantize(model, options)
        made = [run_litert(model, feed)[0] for feed in feeds]
        kept.append(difference(np.array(wanted), np.array(made))[0])
    assert kept[0] > kept[1] + 5
