"""What changed between two models: one scene of both, each box marked with what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher

from tqconv.exporters.drawing.scene import Box, Line, Scene

ADDED, REMOVED, RETYPED, OTHER = "added", "removed", "re-typed", "other parameters"
SHOWN = 3
"""Values of which a box says what they were."""
ALIGNED = 3000
"""Operators without a counterpart of the same name that are put side by side by their types."""


def compared(before: Scene, after: Scene) -> Scene:
    """Return the second scene with marks, and the boxes of the first that it lacks."""
    pairs = _pairs(before, after)
    scene = replace(after, boxes={}, lines=list(after.lines))
    homes = {old: new for new, old in pairs.items()}
    left = [box for box in before.boxes.values() if box.id not in homes]
    homes |= {box.id: f"old_{box.id}" for box in left}
    behind = _places(before, homes, pairs)
    _insert(scene, [before.boxes[id] for id in behind.get(None, ())])
    for box in after.boxes.values():
        old = pairs.get(box.id)
        scene.add(_changed(before.boxes[old], box) if old else replace(box, change=ADDED))
        _insert(scene, [before.boxes[id] for id in behind.get(box.id, ())])
    lost = {f"old_{box.id}" for box in left}
    for line in before.lines:
        moved = replace(line, source=homes[line.source], target=homes[line.target])
        if moved.source in lost or moved.target in lost:
            scene.lines.append(_without_ports(moved, scene))
    scene.title = f"{before.title} → {after.title}"
    scene.notes = [summary(scene)]
    return scene


def _without_ports(line: Line, scene: Scene) -> Line:
    value = line.value if line.value < len(scene.boxes[line.source].values) else 0
    return replace(line, value=value, port=0, style="control")


def _insert(scene: Scene, boxes: list[Box]) -> None:
    for box in boxes:
        scene.add(replace(box, id=f"old_{box.id}", change=REMOVED, bodies=[], marks=[]))


def summary(scene: Scene) -> str:
    """Return how many boxes changed, in words."""
    counts = Counter(box.change for box in scene.boxes.values() if box.is_op)
    same = counts.pop("", 0)
    words = [f"{counts[word]} {word}" for word in (ADDED, REMOVED, RETYPED, OTHER) if counts[word]]
    return f"{', '.join(words) or 'no operator differs'}; {same} the same"


def _places(
    before: Scene, homes: dict[str, str], pairs: dict[str, str]
) -> dict[str | None, list[str]]:
    """Return the boxes that only the first scene has, by the one of the second that they follow.

    None: those that follow none.
    """
    places: dict[str | None, list[str]] = {}
    here: str | None = None
    for id in before.boxes:
        if homes[id] in pairs:
            here = homes[id]
        else:
            places.setdefault(here, []).append(id)
    return places


def _pairs(before: Scene, after: Scene) -> dict[str, str]:
    """Return the counterpart of each box: of the same name, or of the same type at its place."""
    names: dict[tuple[str, str], str] = {}
    for box in before.boxes.values():
        names.setdefault((box.kind, box.name), box.id)
    found: dict[str, str] = {}
    for box in after.boxes.values():
        old = names.pop((box.kind, box.name), None)
        if old is not None:
            found[box.id] = old
    found |= dict(_by_position(before, after, found))
    taken = set(found.values())
    olds = [b for b in before.boxes.values() if b.id not in taken]
    news = [b for b in after.boxes.values() if b.id not in found]
    if len(olds) + len(news) <= ALIGNED:
        match = SequenceMatcher(None, list(map(_kind, olds)), list(map(_kind, news)), False)
        for i, j, size in match.get_matching_blocks():
            found |= {news[j + k].id: olds[i + k].id for k in range(size)}
    return found


def _by_position(before: Scene, after: Scene, found: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the inputs and outputs that are left, in their order."""
    taken = set(found.values())
    for kind in ("input", "output"):
        olds = [b.id for b in before.boxes.values() if b.kind == kind and b.id not in taken]
        news = [b.id for b in after.boxes.values() if b.kind == kind and b.id not in found]
        yield from zip(news, olds, strict=False)


def _kind(box: Box) -> str:
    return box.title.partition(" + ")[0]


def _changed(old: Box, new: Box) -> Box:
    """Return a box with the word for what is different about it, and rows of what it was."""
    was = [] if old.title == new.title else [("was", old.title)]
    before = [(v.type, v.reals) for v in old.values]
    types = before != [(v.type, v.reals) for v in new.values] or old.numbers != new.numbers
    if types:
        was += [("was", " · ".join(filter(None, pair))) for pair in before[:SHOWN]]
        return replace(new, change=RETYPED, rows=[*new.rows, *was])
    if not was and old.options == new.options and old.digest == new.digest:
        return new
    gone = [(f"was {name}", text) for name, text in old.rows if (name, text) not in new.rows]
    if not was and not gone:
        gone = [("weights", "other values")]
    return replace(new, change=OTHER, rows=[*new.rows, *was, *gone])
