"""Handlers are imported when they are asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tqconv.importers.tf import handlers
from tqconv.importers.tf.registry import TF

SHOW = """
import sys
from tqconv.importers.tf.registry import TF
handler = TF.find(sys.argv[1])
print(handler is not None, *sorted(m.rsplit(".", 1)[1] for m in sys.modules if ".handlers." in m))
"""


@pytest.mark.parametrize("module", handlers.COMMON)
def test_common_operators_are_where_it_says(module: str) -> None:
    import_module(f"tqconv.importers.tf.handlers.{module}")
    assert [name for name in handlers.COMMON[module].split() if name not in TF.handlers] == []
    assert set(handlers.COMMON) <= set(handlers.MODULES)


def test_a_common_operator_loads_little() -> None:
    found, *loaded = asked("Relu")
    assert found == "True"
    assert loaded == ["activation"]


def test_an_operator_that_is_not_listed_is_found() -> None:
    found, *loaded = asked("FakeQuantWithMinMaxVars")
    assert found == "True"
    assert set(loaded) == set(handlers.MODULES)
    assert asked("NoSuchOperator")[0] == "False"


def test_every_module_is_listed() -> None:
    files = {path.stem for path in Path(handlers.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(handlers.MODULES)


def asked(name: str) -> list[str]:
    return subprocess.check_output([sys.executable, "-c", SHOW, name], text=True).split()
