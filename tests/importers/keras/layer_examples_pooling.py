"""Examples of pooling layers."""

from __future__ import annotations

from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, example, first_of
from networks_keras import Array


def in_layout(d: Draw, options: dict[str, Any], x: Array, y: Array, free: bool = True) -> Example:
    """Return the example in one of two layouts; x, y: channels last, free: whether sizes may be."""
    first = d.flag()
    options["data_format"] = "channels_first" if first else "channels_last"
    moved = first and y.ndim > 2
    axes = range(1 + first, x.ndim - 1 + first) if free and d.flag() else ()
    pair = first_of(x) if first else x, first_of(y) if moved else y
    return Example(options, [pair[0]], [pair[1]], free=axes)


@example(*(f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def pooling(d: Draw, op: str) -> Example:
    kind, rank = op.removesuffix(f"Pooling{op[-2:]}"), int(op[-2])
    size = d.numbers(rank, 1, 3)
    strides = d.numbers(rank, 1, 3) if d.flag() else None
    padding = d.one_of("valid", "same")
    x = d.reals(2, *d.numbers(rank, 4, 7 if rank < 3 else 5), 2)
    y = ref.pooled(kind, x, size, strides or size, padding)
    options = {"pool_size": size, "strides": strides or size, "padding": padding}
    return in_layout(d, options, x, y)


@example(*(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)))
def global_pooling(d: Draw, op: str) -> Example:
    rank, keeps = int(op[-2]), d.flag()
    x = d.reals(2, *d.numbers(rank, 1, 4), 3)
    axes = tuple(range(1, rank + 1))
    is_mean = "Average" in op
    if op == "GlobalAveragePooling1D" and d.flag():
        shown = d.shown(*x.shape[:2], some=True)
        x = x * shown[..., None]
        y = x.sum(1, keepdims=keeps) / shown.sum(1).reshape(-1, *[1] * (1 + keeps))
        return Example({"keepdims": keeps}, [x], [y], hidden=[shown])
    y = x.mean(axes, keepdims=keeps) if is_mean else x.max(axes, keepdims=keeps)
    return in_layout(d, {"keepdims": keeps}, x, y)


@example(
    *(f"Adaptive{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)),
    majors=[3],
)
def adaptive_pooling(d: Draw, op: str) -> Example:
    rank, reduce = int(op[-2]), np.mean if "Average" in op else np.max
    sizes = d.numbers(rank, 2, 6 if rank < 3 else 4)
    wanted = d.numbers(rank, 1, 4)
    x = y = d.reals(2, *sizes, 2)
    for axis, (size, count) in enumerate(zip(sizes, wanted, strict=True), 1):
        ends = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        parts = [reduce(y.take(range(*pair), axis), axis=axis, keepdims=True) for pair in ends]
        y = np.concatenate(parts, axis)
    return in_layout(d, {"output_size": wanted}, x, y, free=False)
