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
NARROWEST = 12
"""Characters of a name that are always printed."""


def tables_text(facts: ModelFacts, asked: Sequence[str], claims: Sequence[Claim]) -> str:
    """Return the tables that were asked for, as wide as the terminal; whole for a program."""
    from tqconv.exporters.rows import rows

    return "\n\n".join(_text(name, rows(facts, name, claims)) for name in asked)


def _text(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    columns = COLUMNS[name]
    cells = [columns, *(tuple(_cell(row, column) for column in columns) for row in found)]
    word = TABLES[name][:-1]
    heading = counted(len(found), word)
    right = [i for i, column in enumerate(columns) if column in RIGHT]
    return f"{heading}\n{table(_fitted(cells, columns.index('name')), right=right)}"


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


def _fitted(cells: Sequence[Sequence[str]], name: int) -> list[list[str]]:
    """Return the cells with names cut, where a terminal has no room for them."""
    found = [list(row) for row in cells]
    if not sys.stdout.isatty():
        return found
    widths = [max(len(row[i]) for row in found) for i in range(len(found[0]))]
    room = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths) + widths[name]
    for row in found:
        row[name] = cut(row[name], max(room, NARROWEST))
    return found
