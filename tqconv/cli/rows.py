"""How the tables of `inspect --ops`, `--tensors` and `--quant` are printed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqconv.cli.layout import Block, Table, quantity, shape, size, width
from tqconv.errors import counted

if TYPE_CHECKING:
    from tqconv.exporters.conditions import Claim
    from tqconv.exporters.report import ModelFacts

TABLES = {"ops": "operators", "tensors": "tensors", "quant": "quantized tensors"}
"""Flag -> what its table lists."""
COLUMNS = {
    "ops": ("index", "type", "version", "name", "dtype", "shape", "bytes", "macs"),
    "tensors": ("name", "dtype", "shape", "bytes", "constant"),
    "quant": ("name", "dtype", "scale", "zero_point", "min", "max"),
}
"""What is printed of a row; `--json` has all fields."""
RIGHT = frozenset({"index", "bytes", "macs", "zero_point"})
NARROW = 20
"""Characters of a name for which columns are left out."""
SPARED = ("version", "index", "zero_point", "constant", "dtype", "bytes", "scale", "macs", "shape")
"""Columns that are left out, in this order, where a terminal has no room for names beside them."""


def tables_page(
    facts: ModelFacts, asked: Sequence[str], claims: Sequence[Claim], room: int | None
) -> Iterator[Block]:
    """Yield the tables that were asked for; with `room` columns, without what is too much.

    What a condition is about is the last that is left out.
    """
    from tqconv.exporters.rows import rows

    for name in asked:
        if name != asked[0]:
            yield ""
        fields = {claim.field for claim in claims}
        yield from _table(name, rows(facts, name, claims), fields, room)


def _table(
    name: str, found: Sequence[Mapping[str, Any]], wanted: Collection[str], room: int | None
) -> Iterator[Block]:
    cells = {column: [column, *(_cell(row, column) for row in found)] for column in COLUMNS[name]}
    heading = counted(len(found), TABLES[name][:-1])
    spared = [] if room is None else _spare(cells, wanted, room)
    if spared:
        heading += f"; {_listed(spared)} in a wider terminal, or in a pipe"
    columns = list(cells)
    yield heading
    yield Table(
        [*zip(*cells.values(), strict=True)],
        right=[i for i, column in enumerate(columns) if column in RIGHT],
        names=[columns.index(column) for column in ("name", "type") if column in columns],
    )


def _listed(words: Sequence[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last


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
        where = "in blocks" if row["axis"] is None else f"on axis {row['axis']}"
        return f"{value:.6g}" if many == 1 else f"<= {value:.4g} ({many} {where})"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _spare(cells: dict[str, list[str]], wanted: Collection[str], room: int) -> list[str]:
    """Leave out columns until there is room for names; return which."""
    spared = []
    longest = max(map(width, cells["name"]))
    for column in sorted(SPARED, key=lambda column: column in wanted):
        others = sum(2 + max(map(width, cells[each])) for each in cells if each != "name")
        if room - others - 2 >= min(NARROW, longest):
            break
        if column in cells:
            del cells[column]
            spared.append(column)
    return spared
