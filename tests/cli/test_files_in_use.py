"""Files that a command reads are never written, and entries of files that name nothing are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from .conftest import Tqconv


@pytest.fixture
def data(digits: Path, tmp_path: Path) -> Path:
    """Return a copy of the calibration samples."""
    target = tmp_path / "data.npz"
    target.write_bytes(digits.with_name("calibration.npz").read_bytes())
    return target


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of two grey images."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for value in (0, 255):
        Image.new("L", (8, 8), value).save(folder / f"{value}.png")
    return folder


@pytest.fixture
def ranges(tqconv: Tqconv, digits: Path, data: Path, tmp_path: Path) -> Path:
    """Return a file of measured ranges."""
    target = tmp_path / "ranges.json"
    assert tqconv("calibrate", digits, "--data", data, "-o", target).code == 0
    return target


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-o", "DATA", "--calibration_data", "DATA"], "is what --calibration_data reads"),
        (["-o", "DATA", "--calibration_random", "2", "--verify", "DATA"], "is what --verify reads"),
        (["-o", "RANGES", "--ranges", "RANGES"], "is what --ranges reads"),
        (["-o", "MODEL", "--ranges", "RANGES"], "is the model itself"),
        (["-o", "OUT", "--write_ranges_template", "MODEL"], "is the model itself"),
        (["-o", "OUT", "--write_ranges_template", "OUT"], "is the result"),
        (["-o", "OUT", "--ranges", "RANGES", "--write_ranges_template", "RANGES"],
         "is what --ranges reads"),
    ],
)  # fmt: skip
def test_what_is_read_is_not_overwritten(
    tqconv: Tqconv, digits: Path, data: Path, ranges: Path, tmp_path: Path, words: list[str],
    says: str,
) -> None:  # fmt: skip
    model = tmp_path / "model.pb"
    model.write_bytes(digits.read_bytes())
    places = {"DATA": data, "RANGES": ranges, "MODEL": model, "OUT": tmp_path / "out.tflite"}
    before = {path: path.read_bytes() for path in (data, ranges, model)}
    asked = [places.get(word, word) for word in words]
    result = tqconv("convert", model, "--quantize", "int8", *asked)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_file_of_a_folder_of_samples_is_not_overwritten(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    inner = tmp_path / "data" / "one"
    inner.mkdir(parents=True)
    (inner / "a.bin").write_bytes(bytes(256))
    (tmp_path / "link").symlink_to(inner / "a.bin")
    (tmp_path / "hard").hardlink_to(inner / "a.bin")
    words = ["convert", digits, "--quantize", "int8", "--calibration_data", tmp_path / "data"]
    for target in (inner / "a.bin", tmp_path / "link", tmp_path / "hard"):
        result = tqconv(*words, "-o", target)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: {target} is what --calibration_data reads\n")
        assert (inner / "a.bin").read_bytes() == bytes(256)
    for _ in range(2):  # a result of an earlier run is no sample
        assert tqconv(*words, "-o", inner / "m.tflite").code == 0


def test_a_checkpoint_is_not_overwritten(tqconv: Tqconv, tmp_path: Path) -> None:
    graph = tmp_path / "m.pbtxt"
    graph.write_text(
        'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }\n'
        'node { name: "y" op: "Neg" input: "x" attr { key: "T" value { type: DT_FLOAT } } }\n'
    )
    for name in ("m.index", "m.data-00000-of-00001", "m.meta", "m.tflite"):
        (tmp_path / name).write_bytes(b"stored")
    for prefix in (tmp_path / "m", tmp_path / "m.index", tmp_path):
        words = ["convert", graph, "--input_shapes", "2", "--checkpoint", prefix]
        for name in ("m.index", "m.data-00000-of-00001", "m.meta"):
            result = tqconv(*words, "-o", tmp_path / name)
            assert result.code == 2
            assert f"{name} is a file that the model is read with" in result.err
            assert (tmp_path / name).read_bytes() == b"stored"
    assert tqconv(*words[:-1], tmp_path / "m", "-o", tmp_path / "m.tflite").code == 0


@pytest.mark.parametrize("how", ["the file", "symbolic", "hard"])
@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("conversion_summary.json", "--conversion_summary_dir"),
        ("toco_AT_IMPORT.dot", "--dump_graphviz_dir"),
        ("toco_AT_STEP_0001_whatever.dot", "--dump_graphviz_dir"),
    ],
)
def test_pictures_and_summaries_do_not_replace_the_model(
    tqconv: Tqconv, digits: Path, tmp_path: Path, name: str, flag: str, how: str
) -> None:
    place = tmp_path / "folder" / name
    place.parent.mkdir()
    model = place if how == "the file" else tmp_path / "model.pb"
    model.write_bytes(digits.read_bytes())
    if how == "symbolic":
        place.symlink_to(model)
    if how == "hard":
        place.hardlink_to(model)
    result = tqconv("convert", model, "-o", tmp_path / "m.tflite", flag, place.parent)
    assert (result.code, result.out) == (2, "")
    assert f"{place} is the model itself" in result.err
    assert model.read_bytes() == digits.read_bytes()
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("conversion_summary.json", ["--conversion_summary_dir", "DIR"], "is the result"),
        ("toco_X.dot", ["--dump_graphviz_dir", "DIR"], "is a picture of --dump_graphviz_dir"),
        ("x", ["--write_ranges_template", "DIR/./x", "--quantize", "int8"], "is the result"),
        ("x", ["--write_ranges_template", "DIR/conversion_summary.json", "--quantize", "int8",
               "--conversion_summary_dir", "DIR"], "is the template of --write_ranges_template"),
    ],
)  # fmt: skip
def test_no_output_replaces_another(
    tqconv: Tqconv, digits: Path, tmp_path: Path, name: str, words: list[str], says: str
) -> None:
    given = [word.replace("DIR", str(tmp_path)) for word in words]
    result = tqconv("convert", digits, "-o", tmp_path / name, *given)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


def test_folders_of_outputs_are_made(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    words = [
        "--dump_graphviz_dir",
        tmp_path / "a" / "b",
        "--conversion_summary_dir",
        tmp_path / "c",
    ]
    result = tqconv("convert", digits, "-o", tmp_path / "d" / "e" / "m.tflite", *words)
    assert result.code == 0, result.err
    assert (tmp_path / "a" / "b" / "toco_AT_IMPORT.dot").is_file()
    assert (tmp_path / "c" / "conversion_summary.json").is_file()
    assert (tmp_path / "d" / "e" / "m.tflite").is_file()
    result = tqconv("convert", tmp_path / "none", "-o", tmp_path / "f" / "m.tflite")
    assert result.code == 2
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("target", ["file/m.tflite", "file/more/m.tflite", "link", "loop"])
def test_where_no_folder_can_be(tqconv: Tqconv, digits: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("nowhere/m.tflite")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    result = tqconv("convert", digits, "-o", tmp_path / target)
    assert (result.code, result.out) == (2, "")
    assert "cannot be written: " in result.err
    assert sorted(tmp_path.rglob("*")) == before


def test_outputs_without_content_to_lose_may_be_one(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    words = ["--quantize", "int8", "--calibration_random", "1", "--write_ranges_template"]
    assert tqconv("convert", digits, "-o", "/dev/null", *words, "/dev/null").code == 0


def test_calibrate_keeps_its_samples(tqconv: Tqconv, digits: Path, data: Path) -> None:
    content = data.read_bytes()
    result = tqconv("calibrate", digits, "--data", data, "-o", data)
    assert (result.code, data.read_bytes()) == (2, content)
    assert "is what --data reads" in result.err


def test_ranges_may_be_updated_in_place_and_must_be_there(
    tqconv: Tqconv, digits: Path, data: Path, ranges: Path
) -> None:
    words = ["calibrate", digits, "--data", data, "-o", ranges]
    assert tqconv(*words, "--update", ranges).code == 0
    result = tqconv(*words, "--update", "none.json")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: none.json cannot be read: No such file or directory\n"


def test_entries_for_no_tensor_are_noted(
    tqconv: Tqconv, digits: Path, ranges: Path, tmp_path: Path
) -> None:
    words = ["convert", digits, "-o", tmp_path / "m.tflite", "--quantize", "int8"]
    assert "no tensor" not in tqconv(*words, "--ranges", ranges).err
    content = json.loads(ranges.read_text())
    content["tensors"].append({"name": "conv2/relu", "min": 0, "max": 6})
    ranges.write_text(json.dumps(content))
    result = tqconv(*words, "--ranges", ranges)
    assert result.code == 0
    assert "no tensor is named `conv2/relu`; did you mean `conv2/Relu`" in result.err


@pytest.mark.parametrize(
    ("name", "noted"), [("pool", False), ("conv1/Conv2D:0", False), ("pol", True)]
)
def test_arrays_that_do_not_exist_are_noted(
    tqconv: Tqconv, digits: Path, tmp_path: Path, name: str, noted: bool
) -> None:
    extra = tmp_path / "extra.pbtxt"
    extra.write_text(f'entries {{ name: "{name}" min: 0 max: 6 }}\n')
    words = ["--quantize", "int8", "--calibration_random", "2", "--arrays_extra_info_file", extra]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 0, result.err
    assert (f"no array is named `{name}`; did you mean `pool`" in result.err) is noted
    extra.write_text(extra.read_text() * 2)
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 3
    assert f"extra.pbtxt, entry 2: `{name}` has an entry already" in result.err


@pytest.mark.parametrize(
    "scaling", [["--mean", "0", "--std", "255"], ["--input_range", "image:0,1"]]
)
def test_images_are_scaled_by_what_the_hint_names(
    tqconv: Tqconv, digits: Path, pictures: Path, tmp_path: Path, scaling: list[str]
) -> None:
    target = tmp_path / "r.json"
    result = tqconv("calibrate", digits, "--data", pictures, "-o", target)
    assert result.code == 2
    assert "hint: give --mean and --std, where real = (pixel - mean) / std, or " in result.err
    assert "--input_range image:MIN,MAX" in result.err
    assert tqconv("calibrate", digits, "--data", pictures, "-o", target, *scaling).code == 0
    image = json.loads(target.read_text())["tensors"][0]
    assert (image["name"], image["min"], image["max"]) == ("image", 0, 1)
    words = ["--quantize", "int8", "--calibration_data", pictures, *scaling]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 0, result.err
    assert "reals 0 … 1" in result.err


def test_images_to_verify_on_are_scaled_to_the_range_of_the_input(
    tqconv: Tqconv, digits: Path, pictures: Path, tmp_path: Path
) -> None:
    words = ["--quantize", "dynamic", "--verify", pictures, "--input_range", "image:0,1"]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 0, result.err
    assert "note: output 'probabilities': " in result.err


def test_arrays_are_not_scaled(tqconv: Tqconv, digits: Path, data: Path, tmp_path: Path) -> None:
    words = ["--data", data, "-o", tmp_path / "r.json", "--mean", "0", "--std", "255"]
    result = tqconv("calibrate", digits, *words)
    assert result.code == 2
    assert "--mean and --std scale images, and " in result.err


def test_what_verify_measures_is_in_the_document(
    tqconv: Tqconv, digits: Path, data: Path, tmp_path: Path
) -> None:
    words = ["--quantize", "int8", "--calibration_data", data, "--verify", data, "--json"]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    found = json.loads(result.out)["verify"]
    assert set(found[0]) == {"name", "sqnr", "largest", "is_output"}
    assert (found[0]["name"], found[0]["is_output"]) == ("probabilities", True)
    assert found[0]["sqnr"] > 20  # int8: about 6 dB for each bit that is left
    assert not any(entry["is_output"] for entry in found[1:])


def test_damaged_samples_end_with_3(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    np.savez(path, image=np.array([1, None], dtype=object))
    words = ["--quantize", "int8", "--calibration_data", path]
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 3
    assert f"array 'image' of {path} cannot be read" in result.err


def test_text_files_may_start_with_a_mark(
    tqconv: Tqconv, digits: Path, ranges: Path, tmp_path: Path
) -> None:
    extra = tmp_path / "extra.pbtxt"
    extra.write_text('entries { name: "image" min: 0 max: 1 }\n', encoding="utf-8-sig")
    ranges.write_text(ranges.read_text(), encoding="utf-8-sig")
    words = ["--quantize", "int8", "--ranges", ranges, "--arrays_extra_info_file", extra]
    assert tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words).code == 0
