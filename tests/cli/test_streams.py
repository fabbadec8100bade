"""Streams that are closed, full or the target itself: an exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TQCONV = f"{sys.executable} -m tqconv"


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", script], capture_output=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", ["--help", "inspect MODEL", "dot MODEL"])
def test_a_full_disk_behind_stdout(digits: Path, command: str) -> None:
    done = shell(f"{TQCONV} {command.replace('MODEL', str(digits))} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.endswith(b"error: the output cannot be written: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_behind_stderr() -> None:
    done = shell(f"{TQCONV} inspect none.pb 2> /dev/full")
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams(digits: Path, tmp_path: Path, closed: str) -> None:
    target = tmp_path / "m.tflite"
    assert shell(f"{TQCONV} convert {digits} -o {target} {closed}").returncode == 0
    assert target.read_bytes()[4:8] == b"TFL3"
    assert shell(f"{TQCONV} inspect none.pb {closed}").returncode == 2


def test_a_model_on_stdout_is_not_mixed_with_the_report(digits: Path, tmp_path: Path) -> None:
    target = tmp_path / "m.tflite"
    shell(f"{TQCONV} convert {digits} -o {target}")
    done = shell(f"{TQCONV} convert {digits} -o /dev/stdout | cat")
    assert done.stdout == target.read_bytes()
    assert b"6 operators" in done.stderr


def test_a_dash_is_stdout(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = shell(f"{TQCONV} dot {digits} -o -")
    assert done.stdout.startswith(b"digraph")
    done = shell(f"{TQCONV} convert {digits} -o -; echo behind")
    assert done.stdout[4:8] == b"TFL3"
    assert done.stdout.endswith(b"behind\n")
    assert b"6 operators" in done.stderr
    calibrated = shell(f"{TQCONV} calibrate {digits} --random 1 -o -")
    assert calibrated.stdout.startswith(b"{")
    assert list(tmp_path.iterdir()) == []
    assert shell(f"{TQCONV} convert {digits} -o ./-").returncode == 0
    assert (tmp_path / "-").read_bytes() == done.stdout.removesuffix(b"behind\n")


def test_warnings_of_libraries_are_one_line(digits: Path) -> None:
    code = (
        "import sys, warnings; from tqconv.cli.main import main\n"
        f"main(['inspect', {str(digits)!r}]); warnings.warn('overflow in x', RuntimeWarning)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b"note: overflow in x\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "command",
    ["--help", "--version", "convert --help", "inspect --supported_ops", "dot MODEL",
     "inspect MODEL --verbose", "convert MODEL -o OUT", "convert MODEL -o /dev/stdout",
     "calibrate MODEL --random 1 -o OUT", "inspect none.pb"],
)  # fmt: skip
def test_a_broken_pipe_is_141(digits: Path, tmp_path: Path, command: str, stream: str) -> None:
    words = [str({"MODEL": digits, "OUT": tmp_path / "o"}.get(w, w)) for w in command.split()]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as broken:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: broken}
        done = subprocess.run([sys.executable, "-m", "tqconv", *words], check=False, **streams)
    silent = {
        "stdout": ("none.pb",),
        "stderr": ("--help", "--version", "--supported_ops", "inspect"),
    }
    expected = 0 if any(word in command for word in silent[stream]) else 141
    if command == "inspect none.pb":
        expected = 2 if stream == "stdout" else 141
    assert done.returncode == expected
