"""A process of one conversion seldom looks for garbage; one that imports tqconv does as it did."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tqconv.cli.garbage import OBJECTS

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
