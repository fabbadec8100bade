"""Examples of layers that move elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from layer_example import Draw, Example, example
from layer_examples_pooling import in_layout
from networks_keras import Array
from resize_reference import resized


@example("Flatten")
def flatten(d: Draw, op: str) -> Example:
    x, first = d.reals(2, *d.numbers(d.number(0, 3), 1, 4)), d.flag()
    y = np.moveaxis(x, 1, -1) if first and x.ndim > 2 else x
    options = {"data_format": "channels_first" if first else "channels_last"}
    return Example(options, [x], [y.reshape(2, -1)])


@example("Reshape")
def reshape(d: Draw, op: str) -> Example:
    sizes = d.numbers(d.number(1, 3), 1, 4)
    x, count = d.reals(2, *sizes), math.prod(sizes)
    parts = [n for n in range(1, count + 1) if count % n == 0]
    part = d.one_of(*parts)
    target = d.one_of([count], [part, count // part], [1, part, count // part, 1])
    y = x.reshape(2, *target)
    if d.flag():
        target[d.number(0, len(target) - 1)] = -1
    free = d.one_of((), (1,)) if -1 in target else ()
    return Example({"target_shape": target}, [x], [y], free=free)


@example("Permute")
def permute(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(d.number(1, 4), 1, 4))
    dims = [axis + 1 for axis in d.order(x.ndim - 1)]
    free = range(1, x.ndim) if d.flag() else ()
    return Example({"dims": dims}, [x], [x.transpose(0, *dims)], free=free)


@example("RepeatVector")
def repeat_vector(d: Draw, op: str) -> Example:
    x, n = d.reals(2, d.number(1, 4)), d.number(1, 4)
    return Example({"n": n}, [x], [np.repeat(x[:, None], n, 1)])


def of_axes(d: Draw, rank: int, most: int) -> tuple[Any, list[tuple[int, int]]]:
    """Return (before, after) of each axis as a configuration has it, and plainly."""
    pairs = [(d.number(0, most), d.number(0, most)) for _ in range(rank)]
    return (list(pairs[0]) if rank == 1 else [list(pair) for pair in pairs]), pairs


@example("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    x = d.reals(2, *d.numbers(rank, 1, 4), 2)
    said, pairs = of_axes(d, rank, 2)
    y = np.pad(x, [(0, 0), *pairs, (0, 0)])
    if rank == 1 and d.major < 3:  # it knows one layout
        return Example({"padding": said}, [x], [y])
    return in_layout(d, {"padding": said}, x, y)


@example("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    x = d.reals(2, *d.numbers(rank, 3, 5), 2)
    said, pairs = of_axes(d, rank, 1)
    inner = [slice(a, size - b) for (a, b), size in zip(pairs, x.shape[1:], strict=False)]
    y = x[(slice(None), *inner)]
    if rank == 1:
        return Example({"cropping": said}, [x], [y])
    return in_layout(d, {"cropping": said}, x, y)


@example("UpSampling1D", "UpSampling3D")
def up_sampling(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    x, size = d.reals(2, *d.numbers(rank, 1, 3), 2), d.numbers(rank, 1, 3)
    y: Array = x
    for axis, count in enumerate(size, 1):
        y = np.repeat(y, count, axis)
    if rank == 1:
        return Example({"size": size[0]}, [x], [y], free=(1,) if d.flag() else ())
    return in_layout(d, {"size": size}, x, y)


@example("UpSampling2D", count=12)
def up_sampling_of_images(d: Draw, op: str) -> Example:
    x, size = d.reals(2, *d.numbers(2, 1, 4), 2), d.numbers(2, 1, 3)
    kinds = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
    kind = d.one_of(*kinds, *(["area", "gaussian", "mitchellcubic"] if d.major < 3 else []))
    wanted = [have * times for have, times in zip(x.shape[1:3], size, strict=True)]
    options = {"size": size, "interpolation": kind}
    return in_layout(d, options, x, resized(x, wanted, kind), free=True)
