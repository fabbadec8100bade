"""How the tables of `inspect --ops`, `--tensors` and `--quant` are printed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqconv.cli.layout import cut, quantity, shape, size, table
from tqconv.errors import counted

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts
    from tqconv.exporters.rows import Claim

TABLES = {"ops": "operators", "tensors": "tensors", "quant": "quantized tensors"}
"""Flag -> what its table lists."""
COLUMNS = {
    "ops": ("index", "type", "version", "name", "dtype", "shape", "bytes", "macs"),
    "tensors": ("name", "dtype", "shape", "bytes", "constant"),
    "quant": ("name", "dtype", "scale", "zero_point", "min", "max"),
}
"""What is printed of a row; `--json` has all fields."""
RIGHT = frozenset({"index", "bytes", "macs", "zero_point"})
NARROW, NARROWEST = 20, 12
"""Characters of a name for which columns are left out, and those that are always printed."""
SPARED = ("version", "index", "zero_point")
"""Columns that are left out, in this order, where a terminal has no room for names beside them."""


def tables_text(facts: ModelFacts, asked: Sequence[str], claims: Sequence[Claim]) -> str:
    """Return the tables that were asked for, as wide as the terminal; whole for a program."""
    from tqconv.exporters.rows import rows

    return "\n\n".join(_text(name, rows(facts, name, claims)) for name in asked)


def _text(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    columns = list(COLUMNS[name])
    cells = {column: [column, *(_cell(row, column) for row in found)] for column in columns}
    heading = counted(len(found), TABLES[name][:-1])
    if sys.stdout.isatty():
        spared = _fit(cells, shutil.get_terminal_size().columns)
        if spared:
            heading += f"; {' and '.join(spared)} in a wider terminal, or in a pipe"
    right = [i for i, column in enumerate(cells) if column in RIGHT]
    return f"{heading}\n{table(zip(*cells.values(), strict=True), right=right)}"


def _cell(row: Mapping[str, Any], column: str) -> str:
    value = row[column]
    if value is None:
        return ""
    if column == "shape":
        return shape(value)
    if column == "bytes":
        return size(value) if value else ""
    if column == "macs":
        return quantity(value).strip() if value else ""
    if column == "version":
        return f"v{value}"
    if column == "constant":
        return "const" if value else ""
    if column == "scale":
        many = row["channels"]
        return f"{value:.6g}" if many == 1 else f"<= {value:.4g} ({many} on axis {row['axis']})"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _fit(cells: dict[str, list[str]], width: int) -> list[str]:
    """Leave out columns and cut names until rows are so narrow; return what was left out."""
    spared = []
    for column in (*SPARED, None):
        others = sum(2 + max(map(len, cells[each])) for each in cells if each != "name")
        room = width - others - 2
        if room >= min(NARROW, max(map(len, cells["name"]))) or column is None:
            break
        if column in cells:
            del cells[column]
            spared.append(column)
    cells["name"] = [cut(name, max(room, NARROWEST)) for name in cells["name"]]
    return spared
