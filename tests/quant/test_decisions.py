"""Where accuracy is judged, and what the judge and the search make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_text import parse

from tqconv.compose import variables
from tqconv.compose.builder import Builder
from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.ir.types import Source
from tqconv.jobs import improve
from tqconv.jobs.drafts import Drafts
from tqconv.jobs.judge import CEILING, Judge, Score
from tqconv.jobs.memory import Memory, parts_of
from tqconv.jobs.quantize import calibrate, quantize
from tqconv.quant.decisions import decisions
from tqconv.quant.plan import Plan


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


DENSE = """
x: f32[1,32] -> y
a = FULLY_CONNECTED(x, f32[32,32], f32[32])
b = ELU(a)
c = FULLY_CONNECTED(b, f32[32,32], f32[32])
d = ELU(c)
y = FULLY_CONNECTED(d, f32[4,32], f32[4])
"""


def network() -> Model:
    return Model([parse(CLASSES)])


def images(count: int) -> np.ndarray:
    """Return smooth images: what a fit can use is that neighbouring pixels are alike."""
    coarse = np.random.default_rng(0).gamma(1.0, size=(count, 2, 2, 3)).astype(np.float32)
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


def counting() -> Model:
    """A model whose result depends on all that it was fed before."""
    graph = parse("x: f32[1,4] -> y\na = FULLY_CONNECTED(x, f32[4,4])\ny = TANH(a)")
    b = Builder(graph, Source("", "sum", ""), "sum")
    total = variables.zero(b, "total", (1, 4))
    y = b("ADD", graph.outputs[0], total.read)
    variables.assign(b, total, y)
    graph.outputs[:] = [y]
    graph.sort()
    return Model([graph])


def test_samples_are_judged_alone_where_states_go_on(tmp_path: Path) -> None:
    feeds = [
        {"x": x[None]} for x in np.random.default_rng(4).normal(size=(6, 4)).astype(np.float32)
    ]
    model = counting()
    memory = Memory(model, len(feeds))
    calibrate(model, memory.watch(feeds), listener=memory)
    judge = Judge(model, feeds[::2], known=memory.floats)
    assert judge.of(counting()).mean == judge.among([1]).of(counting()).mean == CEILING


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


@pytest.mark.parametrize("count", [9, 60])
def test_no_plan_is_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    asked, made = [], []
    score, draft = Judge.score, Judge._draft
    monkeypatch.setattr(Judge, "score", lambda self, plan: asked.append(plan) or score(self, plan))
    monkeypatch.setattr(Judge, "_draft", lambda self, plan: made.append(plan) or draft(self, plan))
    model = network()
    quantize(model, samples(tmp_path, count))
    assert len(made) == len({id(plan) for plan in made}) < len(asked)


def test_few_samples_run_once_with_each_plan_and_kind_of_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    score = Judge.score

    def noted(self: Judge, plan: Plan) -> Score:
        asked.append((plan, self.samples, self.builtin))
        return score(self, plan)

    monkeypatch.setattr(Judge, "score", noted)
    quantize(network(), samples(tmp_path, 9))
    assert len({(id(plan), id(some), kind) for plan, some, kind in asked}) == len(asked) > 8


class Scores:
    """Judges that know what to say of plans, which are names here.

    `ends`: what is made, at the outputs; what they judge fairly, if nothing else is said.
    """

    decisions = ()
    count = 0

    def __init__(self, *, is_small: bool = False, **scores: list[list[float]]) -> None:
        self.is_small = is_small
        self.scores = scores
        self.ends = scores

    def score(self, trial: improve._Trial) -> Score:
        name = str(trial.plan())
        found = np.array(self.scores[name])
        return Score(found, (None,) * len(found), np.array(self.ends[name]))

    def answers(self, trial: improve._Trial, fair: Score) -> Score:
        return fair

    def search(self) -> improve._Search:
        return improve._Search(self, "first", Drafts())  # type: ignore[arg-type]


def trial(name: str) -> improve._Trial:
    return improve._Trial.same(name)  # type: ignore[arg-type]


def test_no_output_pays_for_another() -> None:
    search = Scores(first=[[20.0], [20.0]], better=[[30.0], [18.0]], fair=[[23.0], [19.5]]).search()
    assert not search.offer("a", trial("better"))
    assert search.offer("b", trial("fair"))
    assert (search.best, search.kept, search.refused) == ("fair", ["b (+1.2)"], ["a (+4.0)"])
    search.withdraw()
    assert (search.best, search.kept) == ("first", [])


@pytest.mark.parametrize(
    ("ratios", "taken", "of_few"),
    [
        ([39.0, 43.0, 40.0, 37.0], True, False),  # -0.25 dB, give or take 1.2: says nothing
        ([42.0, 43.0, 40.0, 38.5], True, True),
        ([39.8, 39.7, 39.9, 39.6], False, False),  # -0.25 dB on each
        ([40.0, 40.0, 40.0, 40.0], False, False),  # no other plan
    ],
)
def test_what_is_expected_to_be_nearer_is_taken_unless_it_clearly_is_not(
    ratios: list[float], taken: bool, of_few: bool
) -> None:
    many, few = (
        Scores(is_small=small, first=[[40.0] * 4], fitted=[ratios]).search()
        for small in (False, True)
    )
    assert many.offer("both", trial("fitted"), expected=True) is taken
    assert few.offer("both", trial("fitted"), expected=True) is of_few


def test_answers_to_few_samples_count_until_they_are_good() -> None:
    plain, fitted = [[41.0] * 2], [[40.1] * 2]
    for before, after, of_few in (
        ([24.0, 30.0], [28.0, 29.0], True),  # +1.5 dB at the outputs for 0.9 at the decision
        ([24.0, 30.0], [24.0, 31.0], False),
        ([44.0, 50.0], [48.0, 60.0], False),
    ):
        for small in (False, True):
            scores = Scores(is_small=small, first=plain, fitted=fitted)
            scores.ends = {"first": [before], "fitted": [after]}
            assert scores.search().offer("fit", trial("fitted")) is (of_few and small)


@pytest.mark.parametrize(
    ("all_", "taken"),
    [
        ([32.0, 31.0, 33.0, 29.5], True),
        ([30.0, 29.0, 30.0, 30.0], False),  # farther on average
        ([40.0, 40.0, 40.0, 12.0], False),  # what one loses is more than all others gain
    ],
)
def test_ranges_are_taken_where_all_samples_together_gain(all_: list[float], taken: bool) -> None:
    judges = Scores(first=[[30.0]], mse=[[33.0]])
    crowd = Scores(first=[[30.0] * 4], mse=[all_])
    crowd.score = lambda plan: Scores.score(crowd, trial(plan))  # type: ignore[method-assign]
    search = judges.search()
    assert search.offer("mse", trial("mse"), crowd=crowd) is taken  # type: ignore[arg-type]
    assert search.best == ("mse" if taken else "first")


@pytest.mark.parametrize(("crowd", "cut"), [(0, "kept"), (improve.CROWD, "refused")])
def test_what_judges_have_not_seen_is_not_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crowd: int, cut: str
) -> None:
    monkeypatch.setattr(improve, "CROWD", crowd)
    x = np.random.default_rng(0).normal(size=(100, 1, 32)).astype(np.float32)
    x[[9, 33, 71]] *= 2.5  # neither counted nor remembered, as every other sample
    np.savez(tmp_path / "x.npz", x=x)
    model = Model([parse(DENSE)])
    quantize(model, QuantizeOptions("int8", calibration_data=str(tmp_path / "x.npz")))
    note = next(n for n in model.notes if n.startswith("fitted to the samples"))
    parts = {part.split(": ", 1)[0].strip(): part for part in note.split(";")}
    assert "mse ranges" in parts[cut]


@pytest.mark.parametrize(
    ("gain", "before", "after", "taken"),
    [
        (20.0, [40.0, 39.0], [60.0, -3.0], False),
        (5.0, [20.0, 18.0], [25.0, 15.5], True),
        (2.0, [20.0, 18.0], [25.0, 15.5], False),
        (0.3, [20.0, 18.0], [20.0, 17.2], True),
        (0.3, [20.0, 18.0], [21.0, 16.8], False),
        (1.0, [80.0, 80.0], [45.0, 80.0], True),
    ],
)
def test_the_worst_answer_loses_no_more_than_the_mean_gains(
    gain: float, before: list[float], after: list[float], taken: bool
) -> None:
    scores = Scores(first=[[50.0] * 2], fitted=[[50.0 + gain] * 2])
    scores.ends = {"first": [before], "fitted": [after]}
    search = scores.search()
    assert search.offer("fit", trial("fitted")) is taken


@pytest.mark.parametrize(
    ("gains", "least", "most"),
    [([1.0, 1.0, 1.0], 0.0, 1e-9), ([4.0, -3.6, 0.2], 1.5, 3.0), ([2.0], 0.0, 1e-9)],
)
def test_a_gain_that_differs_between_samples_is_in_doubt(
    gains: list[float], least: float, most: float
) -> None:
    assert least <= improve._doubt(np.array(gains)) <= most
