"""What Python users pass: bytes, arrays, generators, options by name."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tqconv
from tqconv.cli.main import main
from tqconv.errors import QuantizationError, UsageError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model
from tqconv.ops.emit import emit

SAMPLES_FOLDER = Path(__file__).parent.parent / "sample_models" / "digits_cnn"
GRAPH = SAMPLES_FOLDER / "graph.pb"


@pytest.fixture(scope="module")
def images() -> Any:
    archive = np.load(SAMPLES_FOLDER / "calibration.npz")
    return archive[archive.files[0]][:16]


def test_without_a_target_the_bytes_are_returned(tmp_path: Path) -> None:
    report = tqconv.convert(GRAPH, tmp_path / "m.tflite")
    content = tqconv.convert(GRAPH)
    assert content == (tmp_path / "m.tflite").read_bytes()
    assert tqconv.convert(GRAPH.read_bytes()) == content
    assert repr(report).startswith("<Report: <Model graph.pb: ")
    assert len(repr(report)) < 400


def dataset(images: Any) -> dict[str, Any]:
    def representative() -> Iterator[list[Any]]:
        for image in images:
            yield [image.reshape(1, *images.shape[1:][-3:])]

    name = "image"
    return {
        "an array": images,
        "a dict of arrays": {name: images},
        "a generator function": representative,
        "a generator": representative(),
        "a list of dicts": [{name: image} for image in images],
        "a list of arrays": list(images),
    }


@pytest.mark.parametrize("form", dataset(np.zeros((1, 8, 8, 1))))
def test_samples_of_every_form_give_the_same_file(images: Any, form: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", image=images)
    wanted = tqconv.convert(GRAPH, quantize="int8", samples=tmp_path / "s.npz")
    assert tqconv.convert(GRAPH, quantize="int8", samples=dataset(images)[form]) == wanted


def test_samples_in_order_fit_inputs_of_any_name() -> None:
    """Keras calls inputs input_1, input_2, ...; the first array is for the first of them."""
    graph = Graph("main")
    xs = [graph.add_input(name, (1, 4), np.dtype(np.float32)) for name in ("input_2", "input_1")]
    weights = [np.eye(4, dtype=np.float32), np.zeros(4, np.float32)]
    parts = [emit(graph, "FULLY_CONNECTED", x, *weights, name=f"y{i}") for i, x in enumerate(xs)]
    graph.outputs = parts
    content = bytes(serialize(Model([graph])))
    samples = [[np.full((1, 4), k, np.float32), np.full((1, 4), -k, np.float32)] for k in range(9)]
    made = tqconv.convert(content, quantize="int8", samples=samples, integer_only=True)
    details = Interpreter(model_content=made).get_input_details()
    assert {d["name"]: d["quantization"][1] for d in details} == {"input_2": -128, "input_1": 127}


@pytest.mark.parametrize("mode", ["int8", "int16x8", "uint8", "dynamic"])
def test_a_mode_is_what_the_command_line_calls_so(tmp_path: Path, mode: str) -> None:
    model, data = SAMPLES_FOLDER / "graph.pb", SAMPLES_FOLDER / "calibration.npz"
    words = [] if mode == "dynamic" else ["--calibration_data", str(data)]
    named = {} if mode == "dynamic" else {"samples": str(data)}
    target = tmp_path / "typed.tflite"
    assert main(["convert", str(model), "-o", str(target), "--quantize", mode, *words]) == 0
    assert tqconv.convert(model, quantize=mode, **named) == target.read_bytes()


def test_options_of_every_group_go_by_their_names(images: Any, tmp_path: Path) -> None:
    report = tqconv.convert(
        GRAPH,
        tmp_path / "m.tflite",
        quantize="int8",
        samples=images,
        integer_only=True,
        input_type="uint8",
        output_type="uint8",
        outputs="probabilities",
    )
    assert [t.dtype for t in report.model.main.inputs] == [np.uint8]
    assert [t.dtype for t in report.model.main.outputs] == [np.uint8]


@pytest.mark.parametrize(
    ("named", "kind", "message"),
    [
        ({"quantise": "int8"}, UsageError, "no option `quantise`; did you mean `quantize`"),
        ({"quantize": "int8"}, QuantizationError, "range"),
        (
            {"quantize": "uint8", "inference_type": "int8"},
            UsageError,
            "int8 does not go with uint8",
        ),
        ({"inference_type": "uint8"}, UsageError, "uint8 does not go with a float model"),
        ({"quantize": "int8", "samples": []}, UsageError, "there are no samples"),
        ({"quantize": "int8", "samples": 3}, UsageError, "samples are arrays, not int"),
        (
            {"quantize": "int8", "samples": [np.zeros((1, 8, 8, 1)), np.zeros((1, 4, 4, 1))]},
            UsageError,
            "have different shapes",
        ),
        (
            {"quantize": "int8", "samples": np.full((2, 8, 8, 1), np.nan, np.float32)},
            UsageError,
            "^`samples` holds values that are not finite",
        ),
    ],
)
def test_what_does_not_fit_is_said(named: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        tqconv.convert(GRAPH, **named)


def test_bytes_that_are_no_model_are_named() -> None:
    with pytest.raises(tqconv_error(), match="the bytes of the model"):
        tqconv.convert(b"nothing that is known" * 10)


def tqconv_error() -> type[Exception]:
    from tqconv.errors import TqconvError

    return TqconvError


def test_the_package_lists_its_names_and_has_types() -> None:
    assert set(tqconv.__all__) <= set(dir(tqconv))
    assert (Path(tqconv.__file__).parent / "py.typed").exists()


def test_what_is_no_model_is_said() -> None:
    with pytest.raises(UsageError, match="a path or the bytes of a file, not int"):
        tqconv.convert(42)  # type: ignore[arg-type]


def test_a_traceback_shows_the_hint(tmp_path: Path) -> None:
    """Python prints `__notes__` below the message, from 3.11 on; notebooks do, too."""
    with pytest.raises(UsageError) as caught:
        tqconv.convert(tmp_path / "none" / "m.pb")
    told = "".join(traceback.format_exception(caught.value))
    assert sys.version_info < (3, 11) or told.endswith(
        f"hint: nor does the folder {tmp_path}/none\n"
    )
