"""How a box looks in Graphviz: a table of its title, its facts, and the values that it makes."""

from __future__ import annotations

from collections.abc import Iterator

from tqconv.exporters.drawing.colors import WARNING, Palette, letters_on, paper
from tqconv.exporters.drawing.scene import Box, Value
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
    rows = [_title(box, color), *([] if compact else _facts(box))]
    rows += [_mark(mark) for mark in box.marks]
    rows += [_port(index, text) for index, text in enumerate(box.ports)]
    rows += _values(box, compact)
    style = "dashed" if box.change == REMOVED else "rounded" if box.kind != "op" else ""
    attributes = {
        "border": "2" if box.kind == "group" or box.change else "1",
        "cellborder": "0",
        "cellspacing": "0",
        "cellpadding": "3",
        "color": color,
        "bgcolor": back,
        **({"style": style} if style else {}),
    }
    words = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<table {words}>{''.join(rows)}</table>"


def _title(box: Box, color: str) -> str:
    word = f"{BORDERS[box.kind][0]} " if box.kind in BORDERS else ""
    change = f" — {box.change}" if box.change else ""
    text = f"{word}{short(box.title) if word else box.title}{change}"
    letters = f'<font color="{letters_on(color)}"><b>{escaped(text)}</b></font>'
    return f'<tr><td bgcolor="{color}" colspan="2">{letters}</td></tr>'


def _facts(box: Box) -> Iterator[str]:
    name = box.label or box.name
    if box.kind == "op" and name:
        yield f'<tr><td colspan="2"><i>{escaped(short(name))}</i></td></tr>'
    for key, text in box.rows:
        yield (
            f'<tr><td align="left"><font color="{FAINT}">{escaped(key)}</font></td>'
            f'<td align="left">{escaped(text)}</td></tr>'
        )


def _mark(text: str) -> str:
    sign = f'<font color="{WARNING}"><b>! {escaped(text)}</b></font>'
    return f'<tr><td align="left" colspan="2">{sign}</td></tr>'


def _port(index: int, text: str) -> str:
    return f'<tr><td align="left" colspan="2" port="i{index}">{escaped(text)}</td></tr>'


def _values(box: Box, compact: bool) -> Iterator[str]:
    for index, value in enumerate(box.values):
        text = value.type if compact else value_text(value)
        arrow = f"out {index}: " if box.ports else "→ " if box.is_op else ""
        yield (
            f'<tr><td align="left" colspan="2" port="o{index}">{escaped(arrow + text)}</td></tr>'
        )


def value_text(value: Value) -> str:
    """Return type, range, bytes and error of a value."""
    error = "" if value.error is None else f"{value.error:.1f} dB"
    size = readable(value.bytes) if value.bytes else ""
    return DOT.join(filter(None, (value.type, value.reals, size, error)))
