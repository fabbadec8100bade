"""Examples of operations that reduce, scan and count along axes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from keras_rows import Draw, F, I, Known, Row, Table
from networks_keras import Array

TABLE = Table()


def reduction(d: Draw, x: Array) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return options of a reduction, and what numpy calls them."""
    axis, kept = d.axes(x.ndim), d.flag()
    named = tuple(axis) if isinstance(axis, list) else axis
    return {"axis": axis, "keepdims": kept}, {"axis": named, "keepdims": kept}


@TABLE.examples(
    "numpy", "Amax", "Amin", "Max", "Mean", "Min", "Prod", "Ptp", "Std", "Sum", "Var", count=5
)
def reduced(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.reals(*shape), d.reals(*shape), d.ints(*shape, low=-3, high=3))
    if op in ("Mean", "Prod", "Std", "Sum", "Var") and d.number(0, 5) == 0:
        x = d.flags(*shape)
    config, named = reduction(d, x)
    if op == "Prod" and d.flag():
        config["dtype"] = d.pick("float32", "int32") if x.dtype == I else "float32"
        return Row([x], np.prod(x.astype(config["dtype"]), **named), config, close=1e-4)
    if op in ("Max", "Min") and d.flag():
        config["initial"] = named["initial"] = d.pick(0, 1)
    return Row([x], getattr(np, op.lower())(x, **named), config, close=1e-4)


@TABLE.examples("numpy", "Nansum", "Prod", "Sum", count=2)
def of_bytes(d: Draw, op: str) -> Row:
    """Few bytes hold many of them: Keras adds up in 32 bits."""
    kind = d.pick(np.int8, np.uint8)
    x = d.ints(*(2 + s for s in d.shape(2)), low=0, high=3 if op == "Prod" else 120, dtype=kind)
    config, named = reduction(d, x)
    wide = x.astype(I if kind == np.int8 else np.uint32)
    make: Any = np.prod if op == "Prod" else np.sum
    return Row([x], make(wide, dtype=wide.dtype, **named), config)


@TABLE.examples("numpy", "All", "Any", count=4)
def truth(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.flags(*shape), d.ints(*shape, low=0, high=2), d.reals(*shape).round())
    config, named = reduction(d, x)
    return Row([x], getattr(np, op.lower())(x, **named), config)


@TABLE.examples("numpy", "CountNonzero", count=4)
def counted(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.flags(*shape), d.ints(*shape, low=0, high=2), d.reals(*shape).round())
    config, named = reduction(d, x)
    return Row([x], np.count_nonzero(x, axis=named["axis"]), {"axis": config["axis"]})


@TABLE.examples("numpy", "Argmax", "Argmin", count=5)
def places(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.reals(*shape), d.ints(*shape, low=-2, high=2))
    config = {"axis": d.pick(None, d.axis(x.ndim), d.axis(x.ndim)), "keepdims": d.flag()}
    found = getattr(np, op.lower())(x, **config)
    return Row([x], found, config)


