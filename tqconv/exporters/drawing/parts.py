"""Long lists without scopes, cut into parts; and graphs of scopes that go in circles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tqconv.exporters.drawing.scene import Path, Scene

PIECE = 24
"""Members of a scope that are shown beside each other; more are cut into parts."""
SLACK = 4
"""A part may be so much longer or shorter, to be cut where few values cross."""
PART = "⋯ "
"""How the scope of a part begins."""


OPERATOR = "\0"
"""How the name of a member begins that is no scope."""


def split(scene: Scene) -> Scene:
    """Return the scene with scopes for parts of long lists."""
    order = {id: index for index, id in enumerate(scene.boxes)}
    crossing = _crossing(scene, order)
    members: dict[Path, dict[str, int]] = {}
    for id, box in scene.boxes.items():
        if not (box.is_op or box.path):
            continue
        for end in range(len(box.path) + 1):
            name = box.path[end] if end < len(box.path) else OPERATOR + id
            members.setdefault(box.path[:end], {}).setdefault(name, order[id])
    extra = {
        (path, name): part
        for path, inside in members.items()
        if len(inside) > PIECE
        for name, part in _named_parts(list(inside.items()), crossing).items()
    }

    def placed(id: str, path: Path) -> Path:
        result: list[str] = []
        for end in range(len(path) + 1):
            name = path[end] if end < len(path) else OPERATOR + id
            result += extra.get((path[:end], name), ())
            result += path[end : end + 1]
        return tuple(result)

    boxes = {}
    for id, box in scene.boxes.items():
        bodies = [replace(b, path=placed("", b.path)) for b in box.bodies]
        boxes[id] = replace(box, path=placed(id, box.path), bodies=bodies)
    scopes = {placed("", path): label for path, label in scene.scopes.items()}
    return replace(scene, boxes=boxes, scopes=scopes)


def _named_parts(
    inside: Sequence[tuple[str, int]], crossing: Sequence[int]
) -> dict[str, tuple[str, ...]]:
    """Return the parts, of parts of parts, that each member of a long list lies in."""
    levels = [list(range(len(inside)))]
    starts = [position for _, position in inside]
    found: dict[str, tuple[str, ...]] = {name: () for name, _ in inside}
    groups = [[index] for index in levels[0]]
    while len(groups) > PIECE:
        groups = _cut(groups, [crossing[starts[group[0]]] for group in groups])
        for group in groups:
            label = PART + _label(inside[group[0]][0], inside[group[-1]][0], group)
            for index in group:
                name = inside[index][0]
                found[name] = (label, *found[name])
    return found


def _label(first: str, last: str, group: Sequence[int]) -> str:
    """Return the names of the first and the last scope of a part, the numbers of operators."""
    if first.startswith(OPERATOR) or last.startswith(OPERATOR):
        return f"{group[0] + 1} … {group[-1] + 1}"
    return f"{first} … {last}"


def _cut(groups: Sequence[list[int]], costs: Sequence[int]) -> list[list[int]]:
    """Return neighbours joined to groups of about `PIECE`, cut where the least values cross."""
    joined: list[list[int]] = []
    start = 0
    while start < len(groups):
        stop = len(groups)
        if stop - start > PIECE + SLACK:
            range_ = range(start + PIECE - SLACK, start + PIECE + SLACK + 1)
            stop = min(range_, key=lambda i: (costs[i], abs(i - start - PIECE)))
        joined.append([index for group in groups[start:stop] for index in group])
        start = stop
    return joined


def joined(scene: Scene) -> Scene:
    """Return the scene without the scopes of parts that are not folded."""
    boxes = {}
    for id, box in scene.boxes.items():
        bodies = [replace(b, path=_without_parts(b.path)) for b in box.bodies]
        path, scope = _without_parts(box.path), _without_parts(box.scope)
        boxes[id] = replace(box, path=path, scope=scope, bodies=bodies)
    scopes = {_without_parts(path): label for path, label in scene.scopes.items()}
    return replace(scene, boxes=boxes, scopes=scopes)


def _without_parts(path: Path) -> Path:
    return tuple(part for part in path if not part.startswith(PART))


def _crossing(scene: Scene, order: Mapping[str, int]) -> list[int]:
    """Return how many lines pass each position."""
    changes = [0] * (len(order) + 2)
    for line in scene.lines:
        first, last = sorted((order[line.source], order[line.target]))
        changes[first + 1] += 1
        changes[last + 1] -= 1
    total, found = 0, []
    for change in changes:
        total += change
        found.append(total)
    return found


def circles(ways: Mapping[object, Iterable[object]]) -> list[list[object]]:
    """Return the sets of nodes, of more than one, that all reach each other (Tarjan, 1972)."""
    found: list[list[object]] = []
    number: dict[object, int] = {}
    lowest: dict[object, int] = {}
    open_: dict[object, None] = {}
    for root in list(ways):
        stack = [] if root in number else [(root, iter(sorted(ways.get(root, ()), key=repr)))]
        while stack:
            node, rest = stack[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                open_[node] = None
            step = next(rest, None)
            if step is None:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == number[node]:
                    knot = _taken(open_, node)
                    found += [knot] if len(knot) > 1 else []
            elif step not in number:
                stack.append((step, iter(sorted(ways.get(step, ()), key=repr))))
            elif step in open_:
                lowest[node] = min(lowest[node], number[step])
    return found


def _taken(open_: dict[object, None], node: object) -> list[object]:
    """Take what lies on top of a node, and the node, off the stack."""
    knot = []
    while True:
        top, _ = open_.popitem()
        knot.append(top)
        if top == node:
            return knot
