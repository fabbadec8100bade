"""What colours mean: families of operators, types of numbers, amounts, errors, changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from tqconv.exporters.drawing.scene import Box, Scene
from tqconv.exporters.drawing.words import readable
from tqconv.records import dataclass

FAMILIES = {
    "conv": "#c0392b",
    "dense": "#c0392b",
    "recurrent": "#922b21",
    "pool": "#1e8449",
    "reduce": "#1e8449",
    "activation": "#7d3c98",
    "arithmetic": "#2471a3",
    "compare": "#2471a3",
    "movement": "#566573",
    "shape": "#707b7c",
    "gather": "#117864",
    "resize": "#117864",
    "quantize": "#9c640c",
    "cast": "#9c640c",
    "control": "#1c2833",
    "state": "#1c2833",
    "random": "#5d4037",
    "no translation": "#e74c3c",
}
"""Category of an operator -> background of its title; all dark enough for white letters."""
OTHER = "#34495e"

NUMBERS = {
    "float": ("#5d6d7e", "#ffffff"),
    "int8": ("#1a5fb4", "#e3effc"),
    "uint8": ("#0b7285", "#e0f5f7"),
    "int16": ("#6b21a8", "#f3e8fd"),
    "mixed": ("#b45309", "#fff3dc"),
}
"""What an operator computes with -> colour of its title, colour of its box."""
PAPER = "#ffffff"

CHANGES = {
    "added": "#1e8449",
    "removed": "#c0392b",
    "re-typed": "#6b21a8",
    "other parameters": "#b45309",
    "changed inside": "#b45309",
    "": "#aab7b8",
}
"""How a box differs -> colour of its title."""

WARNING = "#b00020"
HEAT = ("#2c7fb8", "#41b6c4", "#fecc5c", "#fd8d3c", "#bd0026")
"""From little to much; of errors, from faithful to lost."""
NOTHING = "#aab7b8"
DARK_ON = frozenset({"#41b6c4", "#fecc5c", "#fd8d3c", NOTHING})
"""Colours on which letters are black."""
DECIBELS = (40.0, 30.0, 20.0, 10.0)
"""Signal-to-noise ratios at which the colour changes: noise of 1, 3, 10, 32 % of the signal."""

WAYS = ("family", "dtype", "bytes", "macs", "error")
"""What colours may stand for."""


@dataclass(frozen=True)
class Palette:
    """Colours of one picture. title: of a box; legend: colour and words, in order."""

    title: Callable[[Box], str]
    legend: tuple[tuple[str, str], ...]


def palette(scene: Scene, way: str) -> Palette:
    """Return the colours of a scene; `way`: one of `WAYS`, or "change"."""
    boxes = list(scene.boxes.values())
    if way == "dtype":
        used = {box.numbers for box in boxes}
        words = tuple((dark, name) for name, (dark, _) in NUMBERS.items() if name in used)
        return Palette(lambda box: NUMBERS.get(box.numbers, (NOTHING, PAPER))[0], words)
    if way == "error":
        limits = [f"{most:g} dB and more" for most in DECIBELS] + [f"below {DECIBELS[-1]:g} dB"]
        legend = (*zip(HEAT, limits, strict=True), (NOTHING, "not measured"))
        return Palette(lambda box: error_color(box.error), legend)
    if way == "change":
        shown = {box.change for box in boxes}
        words = tuple((c, name or "the same") for name, c in CHANGES.items() if name in shown)
        return Palette(lambda box: CHANGES.get(box.change, OTHER), words)
    if way in ("bytes", "macs"):
        return _amounts(boxes, way)
    return Palette(_family, tuple(_families(boxes)))


def _family(box: Box) -> str:
    return FAMILIES.get(box.family, OTHER)


def _families(boxes: list[Box]) -> Iterator[tuple[str, str]]:
    """Yield a colour with the families that have it and occur."""
    used = {box.family for box in boxes if box.kind == "op"}
    for color in dict.fromkeys(FAMILIES.values()):
        names = [name for name, c in FAMILIES.items() if c == color and name in used]
        if names:
            yield color, ", ".join(names)
    if used - FAMILIES.keys():
        yield OTHER, "other"
    if any(box.kind == "group" for box in boxes):
        yield OTHER, "folded scope"


def _amounts(boxes: list[Box], way: str) -> Palette:
    """Return colours by the share of the largest amount, a factor of 4 for each."""
    most = max((getattr(box, way) for box in boxes), default=0)

    def title(box: Box) -> str:
        return amount_color(getattr(box, way), most)

    unit = "B" if way == "bytes" else ""
    limits = [most / 4 ** (len(HEAT) - 1 - i) for i in range(len(HEAT))]
    words = [f"up to {readable(limit, unit)}" for limit in limits]
    return Palette(title, (*zip(HEAT, words, strict=True), (NOTHING, "none")))


def amount_color(amount: float, most: float) -> str:
    """Return the colour of an amount beside the largest one."""
    if amount <= 0 or most <= 0:
        return NOTHING
    return HEAT[max(0, len(HEAT) - 1 - int(math.log(most / amount, 4) + 1e-9))]


def error_color(decibels: float | None) -> str:
    """Return the colour of a signal-to-noise ratio."""
    if decibels is None:
        return NOTHING
    return HEAT[sum(decibels < limit for limit in DECIBELS)]


def letters_on(color: str) -> str:
    """Return black or white, whichever is read on a colour."""
    return "#000000" if color in DARK_ON else "#ffffff"


def paper(box: Box) -> str:
    """Return the background of a box."""
    return NUMBERS.get(box.numbers, ("", PAPER))[1]
