"""The generated pages name everything that the tables hold."""

from __future__ import annotations

from pathlib import Path

from tqconv.importers.tf import handlers as handlers
from tqconv.importers.tf.registry import TF
from tqconv.ops.table import table

PAGE = Path(__file__).parent.parent / "docs" / "ops.md"


def test_the_operator_page_lists_every_operator_once() -> None:
    """Run `make docs` when this fails."""
    rows = [
        line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("|")
    ]
    listed = [name for name in rows if name not in ("operator", "---")]
    assert sorted(listed) == sorted([n for n in TF.handlers if n != "*"] + list(table()))


def test_every_operator_of_the_page_is_in_the_tests() -> None:
    assert "not in the tests" not in PAGE.read_text()
