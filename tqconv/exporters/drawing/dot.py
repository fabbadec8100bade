"""A scene becomes text in Graphviz's language; the same scene gives the same text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field

from tqconv.exporters.drawing.boxes import table
from tqconv.exporters.drawing.colors import NUMBERS, Palette, palette
from tqconv.exporters.drawing.columns import columns
from tqconv.exporters.drawing.repeats import MARK
from tqconv.exporters.drawing.scene import Box, Line, Path, Scene
from tqconv.exporters.drawing.widths import POINTS, cell, extent
from tqconv.exporters.drawing.words import escaped, quoted, short
from tqconv.records import dataclass

STYLES = {
    "": "",
    "control": "style=dashed",
    "again": 'style=dashed, constraint=false, color="#1a5fb4"',
    "calls": "style=dotted, constraint=false, arrowhead=open",
}
"""Style of a line -> its attributes."""
REPEATED = 'style="rounded,bold"; color="#1a5fb4"; fontcolor="#1a5fb4"'
BODY = 'style="rounded,dashed"; color="#1c2833"; fontcolor="#1c2833"'
SCOPE = 'style=rounded; color="#b3b9bd"; fontcolor="#5d6d7e"'
TITLE, LABEL = 16, 11
"""Points of the letters of the title, and of other words outside of boxes."""
MARGIN, SAMPLE = 2, 14
"""Points around the lines of the title, and of a sample of a colour."""
CONNECTOR = 'shape=circle, fixedsize=true, width=0.32, style=filled, fillcolor="#fff8c5"'


@dataclass(frozen=True)
class Style:
    """How a scene is written.

    color_by: see `colors.palette`; rankdir: TB or LR; compact: titles and types only; wrap: whether
    long chains become columns.
    """

    color_by: str = "family"
    rankdir: str = "TB"
    compact: bool = False
    wrap: bool = True


def dot_text(scene: Scene, style: Style | None = None) -> str:
    """Return the picture as text that `dot -Tsvg` draws."""
    style = Style() if style is None else style
    return "\n".join([*_Writer(scene, style).lines(), ""])


@dataclass
class _Cluster:
    """What lies in a scope of a column."""

    path: Path
    lines: list[str] = field(default_factory=list)
    inner: dict[str, _Cluster] = field(default_factory=dict)


class _Writer:
    def __init__(self, scene: Scene, style: Style) -> None:
        self.scene = scene
        self.style = style
        self.colors = palette(scene, style.color_by)
        across = style.rankdir == "LR"
        self.columns = (
            columns(scene, across=across, compact=style.compact)
            if style.wrap
            else [list(scene.boxes)]
        )
        self.column = {id: n for n, ids in enumerate(self.columns) for id in ids}
        self.count = 0
        self.begun: dict[Path, int] = {}

    def lines(self) -> Iterator[str]:
        """Yield the whole text."""
        scene, style = self.scene, self.style
        yield f"digraph {quoted(scene.title)} {{"
        yield f"  rankdir={style.rankdir}; newrank=true; compound=true; ranksep=0.3; nodesep=0.3;"
        yield f"  label=<{title_block(scene, self.colors)}>; labelloc=t; labeljust=l;"
        yield f'  graph [fontname="Helvetica", fontsize={LABEL}];'
        yield f'  node [fontname="Helvetica", fontsize={POINTS}, shape=plain];'
        yield '  edge [fontname="Helvetica", fontsize=9, color="#555555", arrowsize=0.7];'
        wrapped = len(self.columns) > 1
        edges = list(self._edges())
        for number, ids in enumerate(self.columns):
            yield from self._column(number, ids, wrapped)
        if wrapped:
            anchors = [f"column{n}" for n in range(len(self.columns))]
            yield f"  {{ rank=same; {'; '.join(anchors)}; }}"
            yield f"  {' -> '.join(anchors)} [style=invis];"
        yield from edges
        yield from self._beside()
        yield "}"

    def _column(self, number: int, ids: Sequence[str], wrapped: bool) -> Iterator[str]:
        root = _Cluster(())
        for id in ids:
            box = self.scene.boxes[id]
            here = root
            for end, part in enumerate(box.path, 1):
                here = here.inner.setdefault(part, _Cluster(box.path[:end]))
            here.lines.append(self._box(box))
        if not wrapped:
            yield from self._cluster(root, "  ", number)
            return
        yield f"  subgraph cluster_column{number} {{"
        yield '    label=""; peripheries=0;'
        yield f"    column{number} [shape=point, style=invis, width=0, height=0];"
        yield from self._cluster(root, "    ", number)
        yield from (f"    {text}" for text in self.connectors.get(number, ()))
        yield "  }"

    def _box(self, box: Box) -> str:
        tip = quoted(box.source or box.name or box.title)
        text = table(box, self.colors, compact=self.style.compact)
        return f"{box.id} [id={quoted(box.id)}, label=<{text}>, tooltip={tip}];"

    def _cluster(self, cluster: _Cluster, indent: str, column: int) -> Iterator[str]:
        for line in cluster.lines:
            yield f"{indent}{line}"
        for inner in cluster.inner.values():
            self.count += 1
            label = self.scene.scopes.get(inner.path, short(inner.path[-1]))
            label += " (continued)" if self.begun.setdefault(inner.path, column) < column else ""
            named = inner.path in self.scene.scopes
            look = SCOPE if not named else REPEATED if inner.path[-1].startswith(MARK) else BODY
            yield f"{indent}subgraph cluster_{self.count} {{"
            yield f"{indent}  label=<{_label(label)}>; labeljust=l; peripheries=1; {look};"
            yield from self._cluster(inner, indent + "  ", column)
            yield f"{indent}}}"

    def _edges(self) -> Iterator[str]:
        """Yield the lines; those to another column end in a number, and begin there with it."""
        self.connectors: dict[int, list[str]] = {}
        numbers: dict[tuple[str, int], int] = {}
        ends: set[tuple[int, int]] = set()
        for line in self.scene.lines:
            here, there = self.column[line.source], self.column[line.target]
            source, target = self._source(line), self._target(line)
            look = STYLES[line.style]
            if here == there:
                yield f"  {source} -> {target}{f' [{look}]' if look else ''};"
                continue
            key = (line.source, line.value)
            number = numbers.setdefault(key, len(numbers) + 1)
            for column in (here, there):
                if (number, column) not in ends:
                    ends.add((number, column))
                    self._connector(number, column, line)
                    if column == here:
                        yield f"  {source} -> k{number}_{column} [style=dashed];"
            yield f"  k{number}_{there} -> {target} [style=dashed];"
        if len(self.columns) > 1:
            yield from self._anchored()

    def _anchored(self) -> Iterator[str]:
        """Yield what keeps the beginnings of a column at its top."""
        inside = {
            line.target
            for line in self.scene.lines
            if self.column[line.source] == self.column[line.target] and not line.style
        }
        for number, ids in enumerate(self.columns):
            starts = [id for id in ids if id not in inside]
            yield from (f"  column{number} -> {id} [style=invis];" for id in starts)

    def _connector(self, number: int, column: int, line: Line) -> None:
        values = self.scene.boxes[line.source].values
        name = values[line.value].name if line.value < len(values) else ""
        text = f'k{number}_{column} [{CONNECTOR}, label="{number}", tooltip={quoted(name)}];'
        self.connectors.setdefault(column, []).append(text)

    def _source(self, line: Line) -> str:
        box = self.scene.boxes[line.source]
        several = len(box.values) > 1 and line.value < len(box.values) and box.kind == "op"
        return f"{line.source}:o{line.value}" if several else line.source

    def _target(self, line: Line) -> str:
        box = self.scene.boxes[line.target]
        return f"{line.target}:i{line.port}" if line.port < len(box.ports) else line.target

    def _beside(self) -> Iterator[str]:
        """Yield what puts the graphs that an operator runs beside it, their inputs in a row."""
        inside: dict[Path, list[str]] = {}
        for box in self.scene.boxes.values():
            path = box.scope if box.kind == "group" else box.path
            for end in range(1, len(path) + 1):
                inside.setdefault(path[:end], []).append(box.id)
        for box in self.scene.boxes.values():
            for body in box.bodies:
                members = inside.get(body.path, [])
                inputs = [i for i in members if self._is_input_of(i, body.path)] or members[:1]
                if box.id in members or not members:
                    continue
                near = [i for i in inputs if self.column[i] == self.column[box.id]]
                if near:
                    yield f"  {box.id} -> {near[0]} [{STYLES['calls']}];"
                    yield f"  {{ rank=same; {'; '.join([box.id, *near])}; }}"

    def _is_input_of(self, id: str, path: Path) -> bool:
        box = self.scene.boxes[id]
        return box.kind == "input" and box.path == path


def _label(text: str) -> str:
    """Return the title of a frame as Graphviz's HTML."""
    room = cell(text, LABEL, padding=0)
    style = 'border="0" cellborder="0" cellspacing="0" cellpadding="0"'
    return f'<table {style}><tr><td align="left" {room}>{escaped(text)}</td></tr></table>'


