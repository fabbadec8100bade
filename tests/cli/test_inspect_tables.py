"""`inspect --ops`, `--tensors`, `--quant` and `--where`, and the page that documents the JSON."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Tqconv
from tests.graph_text import parse
from tqconv.api import save
from tqconv.exporters.placement import Placement, RefusedFacts
from tqconv.exporters.report import GraphFacts, ModelFacts, OpFacts, TensorFacts
from tqconv.exporters.rows import FIELDS
from tqconv.ir.graph import Model

PAGE = Path(__file__).parents[2] / "docs" / "inspect.md"


def rows(tqconv: Tqconv, *words: object) -> list[dict[str, Any]]:
    """Return the rows of the one table that a command prints as JSON."""
    found = tqconv("inspect", *words, "--json")
    assert found.code == 0, found.err
    document = json.loads(found.out)
    assert document.pop("schema") == 1
    (table,) = document.values()
    return list(table)


def test_operators_as_a_table(tqconv: Tqconv, tflite: Path) -> None:
    text = tqconv("inspect", tflite, "--ops").out
    assert text.splitlines()[0] == "6 operators"
    assert re.search(r"^ +0  CONV_2D +v1 +conv1/Relu +float32 +\[1, 8, 8, 16\]", text, re.M)


@pytest.mark.parametrize(
    ("condition", "types"),
    [
        ("type=CONV_2D", ["CONV_2D", "CONV_2D"]),
        ("type=conv_2d", ["CONV_2D", "CONV_2D"]),
        ("macs>=2e5", ["CONV_2D"]),
        ("name~^conv1", ["CONV_2D"]),
        ("category!=conv", ["MAX_POOL_2D", "RESHAPE", "SOFTMAX"]),
        ("shape=1,10", ["FULLY_CONNECTED", "SOFTMAX"]),
        ("index<1", ["CONV_2D"]),
        ("index == 0", ["CONV_2D"]),
        ("macs>0.2M", ["CONV_2D"]),
        ("bytes > 10 kB", ["CONV_2D", "FULLY_CONNECTED"]),
        ("bytes>=15kiB", ["FULLY_CONNECTED"]),
        ("name=conv*", ["CONV_2D", "CONV_2D"]),
        ("name!=*/Relu", ["MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]),
        ("type in conv_2d, SOFTMAX", ["CONV_2D", "CONV_2D", "SOFTMAX"]),
        ("type NOT IN CONV_2D,*POOL*,RESHAPE", ["FULLY_CONNECTED", "SOFTMAX"]),
        ("index in 0,5", ["CONV_2D", "SOFTMAX"]),
        ("shape=[1, 8, *]", ["CONV_2D", "CONV_2D"]),
        ("shape in 1,10:1,8,8,*", ["CONV_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"]),
        ("options=", ["RESHAPE", "FULLY_CONNECTED"]),
        ("options!=", ["CONV_2D", "CONV_2D", "MAX_POOL_2D", "SOFTMAX"]),
    ],
)
def test_conditions_choose_rows(
    tqconv: Tqconv, tflite: Path, condition: str, types: list[str]
) -> None:
    assert [r["type"] for r in rows(tqconv, tflite, "--ops", "--where", condition)] == types


def test_several_conditions_are_all_true(tqconv: Tqconv, tflite: Path) -> None:
    both = ["--where", "type=CONV_2D", "--where", "macs<2e5"]
    assert [r["name"] for r in rows(tqconv, tflite, "--ops", *both)] == ["conv1/Relu"]


def test_quantized_tensors_show_the_reals_that_they_hold(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.tflite"
    samples = digits.parent / "calibration.npz"
    words = ["--quantize", "int8", "--calibration_data", samples, "--integer_only"]
    words += ["--inference_output_type", "INT8"]
    assert tqconv("convert", digits, "-o", target, *words).code == 0
    (last,) = rows(tqconv, target, "--quant", "--where", "name=probabilities")
    assert (last["min"], last["max"]) == (0.0, 255 / 256)  # what SOFTMAX's kernel builds in
    weights = rows(tqconv, target, "--quant", "--where", "channels>1")
    assert [row["channels"] for row in weights if row["dtype"] == "int8"] == [16, 24, 10]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "macs>1"], "add --ops, --tensors or --quant"),
        (["--ops", "--where", "mac>1"], "did you mean `macs`"),
        (["--ops", "--where", "zero_point=0"], "hint: it has index, type, version, name"),
        (["--ops", "--tensors", "--where", "rank=1"], "--ops with --tensors has no column `rank`"),
        (["--ops", "--where", "macs"], "is no condition"),
        (["--ops", "--where", "macs is 3"], "hint: write FIELD=VALUE, or with =, !=, <,"),
        (["--ops", "--where", "name~("], "is not a regular expression"),
        (["--ops", "--where", "macs>many"], "`macs` holds numbers, and `many` is none"),
        (["--ops", "--where", "macs=1e"], "such as 100, 2.5e6, 64k, 1M or 4 KiB"),
        (["--ops", "--where", "dtype>int8"], "`dtype` holds no numbers, and cannot be > `int8`"),
        (["--tensors", "--where", "constant=maybe"], "`constant` is true or false, not `maybe`"),
    ],
)
def test_wrong_conditions(tqconv: Tqconv, tflite: Path, words: list[str], said: str) -> None:
    found = tqconv("inspect", tflite, *words)
    assert found.code == 2
    assert said in found.err


def test_a_value_that_no_row_has_is_told_from_those_that_are_there(
    tqconv: Tqconv, tflite: Path
) -> None:
    found = tqconv("inspect", tflite, "--ops", "--where", "type=CONV2D")
    assert (found.code, found.out.splitlines()[0]) == (0, "0 operators")
    assert "note: no row has type=CONV2D; there are CONV_2D, " in found.err
    assert tqconv("inspect", tflite, "--ops", "--where", "type=CONV_2D").err == ""
    found = tqconv("inspect", tflite, "--ops", "--where", "macs>1G")
    assert found.err == "note: no row has macs>1G; `macs` goes from 0 to 221184\n"


def test_a_value_that_rows_lack(tqconv: Tqconv, tmp_path: Path) -> None:
    graph = parse("a: f32[], b: f32[?] -> y\ny = ADD(a, b)")
    save(Model([graph]), tmp_path / "m.tflite")
    for condition, names in (("shape=[]", ["a"]), ("shape=?", ["b", "y"]), ("shape=", [])):
        found = rows(tqconv, tmp_path / "m.tflite", "--tensors", "--where", condition)
        assert [row["name"] for row in found] == names


def test_rows_are_as_wide_as_the_terminal(
    tqconv: Tqconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "x: f32[1,112,112,32] -> y\n"
        "y = DEPTHWISE_CONV_2D(x, f32[1,3,3,32], zeros[32]) {stride_h=1, stride_w=1}"
    )
    graph = parse(text)
    graph.rename(graph.outputs[0], "a/rather/long/name/of/a/layer/in/a/scope")
    save(Model([graph]), tmp_path / "m.tflite")
    piped = tqconv("inspect", tmp_path / "m.tflite", "--ops").out
    assert "a/rather/long/name/of/a/layer/in/a/scope" in piped
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = tqconv("inspect", tmp_path / "m.tflite", "--ops").out.splitlines()
    assert lines[0] == "1 operator; version, index and dtype in a wider terminal, or in a pipe"
    assert max(map(len, lines)) <= 80
    assert "a/rather/lo…/in/a/scope" in lines[2]
    monkeypatch.setenv("COLUMNS", "200")
    assert tqconv("inspect", tmp_path / "m.tflite", "--ops").out == piped


def test_the_page_names_every_field() -> None:
    written = set(re.findall(r"`(\w+)`", PAGE.read_text()))
    kinds = (ModelFacts, GraphFacts, TensorFacts, OpFacts, Placement, RefusedFacts)
    known = {field.name for kind in kinds for field in fields(kind)}
    assert known | {name for names in FIELDS.values() for name in names} <= written
