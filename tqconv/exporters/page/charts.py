"""Charts as SVG in the text: histograms with the chosen range, bars of decibels."""

from __future__ import annotations

import math

from tqconv.exporters.drawing.colors import error_color
from tqconv.exporters.page.facts import Distribution, Layer
from tqconv.exporters.page.words import text

WIDTH, HEIGHT = 240, 64
"""Size of a histogram in its own units."""
MOST_DECIBELS = 60.0
"""Where bars end; what is better cannot be told from exact."""


def histogram(found: Distribution) -> str:
    """Return a histogram; the part outside of the chosen range is red, the heights are roots."""
    low, high = _ends(found)
    width = high - low or 1.0
    step = (found.high - found.low) / max(1, len(found.counts))
    most = math.sqrt(max(found.counts, default=0)) or 1.0
    inside: list[str] = []
    outside: list[str] = []
    for index, count in enumerate(found.counts):
        left = found.low + index * step
        bar = HEIGHT * math.sqrt(count) / most
        if count:
            x, w = WIDTH * (left - low) / width, max(1.0, WIDTH * step / width)
            shape = f"M{x:.1f} {HEIGHT}v{-max(1.0, bar):.1f}h{w:.1f}V{HEIGHT}z"
            (inside if _is_inside(found, left, left + step) else outside).append(shape)
    frame = ""
    if found.chosen is not None:
        x = WIDTH * (found.chosen[0] - low) / width
        w = max(1.0, WIDTH * (found.chosen[1] - found.chosen[0]) / width)
        frame = f'<rect class="chosen" x="{x:.1f}" y="0" width="{w:.1f}" height="{HEIGHT}"/>'
    label = f"values from {found.low:.4g} to {found.high:.4g}"
    return (
        f'<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{text(label)}">{frame}'
        f'<path class="in" d="{"".join(inside)}"/><path class="out" d="{"".join(outside)}"/></svg>'
    )


def _ends(found: Distribution) -> tuple[float, float]:
    if found.chosen is None:
        return found.low, found.high
    return min(found.low, found.chosen[0]), max(found.high, found.chosen[1])


def _is_inside(found: Distribution, left: float, right: float) -> bool:
    if found.chosen is None:
        return True
    slack = (right - left) / 2
    return found.chosen[0] - slack <= left and right <= found.chosen[1] + slack


def bar(layer: Layer) -> str:
    """Return a bar as long as a signal-to-noise ratio, up to `MOST_DECIBELS`."""
    share = max(0.0, min(1.0, layer.sqnr / MOST_DECIBELS))
    color = error_color(layer.sqnr)
    return (
        f'<span class="bar" role="img" aria-label="{layer.sqnr:.1f} dB">'
        f'<i style="width:{100 * share:.1f}%;background:{color}"></i></span>'
    )


def share_bar(share: float) -> str:
    """Return a bar for a share of a whole."""
    return f'<span class="bar"><i style="width:{100 * share:.1f}%"></i></span>'
