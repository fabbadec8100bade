"""Examples of layers that combine several tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np
from layer_example import Draw, Example, F, example
from networks_keras import Array

MERGES: Mapping[str, Callable[[Sequence[Array]], Any]] = {
    "Add": sum,
    "Subtract": lambda xs: xs[0] - xs[1],
    "Multiply": math.prod,
    "Average": lambda xs: sum(xs) / F(len(xs)),
    "Maximum": partial(reduce, np.maximum),
    "Minimum": partial(reduce, np.minimum),
}


@example(*MERGES)
def merge(d: Draw, op: str) -> Example:
    sizes = [2, *d.numbers(d.number(1, 3), 2, 4)]
    count = 2 if op == "Subtract" else d.number(2, 4)
    whole = op != "Average" and d.flag()
    make = partial(d.whole, below=9, dtype=np.int32) if whole else d.reals
    shapes = [sizes]
    for _ in range(count - 1):  # a lower rank lacks the axes behind the batch; 1 is repeated
        tail = [d.one_of(size, 1) for size in sizes[1 + d.number(0, len(sizes) - 2) :]]
        shapes.append([2, *tail])
    xs = [make(*shape) for shape in shapes]
    wide = [x.reshape(2, *[1] * (len(sizes) - x.ndim), *x.shape[1:]) for x in xs]
    if len(sizes) < 3 or whole or d.flag():
        return Example({}, xs, [MERGES[op](wide)])
    return hidden_in_part(d, op, [d.reals(*sizes[:3]) for _ in xs])


def hidden_in_part(d: Draw, op: str, xs: list[Array]) -> Example:
    """Return the example of operands [n, t, c] of which masks hide some.

    Up to Keras 2 the result shows what all masks do, and each operand counts as it is. With Keras 3
    it shows what any does, if all have masks, and some layers leave out what is hidden.
    """
    masks = [d.shown(*x.shape[:2]) if d.flag() else None for x in xs]
    found = [mask for mask in masks if mask is not None]
    for i, mask in enumerate(masks):
        xs[i] = xs[i] if mask is None else xs[i] * mask[..., None]
    carried = np.logical_and.reduce(found) if found else np.ones(xs[0].shape[:2], bool)
    y = MERGES[op](xs)
    if d.major >= 3:
        every = len(found) == len(xs)
        carried = np.logical_or.reduce(found) if every else np.ones(xs[0].shape[:2], bool)
        y = products_shown(xs, masks, carried) if op == "Multiply" else y
        y = extremes_shown(op, xs, masks) if op in ("Maximum", "Minimum") else y
    return Example({}, xs, [y], hidden=masks, carried=carried)


def products_shown(xs: Sequence[Array], masks: Sequence[Array | None], carried: Array) -> Array:
    """Multiply what is shown; nothing is 0."""
    pairs = zip(xs, masks, strict=True)
    parts = [x if mask is None else np.where(mask[..., None], x, 1) for x, mask in pairs]
    return np.where(carried[..., None], math.prod(parts), 0)


def extremes_shown(op: str, xs: Sequence[Array], masks: Sequence[Array | None]) -> Array:
    """Compare from the left: what is hidden takes the value that it is compared with.

    A result is hidden where all so far are, if all so far have masks.
    """
    y, shown = xs[0], masks[0]
    for x, mask in zip(xs[1:], masks[1:], strict=True):
        x = x if mask is None else np.where(mask[..., None], x, y)
        y = y if shown is None else np.where(shown[..., None], y, x)
        shown = None if shown is None or mask is None else shown | mask
        y = MERGES[op]([y, x])
    return y


@example("Concatenate")
def concatenate(d: Draw, op: str) -> Example:
    sizes = [2, *d.numbers(d.number(1, 3), 2, 4)]
    axis = d.number(1, len(sizes) - 1)
    shapes = [[*sizes[:axis], d.number(1, 4), *sizes[axis + 1 :]] for _ in range(d.number(2, 4))]
    xs = [d.reals(*shape) for shape in shapes]
    if len(sizes) == 3 and d.flag():
        return shown_together(d, xs, axis)
    y = np.concatenate(xs, axis)
    return Example({"axis": d.one_of(axis, axis - len(sizes))}, xs, [y])


def shown_together(d: Draw, xs: list[Array], axis: int) -> Example:
    """Return the example of operands [n, t, c] that all have masks.

    Beside each other, Keras 2 shows what all masks do and Keras 3 what any does.
    """
    masks = [d.shown(*x.shape[:2]) for x in xs]
    xs = [x * mask[..., None] for x, mask in zip(xs, masks, strict=True)]
    if axis == 1:
        carried = np.concatenate(masks, 1)
    else:
        carried = np.logical_and.reduce(masks) if d.major < 3 else np.logical_or.reduce(masks)
    y = np.concatenate(xs, axis)
    return Example({"axis": axis}, xs, [y], hidden=masks, carried=carried)


@example("Dot", count=12)
def dot(d: Draw, op: str) -> Example:
    ranks = d.numbers(2, 2, 4)
    shapes = [[2, *d.numbers(rank - 1, 1, 4)] for rank in ranks]
    axes = [d.number(1, rank - 1) for rank in ranks]
    for shape, axis in zip(shapes, axes, strict=True):
        shape[axis] = 3
    xs = [d.reals(*shape) for shape in shapes]
    normalize = d.flag()
    options: dict[str, Any] = {"axes": axes, "normalize": normalize}
    if axes[0] == axes[1] and d.flag():
        options["axes"] = axes[0]
    elif d.flag():
        options["axes"] = [axis - rank for axis, rank in zip(axes, ranks, strict=True)]
    p, q = (np.moveaxis(x, axis, -1) for x, axis in zip(xs, axes, strict=True))
    if normalize:
        p, q = (t / np.sqrt((t**2).sum(-1, keepdims=True)) for t in (p, q))
    rows = np.einsum("nas,nbs->nab", p.reshape(2, -1, 3), q.reshape(2, -1, 3))
    y = rows.reshape(2, *(p.shape[1:-1] + q.shape[1:-1] or [1]))
    return Example(options, xs, [y])
