"""Groups of dimensions that a RESHAPE splits or joins, and how a permutation moves them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import prod
from operator import mul

from tqconv.compose.dims import keeps_size
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import elements_or_unknown
from tqconv.records import dataclass

UNKNOWN = 2_305_843_009_213_693_951
"""Stands for the one size that is unknown: a prime that no product of sizes has as a factor."""

Group = tuple[list[int], list[int]]
"""Dimensions before a RESHAPE, and those after it that hold the same elements in the same order."""


@dataclass(frozen=True)
class Part:
    """What lies in one dimension before a RESHAPE and in one behind it; None: of unknown size."""

    size: int | None
    old: int
    new: int


def parts(before: Sequence[int | None], after: Sequence[int | None]) -> list[Part] | None:
    """Return the parts of dimensions that a RESHAPE splits and joins, in their order.

    None where they overlap, or a size is unknown that does not come first on both sides.

    [64,8,8] before and [256,2,4,2] after: parts of 64, 4, 2, 4, 2
    """
    if 0 in (*before, *after) or None in (*before[1:], *after[1:]):
        return None
    if (None in before) != (None in after):
        return None
    found: list[Part] = []
    old, new = list(before), list(after)
    while old and new:
        have, want = old[-1], new[-1]
        if have == 1 or want == 1:
            (old if have == 1 else new).pop()
            continue
        size = _common(have, want)
        if size == 0:
            return None
        found.append(Part(size, len(old) - 1, len(new) - 1))
        old[-1], new[-1] = _rest(have, size), _rest(want, size)
    return found[::-1] if all(size == 1 for size in (*old, *new)) else None


def _common(have: int | None, want: int | None) -> int | None:
    """Return the smaller of two sizes where it divides the other, else 0."""
    if have is None or want is None:
        return want if have is None else have
    small, large = min(have, want), max(have, want)
    return small if large % small == 0 else 0


def _rest(size: int | None, part: int | None) -> int | None:
    """Return what is left of a size beside a part of it."""
    if size is None:
        return 1 if part is None else None
    return size // (part or 1)


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
    order = None if found is None else order_behind(found, perm, len(after))
    if order is None:
        return None
    return [after[k] for k in order], tuple(order.index(k) for k in range(len(after)))


def order_behind(found: Sequence[Group], perm: Sequence[int], rank: int) -> list[int] | None:
    """Return which dimension of a reshaped TRANSPOSE(x, perm) stands where if x is reshaped.

    None where a group is not together in x. Dimensions of no group come first.
    """
    moving = [(sorted(perm[k] for k in inputs), inputs, outputs) for inputs, outputs in found]
    held = sorted(k for places, _, _ in moving for k in places)
    for places, inputs, _ in moving:
        start = held.index(places[0])
        together = held[start : start + len(places)] == places
        if not together or [perm[k] for k in inputs] != places:
            return None
    grouped = {k for _, _, outputs in moving for k in outputs}
    order = [k for k in range(rank) if k not in grouped]
    for _, _, outputs in sorted(moving):
        order += outputs
    return order


def open_groups(x: Tensor, y: Tensor, sizes: Tensor | None) -> list[Group] | None:
    """Return the groups of a RESHAPE whose sizes are computed, because more than one is open.

    Known dimensions are split, and what -1 stands for is joined. None for anything else, and where
    an open dimension is not proven to stay.

    x: [n,21,h,w] and y: [n,3,7,-1]: [0] and [0], [1] and [1, 2], [2, 3] and [3]
    """
    if sizes is None or sizes.data is not None:
        return None
    told = elements_or_unknown(sizes, y.rank)
    found: list[Group] = []
    axis = place = 0
    while axis < x.rank and place < y.rank:
        joined = (x.rank - axis) - (y.rank - place) + 1 if told[place] == -1 else 1
        if joined < 1:
            return None
        split = 1 if told[place] == -1 else _split(x, axis, y, place, sizes)
        if split == 0:
            return None
        found.append(([*range(axis, axis + joined)], [*range(place, place + split)]))
        axis, place = axis + joined, place + split
    return found if (axis, place) == (x.rank, y.rank) else None


def _split(x: Tensor, axis: int, y: Tensor, place: int, sizes: Tensor) -> int:
    """Return into how many dimensions of y one of x is split; 0: that is not known."""
    size = x.shape[axis]
    if size is None:
        return int(keeps_size(x, axis, y, place, sizes))
    for count, product in enumerate(accumulate((d or 0 for d in y.shape[place:]), mul), 1):
        if product in (size, 0):
            return count if product == size else 0
    return 0


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


def together(order: Sequence[int], other: Sequence[int]) -> list[list[int]]:
    """Cut an order into runs whose members follow each other in another order, too.

    >>> together([2, 3, 0, 1], [0, 1, 2, 3])
    [[2, 3], [0, 1]]
    """
    behind = dict(pairwise(other))
    runs: list[list[int]] = []
    for place in order:
        if runs and behind.get(runs[-1][-1]) == place:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
