"""How the answer of a target is printed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tqconv.cli.layout import Block, Table
from tqconv.exporters.placement import mended

if TYPE_CHECKING:
    from tqconv.exporters.placement import Placement

GROUPS = 10
"""Kinds of refusals that are printed without --verbose."""


def placement_page(placed: Placement, *, verbose: bool) -> Iterator[Block]:
    """Yield how much of a model runs on a device, then what does not, why, and what mends it."""
    yield f"target {placed.target} ({placed.title}): {placed.heading()}"
    if placed.open_inputs:
        yield f"  {placed.about_sizes()}"
    groups = placed.groups()
    listed = groups if verbose else groups[:GROUPS]
    rows = []
    for kind, reason, _, names in listed:
        places = names if verbose else names[:1]
        rows.append((str(len(names)), kind, places[0], reason))
        rows += [("", "", name, "") for name in places[1:]]
    yield Table(rows, right=(0,), names=(2,), prose=True)
    if len(groups) > len(listed):
        yield f"  … and {len(groups) - len(listed)} more kinds; --verbose lists all"
    for word, kinds in mended(placed):
        yield f"  mended by: {word} ({kinds})"
