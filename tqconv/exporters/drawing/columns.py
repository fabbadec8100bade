"""Long chains, wrapped into columns that stand beside each other like those of a newspaper."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tqconv.exporters.drawing.scene import Box, Scene, followers
from tqconv.exporters.drawing.widths import extent

LINE, GAP = 15.0, 40.0
"""Points: the height of a line at 10 points, the room around a box."""
LEAST = 10
"""Boxes that are not worth wrapping."""
SLENDER = 1.8
"""Height over width above which a picture is wrapped."""
ASPECT = 1.1
"""Height over width that is aimed at: between upright and broad paper."""
WHOLE = 24
"""Values that may be cut for one block or body that stays in one piece."""
REACH = 0.45
"""Share of a column by which it may be longer or shorter, to end where few values cross."""


def columns(scene: Scene, *, across: bool, compact: bool) -> list[list[str]]:
    """Return the boxes of each column in order; one column where nothing is gained.

    across: the picture runs from left to right, and columns are rows.
    """
    order = list(scene.boxes)
    if len(order) < LEAST:
        return [order]
    layers = _layers(scene)
    sizes = [_size(scene.boxes[id], compact) for id in order]
    sizes = [(h, w) if across else (w, h) for w, h in sizes]
    depth = [0.0] * (max(layers.values(), default=0) + 1)
    breadth = [0.0] * len(depth)
    for id, (width, height) in zip(order, sizes, strict=True):
        breadth[layers[id]] += width + GAP
        depth[layers[id]] = max(depth[layers[id]], height + GAP)
    length = sum(depth)
    width = sum(w * h for w, h in zip(breadth, depth, strict=True)) / max(length, 1.0)
    wanted, limit = (1 / ASPECT, 1.2) if across else (ASPECT, SLENDER)
    count = round(math.sqrt(length / (width * wanted)))
    if length <= limit * width or count < 2:
        return [order]
    shares = [depth[layers[id]] / breadth[layers[id]] * (size[0] + GAP)
              for id, size in zip(order, sizes, strict=True)]  # fmt: skip
    return _cut(scene, order, shares, count)


def _size(box: Box, compact: bool) -> tuple[float, float]:
    """Return about how wide and high a box will be."""
    texts = [box.title]
    if not compact:
        texts += [f"{name}  {text}" for name, text in box.rows]
        texts += [*box.marks, *box.ports, box.name[-30:]]
    texts += [" · ".join(filter(None, (v.type, v.reals, "123 kB"))) for v in box.values[:3]]
    return max(map(extent, texts)), LINE * len(texts)


def _layers(scene: Scene) -> dict[str, int]:
    """Return the longest way that leads to each box."""
    ways = followers(line for line in scene.lines if not line.style)
    order = {id: index for index, id in enumerate(scene.boxes)}
    layers = dict.fromkeys(scene.boxes, 0)
    for id in scene.boxes:
        for target in ways.get(id, ()):
            if order[target] > order[id]:
                layers[target] = max(layers[target], layers[id] + 1)
    return layers


def _cut(
    scene: Scene, order: Sequence[str], shares: Sequence[float], count: int
) -> list[list[str]]:
    crossing = _values_crossing(scene, order)
    whole = sum(shares)
    reached, total = [], 0.0
    for share in shares:
        reached.append(total)
        total += share
    result, start = [], 0
    for number in range(1, count):
        goal = whole * number / count
        reach = whole / count * REACH
        near = [i for i in range(start + 1, len(order)) if abs(reached[i] - goal) <= reach]
        if not near:
            continue

        def cost(index: int, goal: float = goal, reach: float = reach) -> float:
            shared = _shared(scene, order[index - 1], order[index])
            return crossing[index] + shared + abs(reached[index] - goal) / reach

        stop = min(near, key=cost)
        result.append(list(order[start:stop]))
        start = stop
    return [*result, list(order[start:])]


def _shared(scene: Scene, one: str, other: str) -> int:
    """Return what a cut between two neighbours splits: scopes, and worse, blocks and bodies."""
    here, there = scene.boxes[one].path, scene.boxes[other].path
    cost = 0
    for end, (a, b) in enumerate(zip(here, there, strict=False), 1):
        if a != b:
            break
        cost += WHOLE if here[:end] in scene.scopes else 1
    return cost


def _values_crossing(scene: Scene, order: Sequence[str]) -> list[int]:
    """Return how many values pass each position."""
    place = {id: index for index, id in enumerate(order)}
    last: dict[tuple[str, int], int] = {}
    for line in scene.lines:
        key = (line.source, line.value)
        last[key] = max(last.get(key, 0), place[line.target])
    changes = [0] * (len(order) + 2)
    for (source, _), end in last.items():
        if end > place[source]:
            changes[place[source] + 1] += 1
            changes[end + 1] -= 1
    total, found = 0, []
    for change in changes:
        total += change
        found.append(total)
    return found
