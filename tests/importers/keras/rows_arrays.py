"""Examples of operations that move, join, cut, repeat and take elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras_rows import Draw, F, I, Known, Row, Table
from networks_keras import Array

TABLE = Table()


def values(d: Draw, *shape: int) -> Array:
    return d.pick(d.reals(*shape), d.reals(*shape), d.ints(*shape))


@TABLE.examples("numpy", "Reshape")
def reshaped(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(2))
    order = list(d.rng.permutation(x.shape))
    shape = d.pick([int(s) for s in order], [-1], [int(order[0]), -1], [-1, 1, int(order[0])])
    return Row([x], x.reshape(shape), {"newshape": shape})


@TABLE.examples("numpy", "Transpose")
def transposed(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    axes = d.pick(None, [int(a) for a in d.rng.permutation(x.ndim)])
    return Row([x], x.transpose(axes), {"axes": axes})


@TABLE.examples("numpy", "Swapaxes", count=2)
def swapped(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    config = {"axis1": d.axis(x.ndim), "axis2": d.axis(x.ndim)}
    return Row([x], x.swapaxes(*config.values()), config)


@TABLE.examples("numpy", "Moveaxis")
def moved(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(2))
    source, end = d.axis(x.ndim), d.axis(x.ndim)
    pairs: tuple[Any, Any] = (source, end)
    if d.flag():
        pairs = ([0, -1], [int(a) for a in d.rng.permutation(x.ndim)[:2]])
    config = {"source": pairs[0], "destination": pairs[1]}
    return Row([x], np.moveaxis(x, **config), config)


@TABLE.examples("numpy", "ExpandDims")
def expanded(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(1, 3))
    axis = d.pick(d.axis(x.ndim + 1), d.axis(x.ndim + 1), [0, -1], [1])
    return Row(
        [x], np.expand_dims(x, tuple(axis) if isinstance(axis, list) else axis), {"axis": axis}
    )


@TABLE.examples("numpy", "Squeeze")
def squeezed(d: Draw, op: str) -> Row:
    shape = [*d.shape(1, 2), 1, *d.shape(1, 1), 1]
    x = values(d, *shape)
    axis = d.pick(None, -1, len(shape) - 3, [len(shape) - 3, -1])
    return Row(
        [x],
        x.squeeze(tuple(axis) if isinstance(axis, list) else axis),
        {"axis": axis},
        fixed=axis is None,
    )


@TABLE.examples("numpy", "Concatenate", "Stack", "Append", count=4)
def joined(d: Draw, op: str) -> Row:
    shape = list(d.shape())
    axis = d.axis(len(shape) + (op == "Stack"))
    parts = []
    for _ in range(2 if op == "Append" else d.number(1, 3)):
        other = list(shape)
        if op != "Stack":
            other[axis] = d.number(1, 4)
        parts.append(values(d, *other))
    if op == "Append":
        along = d.pick(axis, None)
        return Row(parts, np.append(*parts, axis=along), {"axis": along})
    make: Any = np.stack if op == "Stack" else np.concatenate
    return Row([parts], make(parts, axis=axis), {"axis": axis})


@TABLE.examples("numpy", "Hstack", "Vstack", "Dstack", count=4)
def stacked(d: Draw, op: str) -> Row:
    shape = d.shape(2 if op == "Vstack" else 1, 3)  # rows of rank 1 depend on Keras's backend
    parts = [values(d, *shape) for _ in range(d.number(1, 3))]
    make: Any = {"Hstack": np.hstack, "Vstack": np.vstack, "Dstack": np.dstack}[op]
    return Row([parts], make(parts))


@TABLE.examples("numpy", "Split", "ArraySplit", "Hsplit", "Vsplit", "Dsplit", count=4)
def cut(d: Draw, op: str) -> Row:
    own = {"Hsplit": 1, "Vsplit": 0, "Dsplit": 2}.get(op)
    shape = list(d.shape(3, 4))
    axis = d.axis(len(shape)) if own is None else own
    shape[axis] = 6 if op != "ArraySplit" else d.number(4, 7)
    x = values(d, *shape)
    where = d.pick(2, 3) if op == "ArraySplit" else d.pick(2, 3, [1, 4], [2], [0, 5])
    make: Any = np.array_split if op == "ArraySplit" else np.split
    config = {"indices_or_sections": where} | ({"axis": axis} if own is None else {})
    return Row([x], tuple(make(x, where, axis)), config, fixed=axis % len(shape) == 0)


@TABLE.examples("core", "Unstack")
def unstacked(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    axis = d.axis(x.ndim)
    num = d.pick(None, x.shape[axis])
    parts = tuple(np.moveaxis(x, axis, 0)[i] for i in range(x.shape[axis]))
    return Row([x], parts, {"num": num, "axis": axis}, fixed=True)


@TABLE.examples("numpy", "Flip", "Fliplr", "Flipud", count=4)
def turned(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(2))
    if op == "Flip":
        axis = d.axes(x.ndim)
        return Row([x], np.flip(x, tuple(axis) if isinstance(axis, list) else axis), {"axis": axis})
    return Row([x], np.fliplr(x) if op == "Fliplr" else np.flipud(x))


@TABLE.examples("numpy", "Rot90")
def rotated(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(2))
    axes = [int(a) for a in d.rng.permutation(x.ndim)[:2]]
    config = {"k": d.number(-2, 5), "axes": axes}
    return Row([x], np.rot90(x, config["k"], axes), config)


@TABLE.examples("numpy", "Roll", count=5)
def rolled(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(2))
    axis = d.pick(None, d.axis(x.ndim), d.axis(x.ndim), [0, -1])
    shift = [d.number(-3, 5), d.number(-3, 5)] if isinstance(axis, list) else d.number(-7, 9)
    both = isinstance(axis, list)
    expected = np.roll(x, tuple(shift) if both else shift, tuple(axis) if both else axis)
    return Row([x], expected, {"shift": shift, "axis": axis})


@TABLE.examples("numpy", "Pad", count=5)
def padded(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape(1, 3)))
    mode = d.pick("constant", "constant", "reflect", "symmetric")
    one = [d.number(0, 2), d.number(0, 2)]
    width: Any = d.pick(1, one, [[d.number(0, 2), d.number(0, 2)] for _ in x.shape])
    value = d.pick(None, 0, 3) if mode == "constant" else None
    named = {"constant_values": value} if value is not None else {}
    config = {"pad_width": width, "mode": mode}
    return Row([x], np.pad(x, width, mode, **named), config, {"constant_values": value})


@TABLE.examples("numpy", "Repeat", count=5)
def repeated(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    count = x.size if axis is None else x.shape[axis]
    times = d.pick(d.number(1, 3), [d.number(0, 3) for _ in range(count)], [2])
    return Row([x], np.repeat(x, times, axis), {"repeats": times, "axis": axis}, fixed=True)


@TABLE.examples("numpy", "Tile", count=4)
def tiled(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    times = d.pick(2, [d.number(1, 3) for _ in range(d.number(1, x.ndim + 1))])
    return Row([x], np.tile(x, times), {"repeats": times})


@TABLE.examples("numpy", "BroadcastTo")
def broadcast(d: Draw, op: str) -> Row:
    shape = d.shape(2)
    x = values(d, *d.second(shape))
    return Row([x], np.broadcast_to(x, shape), {"shape": list(shape)}, fixed=True)


@TABLE.examples("numpy", "Full")
def filled(d: Draw, op: str) -> Row:
    shape, wanted = d.shape(), d.pick(None, "int32")
    value = d.reals(1)
    return Row(
        [value],
        np.full(shape, value, wanted or F),
        {"shape": list(shape), "dtype": wanted},
        fixed=True,
    )


@TABLE.examples("numpy", "Take", count=6)
def taken(d: Draw, op: str) -> Row:
    x = values(d, *d.shape(1, 3))
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    size = x.size if axis is None else x.shape[axis]
    places = d.ints(*d.shape(1, 2), low=-size, high=size - 1)
    indices = d.pick(
        places, Known(places), Known(places.astype(np.int64)), d.number(-size, size - 1)
    )
    plain = indices.array if isinstance(indices, Known) else indices
    return Row([x, indices], np.take(x, plain, axis), {"axis": axis}, fixed=True)


@TABLE.examples("numpy", "TakeAlongAxis", count=5)
def taken_along(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    shape = [s if d.number(0, 3) else 1 for s in x.shape]
    if axis is None:
        shape = [d.number(1, 5)]
    else:
        shape[axis] = d.number(1, 5)
    size = x.size if axis is None else x.shape[axis]
    places = d.ints(*shape, low=-size, high=size - 1)
    indices = d.pick(places, Known(places))
    return Row([x, indices], np.take_along_axis(x, places, axis), {"axis": axis}, fixed=True)


@TABLE.examples("nn", "OneHot", count=5)
def one_hot(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(1, 3), low=-1, high=5, dtype=d.pick(I, np.uint8))
    x = np.abs(x) if x.dtype == np.uint8 else x
    axis, wanted = d.axis(x.ndim + 1), d.pick("float32", "int32", "bool")
    hot = (x[..., None].astype(I) == np.arange(4)).astype(wanted)
    config = {"num_classes": 4, "axis": axis, "dtype": wanted, "sparse": False}
    return Row([x], np.moveaxis(hot, -1, axis), config)


@TABLE.examples("nn", "MultiHot", count=5)
def multi_hot(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(1, 3), low=0, high=4)
    wanted = d.pick("float32", "int32")
    hot = np.eye(5)[x].max(1 if x.ndim > 1 else 0)
    config = {"num_classes": 5, "axis": -1, "dtype": wanted, "sparse": False}
    return Row([x], hot.astype(wanted), config)


@TABLE.examples("numpy", "GetItem", count=16)
def indexed(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape()))
    entries: list[Any] = []
    for size in x.shape:
        ends = [d.pick(None, d.number(-size, size)) for _ in range(2)]
        part = slice(*ends, d.pick(None, 1, 2, -1))
        entries.append(d.pick(part, part, d.number(-size, size - 1), slice(None)))
    first, last = sorted((d.number(0, x.ndim), d.number(0, x.ndim)))
    entries = d.pick(entries[: max(last, 1)], [*entries[:first], ..., *entries[last:]])
    if d.number(0, 2) == 0:
        entries.insert(d.number(0, len(entries)), None)
    key = entries[0] if len(entries) == 1 and d.flag() else entries
    return Row([x, key], x[tuple(entries)], fixed=True)


@TABLE.examples("numpy", "Tril", "Triu")
def triangles(d: Draw, op: str) -> Row:
    x, k = values(d, *d.shape(2)), d.number(-2, 2)
    return Row([x], np.tril(x, k) if op == "Tril" else np.triu(x, k), {"k": k}, fixed=x.ndim == 2)


@TABLE.examples("numpy", "Diag", "Diagflat", count=4)
def diagonals(d: Draw, op: str) -> Row:
    x, k = values(d, *(1 + s for s in d.shape(1, 2))), d.number(-2, 2)
    make = np.diag if op == "Diag" else np.diagflat
    return Row([x], make(x, k), {"k": k}, fixed=True)


@TABLE.examples("numpy", "Diagonal", "Trace", count=4)
def along_diagonals(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape(2)))
    axes = [int(a) for a in d.rng.permutation(x.ndim)[:2]]
    axes[0] -= d.flag() * x.ndim
    config = {"offset": d.number(-2, 2), "axis1": axes[0], "axis2": axes[1]}
    found = np.diagonal(x, **config) if op == "Diagonal" else np.trace(x, **config)
    return Row([x], found, config, fixed=True)


@TABLE.examples("numpy", "Trace", count=1)
def traces_of_bytes(d: Draw, op: str) -> Row:
    x = d.ints(4, 4, low=60, high=120, dtype=np.int8)
    config = {"offset": 0, "axis1": 0, "axis2": 1}
    return Row([x], np.trace(x, dtype=I), config, fixed=True)


@TABLE.examples("numpy", "Size", "Ndim", count=2)
def numbers(d: Draw, op: str) -> Row:
    x = values(d, *d.shape())
    return Row([x], np.array(x.size if op == "Size" else x.ndim, I))


@TABLE.examples("numpy", "Diff", count=4)
def differences(d: Draw, op: str) -> Row:
    x = values(d, *(2 + s for s in d.shape()))
    config = {"n": d.number(1, 3), "axis": d.axis(x.ndim)}
    return Row([x], np.diff(x, **config), config, close=1e-4)


@TABLE.examples("numpy", "Linspace", count=4)
def line(d: Draw, op: str) -> Row:
    shape = d.shape(1, 3)
    first, last = d.pick(d.reals(*shape), 0.5), d.reals(*shape)
    config = {"num": d.number(1, 6), "endpoint": d.flag(), "axis": d.axis(len(shape) + 1)}
    expected = np.linspace(np.broadcast_to(first, shape), last, **config)
    return Row([first, last], F(expected), {**config, "retstep": False, "dtype": None})
