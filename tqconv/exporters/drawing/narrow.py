"""Parts of a scene: what is near a name, and what lies between names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tqconv.errors import UsageError, suggestion
from tqconv.exporters.drawing.scene import Box, Scene, followers


def around(scene: Scene, name: str, radius: int) -> Scene:
    """Return what is at most `radius` lines away from a box, value or scope of this name."""
    neighbours: dict[str, list[str]] = {}
    for line in scene.lines:
        neighbours.setdefault(line.source, []).append(line.target)
        neighbours.setdefault(line.target, []).append(line.source)
    kept = _reached(named(scene, name), neighbours, radius)
    return _noted(scene, scene.kept(kept), f"around '{name}'")


def between(scene: Scene, starts: Sequence[str], ends: Sequence[str]) -> Scene:
    """Return what lies on a way from one of `starts` to one of `ends`; none: all of them."""
    forward = followers(scene.lines)
    backward: dict[str, list[str]] = {}
    for line in scene.lines:
        backward.setdefault(line.target, []).append(line.source)
    kept = set(scene.boxes)
    if starts:
        kept &= _reached((id for name in starts for id in named(scene, name)), forward)
    if ends:
        kept &= _reached((id for name in ends for id in named(scene, name)), backward)
    if not kept:
        raise UsageError(f"no value gets from {_listed(starts)} to {_listed(ends)}")
    words = [f"from {_listed(starts)}"] if starts else []
    words += [f"to {_listed(ends)}"] if ends else []
    return _noted(scene, scene.kept(kept), " ".join(words))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _noted(whole: Scene, part: Scene, where: str) -> Scene:
    part.notes = [*whole.notes, f"{sum(1 for _ in part.ops())} of {whole.total} operators, {where}"]
    return part


def named(scene: Scene, name: str) -> list[str]:
    """Return the boxes that a name means; UsageError, with the nearest names, for none.

    The name of a value or of a box; of a scope, all in it; the end of a name, where that is clear.
    """
    plain = name.removesuffix(":0").strip("/")
    exact = [box.id for box in scene.boxes.values() if plain in _names(box)]
    if exact:
        return exact
    scope = tuple(plain.split("/"))
    inside = [b.id for b in scene.boxes.values() if b.path[: len(scope)] == scope]
    if inside:
        return inside
    names = {n for box in scene.boxes.values() for n in _names(box)}
    ends = [n for n in names if n.endswith(f"/{plain}")]
    if len(ends) == 1:
        return [box.id for box in scene.boxes.values() if ends[0] in _names(box)]
    several = f": {len(ends)} names end in it" if ends else suggestion(plain, names)
    raise UsageError(f"nothing in the picture is called '{name}'{several}")


def _names(box: Box) -> set[str]:
    joined = [box.name, *(value.name for value in box.values)]
    parts = {part for text in joined for part in (text, *text.split(";"))}
    return {part.removesuffix(":0").strip("/") for part in parts} - {""}


def _reached(
    starts: Iterable[str], ways: Mapping[str, Sequence[str]], steps: int | None = None
) -> set[str]:
    """Return what is reached from `starts`, in at most so many steps."""
    found = set(starts)
    edge = list(found)
    while edge and (steps is None or steps > 0):
        edge = list({t for id in edge for t in ways.get(id, ())} - found)
        found.update(edge)
        steps = None if steps is None else steps - 1
    return found
