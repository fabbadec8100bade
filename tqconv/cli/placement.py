"""How the answer of a target is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tqconv.cli.facts import shown
from tqconv.cli.layout import table
from tqconv.exporters.placement import remedies

if TYPE_CHECKING:
    from tqconv.exporters.placement import Placement

GROUPS = 10
"""Kinds of refusals that are printed without --verbose."""


def placement_text(placed: Placement, *, verbose: bool) -> str:
    """Return how much of a model runs on a device, then what does not, why, and what mends it."""
    lines = [f"target {placed.target} ({placed.title}): {placed.heading()}"]
    groups = placed.groups()
    listed = groups if verbose else groups[:GROUPS]
    rows = []
    for kind, reason, _, names in listed:
        places = names if verbose else names[:1]
        rows.append((str(len(names)), kind, reason, shown(places[0])))
        rows += [("", "", "", shown(name)) for name in places[1:]]
    lines.append(table(rows, right=(0,)))
    if len(groups) > len(listed):
        lines.append(f"  … and {len(groups) - len(listed)} more kinds; --verbose lists all")
    lines += [f"  mended by: {word}" for word in remedies(placed)]
    return "\n".join(filter(None, lines))
