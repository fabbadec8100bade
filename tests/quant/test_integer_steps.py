"""An LSTM that is written out step by step: one integer operator where its cells are measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tqconv
from tqconv.api import save
from tqconv.config import CalibrateOptions, QuantizeOptions
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ops.emit import emit
from tqconv.runtime.compare import difference

STEPS, N, D, C = 8, 2, 3, 5
F = np.float32
RNG = np.random.default_rng(3)
XS = RNG.normal(size=(40, N, STEPS, D)).astype(F)
SEQUENCE = "UNIDIRECTIONAL_SEQUENCE_LSTM"


def written_out(squash: str = "TANH") -> Graph:
    """The last result of an LSTM of random weights, as TF1's static_rnn writes it."""
    rng = np.random.default_rng(9)
    graph = Graph("steps")

    def b(type: str, *operands: object, **options: object) -> Tensor:
        name = f"{type.lower()}_{len(graph.ops)}"
        return emit(graph, type, *operands, name=name, **options)

    x = graph.add_input("x", (N, STEPS, D), np.dtype(F))
    w, bias = (rng.normal(size=shape, scale=0.7).astype(F) for shape in ((4 * C, D + C), (4 * C,)))
    h = c = np.zeros((N, C), F)
    for step in b("UNPACK", x, num=STEPS, axis=1):
        gates = b("FULLY_CONNECTED", b("CONCATENATION", step, h, axis=1), w, bias)
        i, g, f, o = b("SPLIT", np.array(1, np.int32), gates, num_splits=4)
        kept = b("MUL", b("LOGISTIC", f), c)
        c = b("ADD", b("MUL", b("LOGISTIC", i), b(squash, g)), kept)
        h = b("MUL", b(squash, c), b("LOGISTIC", o))
    graph.outputs.append(h)
    return graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(Model([written_out()]), tmp_path / "m.tflite")
    return tmp_path / "m.tflite"


def operators(content: bytes) -> list[str]:
    return [op.type for op in read(content, "n").main.ops]


def runs(content: bytes) -> np.ndarray:
    """Return what one runner makes of ten samples: no state goes on."""
    runner = Interpreter(model_content=content)
    runner.allocate_tensors()
    made = []
    for x in XS[:10]:
        runner.set_tensor(runner.get_input_details()[0]["index"], x)
        runner.invoke()
        made.append(runner.get_tensor(runner.get_output_details()[0]["index"]).copy())
    return np.stack(made)


def test_it_is_nearer_and_smaller_than_its_steps(path: Path) -> None:
    ends = {"input_type": "float32", "output_type": "float32"}
    fused = tqconv.convert(path, quantize="int8", integer_only=True, samples={"x": XS}, **ends)
    steps = tqconv.convert(path, quantize="int8", keep_float=("^unpack",), samples={"x": XS})
    assert SEQUENCE in operators(fused)
    assert SEQUENCE not in operators(steps)
    assert len(fused) < 0.6 * len(steps)
    plain = runs(tqconv.convert(path))
    assert difference(plain, runs(fused))[0] > max(30, difference(plain, runs(steps))[0] + 3)


@pytest.mark.parametrize(
    "more",
    [
        {"quantize": "int16x8"},
        {"quantize": "uint8"},
        {"quantize": "int8", "int16": ("mul",)},
        {"quantize": "int8", "min_sqnr": 20.0},
    ],
    ids=["int16x8", "uint8", "steps are named", "an accuracy is asked for"],
)
def test_else_its_steps_are_integers(path: Path, more: dict[str, object]) -> None:
    assert SEQUENCE not in operators(tqconv.convert(path, samples={"x": XS}, **more))


def test_a_ranges_file_knows_the_steps(path: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=XS)
    options = CalibrateOptions(quantize=QuantizeOptions(calibration_data=str(tmp_path / "s.npz")))
    tqconv.calibrate(path, tmp_path / "r.json", options)
    made = tqconv.convert(path, quantize="int8", ranges=str(tmp_path / "r.json"))
    assert SEQUENCE not in operators(made)


def test_cells_of_another_function_have_no_operator_of_integers(tmp_path: Path) -> None:
    save(Model([written_out("RELU")]), tmp_path / "m.tflite")
    made = tqconv.convert(tmp_path / "m.tflite", quantize="int8", samples={"x": XS})
    assert SEQUENCE not in operators(made)
