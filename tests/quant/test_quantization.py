"""Quantization from options to a file: calibration, ranges files, improvement, verification."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs.improve import _spoils
from tqconv.jobs.judge import Score
from tqconv.jobs.memory import MOST, Memory
from tqconv.jobs.quantize import calibrate, quantize
from tqconv.jobs.verify import verify, verify_notes
from tqconv.quant.evidence import ranges as files
from tqconv.runtime.compare import difference


def _score(ratios: list[list[float]]) -> Score:
    return Score(np.array(ratios), (None,) * len(ratios), np.array(ratios))


def images(seed: int, count: int) -> np.ndarray:
    """Return smooth images: what a fit can use is that neighbouring pixels are alike."""
    coarse = np.random.default_rng(seed).gamma(1.0, size=(count, 2, 2, 3)).astype(np.float32)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


RELU = "padding=SAME, fused_activation_function=RELU"
NETWORK = f"""
x: f32[1,8,8,3] -> z
a = CONV_2D(x, f32[16,3,3,3], f32[16]) {{{RELU}, stride_h=2, stride_w=2}}
d = CONV_2D(a, f32[16,3,3,16], f32[16]) {{{RELU}, stride_h=1, stride_w=1}}
z = FULLY_CONNECTED(d, f32[5,256], f32[5])
"""
SAMPLES = images(9, 80)


def network() -> Model:
    return Model([parse(NETWORK)])


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "samples.npz"
    np.savez(path, x=SAMPLES)
    return str(path)


def asked(data: str | None, mode: str = "int8", **more: object) -> QuantizeOptions:
    return QuantizeOptions(mode=mode, calibration_data=data, **more)  # type: ignore[arg-type]


def quality(run: Run, model: Model) -> float:
    """Return the mean signal-to-noise ratio in dB against the float network on other data."""
    pairs = [(run(network(), [x])[0], run(model, [x])[0]) for x in images(10, 30)[:, None]]
    return float(np.mean([difference(wanted, got)[0] for wanted, got in pairs]))


# What rounding can gain is what the 8 bits of the weights lose: little beside 8-bit activations.
@pytest.mark.parametrize(("mode", "gain"), [("int8", 0.1), ("int16x8", 4.0), ("uint8", 0.5)])
def test_fitting_does_better_on_data_that_it_has_not_seen(
    run: Run, data: str, mode: str, gain: float
) -> None:
    plain, fitted = network(), network()
    quantize(plain, asked(data, mode, improve=False))
    quantize(fitted, asked(data, mode))
    assert quality(run, fitted) > quality(run, plain) + gain
    assert [n for n in fitted.notes if n.startswith("fitted to the samples")]


class Heard:
    """A judge who knows what to say of plans, which are names here."""

    def __init__(self, **scores: list[float]) -> None:
        self.scores = scores

    def among(self, some: list[int]) -> Heard:
        return Heard(**{name: [found[i] for i in some] for name, found in self.scores.items()})

    def score(self, plan: str) -> Score:
        return _score([self.scores[plan]])


@pytest.mark.parametrize(
    ("after", "spoils"),
    [([31.0, 9.0], False), ([60.0, 6.0], True), ([6.0, 60.0], True), ([26.9, 60.0], False)],
)
def test_a_gain_of_the_mean_must_not_ruin_the_worst_sample(
    after: list[float], spoils: bool
) -> None:
    judge = Heard(first=[30.0, 10.0], best=after)
    assert _spoils(judge, "first", "best") is spoils  # type: ignore[arg-type]


@pytest.mark.parametrize(("high", "count"), [(1.0, 1), (12.0, 0)])
def test_samples_outside_the_stated_range_are_noted(data: str, high: float, count: int) -> None:
    model = network()
    quantize(model, asked(data, input_ranges={"x": (0.0, high)}))
    assert sum("the samples reach from" in note for note in model.notes) == count


def test_the_same_samples_give_the_same_file(data: str) -> None:
    models = [network(), network()]
    for model in models:
        quantize(model, asked(data))
    assert bytes(serialize(models[0])) == bytes(serialize(models[1]))


def test_a_ranges_file_gives_what_calibration_gives(data: str, tmp_path: Path) -> None:
    path = tmp_path / "ranges.json"
    feeds = [{"x": x[None]} for x in SAMPLES]
    path.write_text(files.dump(calibrate(network(), feeds)))
    measured, read = network(), network()
    quantize(measured, asked(data, improve=False))
    quantize(read, asked(None, ranges=str(path)))
    assert bytes(serialize(measured)) == bytes(serialize(read))


def test_a_missing_range_writes_the_template_and_default_ranges_fill_in(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    options = asked(None, ranges_template=str(path))
    with pytest.raises(QuantizationError, match="4 tensors without a range"):
        quantize(network(), options)
    names = [line.split('"')[3] for line in path.read_text().splitlines()[1:-1]]
    assert names == ["x", "a", "d", "z"]
    plan = quantize(network(), options, toco=TocoOptions(default_ranges=(0, 6)))
    assert plan is not None
    scales = {float(p.scale[0]) for p in plan.tensors.values()}
    assert scales == {0.0235294122248888}


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("a = RELU(x)", []),  # the range of a clamp of the input follows from the input's
        (
            "a = FULLY_CONNECTED(x, f32[4,4], f32[4])",
            ["--default_ranges clips 1 tensor that reaches further: 'b' (0 … 6)"],
        ),
    ],
)
def test_default_ranges_that_cut_off_a_clamp_are_counted(before: str, wanted: list[str]) -> None:
    model = Model([parse(f"x: f32[1,4] -> z\n{before}\nb = RELU6(a)\nz = TANH(b)")])
    options = QuantizeOptions(mode="int8", input_ranges={"x": (-9.0, 9.0)})
    quantize(model, options, toco=TocoOptions(default_ranges=(0.0, 1.0)))
    assert [note for note in model.notes if note.startswith("--default_ranges clips")] == wanted


def test_random_samples_leave_a_note() -> None:
    model = network()
    quantize(model, QuantizeOptions(mode="int8", random=3))
    assert "ranges are measured on 3 random samples: for trials only" in model.notes


@pytest.mark.parametrize(("count", "said"), [(1, "1 sample"), (7, "7 samples"), (8, "")])
def test_few_samples_leave_a_note(tmp_path: Path, count: int, said: str) -> None:
    model = network()
    (x,) = model.main.inputs
    np.savez(tmp_path / "s.npz", **{x.name: images(1, count).reshape(count, *x.shape)})
    quantize(model, QuantizeOptions(mode="int8", calibration_data=str(tmp_path / "s.npz")))
    notes = [note for note in model.notes if "ranges are measured on" in note]
    whole = f"ranges are measured on {said}: what lies beyond them is cut off; 100 are usual"
    assert notes == ([whole] if said else [])


def test_verify_reports_outputs_and_the_worst_inside(data: str) -> None:
    model = network()
    quantize(model, asked(data, improve=False))
    lines = verify_notes(verify(network(), model, data, asked(data)))
    assert lines[0].startswith("output 'z': ")
    assert lines[1].startswith("worst inside: ")


def test_mean_without_std_is_an_error(data: str) -> None:
    with pytest.raises(UsageError, match="go together"):
        quantize(network(), asked(data, mean=(1.0,)))


def test_memory_keeps_an_even_selection() -> None:
    memory = Memory()
    feeds = [{"x": np.array([i])} for i in range(5 * MOST)]
    assert len(list(memory.watch(feeds))) == 5 * MOST
    kept = [int(f["x"][0]) for f in memory.kept]
    assert len(kept) <= MOST
    assert set(np.diff(kept)) == {8}


def test_nothing_is_improved_where_no_real_number_decides(tmp_path: Path, run: Run) -> None:
    """The answers are booleans: there is no ratio by which one plan would be better."""
    model = Model([parse("x: f32[4], z: f32[4] -> y\ns = ADD(x, z)\ny = GREATER(s, z)")])
    path, rng = tmp_path / "samples.npz", np.random.default_rng(3)
    samples = {name: rng.uniform(-9, 9, (8, 4)).astype(np.float32) for name in "xz"}
    np.savez(path, **samples)
    quantize(model, asked(str(path)))
    assert run(model, [samples["x"][0], samples["z"][0]])[0].shape == (4,)
