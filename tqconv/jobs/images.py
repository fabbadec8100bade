"""Images at the borders of a model, channels last where that is asked for."""

from __future__ import annotations

from tqconv.config import LoadOptions
from tqconv.ir.graph import Model
from tqconv.passes.layout.images import channels_last_images


def turn_images(model: Model, options: LoadOptions) -> None:
    """Let a model take and return images as [n, h, w, c] if `options.nhwc_io`, and note which."""
    if not options.nhwc_io:
        return
    turned = [repr(tensor) for graph in model.graphs for tensor in channels_last_images(graph)]
    said = f"channels last: {', '.join(turned)}" if turned else "no input or output is an image"
    model.notes.append(f"--nhwc_io: {said}")
