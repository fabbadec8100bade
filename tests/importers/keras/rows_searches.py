"""Examples of operations that sort, search, choose and put elements."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from keras_rows import Draw, F, I, Known, Row, Table
from networks_keras import Array
from rows_arrays import values

TABLE = Table()


@TABLE.examples("numpy", "Sort", "Argsort", count=5)
def ordered(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.reals(*shape), d.ints(*shape, low=-3, high=3))
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    found = np.sort(x, axis) if op == "Sort" else np.argsort(x, axis, kind="stable")
    return Row([x], found, {"axis": axis}, fixed=True)


@TABLE.examples("math", "TopK")
def largest(d: Draw, op: str) -> Row:
    shape = (*d.shape(1, 3), 5)
    x = d.pick(d.reals(*shape), d.ints(*shape))
    k = d.number(1, 4)
    places = np.argsort(-x, -1, kind="stable")[..., :k]
    return Row([x], (np.take_along_axis(x, places, -1), places), {"k": k, "sorted": True})


@TABLE.examples("math", "InTopK")
def among_largest(d: Draw, op: str) -> Row:
    x, k = d.reals(4, 5), d.number(1, 4)
    targets = d.ints(4, low=0, high=4)
    own = np.take_along_axis(x, targets[:, None], 1)
    return Row([targets, x], (x > own).sum(1) < k, {"k": k})


@TABLE.examples("numpy", "Digitize", "SearchSorted", count=4)
def places(d: Draw, op: str) -> Row:
    bins = np.sort(d.pick(d.reals(4), F(d.ints(5))))
    x = d.reals(*d.shape(1, 3))
    x = np.where(x > 1, bins[1], x)
    if op == "SearchSorted":
        x = x.reshape(-1)
    if op == "Digitize":
        return Row([x, d.pick(bins, Known(bins))], np.digitize(x, bins))
    side = d.pick("left", "right")
    return Row([bins, x], np.searchsorted(bins, x, side), {"side": side})


@TABLE.examples("numpy", "IsIn", count=4)
def members(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.ints(*shape), d.reals(*shape).round())
    some = d.pick(d.ints(3, dtype=x.dtype), d.ints(2, 2, dtype=x.dtype))
    config = {"assume_unique": False, "invert": d.flag()}
    return Row([x, d.pick(some, Known(some))], np.isin(x, some, **config), config)


@TABLE.examples("numpy", "Select", count=4)
def selected(d: Draw, op: str) -> Row:
    shape, count = d.shape(), d.number(1, 3)
    conditions = [d.flags(*shape) for _ in range(count)]
    choices = [d.reals(*shape) for _ in range(count)]
    default = d.pick(0, 2.5, d.reals(*shape))
    return Row([conditions, choices, default], np.select(conditions, choices, default))


@TABLE.examples("core", "Slice")
def boxes(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape()))
    sizes = [d.number(1, s) for s in x.shape]
    start = [d.number(0, s - n) for s, n in zip(x.shape, sizes, strict=True)]
    part = x[tuple(slice(a, a + n) for a, n in zip(start, sizes, strict=True))]
    return Row([x, d.pick(np.array(start, I), start)], part, {"shape": sizes}, fixed=True)


@TABLE.examples("core", "SliceUpdate")
def put_boxes(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape()))
    sizes = [d.number(1, s) for s in x.shape]
    start = [d.number(0, s - n) for s, n in zip(x.shape, sizes, strict=True)]
    part, y = d.ints(*sizes, dtype=x.dtype), x.copy()
    y[tuple(slice(a, a + n) for a, n in zip(start, sizes, strict=True))] = part
    return Row([x, d.pick(np.array(start, I), start), part], y, fixed=True)


def spots(d: Draw, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return different places in the first axes of a shape, and values for them."""
    depth = d.number(1, len(shape))
    count = int(np.prod(shape[:depth]))
    flat = d.rng.permutation(count)[: d.number(1, count)]
    indices = np.stack(np.unravel_index(flat, shape[:depth]), -1).astype(I)
    return indices, d.reals(len(flat), *shape[depth:])


@TABLE.examples("core", "Scatter")
def scattered(d: Draw, op: str) -> Row:
    shape = d.shape()
    indices, put = spots(d, shape)
    y = np.zeros(shape, F)
    y[tuple(indices.T)] = put
    return Row([d.pick(indices, Known(indices)), put], y, {"shape": list(shape)}, fixed=True)


UPDATES: dict[str | None, Callable[..., Array]] = {
    None: lambda x, y: y,
    "add": np.add,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
}


@TABLE.examples("core", "ScatterUpdate", count=8)
def updated(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    indices, put = spots(d, x.shape)
    how = d.pick(None, "add", "max", "min", "mul")
    y, at = x.copy(), tuple(indices.T)
    y[at] = UPDATES[how](y[at], put)
    return Row([x, indices, put], y, {"reduction": how}, fixed=True)


@TABLE.examples("nn", "CTCDecode", count=4)
def said_classes(d: Draw, op: str) -> Row:
    """Row after row, step after step."""
    steps, classes, blank = 6, 4, d.pick(0, 2, -1)
    scores = d.reals(2, steps, classes)
    merges = d.pick(True, False)
    said, total = np.full((1, 2, steps), -1), np.zeros((2, 1))
    for row, best in enumerate(scores.argmax(-1)):
        kept = [
            c
            for step, c in enumerate(best)
            if c != blank % classes and not (merges and step and c == best[step - 1])
        ]
        said[0, row, : len(kept)] = kept
        total[row] = -scores[row].max(-1).sum()
    lengths = np.full(2, steps, np.int32)
    return Row([scores, lengths], (said, total), {"merge_repeated": merges, "mask_index": blank})
