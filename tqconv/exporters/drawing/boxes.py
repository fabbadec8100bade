"""How a box looks in Graphviz: a table of its title, its facts, and the values that it makes."""

from __future__ import annotations

from collections.abc import Iterator

from tqconv.exporters.drawing.colors import WARNING, Palette, letters_on, paper
from tqconv.exporters.drawing.scene import Box, Value
from tqconv.exporters.drawing.widths import PADDING, cell, centered, extent
from tqconv.exporters.drawing.words import DOT, escaped, readable, short

INPUT, OUTPUT, CONSTANT, VARIABLE = "#2471a3", "#1e8449", "#7f8c8d", "#8a6d0b"
BORDERS = {
    "input": ("input", INPUT),
    "output": ("output", OUTPUT),
    "constant": ("constant", CONSTANT),
    "variable": ("state", VARIABLE),
}
"""Kind of a box that computes nothing -> its word, its colour."""
REMOVED = "removed"
FAINT = "#555555"


def table(box: Box, colors: Palette, *, compact: bool) -> str:
    """Return a box as Graphviz's HTML."""
    color = BORDERS[box.kind][1] if box.kind in BORDERS else colors.title(box)
    back = paper(box)
    shape = "rounded" if box.kind != "op" else ""
    style = f'style="{shape}"' if shape else ""
    values = list(_values(box, compact))
    bold = [_title(box), *map(_mark, box.marks)]
    wide = max(extent(text, bold=text in bold) for text in [*bold, _name(box), *box.ports, *values])
    rows = [_head(bold[0], color, style), *([] if compact else _facts(box, wide))]
    rows += [_warning(text) for text in bold[1:]]
    rows += [_row(f"i{index}", text) for index, text in enumerate(box.ports)]
    rows += [_row(f"o{index}", text) for index, text in enumerate(values)]
    attributes = {
        "border": "2" if box.kind == "group" or box.change else "1",
        "cellborder": "0",
        "cellspacing": "0",
        "cellpadding": str(PADDING),
        "color": color,
        "bgcolor": back,
    }
    if box.change == REMOVED or shape:
        attributes["style"] = "dashed" if box.change == REMOVED else shape
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<table {words}>{''.join(rows)}</table>"


def _title(box: Box) -> str:
    word = f"{BORDERS[box.kind][0]} " if box.kind in BORDERS else ""
    change = f" — {box.change}" if box.change else ""
    return f"{word}{short(box.title) if word else box.title}{change}"


def _head(text: str, color: str, style: str) -> str:
    letters = f'<font color="{letters_on(color)}"><b>{escaped(text)}</b></font>'
    look = f'bgcolor="{color}" {centered(text, bold=True)}{style and " "}{style}'
    return f'<tr><td colspan="2" {look}>{letters}</td></tr>'


def _facts(box: Box, wide: int) -> Iterator[str]:
    """Yield the name, and the constants and options; `wide`: points of the longest other line."""
    name = _name(box)
    if name:
        yield f'<tr><td colspan="2" {centered(name)}><i>{escaped(name)}</i></td></tr>'
    # What a longer line leaves free goes to the right column: else both would get half of it.
    left = max((extent(key) + 2 * PADDING for key, _ in box.rows), default=0)
    for key, text in box.rows:
        right = max(extent(text), wide - left) + 2 * PADDING
        yield (
            f'<tr><td align="left" width="{left}"><font color="{FAINT}">{escaped(key)}</font></td>'
            f'<td align="left" width="{right}">{escaped(text)}</td></tr>'
        )


def _name(box: Box) -> str:
    return short(box.label or box.name) if box.kind == "op" else ""


def _mark(text: str) -> str:
    return f"! {text}"


def _warning(text: str) -> str:
    sign = f'<font color="{WARNING}"><b>{escaped(text)}</b></font>'
    return f'<tr><td align="left" colspan="2" {cell(text, bold=True)}>{sign}</td></tr>'


def _values(box: Box, compact: bool) -> Iterator[str]:
    """Yield the text of each value that a box makes."""
    for index, value in enumerate(box.values):
        text = value.type if compact else value_text(value)
        arrow = f"out {index}: " if box.ports else "→ " if box.is_op else ""
        yield arrow + text


def _row(port: str, text: str) -> str:
    """Return a line where a line of the picture may end."""
    return f'<tr><td align="left" colspan="2" port="{port}" {cell(text)}>{escaped(text)}</td></tr>'


def value_text(value: Value) -> str:
    """Return type, range, bytes and error of a value."""
    error = "" if value.error is None else f"{value.error:.1f} dB"
    size = readable(value.bytes) if value.bytes else ""
    return DOT.join(filter(None, (value.type, value.reals, size, error)))
