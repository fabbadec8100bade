"""The generated pages name everything that the tables hold."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tqconv.cli.command import FlagCommand
from tqconv.cli.commands import command_of
from tqconv.cli.flag import spelled
from tqconv.cli.flags import CONVERT
from tqconv.cli.main import main
from tqconv.importers.keras import load as load  # fills the registry
from tqconv.importers.keras.registry import KERAS
from tqconv.importers.onnx import handlers as handlers  # fills the registry
from tqconv.importers.onnx.registry import ONNX
from tqconv.importers.tf.registry import TF
from tqconv.ops.table import table

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "ops.md"
DECISIONS = ROOT / "docs" / "decisions.md"
_SPEC = importlib.util.spec_from_file_location("generate_man", ROOT / "docs" / "generate_man.py")
assert _SPEC is not None
assert _SPEC.loader is not None
manual = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(manual)


def test_the_operator_page_lists_every_operator_and_layer_once() -> None:
    """Run `make docs` when this fails."""
    rows: dict[str, list[str]] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            names = rows[line.split("(")[0].strip("# ")] = []
        if line.startswith("| "):
            names.append(line.split("|")[1].strip())
    sections = ("TensorFlow", "Keras", "TensorFlow Lite")
    titles = ("operator", "layer", "operation")
    listed = [name for s in sections for name in rows[s] if name not in titles]
    keras = [name.removeprefix("ops.") for name in KERAS.all() if not name.startswith("tf.")]
    assert sorted(listed) == sorted([n for n in TF.all() if n != "*"] + keras + list(table()))
    # The standard's operators are those of the package that the page was made with.
    assert set(rows["ONNX"]) >= {name for name in ONNX.all() if name != "*"}
    functions = {name for name in KERAS.all() if name.startswith("tf.")}
    assert set(re.findall(r"`(tf\.[\w.]+)`", PAGE.read_text())) == functions


def test_every_operator_of_the_page_is_in_the_tests() -> None:
    assert "not in the tests" not in PAGE.read_text()


def test_manual_pages_name_every_flag_and_are_roff() -> None:
    made = manual.pages()
    assert set(made) == {f"tqconv{n}.1" for n in ("", "-convert", "-calibrate", "-inspect", "-dot")}
    for row in CONVERT:
        assert manual.roff(spelled(row.name)) in made["tqconv-convert.1"]
    if shutil.which("groff") is None:
        return
    for text in made.values():
        words = ["groff", "-man", "-ww", "-z", "-Tutf8"]
        ran = subprocess.run(words, input=text, capture_output=True, text=True, check=True)
        assert ran.stderr == ""


@pytest.mark.parametrize("name", ["convert", "calibrate", "inspect", "dot"])
def test_examples_of_the_help_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in ("graph.pb", "calibration.npz"):
        shutil.copy(ROOT / "sample_models" / "digits_cnn" / file, tmp_path)
    monkeypatch.chdir(tmp_path)
    command = command_of(name)
    assert isinstance(command, FlagCommand)
    for line in command.examples:
        assert main(shlex.split(line)[1:]) == 0


def test_decisions_are_numbered_in_order_and_found_by_their_numbers() -> None:
    numbered = re.findall(r"^\*\*D(\d+) .*?\.\*\*", DECISIONS.read_text(), re.MULTILINE | re.DOTALL)
    assert [int(n) for n in numbered] == list(range(1, len(numbered) + 1))
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")]
    named = {
        n for page in pages for n in re.findall(r"(?<=[(\[ ])D(\d+)(?=[)\], ])", page.read_text())
    }
    assert named <= set(numbered)
    assert {"19", "35", "59"} <= named