def title_block(scene: Scene, colors: Palette) -> str:
    """Return the title, the facts and the legend as Graphviz's HTML."""
    facts = "  ·  ".join(f"{name}: {text}" for name, text in scene.facts)
    texts = [text for text in (facts, *scene.notes) if text]
    title = f'<font point-size="{TITLE}"><b>{escaped(scene.title)}</b></font>'
    rows = [_line(title, cell(scene.title, TITLE, bold=True, padding=MARGIN))]
    rows += [_line(escaped(text), cell(text, LABEL, padding=MARGIN)) for text in texts]
    samples = [(color, color, words) for color, words in colors.legend]
    used = {box.numbers for box in scene.boxes.values()}
    samples += [(back, dark, n) for n, (dark, back) in NUMBERS.items() if n in used]
    if samples:
        wide = [extent(scene.title, TITLE, bold=True), *(extent(text, LABEL) for text in texts)]
        rows.append(_line(_legend(samples, max(wide))))
    style = f'border="0" cellborder="0" cellspacing="0" cellpadding="{MARGIN}"'
    return f"<table {style}>{''.join(rows)}</table>"


def _line(content: str, room: str = "") -> str:
    return f'<tr><td align="left"{room and " "}{room}>{content}</td></tr>'


def _legend(samples: Sequence[tuple[str, str, str]], wide: int) -> str:
    """Return colours, of a fill and a border, and what they stand for.

    The last cell takes what a longer line (`wide` points) leaves free: else all would get broader.
    """
    cells, taken = [], 0
    for fill, border, words in samples:
        room = extent(words, LABEL) + 4 * MARGIN
        cells.append(f'<td bgcolor="{fill}" width="{SAMPLE}" border="1" color="{border}"></td>')
        cells.append(f'<td align="left" width="{room}">{escaped(words)}</td>')
        taken += SAMPLE + room + 2 * MARGIN
    cells.append(f'<td width="{max(wide - taken, 1)}"></td>')
    style = f'border="0" cellborder="0" cellspacing="{MARGIN}" cellpadding="{MARGIN}"'
    return f"<table {style}><tr>{''.join(cells)}</tr></table>"
