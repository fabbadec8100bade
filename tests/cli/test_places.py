"""Where models come from and results go when a command line does not say it in full."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv.cli.commands import intended
from tqconv.cli.places import stem_of

if TYPE_CHECKING:
    from .conftest import Tqconv


def pipe(content: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-m", "tqconv", *words]
    return subprocess.run(call, input=content, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["MODEL", "-o", "x"], ["convert", "MODEL", "-o", "x"]),
        (["--input_file=x", "--output_file=y"], ["convert", "--input_file=x", "--output_file=y"]),
        (["--graph_def_file", "x"], ["convert", "--graph_def_file", "x"]),
        (["-o", "inspect", "MODEL"], ["convert", "-o", "inspect", "MODEL"]),
        (["-"], ["convert", "-"]),
        (["-vv", "MODEL"], ["convert", "-vv", "MODEL"]),
        (["--debug", "inspect", "MODEL"], ["inspect", "--debug", "MODEL"]),
        (["-q", "--json", "convert", "x"], ["convert", "-q", "--json", "x"]),
        (["inspect", "MODEL"], ["inspect", "MODEL"]),
        (["--help"], ["--help"]),
        (["-V"], ["-V"]),
        (["missing.pb"], ["missing.pb"]),
        ([], []),
    ],
)
def test_the_command_may_be_left_out(digits: Path, words: list[str], meant: list[str]) -> None:
    given = [word.replace("MODEL", str(digits)) for word in words]
    assert intended(given) == [word.replace("MODEL", str(digits)) for word in meant]


@pytest.mark.parametrize("name", ["toco", "tflite_convert"])
def test_a_link_called_like_an_old_tool_converts(digits: Path, tmp_path: Path, name: str) -> None:
    assert intended(["inspect"], name) == ["convert", "inspect"]
    link = tmp_path / name
    link.write_text(f"#!{sys.executable}\nimport sys\nfrom tqconv.cli.main import main\n"
                    "sys.exit(main())\n")  # fmt: skip
    link.chmod(0o755)
    words = [link, f"--input_file={digits}", f"--output_file={tmp_path / 'm.tflite'}"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    done = subprocess.run([link], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: tqconv convert")


def test_a_missing_file_is_no_command(tqconv: Tqconv) -> None:
    result = tqconv("missing.pb", "-o", "m.tflite")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: `missing.pb` is neither a command nor a file\n")


def test_a_file_that_is_nearly_there_is_suggested(tqconv: Tqconv, digits: Path) -> None:
    result = tqconv(digits.parent / "grap.pb", "-o", "m.tflite")
    assert "/grap.pb` is neither a command nor a file; did you mean `graph.pb`?\n" in result.err


def test_the_result_is_named_after_the_model(
    tqconv: Tqconv, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = tqconv(digits)
    assert first.code == 0
    assert "note: no --output_file is given: the result is ./graph.tflite\n" in first.err
    assert first.out.startswith("graph.tflite: ")
    again = tqconv(digits)
    assert "the result is ./graph.tflite, which replaces an older file\n" in again.err
    (tmp_path / "folder").mkdir()
    for target in ("folder", "new/", "folder/"):
        assert tqconv(digits, "-o", target).code == 0
        assert (tmp_path / target / "graph.tflite").read_bytes() == Path(
            "graph.tflite"
        ).read_bytes()
    assert tqconv(digits, "--output_format", "GRAPHVIZ_DOT", "-o", "new").code == 0
    assert (tmp_path / "new" / "graph.dot").read_text().startswith("digraph")
    assert tqconv("dot", digits, "-o", "new").code == 0
    assert tqconv("calibrate", digits, "--random", "1").code == 0
    assert json.loads((tmp_path / "graph.ranges.json").read_text())["tensors"]


def test_a_default_name_does_not_replace_the_model(
    tqconv: Tqconv, tflite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tflite.parent)
    content = tflite.read_bytes()
    result = tqconv(tflite.name)
    assert result.code == 2
    assert f"{tflite.name} is the model itself" in result.err
    assert tflite.read_bytes() == content


@pytest.mark.parametrize(
    ("source", "stem"),
    [("a/b.pb", "b"), ("m.ckpt.meta", "m.ckpt"), ("x/saved_model.pb", "x"), ("-", "model")],
)
def test_stems(source: str, stem: str) -> None:
    assert stem_of(source) == stem


def test_a_folder_is_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.v2").mkdir()
    assert stem_of(str(tmp_path / "net.v2")) == "net.v2"
    monkeypatch.chdir(tmp_path / "net.v2")
    assert stem_of(".") == "net.v2"


@pytest.mark.parametrize("command", ["convert", "inspect", "dot", "calibrate"])
def test_models_come_through_a_pipe(digits: Path, tmp_path: Path, command: str) -> None:
    more = ["--random", "1"] if command == "calibrate" else []
    more += [] if command == "inspect" else ["-o", "-"]
    through = pipe(digits.read_bytes(), command, "-", *more)
    file = tmp_path / "stdin"  # pictures show the name, and are as wide as it is
    file.write_bytes(digits.read_bytes())
    directly = pipe(b"", command, str(file), *more)
    assert through.returncode == 0, through.stderr
    if command == "inspect":
        assert through.stdout.partition(b"\n")[2] == directly.stdout.partition(b"\n")[2]
    else:
        assert through.stdout == directly.stdout


def test_what_comes_through_a_pipe_is_named_in_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = pipe(b"no model", "-", "-o", "-")
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"error: stdin is ")
    assert pipe(b"", "-", "-o", "-").stderr.startswith(b"error: stdin is empty\n")
    assert list(tmp_path.iterdir()) == []


def test_quiet(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    result = tqconv(digits, "-o", target, "-q")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert json.loads(tqconv(digits, "-o", target, "--quiet", "--json").out)["bytes"] > 0
    assert tqconv(digits, "-o", target, "-q", "--output_arrays", "none").err.startswith("error: ")
    assert tqconv("inspect", digits, "-q").out.startswith(str(digits))


def test_the_last_line_says_mode_sizes_and_time(
    tqconv: Tqconv, digits: Path, tflite: Path, tmp_path: Path
) -> None:
    line = tqconv(digits, "-o", tmp_path / "m.tflite").out.splitlines()[-1]
    assert line.startswith("float: ")
    assert " kB -> 31.9 kB (99 %) in " in line
    words = ["--quantize", "int8", "--calibration_random", "1", "-o", tmp_path / "q.tflite"]
    assert tqconv(digits, *words).out.splitlines()[-1].startswith("int8: ")
    again = tqconv(tmp_path / "q.tflite", "-o", tmp_path / "r.tflite", "--json")
    found = json.loads(again.out)
    assert found["mode"] == "quantized as before"
    assert found["source_bytes"] == (tmp_path / "q.tflite").stat().st_size
    assert found["bytes"] == (tmp_path / "r.tflite").stat().st_size
    assert found["seconds"] > 0


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (["MODEL", "--output_arrays", "none"], "usage", 2),
        (["--no_such_flag"], "usage", 2),
        (["missing.pb"], "usage", 2),
        (["DIR/text"], "format", 3),
        (["MODEL", "--quantize", "int8"], "quantization", 5),
        (["MODEL", "--model_checks", "{count_type:Total,count_min:99}"], "verification", 7),
    ],
)
def test_errors_as_json(
    tqconv: Tqconv, digits: Path, tmp_path: Path, words: list[str], kind: str, code: int
) -> None:
    (tmp_path / "text").write_text("hello")
    given = [w.replace("MODEL", str(digits)).replace("DIR", str(tmp_path)) for w in words]
    result = tqconv(*given, "-o", tmp_path / "m.tflite", "--json")
    found = json.loads(result.out)["error"]
    assert (result.code, found["code"], found["kind"]) == (code, code, kind)
    assert found.keys() == {"code", "kind", "message", "where", "hint"}
    assert found["message"] in result.err
    assert not (tmp_path / "m.tflite").exists()
    assert tqconv(*given, "-o", tmp_path / "m.tflite", "--json=false").out == ""


def test_errors_as_json_leave_a_pipe_of_results_alone(tqconv: Tqconv, digits: Path) -> None:
    result = tqconv(digits, "-o", "-", "--output_arrays", "none", "--json")
    assert (result.code, result.out) == (2, "")
    assert '"kind": "usage"' in result.err


def test_names_are_whole_where_inspect_is_piped(
    tqconv: Tqconv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "block/" * 20 + "y"
    graph = tmp_path / "g.pbtxt"
    graph.write_text(
        'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }\n'
        f'node {{ name: "{name}" op: "Neg" input: "x" '
        'attr { key: "T" value { type: DT_FLOAT } } }'
    )
    words = ["inspect", graph, "--verbose", "--input_shapes", "2"]
    piped = tqconv(*words).out
    assert piped.count(name) >= 4  # among outputs, in the signature, as operator and as tensor
    assert "…" not in piped
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    watched = tqconv(*words).out
    assert name not in watched
    assert watched.count("/block/y  float32  [2]") == 2
