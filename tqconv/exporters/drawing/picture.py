"""A model as text that Graphviz draws, without any choice: what dumps and `GRAPHVIZ_DOT` write."""

from __future__ import annotations

from tqconv.exporters.drawing.dot import Style, dot_text
from tqconv.exporters.drawing.folding import fold
from tqconv.exporters.drawing.gather import Known, gather
from tqconv.exporters.drawing.repeats import draw_once
from tqconv.exporters.drawing.scene import Scene
from tqconv.ir.graph import Model


def picture_text(model: Model, known: Known | None = None, style: Style | None = None) -> str:
    """Return the picture of a model; see `gather.Known` and `dot.Style`."""
    return dot_text(arranged(gather(model, known)), style)


def arranged(scene: Scene) -> Scene:
    """Return a scene that can be read: blocks that repeat are drawn once, large ones folded."""
    return fold(draw_once(scene))
