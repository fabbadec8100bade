"""The process around the commands: exit codes, streams, start-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv import __version__, errors
from tqconv.cli import inspect
from tqconv.cli.main import report

if TYPE_CHECKING:
    from .conftest import Tqconv


def start(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, **options
    )


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; from tqconv.cli.main import main; main(['--help']); main(['convert', '-h'])\n"
        "print([m for m in ('numpy', 'google.protobuf', 'onnx') if m in sys.modules])"
    )
    assert start("-c", code).stdout.endswith("[]\n")


def test_help_lists_the_commands(tqconv: Tqconv) -> None:
    result = tqconv("--help")
    assert result.code == 0
    for command in ("convert", "calibrate", "inspect", "dot", "completion"):
        assert f"\n  {command} " in result.out
    assert "..." not in result.out.split("Commands:")[1]  # no summary is cut off
    nothing = tqconv()
    assert (nothing.code, nothing.out, nothing.err) == (2, "", result.out)


def test_version(tqconv: Tqconv) -> None:
    assert tqconv("--version").out == f"tqconv, version {__version__}\n"
    assert tqconv("-V") == tqconv("--version")


def test_unknown_commands_are_suggested(tqconv: Tqconv) -> None:
    result = tqconv("conver")
    assert result.code == 2
    assert "did you mean `convert`" in result.err


@pytest.mark.parametrize("command", ["convert", "calibrate", "inspect", "dot"])
def test_unknown_flags_end_with_2(tqconv: Tqconv, command: str) -> None:
    result = tqconv(command, "--input_shaeps", "1")
    assert result.code == 2
    assert "did you mean `--input_shapes`?" in result.err


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.FormatError, 3),
        (errors.UnsupportedError, 4),
        (errors.QuantizationError, 5),
        (errors.DependencyError, 6),
        (errors.VerificationError, 7),
        (errors.InternalError, 70),
    ],
)
def test_exit_codes(
    kind: type[errors.TqconvError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(kind("what", where="node 'a'", hint="do")) == code
    assert capsys.readouterr().err == "error: node 'a': what\nhint: do\n"


def test_unexpected_errors_are_one_line_and_an_advice(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(ZeroDivisionError("division\nby zero")) == 70
    assert capsys.readouterr().err == (
        "internal error: ZeroDivisionError: division\n"
        "hint: this is a bug of tqconv; --debug shows where\n"
    )


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = ["-m", "tqconv", "inspect", str(tmp_path / "none")]
    assert "Traceback" not in start(*words).stderr
    assert "Traceback" in start(*words, "--debug").stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    script = f"{sys.executable} -m tqconv inspect --supported-ops | head -1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("operator")
    assert done.stderr == ""


def test_a_float_conversion_loads_no_runtime(digits: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from tqconv.cli.main import main\n"
        f"assert main(['convert', {str(digits)!r}, '-o', {str(tmp_path / 'm.tflite')!r}]) == 0\n"
        "unwanted = ('ai_edge_litert', 'onnx', 'h5py', 'PIL')\n"
        "print([m for m in unwanted if m in sys.modules])"
    )
    assert start("-c", code).stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (RuntimeError("why"), 70, "internal error: RuntimeError: why\nhint: this is a bug"),
        (ImportError("no module x"), 6, "error: no module x\nhint: install tqconv again"),
        (MemoryError(), 70, "error: not enough memory\n"),
        (PermissionError(13, "Permission denied", "x"), 2, "error: x: Permission denied\n"),
    ],
)
def test_whatever_a_command_raises_is_told(
    tqconv: Tqconv,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    text: str,
) -> None:
    def fail(given: object) -> None:
        raise error

    monkeypatch.setattr(inspect.command, "callback", fail)
    result = tqconv("inspect", "x")
    assert (result.code, result.out) == (code, "")
    assert result.err.lstrip("\n").startswith(text)
