"""Who watches a run sees what it does, with a total, until the file is written."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tqconv as package
from tqconv.cli import progress
from tqconv.cli.progress import Line
from tqconv.jobs.phases import Steps

if TYPE_CHECKING:
    from cli.conftest import Tqconv


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stderr be a terminal of 100 columns."""
    monkeypatch.setattr(progress, "is_terminal", lambda stream: stream is sys.stderr)
    monkeypatch.setenv("COLUMNS", "100")


def converted(tqconv: Tqconv, digits: Path, target: Path, *more: str, code: int = 0) -> str:
    data = digits.parent / "calibration.npz"
    words = ("--quantize", "int8", "--calibration_data", data, "--verify", data)
    result = tqconv("convert", digits, "-o", target, *words, *more)
    assert result.code == code, result.err
    return result.err


def phases(text: str) -> list[str]:
    """Return the titles of the phases in a terminal's text, each once in their order."""
    seen = re.findall(r"\r([a-z0-9 ]+?)(?: graph\.pb)? (?:…|\[)", text)
    return list(dict.fromkeys(seen))


@pytest.mark.usefixtures("watched")
def test_every_phase_of_a_conversion_is_shown(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    text = converted(tqconv, digits, tmp_path / "m.tflite", "--min_sqnr", "55")
    assert phases(text) == [
        "reading", "optimizing", "calibrating", "fitting", "measuring noise", "trying 16 bits",
        "comparing", "writing",
    ]  # fmt: skip


@pytest.mark.usefixtures("watched")
def test_each_phase_that_counts_ends_with_its_total(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    text = converted(tqconv, digits, tmp_path / "m.tflite")
    assert phases(text)[-1] == "writing"
    ends = re.findall(r"(\w+) \[#{24}\] (\d+) of (\d+) (\w+)", text)
    assert [(title, unit) for title, _, _, unit in ends] == [
        ("calibrating", "samples"), ("fitting", "steps"), ("comparing", "samples"),
    ]  # fmt: skip
    assert all(done == total for _, done, total, _ in ends)
    assert text.split("\r")[-1].startswith("note: ")  # nothing of the line is left


@pytest.mark.usefixtures("watched")
def test_quiet_is_quiet(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    assert "\r" not in converted(tqconv, digits, tmp_path / "m.tflite", "-q")


def test_a_pipe_gets_no_line(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    assert "\r" not in converted(tqconv, digits, tmp_path / "m.tflite")


@pytest.mark.usefixtures("watched")
def test_what_vv_prints_stands_on_lines_of_its_own(
    tqconv: Tqconv, digits: Path, tmp_path: Path
) -> None:
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", "-vv")
    said = [line for line in result.err.split("\n") if "pass " in line and "has " in line]
    assert said
    assert all(line.split("\r")[-1].startswith("pass ") for line in said)


@pytest.mark.usefixtures("watched")
def test_calibrate_counts_samples(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    data = digits.parent / "calibration.npz"
    result = tqconv("calibrate", digits, "--data", data, "-o", tmp_path / "r.json")
    assert "calibrating [########################] 100 of 100 samples" in result.err


def test_the_line_is_drawn_seldom_and_says_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream, now = io.StringIO(), [0.0]
    line = Line(stream, lambda: now[0])
    show = line("fitting", "steps")
    for done in range(1, 41):
        now[0] += 0.05
        show(done, 40)
    drawn = stream.getvalue().split("\r")
    assert drawn[0] == ""
    assert drawn[1] == "fitting …"
    assert len(drawn) < 25
    assert any("of 40 steps, 0:01 left" in text for text in drawn)
    assert drawn[-1].rstrip() == "fitting [########################] 40 of 40 steps"
    assert all(len(text) < 60 for text in drawn)
    line.close()
    assert stream.getvalue().endswith("\r" + " " * len(drawn[-1].rstrip()) + "\r")


def test_without_a_total_the_line_says_what_is_done() -> None:
    stream, now = io.StringIO(), [0.0]
    show = Line(stream, lambda: now[0])("calibrating", "samples")
    now[0] = 3725.0
    show(7)
    assert stream.getvalue().endswith("\rcalibrating: 7 samples, 1:02:05")


def test_steps_do_not_pass_their_total() -> None:
    told: list[tuple[int, int | None]] = []
    steps = Steps(lambda done, total: told.append((done, total)), 3)
    for _ in range(5):
        steps()
    steps.reach(2)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_callbacks_of_users_hear_of_the_calibration_alone(digits: Path) -> None:
    told: list[tuple[int, int | None]] = []
    package.convert(
        digits,
        quantize="int8",
        samples=digits.parent / "calibration.npz",
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(done, 100) for done in range(1, 101)]
