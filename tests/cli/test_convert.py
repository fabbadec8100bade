"""tqconv convert, from the words to the file."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv.importers.tflite.reader import parse

if TYPE_CHECKING:
    from .conftest import Tqconv


def test_a_frozen_graph_becomes_a_file(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    result = tqconv("convert", "--graph_def_file", digits, "--output_file", target)
    assert result.code == 0
    size = target.stat().st_size
    facts, _, closing = result.out.rpartition("float: ")
    assert re.fullmatch(rf"32.2 kB -> {size / 1000:.1f} kB \(99 %\) in \d+\.\d\d s\n", closing)
    assert facts == (
        f"{target}: {size / 1000:.1f} kB, 6 operators\n"
        "inputs\n"
        "  image  float32  [1, 8, 8, 1]\n"
        "outputs\n"
        "  probabilities  float32  [1, 10]\n"
    )
    assert result.err == "note: output arrays: probabilities\nnote: input arrays: image\n"


def test_old_command_lines_work(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    result = tqconv(
        *("convert", f"--input_file={digits}", f"--output_file={target}"),
        *("--input_format=TENSORFLOW_GRAPHDEF", "--output_format=TFLITE"),
        *("--input_array=image:0", "--output_array=probabilities:0", "--input_shape=1,8,8,1"),
        *("--inference_type=FLOAT", "--input_data_type=FLOAT", "--logtostderr", "--v=0"),
        *("--drop_control_dependency", "--allow-custom-ops"),
    )
    assert (result.code, result.err) == (0, "")
    model = parse(target.read_bytes(), "m.tflite")
    assert [t.name for t in model.main.inputs] == ["image"]
    assert [t.name for t in model.main.outputs] == ["probabilities"]


def test_any_tensor_may_be_an_input(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    words = ["--input_arrays", "conv1/Relu", "--input_shapes", "?,8,8,16"]
    result = tqconv("convert", digits, "-o", target, *words)
    assert result.code == 0
    assert "conv1/Relu  float32  [?, 8, 8, 16]" in result.out


def test_the_same_command_gives_the_same_bytes(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.tflite", tmp_path / "b.tflite"
    tqconv("convert", digits, "-o", first)
    tqconv("convert", digits, "-o", second)
    assert first.read_bytes() == second.read_bytes()


def test_json_is_one_document(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    document = json.loads(tqconv("convert", digits, "-o", target, "--json").out)
    assert document["bytes"] == target.stat().st_size
    assert document["op_counts"]["CONV_2D"] == 2
    assert document["graphs"][0]["inputs"][0]["shape"] == [1, 8, 8, 1]


def test_verbosity_names_the_passes(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", "-v")
    assert "passes that changed something: " in result.err
    assert "fuse_activation" in result.err


def test_a_picture_is_written_instead(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.dot"
    result = tqconv("convert", digits, "-o", target, "--output_format", "graphviz_dot")
    assert result.code == 0
    assert target.read_text().startswith('digraph "graph.pb" {')


def test_pictures_of_the_stages(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    words = ["--dump_graphviz", tmp_path, "--dump_graphviz_video"]
    assert tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words).code == 0
    names = {path.stem for path in tmp_path.glob("*.dot")}
    assert {"toco_AT_IMPORT", "toco_AFTER_FUSE", "toco_AFTER_TRANSFORMATIONS"} <= names
    assert any(name.startswith("toco_AT_STEP_0001_") for name in names)


def test_the_summary_is_what_inspect_prints(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    tqconv("convert", digits, "-o", target, "--conversion_summary_dir", tmp_path)
    summary = json.loads((tmp_path / "conversion_summary.json").read_text())
    document = json.loads(tqconv("inspect", target, "--json").out)
    assert summary["op_counts"] == document["op_counts"]
    assert summary["parameters"] == document["parameters"]


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("{count_type:Conv,count_min:2,count_max:2}", 0),
        ("{count_type:CONV_2D,count_min:1,count_max:-1},{count_type:Total,count_max:9}", 0),
        ("{count_type:Conv,count_min:1,count_max:1}", 7),
        ("{count_type:Arrays,count_min:100}", 7),
        ("{count_type:Convolution,count_min:1}", 2),
    ],
)
def test_model_checks(tqconv: Tqconv, digits: Path, tmp_path: Path, check: str, code: int) -> None:
    target = tmp_path / "m.tflite"
    assert tqconv("convert", digits, "-o", target, "--model_checks", check).code == code
    assert target.exists() == (code == 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output_arrays", "probability"],
         "the graph has no tensor named `probability`; did you mean `probabilities`"),
        (["--input_shapes", "1,8,8,1:1"], "--input_shapes has 2 entries for 1 input"),
        (["--dump_graphviz", f"{__file__}/x"], f"{__file__} is not a folder"),
        (["--conversion_summary_dir", __file__], f"{__file__} is not a folder"),
        (["--saved_model_signature_key", "serve"], "is no SavedModel"),
        (["--ranges", "r.json"], "--ranges needs a quantization"),
    ],
)  # fmt: skip
def test_a_refused_conversion_writes_nothing(
    tqconv: Tqconv, digits: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ") or "\nerror: " in result.err
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(b"old")
    assert tqconv("convert", digits, "-o", target, "--output_arrays", "nothing").code == 2
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]


def test_a_success_replaces_the_old_file_and_keeps_its_mode(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(b"old")
    target.chmod(0o640)
    assert tqconv("convert", digits, "-o", target).code == 0
    assert target.read_bytes()[4:8] == b"TFL3"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]


def test_a_link_stays_a_link(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "link.tflite").symlink_to(tmp_path / "real.tflite")
    assert tqconv("convert", digits, "-o", tmp_path / "link.tflite").code == 0
    assert (tmp_path / "link.tflite").is_symlink()
    assert (tmp_path / "real.tflite").read_bytes()[4:8] == b"TFL3"


def test_a_device_is_written_not_replaced(tqconv: Tqconv, digits: Path) -> None:
    assert tqconv("convert", digits, "-o", "/dev/null").code == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_the_model_is_not_overwritten(tqconv: Tqconv, tflite: Path) -> None:
    content = tflite.read_bytes()
    result = tqconv("convert", tflite, "-o", tflite)
    assert result.code == 2
    assert "is the model itself" in result.err
    assert tflite.read_bytes() == content


def test_nothing_given_is_the_usage(tqconv: Tqconv) -> None:
    result = tqconv("convert")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: tqconv convert MODEL [FLAGS]")
    help = tqconv("convert", "--help")
    assert (help.code, help.err) == (0, "")
    assert help.out.startswith("Usage: tqconv convert MODEL [FLAGS]")


@pytest.mark.parametrize(("typed", "wanted"), [((), "float32"), (("INT8",), "int8")])
def test_tensorflow_s_int8_operators_have_float_borders(
    tqconv: Tqconv, digits: Path, tmp_path: Path, typed: tuple[str, ...], wanted: str
) -> None:
    target, data = tmp_path / "m.tflite", digits.with_name("calibration.npz")
    flags = [f"--inference_{side}_type={t}" for t in typed for side in ("input", "output")]
    flags += ["--supported_ops", "TFLITE_BUILTINS_INT8", "--calibration_data", data]
    assert tqconv("convert", digits, "-o", target, *flags).code == 0
    made = parse(target.read_bytes(), "m").main
    assert {t.dtype.name for t in (*made.inputs, *made.outputs)} == {wanted}
    inner = {t.dtype.name for op in made.ops[1:-1] for t in op.outputs}
    assert inner == {"int8"}


def test_bytes_for_reals_and_files_left_out_are_said(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    import numpy as np

    np.savez(tmp_path / "s.npz", image=np.full((2, 8, 8, 1), 7, np.uint8))
    result = tqconv("calibrate", digits, "--data", tmp_path / "s.npz", "-o", tmp_path / "r.json")
    assert result.code == 0
    assert "holds uint8 for input 'image', which takes float32" in result.err
    assert "measured on 2 samples" in result.err
    assert "with --calibration_data the same samples also fit" in result.err
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.npy").write_bytes(b"")
    np.save(folder / "a.npy", np.zeros((1, 8, 8, 1), np.float32))
    (folder / "notes.txt").write_text("")
    result = tqconv("calibrate", digits, "--data", folder, "-o", tmp_path / "r.json")
    assert f"1 file of {folder} left out: notes.txt" in result.err


def test_every_file_that_is_written_is_named(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target, page = tmp_path / "m.tflite", tmp_path / "r.html"
    words = ["convert", digits, "-o", target, "--report", page]
    words += ["--dump_graphviz_dir", tmp_path / "p", "--conversion_summary_dir", tmp_path / "s"]
    lines = tqconv(*words).out.splitlines()
    assert lines[0].startswith(f"{target}: ")
    assert lines[-4].startswith("float: ")
    assert lines[-3:] == [
        f"also written: {len([*(tmp_path / 'p').iterdir()])} files in {tmp_path / 'p'}, "
        "toco_AT_IMPORT.dot to toco_AFTER_TRANSFORMATIONS.dot",
        f"also written: {page}",
        f"also written: {tmp_path / 's' / 'conversion_summary.json'}",
    ]
    files = [Path(name) for name in json.loads(tqconv(*words, "--json").out)["files"]]
    assert sorted(files) == sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert "also written" not in tqconv(*words, "-q").out


def test_the_report_of_another_command_is_named(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    page, ranges = tmp_path / "r.html", tmp_path / "r.json"
    last = f"also written: {page}\n"
    assert tqconv("inspect", digits, "--report", page).out.endswith(f"\n\n{last}")
    assert tqconv("inspect", digits, "--ops", "--report", page).out.endswith(f"\n\n{last}")
    found = tqconv("inspect", digits, "--report", page, "--json")
    assert json.loads(found.out)["files"] == [str(page)]
    words = ["--random", "2", "-o", ranges, "--report", page]
    assert tqconv("calibrate", digits, *words).out == f"{ranges}: ranges of 7 tensors\n{last}"


def test_a_template_is_named_where_ranges_are_missing(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    template = tmp_path / "t.json"
    words = ["convert", digits, "-o", tmp_path / "m.tflite", "--quantize", "int8"]
    found = tqconv(*words, "--write_ranges_template", template)
    assert found.code == 5
    assert f"hint: fill in {template}, and give it with `--ranges`" in found.err
    assert template.exists()
    template.unlink()
    found = tqconv(*words, "--random", "2", "--write_ranges_template", template)
    assert f"note: no tensor lacks a range: {template} is not written" in found.err
    assert not template.exists()
