"""A process of one conversion seldom looks for garbage; one that imports tqconv does as it did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from networks_keras import given, layer, sequential, write_keras

from tqconv.cli.garbage import OBJECTS
from tqconv.errors import UnsupportedError

COUNTED = """
import gc, sys
from tqconv.cli.main import main
usual = gc.get_threshold()[0]
sys.argv = ["tqconv", "--version"]
main(*{arguments})
print(gc.get_threshold()[0], usual)
"""


@pytest.mark.parametrize("arguments", ["()", "(['--version'],)"], ids=["process", "call"])
def test_only_a_process_of_its_own_changes_how_garbage_is_found(arguments: str) -> None:
    code = COUNTED.format(arguments=arguments)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found, usual = map(int, run.stdout.splitlines()[-1].split())
    assert found == (OBJECTS if arguments == "()" else usual)


def test_a_refused_archive_ends_with_a_code_and_no_signal(tmp_path: Path) -> None:
    model = sequential(given("x", [None, 2]), layer("Dens", "unknown", units=2))
    path = write_keras(tmp_path / "m.keras", model, {"layers/unknown/vars/0": np.ones(2)})
    code = "import sys; from tqconv.cli.main import main; sys.exit(main())"
    call = [sys.executable, "-c", code, "convert", str(path), "-o", str(tmp_path / "m.tflite")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert "Dens" in done.stderr
    assert done.returncode == UnsupportedError.exit_code
