"""Shells complete commands, flags and the values of flags."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv.cli.completion import SHELLS, completions

if TYPE_CHECKING:
    from .conftest import Tqconv


def found(*words: str) -> list[str]:
    return [item.value or f"<{item.type}>" for item in completions(words[:-1], words[-1])]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["c"], ["convert", "calibrate", "completion"]),
        (["graph"], ["<file>"]),
        (["convert", ""], ["<file>"]),
        (["convert", "--quantize", ""],
         ["none", "float16", "weights", "dynamic", "int8", "int16x8", "uint8"]),
        (["convert", "--quantize", "int"], ["int8", "int16x8"]),
        (["convert", "--quantize=int"], ["--quantize=int8", "--quantize=int16x8"]),
        (["convert", "--quantize", "=", "int"], ["int8", "int16x8"]),  # bash makes three words
        (["convert", "--quantize", "="],
         ["none", "float16", "weights", "dynamic", "int8", "int16x8", "uint8"]),
        (["convert", "--output-format", "T"], ["TFLITE", "TENSORFLOW_GRAPHDEF"]),
        (["convert", "--input_data_types", "FLOAT,UINT"],
         ["FLOAT,UINT8", "FLOAT,UINT64"]),
        (["convert", "--output_fi"], ["--output_file"]),
        (["convert", "--graph_d"], ["--graph_def_file"]),
        (["convert", "--keras"], ["--keras_model_file", "--keras_config"]),
        (["--input_fo"], ["--input_format"]),
        (["--input_format", "K"], ["KERAS"]),
        (["convert", "-o", ""], ["<file>"]),
        (["convert", "--dump_graphviz_dir", ""], ["<dir>"]),
        (["convert", "--integer_only", ""], ["<file>"]),
        (["convert", "--input_arrays", ""], []),
        (["inspect", "--sup"], ["--supported_ops"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
)  # fmt: skip
def test_what_is_offered(words: list[str], offered: list[str]) -> None:
    assert found(*words) == offered


def test_refused_flags_are_not_offered() -> None:
    assert found("convert", "--custom_op") == []
    assert "--quantize" in found("convert", "--")
    assert "--model_flags_file" not in found("convert", "--")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts(tqconv: Tqconv, shell: str) -> None:
    result = tqconv("completion", shell)
    assert (result.code, result.err) == (0, "")
    assert f"_TQCONV_COMPLETE={shell}_complete" in result.out
    assert tqconv("completion", "csh").code == 2


def answer(shell: str, words: str, place: str) -> list[str]:
    asked = {"_TQCONV_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": place}
    done = subprocess.run(
        [sys.executable, "-m", "tqconv"], env={**os.environ, **asked}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_answers_to_scripts() -> None:
    assert answer("bash", "tqconv convert --quantize int", "3") == ["plain,int8", "plain,int16x8"]
    assert answer("zsh", "tqconv convert --quantize=int8", "2") == ["plain", "--quantize=int8", "_"]
    assert answer("fish", "tqconv insp", "insp")[0].startswith("plain,inspect\tShow what")
    assert answer("csh", "tqconv insp", "1") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["tqconv", "ins"], ["inspect"]),
        (["tqconv", "m.pb", "--quantize", "=", "int1"], ["int16x8"]),
        (["tqconv", "convert", "--calibration_m"], ["--calibration_method"]),
    ],
)
def test_bash_completes(tmp_path: Path, typed: list[str], offered: list[str]) -> None:
    """The script in a real bash, with the words as its line editor splits them."""
    program = tmp_path / "tqconv"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tqconv "$@"\n')
    program.chmod(0o755)
    (tmp_path / "m.pb").touch()
    words = " ".join(f"'{word}'" for word in typed)
    script = (
        f'eval "$(tqconv completion bash)"; COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}\n'
        "compopt() { :; }; _tqconv_completion tqconv; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}",
             "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout.split() == offered
