"""Calibration and comparison on LiteRT."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from graph_text import parse

from tqconv.errors import DependencyError, UsageError, VerificationError
from tqconv.exporters.tflite import serialize
from tqconv.ir.copy import copy_graph
from tqconv.ir.graph import Model
from tqconv.ir.tally import Counting
from tqconv.runtime.calibrate import Read, calibrate, leading_to
from tqconv.runtime.compare import EXACT, Tally, compare, difference
from tqconv.runtime.litert import Feed, Session, run

NETWORK = """
x: f32[1,4,4,2] -> z
a = CONV_2D(x, f32[3,3,3,2], f32[3]) {padding=SAME, stride_h=1, stride_w=1}
b = RELU(a)
z = MUL(b, 2.0)
"""
RNG = np.random.default_rng(6)
FEEDS = [{"x": RNG.normal(size=(1, 4, 4, 2)).astype(np.float32)} for _ in range(3)]


def test_only_what_leads_to_the_asked_tensors_is_computed() -> None:
    graph = parse(NETWORK)
    short = leading_to(Model([graph]), [graph.ops[0].output, graph.inputs[0]])
    assert [op.type for op in short.main.ops] == ["CONV_2D"]
    whole = parse(NETWORK.replace("-> z", "-> a"))
    whole.prune()
    wanted = run(serialize(Model([whole])), FEEDS)
    for got, want in zip(run(serialize(short), FEEDS), wanted, strict=True):
        assert np.array_equal(got[0], want[0])
    assert len(graph.ops) == 3


@pytest.mark.parametrize("kind", ["RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL"])
def test_the_same_samples_give_the_same_ranges_where_numbers_are_drawn(kind: str) -> None:
    text = f"""x: f32[1,4] -> z
    a = {kind}([1,4])
    b = {kind}([1,4])
    c = MUL(x, a)
    z = SUB(c, b)"""
    feeds = [{"x": np.ones((1, 4), np.float32)}] * 3
    first, again = (calibrate(Model([parse(text)]), feeds, serialize) for _ in range(2))
    for name, seen in first.items():
        assert (seen.low, seen.high) == (again[name].low, again[name].high)
    assert (first["a"].low, first["a"].high) != (first["b"].low, first["b"].high)


def test_every_activation_is_measured_over_all_samples() -> None:
    model = Model([parse(NETWORK)])
    seen = calibrate(model, FEEDS, serialize)
    assert list(seen) == ["x", "a", "b", "z"]
    assert [h.samples for h in seen.values()] == [3] * 4
    x = np.concatenate([f["x"] for f in FEEDS])
    assert (seen["x"].low, seen["x"].high) == (x.min(), x.max())
    outputs = run(serialize(model), FEEDS)
    assert seen["z"].high == pytest.approx(max(o[0].max() for o in outputs), rel=1e-6)
    assert seen["a"].low < 0 == seen["b"].low


LARGE = """
x: f32[?,40,40,4] -> z
a = LOG(x)
b = RELU(a)
c = RESHAPE(b, [-1, 80, 80])
d = MUL(c, 2.0)
e = MEAN(d, [1]) {keep_dims=False}
z = EXP(e)
"""


def large_feeds() -> list[dict[str, np.ndarray]]:
    """Samples of several sizes; one makes what is no number, one what is not finite."""
    rng = np.random.default_rng(8)
    feeds = [np.exp(rng.normal(size=(n, 40, 40, 4)) * n).astype(np.float32) for n in (1, 2, 1, 1)]
    feeds[2][0, 3, :2, 1] = -1
    feeds[3][0, 0, 0, 0] = 0
    return [{"x": x} for x in feeds]


class Listening:
    """Whoever reads these names, or any."""

    def __init__(self, names: list[str] | None) -> None:
        self.names = names
        self.heard: list[dict[str, np.ndarray]] = []

    def hear(self, feed: Feed, read: Read) -> None:
        names = "abcdez" if self.names is None else self.names
        self.heard.append({name: np.array(read(name)) for name in names})


@pytest.mark.parametrize("counting", Counting)
@pytest.mark.parametrize("names", [[], ["a", "z"], None])
@pytest.mark.parametrize("usual", [False, True])
def test_ends_are_those_of_all_finite_elements(
    counting: Counting, names: list[str] | None, usual: bool
) -> None:
    feeds = large_feeds()[: 2 if usual else None]
    shown: list[int] = []

    def noted(model: Model) -> bytes:
        shown.append(len(model.main.outputs))
        return serialize(model)

    listener = Listening(names)
    seen = calibrate(Model([parse(LARGE)]), feeds, noted, counting=counting, listener=listener)
    graph = parse(LARGE)
    made = [t for op in graph.ops for t in op.outputs]
    graph.outputs[:] = made
    wanted = run(serialize(Model([graph])), feeds)
    for i, tensor in enumerate(made):
        values = np.concatenate([outputs[i].reshape(-1) for outputs in wanted])
        fine = values[np.isfinite(values)]
        found = seen[tensor.name]
        assert (found.low, found.high) == (fine.min(), fine.max()), tensor.name
        assert (found.samples, found.lost) == (len(feeds), values.size - fine.size)
        for heard, outputs in zip(listener.heard, wanted, strict=True):
            if tensor.name in heard:
                assert np.array_equal(heard[tensor.name], outputs[i], equal_nan=True)
    few = counting is Counting.NONE and names is not None
    all_, hidden = 7, 4 - len({"a"}.intersection(names or ()))
    assert shown == ([all_ - hidden] if few else [all_]) + ([all_] if few and not usual else [])


def test_ends_whose_sum_is_beyond_float32_are_known() -> None:
    model = Model([parse("x: f32[1,5000] -> z\na = MUL(x, 2.0)\nz = MUL(a, 0.5)")])
    feed = {"x": np.linspace(-1e38, 1.6e38, 5000, dtype=np.float32)[None]}
    seen = calibrate(model, [feed], serialize, counting=Counting.NONE)
    assert (seen["a"].low, seen["a"].high) == (2 * feed["x"].min(), 2 * feed["x"].max())


def test_the_model_is_not_changed() -> None:
    model = Model([parse(NETWORK)])
    before = bytes(serialize(model))
    calibrate(model, FEEDS, serialize)
    assert bytes(serialize(model)) == before


def test_progress_counts_samples() -> None:
    told: list[tuple[int, int | None]] = []
    calibrate(Model([parse(NETWORK)]), FEEDS, serialize, lambda *counts: told.append(counts), 3)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_samples_is_an_error() -> None:
    with pytest.raises(UsageError, match="no samples"):
        calibrate(Model([parse(NETWORK)]), [], serialize)


def test_samples_of_several_sizes_are_resized_to() -> None:
    model = Model([parse("x: f32[?,2] -> z\nz = MUL(x, 2.0)")])
    feeds = [{"x": np.full((n, 2), n, np.float32)} for n in (1, 3)]
    seen = calibrate(model, feeds, serialize)["z"]
    assert (seen.low, seen.high, seen.total) == (2, 6, 8)


def test_a_model_that_litert_refuses_is_an_error_of_ours() -> None:
    with pytest.raises(VerificationError, match="LiteRT refuses"):
        Session(b"not a model at all")


def test_a_missing_runtime_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(DependencyError) as caught:
        Session(serialize(Model([parse(NETWORK)])))
    assert caught.value.hint == "pip install ai-edge-litert"


def test_a_model_compared_with_itself_is_exact() -> None:
    model = Model([parse(NETWORK)])
    found = compare(model, model, FEEDS, serialize)
    assert (found[0].name, found[0].is_output, found[0].sqnr) == ("z", True, EXACT)
    assert {d.name for d in found} == {"a", "b", "z"}


def test_the_worst_inner_tensor_comes_first_after_the_outputs() -> None:
    reference = Model([parse(NETWORK)])
    other = Model([copy_graph(reference.main).graph])
    weights = other.main.ops[0].inputs[1]
    weights.data = weights.data * np.float32(1.1)
    found = compare(reference, other, FEEDS, serialize)
    assert [d.name for d in found][:2] == ["z", min(found[1:], key=lambda d: d.sqnr).name]
    assert 0 < found[0].sqnr < 30


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [
        ([1.0, 0], [1.0, 0], EXACT),
        ([10.0], [9.0], 20.0),
        ([0.0], [1.0], -EXACT),
        ([1], [1, 2], -EXACT),
    ],
)
def test_decibels(a: list[float], b: list[float], ratio: float) -> None:
    assert difference(np.array(a), np.array(b))[0] == pytest.approx(ratio)


def test_what_is_almost_zero_by_chance_is_measured_by_what_is_usual() -> None:
    """Scores of five samples, each 0.1 off: of the second no decibel would be left, alone."""
    tally = Tally()
    for score in (3.0, 0.01, 4.0, 3.5, 90.0):
        tally.add(np.array([score]), np.array([score + 0.1]))
    assert tally.result("y", is_output=True).sqnr == pytest.approx(10 * np.log10(3.5**2 / 0.01))


def test_what_one_loud_sample_drowns_is_lost() -> None:
    tally = Tally()
    for score in (1.0, 1.2, 0.9, 1000.0):
        tally.add(np.array([score]), np.array([np.rint(score / 4) * 4]))
    assert tally.result("y", is_output=True).sqnr < 2
