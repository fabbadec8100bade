"""A process that is told to end leaves nothing behind and says one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

OLD = b"the old file"
SLOW_WRITE = """
import os, sys, time
from tqconv import output
from tqconv.cli import main, signals

class Slow:
    def __init__(self, file): self.file = file
    def __enter__(self): return self
    def __exit__(self, *error): self.file.close()
    def write(self, content):
        self.file.write(content[:100]); self.file.flush()
        print("half", flush=True)
        time.sleep(60)

opened = output.Path.open
def slow(path, *words, **how):
    file = opened(path, *words, **how)
    return Slow(file) if "xb" in words else file
output.Path.open = slow
sys.exit(main.main())
"""


def listen() -> None:
    """Hear in a child what a shell lets its background jobs, these tests too, ignore."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_writing(digits: Path, tmp_path: Path, number: int) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(OLD)
    words = [sys.executable, "-c", SLOW_WRITE, "convert", str(digits), "-o", str(target)]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, preexec_fn=listen, **piped) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        assert len(list(tmp_path.iterdir())) == 2
        process.send_signal(number)
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + number
    assert b"Traceback" not in said
    assert said.endswith(b"interrupted\n") == (number == signal.SIGINT)
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]
    assert target.read_bytes() == OLD


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_the_parent_ignores_stays_ignored(digits: Path, tmp_path: Path) -> None:
    script = f"trap '' HUP; exec {sys.executable} -c \"$0\" convert {digits} -o {tmp_path}/m.tflite"
    code = "import os, signal; from tqconv.cli.main import main\n"
    code += "assert main() == 0; os.kill(os.getpid(), signal.SIGHUP); print('alive')"
    done = subprocess.run(["sh", "-c", script, code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("alive\n"), done.stderr


INTERRUPTED_IMPORT = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from tqconv.cli.main import main
sys.exit(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("module", ["tqconv.errors", "click", "tqconv.cli.inspect", "numpy"])
def test_ctrl_c_while_libraries_are_imported(module: str) -> None:
    code = INTERRUPTED_IMPORT.replace("MODULE", repr(module))
    words = [sys.executable, "-c", code, "inspect", "none.pb"]
    done = subprocess.run(words, capture_output=True, check=False, preexec_fn=listen)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"interrupted\n")


def test_little_is_imported_before_signals_are_looked_after() -> None:
    code = "import sys; import tqconv.cli.main; print([m for m in SLOW if m in sys.modules])"
    code = code.replace("SLOW", "('typing', 'click', 'difflib', 'inspect', 'tqconv.errors')")
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).parents[2])  # fmt: skip
    assert done.stdout == "[]\n"
