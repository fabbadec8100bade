"""Text for people: aligned tables, sizes and counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(rows: Iterable[Sequence[str]], *, right: Sequence[int] = (), indent: str = "  ") -> str:
    """Return rows as aligned columns two blanks apart; the columns in `right` end in line."""
    cells = [[*map(str, row)] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(_longest(cells))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(widths[i]) if i in right else cell.ljust(widths[i])
            for i, cell in enumerate(row)
        ]
        lines.append((indent + "  ".join(padded)).rstrip())
    return "\n".join(lines)


def _longest(cells: Sequence[Sequence[str]]) -> int:
    return max(len(row) for row in cells)


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


def cut(text: str, width: int) -> str:
    """Return a text of at most `width` characters, without its middle where it is longer."""
    if len(text) <= width:
        return text
    left = (width - 1) // 2
    return f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"
