"""Conversions in one process leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODELS = ("digits_cnn/graph.pb", "digits_rows/saved_model")
WARM, MORE = 10, 40
GROWTH_KIB = 2048
"""What fifty conversions may leave: the allocator's own fluctuation. A graph that is kept each time
would be 100 KiB each, and the file's content as much."""
CODE = """
import sys
import tqconv

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4

def convert(count):
    for _ in range(count):
        tqconv.convert(sys.argv[1])

convert(int(sys.argv[2]))
before = resident()
convert(int(sys.argv[3]))
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's count of pages")
@pytest.mark.parametrize("model", MODELS)
def test_fifty_conversions_leave_memory_flat(model: str) -> None:
    path = str(ROOT / "sample_models" / model)
    command = [sys.executable, "-c", CODE, path, str(WARM), str(MORE)]
    grown = int(subprocess.check_output(command, text=True))
    assert grown < GROWTH_KIB
