"""What README.md and the pages of recipes tell people to type works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNS_THE_TESTS = "-m pytest"
"""The block that runs this file: `.ci/run` runs it as it stands, `pip install` included."""


def script_of(kind: str, body: str) -> str:
    """Return what a shell runs: of a console block what stands behind `$ `, and continuations."""
    if kind != "console":
        return body
    lines, goes_on = [], False
    for line in body.splitlines():
        if line.startswith("$ ") or goes_on:
            lines.append(line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return "\n".join(lines)


def masked(line: str) -> str:
    """Return a line without what a better conversion changes: numbers, and how wide they are."""
    return " ".join(re.sub(r"[\d.]+", "#", line).split())


def printed_of(body: str) -> list[str]:
    """Return the lines that a console block says are printed; `…` stands for what is not shown."""
    lines, command, goes_on = [], False, False
    for line in body.splitlines():
        command = line.startswith("$ ") or (command and goes_on)
        goes_on = line.endswith("\\")
        if not command and line.strip() != "…":
            lines.append(line.strip())
    return lines


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of what the commands read, with this tqconv installed for them."""
    shutil.copytree(ROOT / "sample_models", tmp_path / "tree" / "sample_models")
    bin = tmp_path / "tree" / ".venv" / "bin"
    bin.mkdir(parents=True)
    programs = {"tqconv": f'exec {sys.executable} -m tqconv "$@"', "pip": ":", "python3": ":"}
    for name, line in programs.items():  # the installation is another test: `.ci/run`
        (bin / name).write_text(f"#!/bin/sh\n{line}\n")
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "tree"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the blocks are for a POSIX shell")
def test_every_block_of_the_readme_runs(checkout: Path) -> None:
    """In order and in one folder, as a reader types them."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert sum(run_block(kind, body, checkout) for kind, body in blocks) >= 5
    for name in ("digits", "digits_dynamic", "digits_qat", "sample_models/digits_cnn/m"):
        assert (checkout / f"{name}.tflite").read_bytes()[4:8] == b"TFL3"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the blocks are for a POSIX shell")
@pytest.mark.parametrize(("page", "least"), [("recipes.md", 10), ("pictures.md", 2)])
def test_every_recipe_runs(checkout: Path, page: str, least: int) -> None:
    """A block that changes the folder does so for those below it."""
    blocks = BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))
    folder = checkout
    for kind, body in blocks:
        assert run_block(kind, body, folder)
        for line in re.findall(r"^\$ cd (.*)$", body, re.MULTILINE):
            folder = (folder / line).resolve()
    assert len(blocks) >= least


def run_block(kind: str, body: str, folder: Path) -> bool:
    """Run a block and compare what it prints; whether it is one that a test may run."""
    script = script_of(kind, body)
    if RUNS_THE_TESTS in script:
        return False
    call = [sys.executable, "-c"] if kind == "python" else ["bash", "-euo", "pipefail", "-c"]
    done = subprocess.run([*call, script], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, (script, done.stderr.decode())
    if kind == "console":
        said = iter([masked(line) for line in done.stdout.decode().splitlines()])
        missing = [line for line in printed_of(body) if masked(line) not in said]
        assert not missing, (script, missing, done.stdout.decode())
    return True
