"""What a picture shows, whatever draws it: boxes with facts, and the values between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import field, replace

from tqconv.records import dataclass

Path = tuple[str, ...]
"""Scopes from the outside to the inside."""


@dataclass(frozen=True)
class Value:
    """What a box makes; `type`: i8[1×8×8×16], `reals`: the range that it can hold, or ""."""

    name: str
    type: str
    reals: str = ""
    bytes: int = 0
    error: float | None = None
    span: float | None = None
    """Width of the range of reals, where it is known."""


@dataclass(frozen=True)
class Body:
    """A graph that an operator runs: as its condition, its body, a branch.

    path: its scope; graph: the key of its name in `Scene.graphs`.
    """

    role: str
    path: Path
    graph: str = ""


@dataclass
class Box:
    """One thing to draw.

    id: its name in the picture, the same for the same model. kind: op, input, output, constant,
    variable, or group (which stands for `count` operators). name: of its first value. path: the
    scopes that it lies in. rows: facts with their names. ports: what an operator with bodies hands
    on, one line each. family: category of the operator. numbers: what it computes with (float,
    int8, int16, mixed, or "" where it holds no reals). marks: what is wrong, and why. change: how
    it differs from another model's.
    """

    id: str
    kind: str
    title: str
    name: str
    path: Path = ()
    rows: list[tuple[str, str]] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    family: str = ""
    numbers: str = ""
    marks: list[str] = field(default_factory=list)
    change: str = ""
    bytes: int = 0
    macs: int = 0
    error: float | None = None
    count: int = 1
    source: str = ""
    label: str = ""
    """The name without the scopes around it."""
    scope: Path = ()
    """What a group stands for."""
    options: str = ""
    digest: str = ""
    """Options, and constants by their checksums where models are compared, as text."""
    key: str = ""
    """The same for boxes that do the same with values of the same types."""

    @property
    def is_op(self) -> bool:
        """Whether it computes."""
        return self.kind in ("op", "group")


@dataclass(frozen=True)
class Line:
    """A value on its way: output `value` of a box to input `port` of another."""

    source: str
    target: str
    value: int = 0
    port: int = 0
    style: str = ""
    """"control", "again" (to the next repetition) or "calls"; "" carries a value."""


@dataclass
class Scene:
    """Boxes by id, in the order in which they run, and the lines between them.

    facts: the lines of the title. scopes: path -> label, for blocks that repeat and for graphs that
    an operator runs; others are called as their last part. notes: sentences about what is not
    shown.
    """

    boxes: dict[str, Box] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    title: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    scopes: dict[Path, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    graphs: dict[str, str] = field(default_factory=dict)
    """Beginning of the ids of a graph's boxes -> the graph's name, unlike all others."""
    total: int = 0
    """Operators of the model, however few boxes stand for them."""

    def add(self, box: Box) -> None:
        """Append a box."""
        self.boxes[box.id] = box

    def ops(self) -> Iterator[Box]:
        """Yield what computes."""
        return (box for box in self.boxes.values() if box.is_op)

    def kept(self, ids: Collection[str]) -> Scene:
        """Return a scene with these boxes and the lines between them."""
        boxes = {id: box for id, box in self.boxes.items() if id in ids}
        lines = [line for line in self.lines if line.source in boxes and line.target in boxes]
        return replace(self, boxes=boxes, lines=lines)

    def merged(self, homes: dict[str, str], boxes: dict[str, Box]) -> Scene:
        """Return a scene of other boxes; `homes`: the old box -> the new one it is part of."""
        lines: dict[tuple[str, str, int, int], Line] = {}
        for line in self.lines:
            source, target = homes.get(line.source), homes.get(line.target)
            if source is None or target is None:
                continue
            if source == target and boxes[source].kind == "group":
                continue
            value = line.value if source == line.source else 0
            port = line.port if target == line.target else 0
            moved = replace(line, source=source, target=target, value=value, port=port)
            lines.setdefault((source, target, value, port), moved)
        return replace(self, boxes=boxes, lines=list(lines.values()))


def followers(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Return what reads each box, in order, without repetition."""
    found: dict[str, dict[str, None]] = {}
    for line in lines:
        found.setdefault(line.source, {})[line.target] = None
    return {source: list(targets) for source, targets in found.items()}


def joined_numbers(kinds: Iterable[str]) -> str:
    """Return what boxes compute with together."""
    known = {kind for kind in kinds if kind}
    return "" if not known else known.pop() if len(known) == 1 else "mixed"


def frequent(titles: Iterable[str], most: int = 4) -> str:
    """Return "CONV_2D ×8, ADD ×4, …": the most frequent first."""
    counts = sorted(Counter(titles).items(), key=lambda item: (-item[1], item[0]))
    words = [f"{title} ×{count}" if count > 1 else title for title, count in counts[:most]]
    return ", ".join(words) + (", …" if len(counts) > most else "")
