"""Examples of layers that number and encode categories."""

from __future__ import annotations

from typing import Any

import numpy as np
from layer_example import Draw, Example, F, example
from networks_keras import Array

ENCODED = ("one_hot", "multi_hot", "count")


def ids_of(d: Draw, mode: str, below: int, dtype: Any = np.int64) -> Array:
    """Return numbers in a shape that every generation encodes in this way."""
    width = 1 if mode == "one_hot" and d.major < 3 else d.number(1, 4)
    return d.whole(3, width, below=below, dtype=dtype)


def encoded(ids: Array, mode: str, depth: int, weights: Any = 1) -> Array:
    """Return numbers [n, k] as rows of `depth` reals: -1 is none of them."""
    hot = (ids[..., None] == np.arange(depth)) * np.broadcast_to(weights, ids.shape)[..., None]
    if mode == "one_hot":
        return np.asarray(hot[:, 0] if ids.shape[1] == 1 else hot, F)
    return np.asarray(hot.any(1) if mode == "multi_hot" else hot.sum(1), F)


@example("CategoryEncoding", count=12)
def category_encoding(d: Draw, op: str) -> Example:
    mode, depth = d.one_of(*ENCODED), d.number(2, 5)
    ids = ids_of(d, mode, depth, d.one_of("i4", "i8", "f4"))
    options = {"num_tokens": depth, "output_mode": mode}
    if mode == "count" and d.flag():
        weights = d.reals(*ids.shape)
        y = encoded(ids, mode, depth, weights)
        return Example(options, [ids], [y], named={"count_weights": weights})
    return Example(options, [ids], [encoded(ids, mode, depth)])


@example("Discretization", count=12)
def discretization(d: Draw, op: str) -> Example:
    mode = d.one_of("int", *ENCODED)
    x = d.reals(*ids_of(d, mode, 2).shape)
    limits = np.sort(d.reals(d.number(1, 4)))
    options: dict[str, Any] = {"bin_boundaries": limits.tolist(), "output_mode": mode}
    weights = []
    if d.major < 3 and d.flag():  # adapted: the file has a summary, values and their weights
        counts = d.whole(len(limits) + 3, below=4, dtype=F) + 1
        values = np.sort(d.reals(len(counts)))
        bins = d.number(2, 3)
        shares = np.cumsum(counts) / counts.sum()
        options |= {"bin_boundaries": None, "num_bins": bins}
        limits = np.array([between(values, shares, i / bins) for i in range(1, bins)], F)
        weights = [np.stack([values, counts])]
    ids = (x[..., None] >= limits).sum(-1)
    if mode == "int":
        return Example(options, [x], [ids.astype(np.int32 if d.major >= 3 else np.int64)], weights)
    return Example(options, [x], [encoded(ids, mode, len(limits) + 1)], weights)


def between(values: Array, shares: Array, share: float) -> float:
    """Return the value below which a share lies, on lines between what is known."""
    after = int(np.argmax(shares >= share))
    if after == 0:
        return float(values[0])
    part = (share - shares[after - 1]) / (shares[after] - shares[after - 1])
    return float(values[after - 1] + part * (values[after] - values[after - 1]))


@example("IntegerLookup", count=24)
def integer_lookup(d: Draw, op: str) -> Example:
    mode = d.one_of("int", *ENCODED, "tf_idf")
    words = (d.rng().permutation(9)[:4] + 1).tolist()
    unknown, mask = d.number(0, 3), d.one_of(None, 0)
    options: dict[str, Any] = {"vocabulary": words, "num_oov_indices": unknown}
    options |= {"mask_token": mask, "oov_token": -1, "output_mode": mode}
    masked = int(mask is not None and mode == "int")
    if mode == "int" and d.flag():
        options["invert"] = True
        table = [mask] * masked + [-1] * unknown + words
        x = d.whole(3, 2, below=len(table))
        return Example(options, [x], [np.array(table)[x]])
    x = ids_of(d, mode, 11, d.one_of("i4", "i8"))
    if unknown == 0:  # the layer then stops at what it does not know
        x = np.array(words, x.dtype)[x % 4]
    place = {word: masked + unknown + i for i, word in enumerate(words)}
    numbers = [place.get(v, masked + v % (unknown or 1)) for v in x.reshape(-1).tolist()]
    if mask is not None:
        numbers = [masked - 1 if v == 0 else n for v, n in zip(x.reshape(-1), numbers, strict=True)]
    ids, depth = np.array(numbers).reshape(x.shape), unknown + 4
    if mode == "int":
        return Example(options, [x], [ids])
    if d.flag():
        options |= {"max_tokens": depth + 2, "pad_to_max_tokens": True}
        depth += 2
    y = encoded(ids, "count" if mode == "tf_idf" else mode, depth)
    if mode == "tf_idf":
        given = d.rng().uniform(1, 2, 4).astype(F)
        options["idf_weights"] = given.tolist()
        front = np.full(unknown, given.mean(), F)
        y = y * np.pad(np.concatenate([front, given]), (0, depth - unknown - 4))
    elif d.major >= 3:
        y = y.astype(np.int64)
    return Example(options, [x], [y])
