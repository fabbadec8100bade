"""Examples of losses and distances, and of numbers at regular places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras_reference as ref
import numpy as np
from keras_rows import Draw, F, I, Row, Table
from networks_keras import Array

TABLE = Table()


@TABLE.examples("numpy", "AllClose", count=6)
def near(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    y = x + d.reals(*x.shape, low=-0.01, high=0.01) * d.flag()
    for array in (x, y):
        array.flat[0] = d.pick(0, np.inf, np.nan, np.nan)
    config = {"rtol": d.pick(1e-5, 0.05), "atol": d.pick(1e-8, 0.05), "equal_nan": d.flag()}
    return Row([x, y], np.allclose(x, y, **config), config)


@TABLE.examples("nn", "BinaryCrossentropy", "CategoricalCrossentropy", count=4)
def losses(d: Draw, op: str) -> Row:
    target, output = d.reals(3, 4, low=0, high=1), d.reals(3, 4, low=0, high=1)
    config: dict[str, Any] = {"from_logits": d.flag()}
    logits = 4 * output - 2
    output = logits if config["from_logits"] else output
    if op == "BinaryCrossentropy":
        p = ref.sigmoid(logits) if config["from_logits"] else output
        return Row([target, output], -(target * np.log(p) + (1 - target) * np.log(1 - p)), config)
    axis = config["axis"] = d.axis(2)
    p = (
        ref.softmax(logits, axis)
        if config["from_logits"]
        else output / output.sum(axis, keepdims=True)
    )
    return Row([target, output], -(target * np.log(p)).sum(axis), config)


@TABLE.examples("nn", "SparseCategoricalCrossentropy")
def losses_of_classes(d: Draw, op: str) -> Row:
    target, output = d.ints(3, low=0, high=3), d.reals(3, 4, low=0.1, high=0.9)
    config = {"from_logits": d.flag(), "axis": -1}
    p = ref.softmax(output if config["from_logits"] else np.log(output))
    y = -np.log(p[np.arange(3), target])
    return Row([d.pick(target, target[:, None]), output], y, config)


@TABLE.examples("nn", "PSNR", count=2)
def noise(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2))
    y, most = d.reals(*x.shape), d.pick(1.0, 255)
    return Row([x, y], F(10 * np.log10(most**2 / ((x - y) ** 2).mean())), {"max_val": most})


@TABLE.examples("math", "CDist")
def apart(d: Draw, op: str) -> Row:
    batch = d.shape(0, 1)
    x, y = d.reals(*batch, 3, 2), d.reals(*batch, 4, 2)
    return Row([x, y], np.linalg.norm(x[..., :, None, :] - y[..., None, :, :], axis=-1))


@TABLE.examples("numpy", "Corrcoef", count=2)
def correlations(d: Draw, op: str) -> Row:
    x = d.reals(d.number(2, 4), 6)
    return Row([x], F(np.corrcoef(x)))


@TABLE.examples("numpy", "Arange", count=4)
def ranges(d: Draw, op: str) -> Row:
    wanted = d.pick(None, "float32")
    one: Array = np.array(d.number(2, 7), I)
    first, step = d.pick((None, None), (1, None), (-2, 2), (0, 3))
    args = [one] if first is None else [first, one]
    y = np.arange(first or 0, int(one), step or 1, dtype=wanted or I)
    return Row(args, y, {"dtype": wanted}, {"step": step}, fixed=True)


@TABLE.examples("numpy", "Logspace", "Geomspace", count=4)
def powers(d: Draw, op: str) -> Row:
    first, last = (d.reals(3, low=0.5, high=2) for _ in range(2))
    config: dict[str, Any] = {"num": d.number(2, 5), "endpoint": d.flag(), "axis": d.pick(0, -1)}
    if op == "Logspace":
        config["base"] = d.pick(10, 2)
    elif d.flag():
        first, last = -first, -last
    make = np.logspace if op == "Logspace" else np.geomspace
    return Row([first, last], F(make(first, last, **config)), {**config, "dtype": None})


@TABLE.examples("numpy", "Vander", count=4)
def vandermonde(d: Draw, op: str) -> Row:
    x = d.pick(d.reals(4), d.ints(3, low=-3, high=3))
    config = {"N": d.pick(None, 1, 3, 5), "increasing": d.flag()}
    return Row([x], np.vander(x, **config), config, fixed=True, close=1e-4)


@TABLE.examples("numpy", "Meshgrid", count=4)
def grids(d: Draw, op: str) -> Row:
    xs = [d.reals(d.number(2, 4)) for _ in range(d.number(1, 3))]
    indexing = d.pick("xy", "ij")
    return Row(xs, tuple(np.meshgrid(*xs, indexing=indexing)), {"indexing": indexing})


@TABLE.examples("numpy", "Kron", count=4)
def blocks(d: Draw, op: str) -> Row:
    x, y = d.reals(*d.shape(1, 3)), d.reals(*d.shape(1, 3))
    return Row([x, y], np.kron(x, y))


@TABLE.examples("numpy", "UnravelIndex")
def coordinates(d: Draw, op: str) -> Row:
    shape = d.shape(2, 3)
    x = d.ints(5, low=0, high=int(np.prod(shape)) - 1)
    return Row([x], np.unravel_index(x, shape), {"shape": list(shape)})


@TABLE.examples("numpy", "Nonzero")
def places(d: Draw, op: str) -> Row:
    shape = d.shape(1, 3)
    x = d.pick(d.flags(*shape), d.ints(*shape, low=0, high=1), d.reals(*shape).round())
    return Row([x], np.nonzero(x))


@TABLE.examples("numpy", "Unique", count=6)
def distinct(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(1, 2), low=0, high=2)
    told = {f"return_{name}": d.flag() for name in ("index", "inverse", "counts")}
    axis = d.pick(None, None, 0 if x.ndim > 1 else None)
    found = np.unique(x, **told, axis=axis)
    parts = list(found) if isinstance(found, tuple) else [found]
    if told["return_inverse"]:
        at = 1 + told["return_index"]
        parts[at] = parts[at].reshape(x.shape if axis is None else -1)
    config = {"sorted": True, **told, "axis": axis, "size": None, "fill_value": None}
    return Row([x], tuple(parts), config)


@TABLE.examples("numpy", "View", count=6)
def bits(d: Draw, op: str) -> Row:
    x = d.pick(d.reals(2, 4), d.ints(2, 4), d.ints(2, 8, low=0, high=9, dtype=np.uint8))
    wanted = d.pick("int32", "float32", "uint8", "int16", None)
    return Row([x], x.view(wanted or x.dtype), {"dtype": wanted}, fixed=True)


@TABLE.examples("numpy", "Array")
def arrays(d: Draw, op: str) -> Row:
    x, wanted = d.reals(*d.shape()), d.pick(None, "int32", "float32")
    return Row([x], x.astype(wanted or F), {"dtype": wanted})


PATTERNS: list[tuple[str, dict[str, int], Callable[[Array], Array]]] = [
    ("b h w c -> b c h w", {}, lambda x: x.transpose(0, 3, 1, 2)),
    ("b h w c -> b (h w) c", {}, lambda x: x.reshape(2, 24, 3)),
    ("b h w c -> h (b w) c", {}, lambda x: x.transpose(1, 0, 2, 3).reshape(4, 12, 3)),
    (
        "b (h k) (w l) c -> (b k l) h w c",
        {"k": 2, "l": 3},
        lambda x: x.reshape(2, 2, 2, 2, 3, 3).transpose(0, 2, 4, 1, 3, 5).reshape(12, 2, 2, 3),
    ),
    (
        "b (h k) w c->b h w (c k)",
        {"k": 2},
        lambda x: x.reshape(2, 2, 2, 6, 3).transpose(0, 1, 3, 4, 2).reshape(2, 2, 6, 6),
    ),
]


@TABLE.examples("einops", "Rearrange", count=8)
def patterns(d: Draw, op: str) -> Row:
    text, lengths, made = d.pick(*PATTERNS)
    x = d.reals(2, 4, 6, 3)
    return Row([x, text], made(x), {}, lengths)
