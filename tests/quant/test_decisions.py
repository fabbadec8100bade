"""Where accuracy is judged, and what the judge and the search make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.jobs import improve
from tqconv.jobs.judge import CEILING, Judge, Score
from tqconv.jobs.memory import parts_of
from tqconv.jobs.quantize import quantize
from tqconv.quant.decisions import decisions

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(
    ("text", "tensor", "rows", "classes"),
    [
        ("y = FULLY_CONNECTED(x, f32[4,4])", "y", None, -1),
        ("a = FULLY_CONNECTED(x, f32[4,4])\ny = RESHAPE(a, [4])", "y", None, None),
        ("a = RELU(x)\ny = SOFTMAX(a)", "a", -1, -1),
        ("y = LOG_SOFTMAX(x)", "x", -1, -1),
        ("a = TANH(x)\nb = LOGISTIC(a)\ny = RESHAPE(b, [2,2])", "a", None, None),
        ("a = TANH(x)\nb = SOFTMAX(a)\ny = ARG_MAX(b, 1) {output_type=INT32}", "a", -1, -1),
        ("a = TANH(x)\ny = ARG_MAX(a, 0) {output_type=INT32}", "a", -2, -2),
        ("a = TANH(x)\ny = ARG_MIN(a, 1) {output_type=INT32}", "a", None, None),
        ("a = SOFTMAX(x)\ny = MUL(a, a)", "y", None, None),
    ],
)
def test_errors_are_measured_where_they_show(
    text: str, tensor: str, rows: int | None, classes: int | None
) -> None:
    found = decisions(parse(f"x: f32[1,4] -> y\n{text}"))[0]
    assert (found.tensor.name, found.rows, found.classes) == (tensor, rows, classes)


RELU = "padding=SAME, fused_activation_function=RELU"
CLASSES = f"""
x: f32[1,8,8,3] -> y
a = CONV_2D(x, f32[16,3,3,3], f32[16]) {{{RELU}, stride_h=2, stride_w=2}}
d = CONV_2D(a, f32[16,3,3,16], f32[16]) {{{RELU}, stride_h=1, stride_w=1}}
z = FULLY_CONNECTED(d, f32[5,256], f32[5])
y = SOFTMAX(z) {{beta=60.0}}
"""


def network() -> Model:
    return Model([parse(CLASSES)])


def images(count: int) -> np.ndarray:
    """Return smooth images: what a fit can use is that neighbouring pixels are alike."""
    coarse = RNG.gamma(1.0, size=(count, 2, 2, 3)).astype(np.float32)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def samples(path: Path, count: int = 60) -> QuantizeOptions:
    np.savez(path / "s.npz", x=images(count))
    return QuantizeOptions(mode="int8", calibration_data=str(path / "s.npz"))


def test_a_fit_is_kept_although_the_softmax_hides_what_it_gains(tmp_path: Path) -> None:
    model = network()
    quantize(model, samples(tmp_path))
    note = next(n for n in model.notes if n.startswith("fitted to the samples"))
    assert "judged on 12 samples held back: 'y' at 'z' " in note
    assert "(largest the same in " in note
    assert "kept: nothing" not in note


def test_what_all_classes_have_in_common_is_no_error() -> None:
    judge = Judge(network(), [{"x": x[None]} for x in images(3)])
    other = network()
    bias = other.main.ops[2].input(2)
    assert bias.data is not None
    bias.data = bias.data + np.float32(4)
    found = judge.of(other)
    assert found.agreement == (1.0,)
    assert found.worst > 90
    assert judge.of(network()).mean == CEILING


@pytest.mark.parametrize(("count", "judging"), [(8, [4, 4]), (24, [12, 12]), (30, [6])])
def test_no_sample_judges_what_it_has_taught(count: int, judging: list[int]) -> None:
    feeds = [{"x": np.array([i])} for i in range(count)]
    parts = parts_of(feeds)
    assert [len(part) for part in parts.judging] == judging
    for taught, judged in zip(parts.teaching, parts.judging, strict=True):
        assert not {int(f["x"][0]) for f in taught} & {int(f["x"][0]) for f in judged}
        assert len(taught) + len(judged) == count


def test_a_few_samples_judge_each_other(tmp_path: Path) -> None:
    model = network()
    quantize(model, samples(tmp_path, 9))
    note = next(n for n in model.notes if n.startswith("fitted to the samples"))
    assert "judged on 9 samples held back" in note


def test_no_output_pays_for_another() -> None:
    scores = {"first": [[20.0], [20.0]], "better": [[30.0], [18.0]], "fair": [[23.0], [19.5]]}

    class Fake:
        decisions = ()
        judges = ()
        count = 0

        def score(self, trial: improve._Trial) -> Score:
            found = np.array(scores[trial.plan()])  # type: ignore[index]
            return Score(found, (None, None), found)

    trial = improve._Trial.same
    search = improve._Search(Fake(), "first")  # type: ignore[arg-type]
    search.offer("a", trial("better"))  # type: ignore[arg-type]
    search.offer("b", trial("fair"))  # type: ignore[arg-type]
    assert (search.best, search.kept, search.refused) == ("fair", ["b (+1.2)"], ["a (+4.0)"])
    search.withdraw()
    assert (search.best, search.kept) == ("first", [])


@pytest.mark.parametrize(
    ("before", "after", "flips"),
    [
        ([40.0, 39.0], [60.0, -3.0], True),
        ([20.0, 18.0], [25.0, 15.5], False),
        ([80.0], [45.0], False),
    ],
)
def test_an_answer_that_turns_over_is_worse_than_any_gain(
    before: list[float], after: list[float], flips: bool
) -> None:
    made = [Score(np.zeros((1, 2)), (1.0,), np.array([ends])) for ends in (before, after)]
    assert improve._flips(*made) is flips


@pytest.mark.parametrize(
    ("gains", "least", "most"),
    [([1.0, 1.0, 1.0], 0.0, 1e-9), ([4.0, -3.6, 0.2], 1.5, 3.0), ([2.0], 0.0, 1e-9)],
)
def test_a_gain_that_differs_between_samples_is_in_doubt(
    gains: list[float], least: float, most: float
) -> None:
    made = [
        Score(np.array([ratios]), (None,), np.array([ratios]))
        for ratios in ([10.0] * len(gains), [10 + gain for gain in gains])
    ]
    assert least <= improve._doubt(*made) <= most
