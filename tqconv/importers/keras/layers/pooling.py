"""Pooling, over windows and over everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import pool
from tqconv.compose.operands import static_size
from tqconv.compose.reduce import reduced
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST, many, windows_of
from tqconv.importers.keras.layers.core import masked
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor


@handles(
    MaxPooling1D=pool.max_pool,
    MaxPooling2D=pool.max_pool,
    MaxPooling3D=pool.max_pool,
    AveragePooling1D=pool.average_pool,
    AveragePooling2D=pool.average_pool,
    AveragePooling3D=pool.average_pool,
)
def pooled(
    b: KerasBuilder,
    make: pool.Pool,
    x: Tensor,
    *,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """The largest element, or the mean, of each window."""
    x = b.real(x)
    size = many(pool_size, x.rank - 2)
    steps = size if strides is None else strides
    windows = windows_of(size, steps, 1, padding)
    return b.channels_last(x, data_format == FIRST, lambda t: make(b, t, windows))


@handles(
    GlobalAveragePooling1D="MEAN",
    GlobalAveragePooling2D="MEAN",
    GlobalAveragePooling3D="MEAN",
    GlobalMaxPooling1D="REDUCE_MAX",
    GlobalMaxPooling2D="REDUCE_MAX",
    GlobalMaxPooling3D="REDUCE_MAX",
)
def global_pool(
    b: KerasBuilder,
    type: str,
    x: Tensor,
    *,
    data_format: str | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Reduce all axes but batch and channels; a mask of the steps weighs a mean."""
    x = b.real(x)
    first = 2 if data_format == FIRST else 1
    axes = range(first, first + x.rank - 2)
    mask = b.masks[0] if b.masks else None
    if mask is None or type != "MEAN" or x.rank != 3:
        return reduced(b, type, x, list(axes), keep_dims=keepdims)
    shown = b("EXPAND_DIMS", mask, np.array(3 - first, np.int32))
    weights = b.cast(shown, np.float32)
    total = reduced(b, "SUM", masked(b, x, shown, weights), list(axes), keep_dims=keepdims)
    return b("DIV", total, reduced(b, "SUM", weights, list(axes), keep_dims=keepdims))


@handles(
    AdaptiveAveragePooling1D="MEAN",
    AdaptiveAveragePooling2D="MEAN",
    AdaptiveAveragePooling3D="MEAN",
    AdaptiveMaxPooling1D="REDUCE_MAX",
    AdaptiveMaxPooling2D="REDUCE_MAX",
    AdaptiveMaxPooling3D="REDUCE_MAX",
)
def adaptive_pool(
    b: KerasBuilder, type: str, x: Tensor, *, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Reduce parts of each axis: part i is from floor(i n / m) up to ceil((i + 1) n / m)."""
    sizes = many(output_size, x.rank - 2)
    return b.channels_last(b.real(x), data_format == FIRST, lambda t: _by_parts(b, type, t, sizes))


def _by_parts(b: KerasBuilder, type: str, x: Tensor, sizes: list[int]) -> Tensor:
    whole = [static_size(x, axis) for axis in range(1, x.rank - 1)]
    if all(wanted > 0 and size % wanted == 0 for size, wanted in zip(whole, sizes, strict=True)):
        window = [size // wanted for size, wanted in zip(whole, sizes, strict=True)]
        make: pool.Pool = pool.average_pool if type == "MEAN" else pool.max_pool
        return make(b, x, windows_of(window, window, 1, "valid"))
    for axis, wanted in enumerate(sizes, 1):
        size = static_size(x, axis)
        if wanted < 1:
            raise UnsupportedError(f"{wanted} parts of an axis")
        parts = []
        for part in range(wanted):
            begin = part * size // wanted
            end = -(-(part + 1) * size // wanted)
            start, length = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
            start[axis], length[axis] = begin, end - begin
            piece = b("SLICE", x, start, length)
            parts.append(b(type, piece, np.array([axis], np.int32), keep_dims=True))
        x = parts[0] if wanted == 1 else b("CONCATENATION", *parts, axis=axis)
    return x
