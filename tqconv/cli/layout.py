"""Text for people: pages of lines and aligned tables, sizes and counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from tqconv.records import dataclass

HANG = 2
"""Blanks before the further lines of one that is too long, beside those that it begins with."""
LEAST_NAME = 12
"""Characters that are left of a name that is cut."""
LEAST_TEXT = 28
"""Columns for which text is folded beside the other cells of its row, and not below them."""
BELOW = 4
"""Blanks before cells that stand below their row."""

_WORD = re.compile(r"(\s*)(--?\w+ [^\s-]\S*|`[^`\n]*`\S*|\S+)")
"""Blanks, and what is not taken apart: a flag with its value, what is quoted, a word."""


@dataclass(frozen=True)
class Table:
    """Rows of cells, aligned two blanks apart.

    right: columns that end in line. names: columns that may lose the middle of their cells where a
    line would be wider than the terminal, in this order. prose: whether the last column holds
    sentences, for which no name is cut. Cells for which there is no room stand below their row.
    """

    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    names: Sequence[int] = ()
    prose: bool = False
    indent: str = "  "


Block = str | Table
"""A line, or a table."""


def page(blocks: Iterable[Block], room: int | None) -> str:
    """Return lines and tables as text; `room`: characters of a line, where that has an end."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Table):
            lines += _lines(block, room)
        else:
            lines.append(block if room is None else folded(block, room, cut_words=True))
    return "\n".join(lines)


def titled(title: str, table: Table) -> Iterator[Block]:
    """Yield an empty line, a title and a table, where that has rows."""
    if table.rows:
        yield from ("", title, table)


def _lines(table: Table, room: int | None) -> Iterator[str]:
    if not table.rows:
        return
    count = max(map(len, table.rows))
    rows = [[*map(str, row), *[""] * (count - len(row))] for row in table.rows]
    if room is not None:
        rows = [[_printable(cell) for cell in row] for row in rows]
        _shorten(rows, table, room)
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [_padded(row[i], widths[i], i in table.right) for i in range(count)]
        line = (table.indent + "  ".join(cells)).rstrip()
        if room is None or width(line) <= room:
            yield line
        else:
            yield from _parted(cells, table, room)


def _padded(cell: str, columns: int, right: bool) -> str:
    blanks = " " * (columns - width(cell))
    return blanks + cell if right else cell + blanks


def _shorten(rows: list[list[str]], table: Table, room: int) -> None:
    """Cut the names of rows that are too wide, those of one column after the other.

    Where that does not make room for all cells, names lose only what is wider than a line.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    counted = widths[:-1] if table.prose else widths
    excess = len(table.indent) + sum(counted) + 2 * (len(counted) - 1) - room
    spare = {i: max(0, widths[i] - LEAST_NAME) for i in table.names}
    if sum(spare.values()) < excess:
        spare = {i: min(most, widths[i] + len(table.indent) - room) for i, most in spare.items()}
    for i in table.names:
        spared = max(0, min(excess, spare[i]))
        widths[i] -= spared
        excess -= spared
    for row in rows:
        for i in table.names:
            row[i] = cut(row[i], widths[i])


def _parted(cells: Sequence[str], table: Table, room: int) -> Iterator[str]:
    """Yield a row that is too wide: what fits, then the other cells, beside or below it."""
    line, taken = table.indent + cells[0], 1
    while taken < len(cells) and width(f"{line}  {cells[taken].rstrip()}") <= room:
        line = f"{line}  {cells[taken]}"
        taken += 1
    rest = "  ".join(cell.strip() for cell in cells[taken:] if cell.strip())
    beside = width(line) + 2
    if table.prose and taken == len(cells) - 1 and room - beside >= LEAST_TEXT:
        lines = wrapped(rest, room - beside, room - beside, cut_words=True)
        yield f"{line}  {lines[0]}"
        yield from (" " * beside + other for other in lines[1:])
    else:
        yield cut(line.rstrip(), room)
        below = table.indent + " " * BELOW
        inside = max(1, room - len(below))
        yield from (below + other for other in wrapped(rest, inside, inside, cut_words=True))


def folded(text: str, room: int, *, cut_words: bool = False) -> str:
    """Return lines of at most `room` columns, those that follow indented.

    A flag stays with its value, and what is quoted stays whole. A word that is longer than a line
    is left to the terminal, so that it can be copied, or loses its middle (`cut_words`).
    """
    lines = []
    for line in map(_printable, text.split("\n")):
        content = line.lstrip()
        blanks = line[: len(line) - len(content)]
        first = room - len(blanks)
        pieces = [content] if width(content) <= first else []
        pieces = pieces or wrapped(content, first, first - HANG, cut_words=cut_words)
        lines.append(blanks + pieces[0])
        lines += [blanks + " " * HANG + piece for piece in pieces[1:]]
    return "\n".join(lines)


def wrapped(text: str, first: int, others: int, *, cut_words: bool = False) -> list[str]:
    """Return the lines of a text: the first of one width, those that follow of another."""
    first, others = max(1, first), max(1, others)
    lines = [""]
    for blanks, word in _words(text, others):
        room = first if len(lines) == 1 else others
        if lines[-1] and width(lines[-1] + blanks + word) <= room:
            lines[-1] += blanks + word
            continue
        if lines[-1]:
            lines.append("")
            room = others
        lines[-1] = cut(word, room) if cut_words else word
    return lines


def _words(text: str, room: int) -> Iterator[tuple[str, str]]:
    """Yield what is not taken apart, each with the blanks before it."""
    for found in _WORD.finditer(text):
        if width(found[2]) <= room:
            yield found[1], found[2]
        else:
            yield from ((" ", word) for word in found[2].split())


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes; characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    """Return a line with � for what would steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "�" for c in text)


def size(count: int) -> str:
    """Return a number of bytes for people: 1.25 MB."""
    return f"{count} B" if count < 1000 else f"{quantity(count)}B"


def quantity(count: int) -> str:
    """Return a number with three digits and a decimal prefix: 1.25 M."""
    amount = float(count)
    for prefix in ("", "k", "M", "G"):
        if amount < 999.5:
            return f"{amount:.3g} {prefix}" if prefix else f"{count} "
        amount /= 1000
    return f"{amount:.3g} T"


def shape(sizes: Sequence[int | None] | None) -> str:
    """Return a shape as [1, 28, 28, 3]; `?` stands for an unknown size or rank."""
    if sizes is None:
        return "[?…]"
    return "[" + ", ".join("?" if s is None else str(s) for s in sizes) + "]"


def cut(text: str, room: int) -> str:
    """Return a text of at most `room` columns, without its middle where it is longer."""
    if width(text) <= room:
        return text
    left = (room - 1) // 2
    return f"{_start(text, left)}…{_start(text[::-1], room - 1 - left)[::-1]}"


def _start(text: str, room: int) -> str:
    taken = 0
    for i, character in enumerate(text):
        taken += _columns(character)
        if taken > room:
            return text[:i]
    return text
