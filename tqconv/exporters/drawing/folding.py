"""Scopes that become one box, so that a picture stays legible."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from tqconv.exporters.drawing import parts
from tqconv.exporters.drawing.scene import Box, Line, Path, Scene, Value, frequent, joined_numbers
from tqconv.records import dataclass

LEGIBLE = 64
"""Boxes that one page shows at a size that can be read; more are folded without being asked."""
MANY_VALUES = 8
"""Values of one box above which those of one type share a row."""
MANY_LINES = 4
"""Lines between two boxes above which one stands for all."""


def fold(scene: Scene, depth: int | None = None, legible: int = LEGIBLE) -> Scene:
    """Return a scene in which scopes are boxes.

    depth: all that lie so many scopes deep; None: so many that about `legible` boxes are left.
    """
    scene = without_single(scene)
    if depth is not None:
        homes = {i: b.path[:depth] for i, b in scene.boxes.items() if len(b.path) >= depth > 0}
        return thin(_grouped(scene, homes))
    if sum(map(_is_foldable, scene.boxes.values())) <= legible:
        return thin(scene)
    scene = parts.split(scene)
    folded = parts.joined(_grouped(scene, _chosen(scene, legible)))
    boxes = sum(1 for _ in folded.ops())
    note = (
        f"{scene.total} operators in {boxes} boxes; --depth all shows each, "
        "--focus NAME what is near one"
    )
    return thin(replace(folded, notes=[*folded.notes, note]))


def unfolded(scene: Scene) -> Scene:
    """Return the scene with every operator, for pictures that may be large."""
    return thin(without_single(scene))


def thin(scene: Scene) -> Scene:
    """Return the scene with few rows for boxes of many values, and one line for many like it."""
    boxes = {id: _with_few_values(box) for id, box in scene.boxes.items()}
    lines: dict[Line, None] = {}
    pairs = Counter((line.source, line.target) for line in scene.lines)
    for line in scene.lines:
        few = len(scene.boxes[line.source].values) <= MANY_VALUES
        slim = line if few else replace(line, value=0)
        if pairs[line.source, line.target] > MANY_LINES:
            slim = replace(slim, value=0, port=0)
        lines[slim] = None
    return replace(scene, boxes=boxes, lines=list(lines))


def _with_few_values(box: Box) -> Box:
    alike = box.kind == "group" and len({value.type for value in box.values}) < len(box.values)
    if (len(box.values) <= MANY_VALUES and not alike) or box.ports:
        return box
    kinds = Counter(value.type for value in box.values)
    firsts = {value.type: value for value in reversed(box.values)}
    values = [
        firsts[t] if n == 1 else replace(firsts[t], type=f"{n} × {t}", reals="")
        for t, n in kinds.items()
    ]
    return replace(box, values=values[:MANY_VALUES])


def _is_foldable(box: Box) -> bool:
    """Whether a box can be part of another; inputs and outputs of the model stay."""
    return box.is_op or bool(box.path)


def without_single(scene: Scene) -> Scene:
    """Return the scene without scopes that hold one box, or all that the scope around them holds.

    A scope that repeats or that an operator runs stays.
    """
    members = [box for box in scene.boxes.values() if _is_foldable(box)]
    counts = Counter(box.path[:end] for box in members for end in range(1, len(box.path) + 1))

    def ends(path: Path) -> list[int]:
        kept, around = [], len(members)
        for end in range(1, len(path) + 1):
            count = counts[path[:end]]
            if path[:end] in scene.scopes or 1 < count < around:
                kept.append(end)
                around = count
        return kept

    def shortened(path: Path) -> Path:
        return tuple(path[end - 1] for end in ends(path))

    boxes = {}
    for id, box in scene.boxes.items():
        bodies = [replace(body, path=shortened(body.path)) for body in box.bodies]
        inside = box.path[max(ends(box.path), default=0) :]
        label = "/".join([*inside, box.name.rsplit("/", 1)[-1]])
        boxes[id] = replace(box, path=shortened(box.path), bodies=bodies, label=label)
    scopes = {shortened(path): label for path, label in scene.scopes.items()}
    return replace(scene, boxes=boxes, scopes=scopes)


@dataclass
class _Scope:
    """What lies in a scope: boxes of its own, and scopes."""

    path: Path
    boxes: int = 0
    scopes: dict[str, _Scope] = field(default_factory=dict)
    count: int = 0

    @property
    def members(self) -> int:
        return self.boxes + len(self.scopes)


def _chosen(scene: Scene, legible: int) -> dict[str, Path]:
    """Return the scope that each box is folded into.

    Scopes are opened from the outside to the inside, large ones first, as long as there is room.
    """
    root = _Scope(())
    for box in scene.boxes.values():
        if not _is_foldable(box):
            continue
        here = root
        here.count += 1
        for end, part in enumerate(box.path, 1):
            here = here.scopes.setdefault(part, _Scope(box.path[:end]))
            here.count += 1
        here.boxes += 1
    closed = set()
    shown = root.members
    waiting = [(1, -s.count, s.path, s) for s in root.scopes.values()]
    heapq.heapify(waiting)
    while waiting:
        level, _, path, scope = heapq.heappop(waiting)
        if scope.count > 1 and shown + scope.members - 1 > legible:
            closed.add(path)
            continue
        shown += scope.members - 1
        for inner in scope.scopes.values():
            heapq.heappush(waiting, (level + 1, -inner.count, inner.path, inner))
    homes = {}
    for id, box in scene.boxes.items():
        ends = range(1, len(box.path) + 1)
        closing = next((box.path[:end] for end in ends if box.path[:end] in closed), None)
        if closing is not None:
            homes[id] = closing
    return homes


def _grouped(scene: Scene, homes: Mapping[str, Path]) -> Scene:
    """Return the scene with one box in the place of those that have the same home."""
    names: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for ids in _acyclic(scene, homes):
        name = ids[0] if len(ids) == 1 else f"s{len(members)}"
        members[name] = ids
        names |= dict.fromkeys(ids, name)
    paths = {names[id]: home for id, home in homes.items()}
    boxes: dict[str, Box] = {}
    for id, box in scene.boxes.items():
        name = names.get(id, id)
        if name == id:
            boxes[id] = box
        elif name not in boxes:
            inside = [scene.boxes[i] for i in members[name]]
            boxes[name] = _group(scene, name, paths[name], inside, set(members[name]))
    merged = scene.merged({id: names.get(id, id) for id in scene.boxes}, boxes)
    return replace(merged, boxes=boxes)


def _group(scene: Scene, name: str, path: Path, inside: Sequence[Box], ids: set[str]) -> Box:
    """Return the box of a scope."""
    ops = [box for box in inside if box.is_op]
    count = sum(box.count for box in ops)
    rows = [("operators", str(count)), ("most", frequent(box.title for box in ops))]
    marked = sum(1 for box in inside if box.marks)
    errors = [box.error for box in inside if box.error is not None]
    changes = Counter(box.change for box in inside if box.change)
    return Box(
        name,
        "group",
        scene.scopes.get(path) or path[-1],
        "/".join(path),
        path[:-1],
        rows=rows,
        values=_leaving(scene, ids),
        numbers=joined_numbers(box.numbers for box in ops),
        marks=[f"{marked} marked inside"] if marked else [],
        change=next(iter(changes)) if len(changes) == 1 and sum(changes.values()) == len(inside)
        else "changed inside" if changes else "",
        bytes=sum(box.bytes for box in inside),
        macs=sum(box.macs for box in inside),
        error=min(errors) if errors else None,
        count=count,
        scope=path,
        key=repr([box.key for box in inside]),
    )  # fmt: skip


def _leaving(scene: Scene, ids: set[str]) -> list[Value]:
    """Return the first values that something outside reads."""
    found: dict[tuple[str, int], Value] = {}
    for line in scene.lines:
        if line.source in ids and line.target not in ids and not line.style:
            values = scene.boxes[line.source].values
            if line.value < len(values):
                found.setdefault((line.source, line.value), values[line.value])
    return list(found.values())


def _acyclic(scene: Scene, homes: Mapping[str, Path]) -> Iterator[list[str]]:
    """Yield what is in each scope; one that feeds what feeds it comes in several pieces.

    As one box it would be drawn below itself.
    """
    tangled = _tangled(scene, homes)
    pieces: dict[tuple[Path, int], list[str]] = {}
    order = list(scene.boxes)
    last: dict[int, Path] = {}
    numbers: Counter[Path] = Counter()
    for id in order:
        home = homes.get(id)
        if home is None:
            continue
        knot = tangled.get(home)
        if knot is not None and last.get(knot) != home:
            numbers[home] += 1
            last[knot] = home
        pieces.setdefault((home, numbers[home]), []).append(id)
    yield from pieces.values()


def _tangled(scene: Scene, homes: Mapping[str, Path]) -> dict[Path, int]:
    """Return the number of its knot for each scope that lies on a circle of scopes."""
    ways: dict[object, set[object]] = {}
    for line in scene.lines:
        source = homes.get(line.source, line.source)
        target = homes.get(line.target, line.target)
        if source != target and not line.style:
            ways.setdefault(source, set()).add(target)
    knots = parts.circles(ways)
    return {home: n for n, knot in enumerate(knots) for home in knot if isinstance(home, tuple)}
