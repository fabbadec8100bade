"""Linear algebra takes one thread, unless the user chose a number."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tqconv.cli import threads

SHOW = """
import os, sys
sys.argv = ["tqconv", "--version"]
from tqconv.cli import main, threads
main.main()
print({name: os.environ[name] for name in threads.CHOSEN if name in os.environ})
"""


@pytest.mark.parametrize("chosen", ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_a_number_that_the_user_chose_stays(chosen: str) -> None:
    assert variables({chosen: "2"}) == repr({chosen: "2"})


def test_the_command_asks_for_one_thread() -> None:
    assert variables({}) == repr(dict.fromkeys(threads.LIBRARIES, "1"))


def test_nothing_imports_numpy_before() -> None:
    code = "import sys; import tqconv.cli.main; print('numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def variables(given: dict[str, str]) -> str:
    inherited = {k: v for k, v in os.environ.items() if k not in threads.CHOSEN}
    command = [sys.executable, "-c", SHOW]
    printed = subprocess.check_output(command, env={**inherited, **given}, text=True)
    return printed.splitlines()[-1]
