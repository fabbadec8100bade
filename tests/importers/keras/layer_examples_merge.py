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
    shown = None
    if len(sizes) == 3 and not whole and d.flag():
        shown = d.shown(2, sizes[1])
        xs[0] = wide[0] = xs[0] * shown[..., None]
        if op == "Multiply" and d.major >= 3:  # what is hidden does not count
            wide[0] = np.where(shown[..., None], xs[0], 1)
    return Example({}, xs, [MERGES[op](wide)], hidden=shown)


@example("Concatenate")
def concatenate(d: Draw, op: str) -> Example:
    sizes = [2, *d.numbers(d.number(1, 3), 2, 4)]
    axis = d.number(1, len(sizes) - 1)
    shapes = [[*sizes[:axis], d.number(1, 4), *sizes[axis + 1 :]] for _ in range(d.number(2, 4))]
    xs = [d.reals(*shape) for shape in shapes]
    y = np.concatenate(xs, axis)
    return Example({"axis": d.one_of(axis, axis - len(sizes))}, xs, [y])


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
