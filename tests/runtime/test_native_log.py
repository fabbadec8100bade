"""LiteRT's INFO lines stay away from the user's stderr, its errors do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tqconv.runtime.native_log import without_chatter

DIGITS = Path(__file__).parents[2] / "sample_models" / "digits_cnn"


def test_chatter_alone_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, b"INFO: Created a delegate.\nERROR: no kernel\n")
        os.write(2, b"half a line")
    os.write(2, b", and on\n")
    assert capfd.readouterr().err == "ERROR: no kernel\nhalf a line, and on\n"


def test_errors_come_through_an_exception(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_chatter():
            os.write(2, b"ERROR: node 3 failed\nINFO: x\n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert capfd.readouterr().err == "ERROR: node 3 failed\n"


def test_python_messages_keep_their_order(capfd: pytest.CaptureFixture[str]) -> None:
    print("before", file=sys.stderr)
    with without_chatter():
        os.write(2, b"WARNING: within\n")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "before\nWARNING: within\nafter\n"


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors by their number")
def test_without_a_stderr() -> None:
    code = (
        "import os; os.close(2)\n"
        "from tqconv.runtime.native_log import without_chatter\n"
        "with without_chatter(): print('ran')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"ran\n"


def test_a_quantization_says_nothing_of_delegates(tmp_path: Path) -> None:
    words = ["--quantize", "int8", "--calibration_data", DIGITS / "calibration.npz"]
    words += ["--samples", "4", "--verify", DIGITS / "calibration.npz", "-o", tmp_path / "m"]
    call = [sys.executable, "-m", "tqconv", DIGITS / "graph.pb", *words]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert all(line.startswith("note: ") for line in done.stderr.splitlines()), done.stderr
