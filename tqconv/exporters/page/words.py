"""Pieces of HTML, safe for any text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from tqconv.exporters.drawing.words import printable


def text(value: object) -> str:
    """Return text as HTML shows it."""
    return html.escape(printable(str(value), "\n"), quote=True)


def table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()
) -> str:
    """Return a table; `numbers`: columns that end in line; cells that are `Raw` are HTML."""
    classes = {index: ' class="n"' for index in numbers}
    cells = [f'<th scope="col"{classes.get(i, "")}>{text(h)}</th>' for i, h in enumerate(heads)]
    head = f"<thead><tr>{''.join(cells)}</tr></thead>" if any(heads) else ""
    lines = []
    for row in rows:
        cells = [f"<td{classes.get(i, '')}>{_cell(c)}</td>" for i, c in enumerate(row)]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="wide"><table>{head}<tbody>{"".join(lines)}</tbody></table></div>'


class Raw(str):
    """HTML that goes into a cell as it is."""

    __slots__ = ()


def _cell(value: object) -> str:
    return str(value) if isinstance(value, Raw) else text(value)


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with a heading that can be linked to."""
    body = "\n".join(filter(None, parts))
    return f'<section id="{name}">\n<h2>{text(title)}</h2>\n{body}\n</section>' if body else ""


def fold(title: str, body: str, *, open: bool = False) -> str:
    """Return a part that can be folded away."""
    state = " open" if open else ""
    return f"<details{state}><summary>{text(title)}</summary>\n{body}\n</details>"
