"""Blocks that follow each other and are alike become one block with the number of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tqconv.exporters.drawing.scene import Body, Box, Line, Path, Scene
from tqconv.records import dataclass

LONGEST = 512
"""Boxes of a block that is looked for; a layer of a transformer has some 60."""
FEWEST, SMALLEST = 3, 12
"""Repetitions that are drawn once: so many, or two that are so many boxes together."""
ROUNDS = 3
"""Blocks in blocks are found so deep."""
MARK = "× "
"""How the scope of a block begins."""


@dataclass(frozen=True)
class _Run:
    """`count` blocks of `period` boxes from `start` on."""

    start: int
    period: int
    count: int

    @property
    def saved(self) -> int:
        return (self.count - 1) * self.period

    @property
    def stop(self) -> int:
        return self.start + self.count * self.period


def draw_once(scene: Scene) -> Scene:
    """Return a scene in which of equal blocks in a row only the first is left."""
    for number in range(ROUNDS):
        order = list(scene.boxes)
        runs = _chosen(_runs(scene, order))
        if not runs:
            break
        scene = _folded(scene, order, runs, number)
    return scene


def _chosen(runs: Sequence[_Run]) -> list[_Run]:
    """Return runs that do not overlap, those that save most first."""
    kept: list[_Run] = []
    for run in sorted(runs, key=lambda r: (-r.saved, r.period, r.start)):
        if all(run.stop <= other.start or other.stop <= run.start for other in kept):
            kept.append(run)
    return sorted(kept, key=lambda run: run.start)


def _runs(scene: Scene, order: Sequence[str]) -> list[_Run]:
    place = {id: index for index, id in enumerate(order)}
    numbers: dict[object, int] = {}
    boxes = [scene.boxes[id] for id in order]
    keys = [(b.key or b.id, b.change, tuple(p for p in b.path if p[:2] == MARK)) for b in boxes]
    sums = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    inputs: list[list[tuple[int, int, int]]] = [[] for _ in order]
    for line in scene.lines:
        if not line.style:
            inputs[place[line.target]].append((line.port, place[line.source], line.value))
    for ports in inputs:
        ports.sort()
    live = _crossing(scene, place)
    found: list[_Run] = []
    for period in range(1, min(LONGEST, len(order) // 2) + 1):
        for start, stop in _stretches(sums[period:] == sums[:-period], period):
            # A stretch in a run of a shorter period is that run once more.
            if not any(r.start <= start and stop + period < r.stop + r.period for r in found):
                found += _verified(inputs, live, start, stop, period)
    return found


def _stretches(equal: NDArray[np.bool_], least: int) -> Iterator[tuple[int, int]]:
    """Yield where at least so many values are true in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], equal.astype(np.int8), [0]))))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop - start >= least:
            yield start, stop


def _verified(
    inputs: Sequence[list[tuple[int, int, int]]],
    live: NDArray[np.int64],
    start: int,
    stop: int,
    period: int,
) -> Iterator[_Run]:
    """Yield the runs in a stretch whose boxes also read what those a period before read."""
    begin = start
    for index in range(start, stop + 1):
        if index < stop and _alike(inputs[index], inputs[index + period], begin, period):
            continue
        run = _aligned(live, begin, index + period, period)
        large = run.count > 1 and period * run.count >= SMALLEST
        if large or (run.count >= FEWEST and _is_chain(inputs, run)):
            yield run
        begin = index + 1


def _is_chain(inputs: Sequence[list[tuple[int, int, int]]], run: _Run) -> bool:
    """Whether the second block reads what the first makes; small ones side by side stay so."""
    second = range(run.start + run.period, run.start + 2 * run.period)
    first = range(run.start, second.start)
    return any(source in first for index in second for _, source, _ in inputs[index])


def _alike(
    one: list[tuple[int, int, int]], next: list[tuple[int, int, int]], begin: int, period: int
) -> bool:
    """Whether a box reads what the one a period later reads, moved by that, or from outside."""
    if len(one) != len(next):
        return False
    return all(
        a[0] == b[0] and (a[1] < begin or (b[1] - a[1] == period and a[2] == b[2]))
        for a, b in zip(one, next, strict=True)
    )


def _aligned(live: NDArray[np.int64], begin: int, stop: int, period: int) -> _Run:
    """Return the blocks in [begin, stop) that start where the fewest values cross."""
    count, slack = divmod(stop - begin, period)
    if count < 1:
        return _Run(begin, period, 0)
    offset = int(np.argmin(live[begin : begin + min(slack, period - 1) + 1]))
    return _Run(begin + offset, period, count)


def _crossing(scene: Scene, place: dict[str, int]) -> NDArray[np.int64]:
    """Return how many values are made before each position and read there or later."""
    last: dict[tuple[str, int], int] = {}
    for line in scene.lines:
        key = (line.source, line.value)
        last[key] = max(last.get(key, 0), place[line.target])
    change = np.zeros(len(place) + 2, np.int64)
    for (source, _), end in last.items():
        if end > place[source]:
            change[place[source] + 1] += 1
            change[end + 1] -= 1
    return np.cumsum(change)


def _folded(scene: Scene, order: Sequence[str], runs: Sequence[_Run], number: int) -> Scene:
    """Return the scene with the first block of each run, in a scope of its own, for all of it."""
    homes = {id: id for id in order}
    block: dict[str, tuple[int, int]] = {}
    boxes, scopes = dict(scene.boxes), dict(scene.scopes)
    for count, run in enumerate(runs):
        members = [scene.boxes[id] for id in order[run.start : run.stop]]
        prefix = _common([box.path for box in members])
        scope = (*prefix, f"{MARK}{run.count} ({number}.{count})")
        scopes[scope] = _label([box.path[len(prefix) :] for box in members], run)
        for index, box in enumerate(members):
            block[box.id] = count, index // run.period
            first = members[index % run.period]
            homes[box.id] = first.id
            if first is box:
                path = (*scope, *box.path[len(prefix) :])
                bodies = _moved(box, prefix, scope)
                boxes[box.id] = replace(box, path=path, bodies=bodies)
                for old, new in zip(box.bodies, bodies, strict=True):
                    scopes[new.path] = scopes.get(old.path, old.role)
            else:
                del boxes[box.id]
    lines: dict[Line, None] = {}
    for line in scene.lines:
        here, there = block.get(line.source), block.get(line.target)
        again = here is not None and there is not None and here[0] == there[0] and here != there
        style = "again" if again else line.style
        source, target = homes[line.source], homes[line.target]
        lines[replace(line, source=source, target=target, style=style)] = None
    return replace(scene, boxes=boxes, lines=list(lines), scopes=scopes)


def _moved(box: Box, prefix: Path, scope: Path) -> list[Body]:
    """Return the graphs that an operator runs, which lie in the scope of its block, too."""
    count = len(prefix)
    return [replace(body, path=(*scope, *body.path[count:])) for body in box.bodies]


def _label(paths: Sequence[Path], run: _Run) -> str:
    """Return the names of the first and the last block, where they have some, and the number."""
    ends = [next((p[0] for p in paths[i:i + run.period] if p), "")
            for i in (0, (run.count - 1) * run.period)]  # fmt: skip
    names = f"{ends[0]} … {ends[1]}  " if all(ends) and ends[0] != ends[1] else ""
    return f"{names}× {run.count}"


def _common(paths: Sequence[Path]) -> Path:
    first = min(paths)
    last = max(paths)
    for index, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:index]
    return first[: min(len(first), len(last))]
