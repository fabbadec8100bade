"""Text stays in its box whatever sans-serif face draws it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tqconv.config import LoadOptions
from tqconv.exporters.drawing.dot import dot_text
from tqconv.exporters.drawing.gather import gather
from tqconv.exporters.drawing.picture import arranged
from tqconv.exporters.drawing.scene import Box, Scene, Value
from tqconv.exporters.drawing.widths import extent
from tqconv.exporters.graphviz import render
from tqconv.importers.source import source_of

SVG = "{http://www.w3.org/2000/svg}"
DIGITS = Path(__file__).parents[2] / "sample_models" / "digits_cnn" / "graph.pb"


def test_extents_are_those_of_a_wide_face() -> None:
    assert extent("") == 0
    assert extent("MMMMMMMMMM") == 86  # 0.863 of the size of its letters, in DejaVu Sans
    assert extent("iiiiiiiiii") == 28
    assert extent("MMMMMMMMMM", bold=True) == 100
    assert extent("MMMMMMMMMM", 16) == 138
    assert extent("中" * 10) >= 100


def network() -> Scene:
    options = LoadOptions()
    return arranged(gather(source_of(DIGITS, options).load(options)))


def long_lines() -> Scene:
    """Return boxes whose lines are long in each way that a line can be."""
    scene = Scene(title="m" * 90, facts=[("size", "W" * 80)], notes=["W" * 99])
    for index, kind in enumerate(("title", "name", "row", "key", "mark", "value", "port")):
        long = {kind: "M" * 60}
        box = Box(f"b{index}", "op", long.get("title", "RELU"), long.get("name", "n"), ("M" * 30,))
        box.rows = [(long.get("key", "axis"), long.get("row", "v"))]
        box.marks = [long.get("mark", "m")]
        box.values = [Value("y", long.get("value", "f32[1]"))]
        box.ports = [long.get("port", "in 0")]
        scene.add(box)
    return scene


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("scene", [network, long_lines])
def test_every_line_ends_in_its_frame(scene: object) -> None:
    assert callable(scene)
    root = ElementTree.fromstring(render(dot_text(scene()), "svg"))
    checked = 0
    for group in root.iter(f"{SVG}g"):
        if group.get("class") not in ("graph", "node", "cluster"):
            continue
        frames = list(frames_of(group))
        if not frames:  # a column, and the circle of a number
            continue
        texts = [e for e in group.iter() if e.tag == f"{SVG}text"]
        own = texts if group.get("class") != "graph" else group.findall(f"{SVG}text")
        for text in own:
            start, end = reach(text)
            assert min(left for left, _ in frames) <= start + 0.01, text.text
            assert end <= max(right for _, right in frames) + 0.01, text.text
            checked += 1
    assert checked > 30


def frames_of(group: ElementTree.Element) -> Iterator[tuple[float, float]]:
    """Yield from where to where the frames of a group go."""
    for element in group.iter():
        if element.tag in (f"{SVG}polygon", f"{SVG}path"):
            numbers = re.findall(
                r"(-?[\d.]+),-?[\d.]+", element.get("points", element.get("d", ""))
            )
            yield min(map(float, numbers)), max(map(float, numbers))


def reach(text: ElementTree.Element) -> tuple[float, float]:
    """Return where a line of text begins and ends in a wide face."""
    words = (text.text or "").replace("\N{NO-BREAK SPACE}", " ")
    bold = text.get("font-weight") == "bold"
    long = extent(words, round(float(text.get("font-size", "14"))), bold=bold)
    x = float(text.get("x", "0"))
    start = x if text.get("text-anchor") == "start" else x - long / 2
    return start, start + long
