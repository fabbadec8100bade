"""Results that end before probabilities (`--logits`), of every form and in every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

import tqconv
from tqconv.api import save
from tqconv.config import CalibrateOptions, QuantizeOptions
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Graph, Model
from tqconv.jobs.logits import Logits
from tqconv.runtime.compare import difference

F = np.float32
RNG = np.random.default_rng(3)
SAMPLES = Path(__file__).parents[1] / "sample_models"
DENSE = "x: f32[2,6] -> y\na = FULLY_CONNECTED(x, f32[8,6], f32[8])\n"
ENDS = {
    "SOFTMAX": ("y = SOFTMAX(a) {beta=1.0}", "a"),
    "LOG_SOFTMAX": ("y = LOG_SOFTMAX(a)", "a"),
    "LOGISTIC": ("y = LOGISTIC(a)", "a"),
    "in another shape": ("b = SOFTMAX(a) {beta=1.0}\ny = RESHAPE(b, [4,4])", "y/logits"),
    "channels first": ("b = SOFTMAX(a) {beta=1.0}\ny = TRANSPOSE(b, [1,0])", "y/logits"),
    "trained for integers": (
        "b = SOFTMAX(a) {beta=1.0}\ny = FAKE_QUANT(b) {min=0.0, max=1.0, num_bits=8}",
        "a",
    ),
}


def cut(graph: Graph) -> str:
    """Cut a graph in place, as often as a conversion does; return the note."""
    logits = Logits()
    logits.cut(Model([graph]))
    logits.cut(Model([graph]))
    graph.check()
    return logits.notes()[0]


@pytest.mark.parametrize("name", ENDS)
def test_an_output_is_what_came_before(run: Run, name: str) -> None:
    text, wanted = ENDS[name]
    graph = parse(DENSE + text)
    note = cut(graph)
    assert [t.name for t in graph.outputs] == [wanted]
    assert note.startswith(f"--logits: '{wanted}' in the place of 'y', which ")
    x = RNG.normal(size=(2, 6)).astype(F)
    plain = run(parse(DENSE.replace("-> y", "-> a")), [x])[0]
    moved = {"in another shape": plain.reshape(4, 4), "channels first": plain.T}
    np.testing.assert_allclose(run(graph, [x])[0], moved.get(name, plain), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "outputs", "note"),
    [
        (DENSE + "y = TANH(a)", ["y"], "no output ends in SOFTMAX, LOG_SOFTMAX or LOGISTIC"),
        ("x: f32[2,6] -> y\ny = LOGISTIC(x)", ["y"], "'y' keeps its LOGISTIC, the only operator"),
        (
            DENSE.replace("-> y", "-> a, y") + "y = SOFTMAX(a) {beta=1.0}",
            ["a", "y"],
            "'y' keeps its SOFTMAX: what it is made of is the output 'a'",
        ),
        (
            DENSE.replace("-> y", "-> y, z") + "y = SOFTMAX(a) {beta=1.0}\nz = ARG_MAX(y, 1)"
            " {output_type=INT32}",
            ["a", "z"],
            "'a' in the place of 'y', which SOFTMAX made of it",
        ),
        (DENSE + "b = LOGISTIC(a)\ny = SOFTMAX(b) {beta=1.0}", ["b"], "'b' in the place of 'y'"),
    ],
    ids=["none", "nothing else", "there already", "read elsewhere", "one of two"],
)
def test_what_is_said_of_others(text: str, outputs: list[str], note: str) -> None:
    graph = parse(text)
    assert note in cut(graph)
    assert [t.name for t in graph.outputs] == outputs


MODES = ("float", "float16", "weights", "dynamic", "int8", "int16x8", "uint8")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_takes_it(run: Run, mode: str, tmp_path: Path) -> None:
    """A softmax that is spelled out, too: it is recognized on the way, but by TOCO's rules."""
    spelled = "e = EXP(a)\ns = SUM(e, [1]) {keep_dims=True}\ny = DIV(e, s)"
    last = "y = SOFTMAX(a) {beta=1.0}" if mode == "uint8" else spelled
    save(Model([parse(DENSE + last)]), tmp_path / "m.tflite")
    xs = RNG.normal(size=(30, 2, 6)).astype(F)
    more = {} if mode == "float" else {"quantize": mode}
    more |= {"samples": {"x": xs}} if mode in ("int8", "int16x8", "uint8") else {}
    more |= {"input_type": "float32", "output_type": "float32"} if mode == "uint8" else {}
    made = tqconv.convert(tmp_path / "m.tflite", logits=True, **more)
    plain = run(parse(DENSE.replace("-> y", "-> a")), [xs[0]])[0]
    assert difference(plain, run(made, [xs[0]])[0])[0] > 30


def test_integers_of_a_file_stay_what_they_are(run: Run, tmp_path: Path) -> None:
    save(Model([parse(DENSE + "y = SOFTMAX(a) {beta=1.0}")]), tmp_path / "m.tflite")
    xs = RNG.normal(size=(30, 2, 6)).astype(F)
    for only in (True, False):
        stored = tqconv.convert(
            tmp_path / "m.tflite", quantize="int8", integer_only=only, samples={"x": xs}
        )
        made = read(tqconv.convert(stored, logits=True), "n").main
        assert [t.name for t in made.outputs] == ["a" if only else "a/dequantized"]
        assert "SOFTMAX" not in [op.type for op in made.ops]
        assert made.outputs[0].dtype == (np.int8 if only else F)


def test_signatures_keep_their_keys(tmp_path: Path) -> None:
    source = SAMPLES / "digits_rows" / "saved_model"
    plain = read(tqconv.convert(source), "n")
    made = read(tqconv.convert(source, logits=True), "n")
    keys = [list(signature.outputs) for signature in made.signatures]
    assert keys == [list(signature.outputs) for signature in plain.signatures]
    assert [t.name for t in made.main.outputs] != [t.name for t in plain.main.outputs]


def test_ranges_that_were_measured_before_serve(tmp_path: Path) -> None:
    save(Model([parse(DENSE + "y = SOFTMAX(a) {beta=1.0}")]), tmp_path / "m.tflite")
    xs = RNG.normal(size=(30, 2, 6)).astype(F)
    np.savez(tmp_path / "s.npz", x=xs)
    options = CalibrateOptions(quantize=QuantizeOptions(calibration_data=str(tmp_path / "s.npz")))
    tqconv.calibrate(tmp_path / "m.tflite", tmp_path / "r.json", options)
    more = {"quantize": "int8", "logits": True, "integer_only": True}
    made = tqconv.convert(tmp_path / "m.tflite", ranges=str(tmp_path / "r.json"), **more)
    assert read(made, "n").main.outputs[0].name == "a"