@TABLE.examples("math", "Logsumexp", count=4)
def log_of_sums(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    config, named = reduction(d, x)
    return Row([x], np.log(np.exp(x).sum(**named)), config)


@TABLE.examples("numpy", "Cumsum", "Cumprod", count=5)
def running(d: Draw, op: str) -> Row:
    shape = d.shape()
    x = d.pick(d.reals(*shape, low=-1.5, high=1.5), d.ints(*shape, low=-2, high=2), d.flags(*shape))
    axis, wanted = d.pick(None, d.axis(x.ndim)), d.pick(None, None, "float32")
    kind = wanted or (I if x.dtype == bool else x.dtype)
    return Row(
        [x],
        getattr(np, op.lower())(x, axis, dtype=kind),
        {"axis": axis, "dtype": wanted},
        fixed=op == "Cumprod",
        close=1e-4,
    )


NAN = ["Nanmax", "Nanmean", "Nanmin", "Nanprod", "Nanstd", "Nansum", "Nanvar"]


@TABLE.examples("numpy", *NAN, count=5)
def without_nan(d: Draw, op: str) -> Row:
    x = d.reals(*(2 + s for s in d.shape(1, 3)))
    x[d.rng.uniform(size=x.shape) < 0.1] = np.nan
    if d.number(0, 3) == 0:
        x = d.ints(*x.shape, low=-2, high=2)
    config, named = reduction(d, x)
    if op in ("Nanmax", "Nanmin") and x.dtype == F:
        x[0] = np.nan
    with warnings.catch_warnings():  # of rows without a number, which have none
        warnings.simplefilter("ignore")
        return Row([x], getattr(np, op.lower())(x, **named), config, close=1e-4)


@TABLE.examples("numpy", "Nancumsum", "Nancumprod", count=4)
def running_without_nan(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(), low=-1.5, high=1.5)
    x[d.rng.uniform(size=x.shape) < 0.2] = np.nan
    axis = d.pick(None, d.axis(x.ndim))
    y = getattr(np, op.lower())(x, axis)
    return Row([x], y, {"axis": axis, "dtype": None}, fixed=op == "Nancumprod", close=1e-4)


@TABLE.examples("numpy", "Nanargmax", "Nanargmin", count=4)
def places_without_nan(d: Draw, op: str) -> Row:
    shape = d.shape(2)
    x = d.pick(d.reals(*shape), d.reals(*shape), d.ints(*shape))
    config = {"axis": d.pick(None, -1, d.axis(x.ndim)), "keepdims": d.flag()}
    if x.dtype == F:
        x[d.rng.uniform(size=shape) < 0.5] = np.nan
    sign = 1 if op == "Nanargmax" else -1
    y = np.argmax(np.where(np.isnan(x), -np.inf, sign * x), **config)
    return Row([x], np.where(np.isnan(x).all(**config), -1, y), config)


@TABLE.examples("numpy", "Nanmedian", "Nanquantile", "Nanpercentile", count=6)
def quantiles_without_nan(d: Draw, op: str) -> Row:
    x = d.reals(*(2 + s for s in d.shape(1, 3)))
    x[d.rng.uniform(size=x.shape) < 0.2] = np.nan
    config, named = reduction(d, x)
    method = d.pick("linear", "lower", "higher", "nearest", "midpoint")
    part = np.array(d.pick(0.25, 0.5, 0.0, [0.125, 1.0]))
    q = (part * (100 if op == "Nanpercentile" else 1)).tolist()
    if d.flag():
        x[0] = np.nan
    with warnings.catch_warnings():  # of rows without a number, which have none
        warnings.simplefilter("ignore")
        if op == "Nanmedian":
            return Row([x], np.nanmedian(x, **named), config, fixed=True)
        wide = x.astype(np.float64)
        y = np.nanquantile(wide, part, method=method, **named)
    return Row([x, q], F(y), {**config, "method": method}, fixed=True)


@TABLE.examples("numpy", "Average", count=6)
def averages(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    alike = d.reals(*x.shape, low=0.5)
    weights = d.pick(None, alike, alike if axis is None else d.reals(x.shape[axis], low=0.5))
    given = d.pick(weights, None if weights is None else Known(weights))
    return Row([x], np.average(x, axis, weights), {"axis": axis}, {"weights": given}, fixed=True)


@TABLE.examples("numpy", "Median", "Quantile", "Percentile", count=5)
def quantiles(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    x = d.ints(*x.shape) if d.number(0, 3) == 0 else x
    config, named = reduction(d, x)
    if op == "Median":
        return Row([x], np.median(x, **named), config, fixed=True)
    method = d.pick("linear", "lower", "higher", "nearest", "midpoint")
    method = method if op == "Percentile" else "linear"
    q = d.pick(0.25, 0.375, [0.125, 0.5, 1.0], 0, Known(F([0.25, 0.75])))
    part = np.asarray(q.array if isinstance(q, Known) else q, np.float64)
    scale = 100 if op == "Percentile" else 1
    q = Known(q.array * scale) if isinstance(q, Known) else (part * scale).tolist()
    expected = np.quantile(x.astype(np.float64), part, method=method, **named)
    return Row([x, q], F(expected), {**config, "method": method}, fixed=True)


@TABLE.examples("nn", "Moments", count=4)
def moments(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    config, named = reduction(d, x)
    axes = list(range(x.ndim)) if config["axis"] is None else config["axis"]
    options = {"axes": axes, "keepdims": config["keepdims"], "synchronized": False}
    return Row([x], (x.mean(**named), x.var(**named)), options)


@TABLE.examples("numpy", "Trapezoid", count=4)
def areas(d: Draw, op: str) -> Row:
    y = d.reals(*(2 + s for s in d.shape(1, 3)))
    config = {"x": None, "dx": d.pick(1.0, 0.25), "axis": d.axis(y.ndim)}
    widths: Any = config["dx"]
    if d.flag():
        places = np.cumsum(d.reals(y.shape[-1], low=0.1))
        config |= {"x": places.tolist(), "axis": -1}
        widths = np.diff(places)
    last = np.moveaxis(y, config["axis"], -1)
    area = (widths * (last[..., 1:] + last[..., :-1]) / 2).sum(-1)
    return Row([y], F(area), config, close=1e-4)


@TABLE.examples("numpy", "Bincount", count=4)
def bins(d: Draw, op: str) -> Row:
    x = d.ints(*d.shape(1, 2), low=0, high=5)
    rows = x.reshape(-1, x.shape[-1])
    weights = None
    count = np.stack([np.bincount(row, weights, 6) for row in rows]).reshape(*x.shape[:-1], 6)
    return Row([x], count.astype(I), {"weights": weights, "minlength": 6, "sparse": False})


@TABLE.examples("math", "SegmentMax", "SegmentMin", "SegmentProd", "SegmentSum", count=5)
def segments(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(1, 3))
    x = d.ints(*x.shape, low=-3, high=3) if d.number(0, 3) == 0 else x
    ids = d.rng.permutation(len(x)).astype(I) % 3
    count = d.pick(3, 4, None)
    rows = d.pick(ids, Known(ids)) if count is not None else Known(ids)
    lowest = np.finfo(F).min if x.dtype == F else np.iinfo(I).min
    highest = np.finfo(F).max if x.dtype == F else np.iinfo(I).max
    kind: dict[str, tuple[Any, Any]] = {
        "SegmentMax": (np.maximum, lowest),
        "SegmentMin": (np.minimum, highest),
        "SegmentProd": (np.multiply, 1),
        "SegmentSum": (np.add, 0),
    }
    merge, neutral = kind[op]
    y = np.full((count or len(set(ids)), *x.shape[1:]), neutral, x.dtype)
    merge.at(y, ids, x)
    return Row([x, rows], y, {"num_segments": count, "sorted": False}, fixed=True)


@TABLE.examples("linalg", "Norm", count=10)
def norms(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(2, 3))
    x = d.ints(*x.shape) if d.number(0, 4) == 0 else x
    kept = d.flag()
    axis = d.pick(None if x.ndim == 2 else -1, d.axis(x.ndim), d.axis(x.ndim), [-2, -1], [0, 1])
    if axis is None:
        order = d.pick(None, None, "fro")
    elif isinstance(axis, int):
        order = d.pick(None, 1, 2, 3, np.inf, -np.inf, 0.5, 0)
    else:
        order = d.pick(None, "fro", 1, -1, np.inf, -np.inf)
    named = tuple(axis) if isinstance(axis, list) else axis
    found = np.linalg.norm(x, order, named, kept)
    return Row([x], F(found), {"ord": order, "axis": axis, "keepdims": kept}, close=1e-4)


@TABLE.examples("nn", "Normalize", count=6)
def normalized(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape())
    axis = d.pick(d.axis(x.ndim), d.axis(x.ndim), None)
    order = 2 if axis is None else d.pick(1, 2, 3, 2)
    size = np.linalg.norm(x.reshape(-1)) if axis is None else np.linalg.norm(x, order, axis, True)
    return Row([x], F(x / size), {"axis": axis, "order": order, "epsilon": None})
