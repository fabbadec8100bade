"""The picture of a report: Graphviz's SVG with what a click and a search need, else a table."""

from __future__ import annotations

import json
import re
from typing import Any

from tqconv.exporters.drawing.boxes import value_text
from tqconv.exporters.drawing.scene import Box, Scene, followers
from tqconv.exporters.page.facts import Frame
from tqconv.exporters.page.words import section, table, text

ROWS = 3000
"""Operators of the table that stands for the picture."""
SIZE = re.compile(r'<svg width="[\d.]+pt" height="[\d.]+pt"')
HEADER = re.compile(r"^.*?(?=<svg)", re.S)
NAMESPACES = re.compile(r' xmlns(:xlink)?="[^"]*"')
COMMENTS = re.compile(r"<!--.*?-->\n?", re.S)
TITLES = re.compile(r"<title>[^<]*</title>\n?")
FONTS = re.compile(r' font-family="[^"]*"')
ANCHORS = re.compile(r"</?a\b[^>]*>\n?")

TOOLS = """<div class="tools">
<input id="search" type="search" placeholder="search" aria-label="search the picture">
<output id="found"></output>
<button type="button" id="in" aria-label="zoom in">+</button>
<button type="button" id="out" aria-label="zoom out">−</button>
<button type="button" id="fit">all</button>
</div>"""


def picture(page: Frame) -> str:
    """Return the section of the picture."""
    if not page.svg:
        about = (
            "<p>Graphviz is not installed where this was made; the table says what a picture "
            "would show.</p>"
        )
        return section("picture", "The graph", about, SEARCH, graph_table(page.scene))
    notes = "".join(f"<p>{text(note)}</p>" for note in page.scene.notes)
    view = f'<div id="view" tabindex="0">{inline(page.svg)}</div>'
    facts = f'<script type="application/json" id="facts">{facts_json(page.scene)}</script>'
    panel = '<div id="panel" role="status">Click an operator for its facts.</div>'
    return section("picture", "The graph", notes, TOOLS, view, panel, facts)


SEARCH = """<div class="tools">
<input id="search" type="search" placeholder="search" aria-label="search the table">
<output id="found"></output>
</div>"""


def inline(svg: str) -> str:
    """Return a drawing as part of a page: without what stands for itself, and without addresses."""
    body = HEADER.sub("", svg, count=1)
    for pattern in (COMMENTS, NAMESPACES, TITLES, FONTS, ANCHORS):
        body = pattern.sub("", body)
    return SIZE.sub('<svg id="drawing"', body, count=1)


def facts_json(scene: Scene) -> str:
    """Return the facts of all boxes by their ids, safe inside of a script element."""
    readers = followers(scene.lines)
    writers: dict[str, list[str]] = {}
    for line in scene.lines:
        writers.setdefault(line.target, []).append(line.source)
    facts = {id: _facts(box) for id, box in scene.boxes.items()}
    for id, fact in facts.items():
        fact["from"] = list(dict.fromkeys(writers.get(id, ())))
        fact["to"] = readers.get(id, [])
    plain = json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _facts(box: Box) -> dict[str, Any]:
    rows = [list(row) for row in box.rows]
    rows += [["output", value_text(value)] for value in box.values]
    rows += [["MACs", f"{box.macs:,}"]] if box.macs else []
    rows += [["weights", f"{box.bytes:,} bytes"]] if box.bytes else []
    rows += [["!", mark] for mark in box.marks]
    rows += [["source", box.source]] if box.source else []
    return {"title": box.title, "name": box.name, "rows": rows}


def graph_table(scene: Scene) -> str:
    """Return the operators with what they read and make."""
    sources: dict[str, list[str]] = {}
    for line in scene.lines:
        sources.setdefault(line.target, []).append(scene.boxes[line.source].name)
    boxes = list(scene.boxes.values())
    rows = [
        (
            box.title if box.is_op else f"{box.kind} {box.title}",
            box.name,
            ", ".join(sources.get(box.id, ())),
            "; ".join(map(value_text, box.values)),
            "; ".join([*(f"{key} {value}" for key, value in box.rows), *box.marks]),
        )
        for box in boxes[:ROWS]
    ]
    more = f"<p>… {len(boxes) - ROWS} more</p>" if len(boxes) > ROWS else ""
    heads = ("operator", "name", "reads", "makes", "facts")
    return f'<div id="graph">{table(heads, rows)}</div>{more}'
