"""Groups of dimensions that a RESHAPE splits or joins, and how a permutation moves them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

UNKNOWN = 2_305_843_009_213_693_951
"""Stands for the one size that is unknown: a prime that no product of sizes has as a factor."""

Group = tuple[list[int], list[int]]
"""Dimensions before a RESHAPE, and those after it that hold the same elements in the same order."""


def regrouped(
    before: Sequence[int | None], after: Sequence[int | None], perm: Sequence[int]
) -> tuple[list[int | None], tuple[int, ...]] | None:
    """Return the sizes of RESHAPE(x), and the permutation that makes it RESHAPE(TRANSPOSE(x)).

    before: the sizes of TRANSPOSE(x, perm); after: those that it is reshaped to. None where a group
    is not together in x, or where sizes are unknown.

    [1,24,10] is x; before: [1,10,24]; after: [1,10,1,24]; perm: [0,2,1]
    ->   [1,1,24,10] and [0,3,1,2]: dimensions of 1 come first, as those of a batch
    """
    found = groups(before, after)
    if found is None:
        return None
    moving = [(sorted(perm[k] for k in inputs), inputs, outputs) for inputs, outputs in found]
    held = sorted(k for places, _, _ in moving for k in places)
    for places, inputs, _ in moving:
        start = held.index(places[0])
        together = held[start : start + len(places)] == places
        if not together or [perm[k] for k in inputs] != places:
            return None
    grouped = {k for _, _, outputs in moving for k in outputs}
    order = [k for k in range(len(after)) if k not in grouped]
    for _, _, outputs in sorted(moving):
        order += outputs
    return [after[k] for k in order], tuple(order.index(k) for k in range(len(after)))


def groups(before: Sequence[int | None], after: Sequence[int | None]) -> list[Group] | None:
    """Return the smallest groups of dimensions with equal products, in order.

    Dimensions of 1 belong to no group.
    """
    if None in (*before, *after) and (list(before).count(None), list(after).count(None)) != (1, 1):
        return None
    if 0 in (*before, *after):
        return None
    old = [UNKNOWN if d is None else d for d in before]
    new = [UNKNOWN if d is None else d for d in after]
    if prod(old) != prod(new):
        return None
    found: list[Group] = []
    rest = iter(k for k in range(len(new)) if new[k] != 1)
    inputs: list[int] = []
    outputs: list[int] = []
    have = want = 1
    for k in (k for k in range(len(old)) if old[k] != 1):
        inputs.append(k)
        have *= old[k]
        while want < have:
            place = next(rest)
            outputs.append(place)
            want *= new[place]
        if want == have:
            found.append((inputs, outputs))
            inputs, outputs, have, want = [], [], 1, 1
    return found
