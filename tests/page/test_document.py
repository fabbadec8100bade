"""The report as a file: whole, without addresses, small, and the same every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from graphs import graph, node, placeholder

from tqconv.exporters.page import sections
from tqconv.exporters.page.charts import histogram
from tqconv.exporters.page.facts import Distribution
from tqconv.exporters.page.picture import inline
from tqconv.exporters.report import TensorFacts
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.histogram import Histogram
from tqconv.ir.types import Quant
from tqconv.jobs.causes import cause
from tqconv.jobs.page import rebinned
from tqconv.quant.evidence.ranges import Record

if TYPE_CHECKING:
    from cli.conftest import Tqconv

VOID = {"meta", "link", "br", "input", "path", "rect", "polygon", "ellipse", "polyline"}
MODELS = Path(__file__).parents[2] / "sample_models"


class Outline(HTMLParser):
    """Checks that elements nest; keeps ids, headings and what would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.heads: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [str(found["id"])] if "id" in found else []
        self.loads += [str(found[key]) for key in ("src", "href", "data", "action") if key in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.heads.append(data)
        if self.open and self.open[-1] in ("td", "li"):
            self.cells.append(data)


@pytest.fixture
def report(tqconv: Tqconv, tmp_path: Path) -> str:
    """Return the report of the digits network in int8."""
    model = MODELS / "digits_cnn"
    result = tqconv(
        "convert", model / "graph.pb", "-o", tmp_path / "q.tflite", "--quantize", "int8",
        "--calibration_data", model / "calibration.npz", "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert result.code == 0, result.err
    return (tmp_path / "r.html").read_text("utf-8")


def test_a_conversion_leaves_a_report(report: str, tmp_path: Path) -> None:
    page = Outline(report)
    assert page.heads == [
        "The model", "Inputs and outputs", "What quantization costs", "What is float",
        "What was fitted", "The graph", "Operators", "Constants by type", "Distributions",
        "Notes", "How it was made",
    ]  # fmt: skip
    assert len(page.ids) == len(set(page.ids))
    assert page.loads == ["data:,"]
    assert "://" not in report
    assert len(report.encode()) < 200_000
    assert f"--report {tmp_path / 'r.html'}" in report
    assert "conv1/Relu" in page.cells
    assert any(cell.startswith("fitted to the samples") for cell in page.cells)
    assert report.count('class="histogram"') >= 10


def test_the_same_command_writes_the_same_report(
    tqconv: Tqconv, report: str, tmp_path: Path
) -> None:
    model = MODELS / "digits_cnn"
    tqconv(
        "convert", model / "graph.pb", "-o", tmp_path / "q.tflite", "--quantize", "int8",
        "--calibration_data", model / "calibration.npz", "--report", tmp_path / "r.html",
    )  # fmt: skip
    assert (tmp_path / "r.html").read_text("utf-8") == report


def test_without_graphviz_a_table_stands_for_the_picture(
    tqconv: Tqconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = tqconv("inspect", MODELS / "digits_cnn" / "graph.pb", "--report", tmp_path / "r.html")
    assert result.code == 0, result.err
    text = (tmp_path / "r.html").read_text("utf-8")
    page = Outline(text)
    assert "Graphviz is not installed where this was made" in text
    assert "conv1/Conv2D" in page.cells
    assert "<svg id" not in text


def test_calibrations_are_reported(tqconv: Tqconv, tmp_path: Path) -> None:
    model = MODELS / "digits_cnn"
    result = tqconv("calibrate", model / "graph.pb", "--data", model / "calibration.npz",
                    "-o", tmp_path / "ranges.json", "--method", "percentile",
                    "--report", tmp_path / "r.html")  # fmt: skip
    assert result.code == 0, result.err
    page = Outline((tmp_path / "r.html").read_text("utf-8"))
    assert "Distributions" in page.heads
    assert "What quantization costs" not in page.heads


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--report", "r.txt"], "`r.txt` is no name for HTML"),
        (["--report", "x.html", "-o", "x.html"], "x.html is the result"),
    ],
)
def test_reports_that_cannot_be_written(
    tqconv: Tqconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tqconv("convert", MODELS / "digits_cnn" / "graph.pb", *words)
    assert result.code == 2
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


def test_names_cannot_break_the_page(tqconv: Tqconv, tmp_path: Path) -> None:
    import tqconv as package
    from tqconv.ir.graph import Model
    from tqconv.ops.emit import emit

    graph = Graph("main")
    x = graph.add_input("</script><b>&x", (2,), np.dtype(np.float32))
    graph.outputs.append(emit(graph, "RELU", x, name="\"'<img src=x>\x07"))
    package.save(Model([graph]), tmp_path / "m.tflite")
    tqconv("inspect", tmp_path / "m.tflite", "--report", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    page = Outline(text)
    assert page.loads == ["data:,"]
    assert text.count("</script>") == text.count("<script")


def tensor(scale: tuple[float, ...], zero: tuple[int, ...], type: str = "int8") -> TensorFacts:
    return TensorFacts("t", type, (1,), 1, scale=scale, zero_point=zero, axis=0)


def test_formulas_say_how_numbers_are_read() -> None:
    assert (
        sections.formula(tensor((0.5,), (3,))) == "real = 0.5 × (q − 3);  q = round(real / 0.5) + 3"
    )
    assert sections.formula(tensor((0.5,), (-3,))) == (
        "real = 0.5 × (q + 3);  q = round(real / 0.5) − 3"
    )
    assert sections.formula(tensor((0.5,), (0,))) == "real = 0.5 × q;  q = round(real / 0.5)"
    assert sections.formula(tensor((), (), "float32")) == "reals"


def test_a_histogram_marks_what_lies_outside() -> None:
    found = Distribution("t", 0.0, 10.0, (4, 1, 0, 1), (0.0, 5.0))
    text = histogram(found)
    inside, outside = re.findall(r'class="(?:in|out)" d="([^"]*)"', text)
    assert (inside.count("M"), outside.count("M")) == (2, 1)


def test_fewer_bins_hold_the_same_values() -> None:
    values = np.linspace(-1, 3, 5000, dtype=np.float32)
    low, high, counts = rebinned(Histogram.of(values))
    assert (low, high, sum(counts)) == (-1.0, 3.0, 5000)


def test_a_drawing_keeps_no_address() -> None:
    text = (
        '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C" "http://w.org/svg.dtd">\n'
        '<!-- by http://x --><svg width="9pt" height="8pt"\n viewBox="0 0 9 8" '
        'xmlns="http://w.org/svg" xmlns:xlink="http://w.org/x"><g id="a"><title>a</title>'
        '<g id="a_a"><a xlink:title="t"><text font-family="H">q</text></a></g></g></svg>\n'
    )
    assert inline(text) == (
        '<svg id="drawing"\n viewBox="0 0 9 8"><g id="a"><g id="a_a"><text>q</text></g></g></svg>\n'
    )


def quantized(scale: float, zero: int = 0) -> Tensor:
    made = Tensor("y", (1, 4), np.dtype(np.int8), quant=Quant.per_tensor(scale, zero))
    w = Tensor("w", (2, 4), np.dtype(np.int8), quant=Quant.per_tensor(0.01, 0))
    w.data = np.array([[127, -90, 80, 33], [1, 2, 0, -3]], np.int8)
    b = Tensor("b", (2,), np.dtype(np.int32), quant=Quant.per_tensor(0.001, 0))
    b.data = np.array([0, 5], np.int32)
    x = Tensor("x", (1, 4), np.dtype(np.int8), quant=Quant.per_tensor(0.1, 0))
    made.producer = Op("FULLY_CONNECTED", (x, w, b), (made,))
    return made


def seen(values: list[float]) -> Record:
    return Record.of(Histogram.of(np.array(values, np.float32)), "minmax")


def test_causes_are_told_apart() -> None:
    narrow = seen([-1.0, 0.5, 0.25, 1.0])
    assert cause(quantized(0.001), narrow, 10.0, {}).startswith("clipped range: ")
    small = quantized(0.01)
    assert cause(small, narrow, 10.0, {}) == "tiny channel: 1 of 'w' uses 3 of 127 codes"
    weights, bias = small.producer.inputs[1:] if small.producer else (None, None)
    assert weights is not None
    assert bias is not None
    weights.data = np.full((2, 4), 100, np.int8)
    assert cause(quantized_like(small, 1.0), narrow, 10.0, {}).startswith("widened group: ")
    outlier = seen([0.01] * 5000 + [127.0, -100.0])
    assert cause(quantized_like(small, 1.0), outlier, 15.0, {}).startswith("wide range: ")
    assert cause(small, narrow, 20.0, {"x": 20.5}) == (
        "the noise comes from its input 'x', which has 20.5 dB"
    )
    assert cause(small, narrow, 20.0, {"x": 40.0}).startswith("the noise grows from its input 'x'")
    bias.data = np.array([0, 2**31 - 1], np.int32)
    assert cause(small, narrow, 20.0, {}) == (
        "saturated bias: channel 1 of 'b' needs more than 32 bits"
    )


def quantized_like(tensor: Tensor, scale: float) -> Tensor:
    return Tensor("y", (1, 4), np.dtype(np.int8), quant=Quant.per_tensor(scale, 0),
                  producer=tensor.producer)  # fmt: skip


def test_inspect_measures_a_quantized_model_against_its_float_one(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    model = MODELS / "digits_cnn"
    data = model / "calibration.npz"
    words = ("--quantize", "int8", "--calibration_data", data)
    assert tqconv("convert", model / "graph.pb", "-o", tmp_path / "q.tflite", *words).code == 0
    words = ("--report", tmp_path / "r.html", "--data", data, "--samples", "5")
    for more in ((), ("--reference", model / "graph.pb")):
        result = tqconv("inspect", tmp_path / "q.tflite", *words, *more)
        assert result.code == 0, result.err
        page = Outline((tmp_path / "r.html").read_text("utf-8"))
        assert "What quantization costs" in page.heads
        assert "probabilities (output)" in page.cells
    images = MODELS / "digits_onnx"  # channels first, and the float model is a file of its own
    assert tqconv("convert", images / "model.onnx", "-o", tmp_path / "o.tflite", "--nhwc_io",
                  "--quantize", "int8", "--random", "4").code == 0  # fmt: skip
    samples = ("--reference", images / "model.onnx", "--data", onnx_images(tmp_path))
    result = tqconv("inspect", tmp_path / "o.tflite", "--report", tmp_path / "o.html", *samples)
    assert result.code == 0, result.err
    assert "What quantization costs" in (tmp_path / "o.html").read_text("utf-8")


def onnx_images(folder: Path) -> Path:
    path = folder / "images.npz"
    np.savez(path, image=np.random.default_rng(1).random((3, 1, 8, 8), np.float32))
    return path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "calibration.npz"], "--data compares two models, or a model"),
        (["--report", "r.html", "--reference", "graph.pb"], "add --data DATA"),
        (["--report", "r.html", "--data", "calibration.npz"], "computes with reals"),
        (["graph.pb", "--report", "r.html"], "--report is about one model"),
    ],
    ids=["no report", "no data", "no errors", "two models"],
)
def test_what_cannot_be_measured_is_said(
    tqconv: Tqconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    for name in ("graph.pb", "calibration.npz"):
        (tmp_path / name).write_bytes((MODELS / "digits_cnn" / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    result = tqconv("inspect", "graph.pb", *words)
    assert result.code == 2
    assert said in result.err
    assert not (tmp_path / "r.html").exists()


def test_a_model_without_translation_has_a_page_of_its_nodes(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    x = placeholder("x", np.float32, (1, 4))
    message = graph(x, node("strange", "NoSuchOp", "x"), node("y", "Softmax", "strange"))
    (tmp_path / "m.pb").write_bytes(message.SerializeToString())
    result = tqconv("inspect", tmp_path / "m.pb", "--report", tmp_path / "r.html")
    assert result.code == 0, result.err
    text = (tmp_path / "r.html").read_text("utf-8")
    page = Outline(text)
    assert page.heads[:2] == ["Why it was not translated", "What has no translation"]
    assert "1 operator of m.pb has no TFLite translation" in text
    start = page.cells.index("strange")
    assert page.cells[start : start + 3] == ["strange", "NoSuchOp", "no translation"]
    assert page.loads == ["data:,"]


def test_a_refused_node_is_listed_with_its_own_reason(tqconv: Tqconv, tmp_path: Path) -> None:
    x, axis = placeholder("x", np.float32, (1, 4)), placeholder("axis", np.int32, ())
    message = graph(x, axis, node("y", "Cumsum", "x", "axis"))
    (tmp_path / "m.pb").write_bytes(message.SerializeToString())
    result = tqconv("inspect", tmp_path / "m.pb", "--report", tmp_path / "r.html")
    assert result.code == 0, result.err
    page = Outline((tmp_path / "r.html").read_text("utf-8"))
    start = page.cells.index("y")
    assert page.cells[start + 1] == "Cumsum"
    assert page.cells[start + 2] not in ("", "no translation")
