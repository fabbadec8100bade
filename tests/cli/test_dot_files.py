"""tqconv dot: files, Graphviz, stages, errors, Model Explorer; pictures that must not change."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tqconv as package

if TYPE_CHECKING:
    from .conftest import Tqconv

GOLDEN = Path(__file__).parent / "golden"
needs_graphviz = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")


@pytest.fixture
def quantized(tqconv: Tqconv, digits: Path, tmp_path: Path) -> Path:
    """Return the digits network in int8."""
    target = tmp_path / "q.tflite"
    data = digits.with_name("calibration.npz")
    result = tqconv("convert", digits, "-o", target, "--quantize", "int8", "--no_improve",
                    "--calibration_data", data)  # fmt: skip
    assert result.code == 0, result.err
    return target


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits.dot", ["--stage", "final"]),
        ("digits_compact.dot", ["--stage", "final", "--compact", "--rankdir", "LR"]),
        ("digits_nodes.dot", ["--stage", "source", "--depth", "1"]),
        ("digits.json", ["--stage", "final", "--format", "model_explorer"]),
    ],
)
def test_pictures_are_as_they_were(
    tqconv: Tqconv, digits: Path, name: str, words: list[str]
) -> None:
    """Look at what changed; then TQCONV_GOLDEN=write pytest tests/cli/test_dot_files.py."""
    printed = tqconv("dot", digits, *words).out
    if os.environ.get("TQCONV_GOLDEN") == "write":
        (GOLDEN / name).write_text(printed, "utf-8")
    assert printed == (GOLDEN / name).read_text("utf-8")


@needs_graphviz
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"),
                                               ("pdf", b"%PDF")])  # fmt: skip
def test_graphviz_draws_by_suffix(
    tqconv: Tqconv, tflite: Path, tmp_path: Path, suffix: str, magic: bytes
) -> None:
    files = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for file in files:
        result = tqconv("dot", tflite, "-o", file)
        assert result.code == 0, result.err
        assert result.out == f"{file}: {file.stat().st_size} bytes\n"
    content = files[0].read_bytes()
    assert content.startswith(magic)
    assert content == files[1].read_bytes()


def test_without_graphviz_the_error_says_where_to_get_it(
    tqconv: Tqconv, tflite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = tqconv("dot", tflite, "-o", tmp_path / "p.svg")
    assert (result.code, result.out) == (6, "")
    assert "Graphviz's `dot`, which is not installed" in result.err
    assert "dot -Tsvg FILE" in result.err
    assert not (tmp_path / "p.svg").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "p.tflite"], "p.tflite is no name for a picture"),
        (["-o", "p.json"], "p.json is no name for a picture"),
        (["-o", "p.svg", "--format", "model_explorer"], "no name for Model Explorer's graphs"),
        (["--stage", "simplfy"], "`simplfy` is no stage; did you mean `simplify`?"),
        (["--optimize", "--stage", "import"], "--optimize is --stage final"),
        (["--color_by", "error"], "errors are measured on samples"),
        (["--radius", "3"], "--radius is the distance from what --focus names"),
        (["--focus", "nothing"], "nothing in the picture is called 'nothing'"),
        (["--depth", "0"], "the number must be above zero"),
        (["--reference", "MODEL"], "a float model is what errors are measured by"),
        (["--diff", "MODEL", "--error", "DATA"], "a picture shows errors or changes"),
        (["--error", "DATA"], "computes with reals: it has no errors"),
        (["-o", "DATA.dot", "--error", "DATA.dot"], "is what --error reads"),
    ],
)
def test_what_cannot_be_drawn(
    tqconv: Tqconv, tflite: Path, digits: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    data = tmp_path / "DATA.dot"
    data.write_bytes(digits.with_name("calibration.npz").read_bytes())
    given = [w.replace("MODEL", str(tflite)).replace("DATA", str(tmp_path / "DATA")) for w in words]
    result = tqconv("dot", tflite, *given)
    assert (result.code, result.out) == (2, ""), result.err
    assert says in result.err


def test_errors_are_painted_against_the_same_model_without_rounding(
    tqconv: Tqconv, quantized: Path, digits: Path
) -> None:
    data = digits.with_name("calibration.npz")
    own = tqconv("dot", quantized, "--error", data, "--samples", "4").out
    float_model = tqconv("dot", quantized, "--error", data, "--reference", digits).out
    for text in (own, float_model):
        assert text.count(" dB<") >= 5
        assert "40 dB and more" in text


def test_a_model_trained_to_be_quantized_shows_what_has_no_range(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    qat = digits.parents[1] / "digits_qat" / "graph.pb"
    whole = tqconv("dot", qat, "--depth", "all").out
    assert whole.count("! no range is known") == 1  # the input: its range is not in the graph
    cut = tqconv("dot", qat, "--output_arrays", "depthwise/add_fold", "--depth", "all").out
    assert cut.count("! no range is known") == 2


def test_the_difference_of_two_models(tqconv: Tqconv, tflite: Path, quantized: Path) -> None:
    result = tqconv("dot", tflite, "--diff", quantized)
    found = re.search(r"note: (\d+) added, (\d+) re-typed; \d the same", result.err)
    assert found is not None, result.err
    assert result.out.count(" — added<") == int(found[1]) > 0
    assert result.out.count(" — re-typed<") == int(found[2]) > 3


def test_overlays_are_files_beside_each_other(
    tqconv: Tqconv, quantized: Path, digits: Path, tmp_path: Path
) -> None:
    data = digits.with_name("calibration.npz")
    target = tmp_path / "m.json"
    result = tqconv("dot", quantized, "--format", "model_explorer", "-o", target, "--error", data,
                    "--node_data", tmp_path / "n.json")  # fmt: skip
    assert result.code == 0, result.err
    assert sorted(p.name for p in tmp_path.glob("n.*")) == [
        "n.bytes.json", "n.error.json", "n.macs.json", "n.range.json",
    ]  # fmt: skip
    names = {
        attr["value"]
        for node in json.loads(target.read_text())["graphs"][0]["nodes"]
        for value in node["outputsMetadata"]
        for attr in value["attrs"]
        if attr["key"] == "tensor_name"
    }
    overlay = json.loads((tmp_path / "n.error.json").read_text())["main"]
    assert overlay["results"].keys() <= names


def test_pictures_from_python(tflite: Path, tmp_path: Path) -> None:
    options = package.PictureOptions(compact=True)
    drawn = package.draw(tflite, picture=options, target=tmp_path / "p.dot")
    assert (tmp_path / "p.dot").read_text("utf-8") == drawn.text
    assert drawn.written == len(drawn.text.encode())


def test_every_moment_of_a_conversion_can_be_drawn(tqconv: Tqconv, digits: Path) -> None:
    seen = [tqconv("dot", digits, "--stage", stage).out
            for stage in ("source", "import", "simplify", "final")]  # fmt: skip
    assert len(set(seen)) == len(seen)
    assert "BiasAdd" in seen[0]


@pytest.mark.slow
def test_a_picture_that_graphviz_would_not_lay_out_says_so(tqconv: Tqconv, tmp_path: Path) -> None:
    from drawing.scenes import chain, model_of

    source = tmp_path / "long.tflite"
    package.save(model_of(*chain(*(f"op{i}" for i in range(900)))), source)
    assert "which Graphviz may not lay out" in tqconv("dot", source, "--depth", "all").err
    assert "Graphviz" not in tqconv("dot", source).err


def test_a_conversion_without_ranges_leaves_a_picture_of_them(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    dump = tmp_path / "dump"
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", "--inference_type",
                    "QUANTIZED_UINT8", "--mean_values", "0", "--std_dev_values", "16",
                    "--dump_graphviz_dir", dump)  # fmt: skip
    assert result.code == 5
    assert "toco_MISSING_RANGES.dot shows where they are" in result.err
    assert (dump / "toco_MISSING_RANGES.dot").read_text("utf-8").count("no range is known") >= 3


def test_pictures_of_convert_are_drawn_by_suffix_too(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    result = tqconv(
        "convert", digits, "--output_format", "GRAPHVIZ_DOT", "-o", tmp_path / "m.tflite"
    )
    assert result.code == 2
    assert "m.tflite is no name for a picture" in result.err
    target = tmp_path / "m.dot"
    assert tqconv("convert", digits, "--output_format", "GRAPHVIZ_DOT", "-o", target).code == 0
    assert target.read_text("utf-8").startswith("digraph")
