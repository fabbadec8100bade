"""Nothing that a command prints is wider than the terminal; a pipe gets everything whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Tqconv
from tests.graph_text import parse
from tqconv.api import save
from tqconv.cli.layout import Table, cut, folded, page, width
from tqconv.ir.graph import Model
from tqconv.ir.types import Quant

LONG = "a/rather/long/scope/of/a/network/that/somebody/named/with/care/and/patience"
TABLES: tuple[list[str], ...] = ([], ["-v"], ["--ops"], ["--tensors"], ["--quant"])
Watched = Callable[..., Result]


@pytest.fixture
def long_names(tmp_path: Path) -> Path:
    """Return a network of integers whose names are longer than a line."""
    graph = parse(
        "x: i8[1,112,112,32] -> y\n"
        "d = DEQUANTIZE(x)\n"
        "c = DEPTHWISE_CONV_2D(d, f32[1,3,3,32], zeros[32]) {stride_h=2, stride_w=2}\n"
        "y = SOFTMAX(c)"
    )
    graph.inputs[0].quant = Quant.per_tensor(0.0078125, -1)
    for tensor, word in zip((*graph.inputs, *graph.outputs), ("image", "scores"), strict=True):
        graph.rename(tensor, f"{LONG}/{word}")
    save(Model([graph]), tmp_path / "long.tflite")
    return tmp_path / "long.tflite"


@pytest.fixture(params=[80, 60])
def watched(
    tqconv: Tqconv, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Watched:
    """Return `tqconv(…)` on a terminal of 80 and of 60 columns; a word of an error may be wider."""
    monkeypatch.setenv("COLUMNS", str(request.param))

    def run(*words: object) -> Result:
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        found = tqconv(*words)
        wide = [
            line
            for line in f"{found.out}\n{found.err}".replace("\r", "\n").split("\n")
            if width(line) > request.param and (line in found.out or " " in line.strip())
        ]
        assert not wide, "\n".join(wide)
        return found

    return run


@pytest.mark.parametrize(
    "words", [*TABLES, ["--target", "edgetpu"], ["--target", "tflm", "-v"]], ids=" ".join
)
def test_a_model_with_long_names(watched: Watched, long_names: Path, words: list[str]) -> None:
    assert watched("inspect", long_names, *words).code == 0


def test_two_models(watched: Watched, long_names: Path, tflite: Path) -> None:
    assert watched("inspect", long_names, tflite).code == 0


def test_the_result_of_a_conversion(watched: Watched, long_names: Path, tmp_path: Path) -> None:
    found = watched("convert", long_names, "-o", tmp_path / "o.tflite")
    assert found.code == 0
    assert f"{LONG[:8]}" in found.out


@pytest.mark.parametrize("name", ["convert", "inspect", "dot", "calibrate", "completion"])
def test_the_help_of_each_command(watched: Watched, name: str) -> None:
    assert watched(name, "--help").code == 0


def test_an_example_of_the_help_is_one_command(tqconv: Tqconv) -> None:
    lines = tqconv("calibrate", "--help").out
    assert "-o ranges.json \\\n    --method percentile\n" in lines


@pytest.mark.parametrize(
    "words",
    [["--ops", "--where", "namw=conv"], ["--where", "macs>1"], ["--output_arrays", "a,b,c,d"]],
)
def test_errors_and_their_hints(watched: Watched, long_names: Path, words: list[str]) -> None:
    found = watched("inspect", long_names, *words)
    assert found.code == 2
    assert found.err.startswith("error: ")


def test_a_pipe_gets_everything(tqconv: Tqconv, long_names: Path) -> None:
    for words in TABLES:
        found = tqconv("inspect", long_names, *words)
        assert f"{LONG}/image" in found.out or f"{LONG}/scores" in found.out
        assert "…/" not in found.out


def test_what_does_not_fit_stands_below_its_row() -> None:
    rows = [("0", "CONV_2D", "first", "stride_h=1 stride_w=1"), ("1", "ADD", "x" * 30, "pot=no")]
    table = Table(rows, right=(0,), names=(2,), prose=True)
    assert f"first{27 * ' '}stride_h=1" in page([table], None)
    assert page([table], 48).split("\n") == [
        "  0  CONV_2D  first",
        "      stride_h=1 stride_w=1",
        "  1  ADD      xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "      pot=no",
    ]
    assert page([table], 30).split("\n") == [
        "  0  CONV_2D  first",
        "      stride_h=1 stride_w=1",
        "  1  ADD      xxxxxxx…xxxxxxxx",
        "      pot=no",
    ]


def test_sentences_stand_beside_a_narrow_name() -> None:
    table = Table([("1", "ADD", "the operator adds what it reads")], prose=True)
    assert page([table], 40).split("\n") == [
        "  1  ADD  the operator adds what it",
        "          reads",
    ]


def test_lines_end_between_words_that_may_be_taken_apart() -> None:
    text = "hint: name them with --output_arrays a,b or run `tqconv inspect m` and look"
    assert folded(text, 34).split("\n") == [
        "hint: name them with",
        "  --output_arrays a,b or run",
        "  `tqconv inspect m` and look",
    ]
    assert folded("  - " + "x" * 40, 30) == "  -\n    " + "x" * 40  # whole, to be copied
    assert folded("x" * 40, 30, cut_words=True) == "x" * 14 + "…" + "x" * 15


def test_characters_of_two_columns_and_of_none() -> None:
    assert (width("abc"), width("模型"), width("e\u0301")) == (3, 4, 1)
    assert cut("模型模型模型", 7) == "模…型"


def test_names_do_not_steer_a_terminal() -> None:
    assert page(["red \x1b[31m", Table([("\x1b[31m\nx",)])], 80) == "red �[31m\n  �[31m�x"
