"""Layers that prepare data: numbers, images, categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import gather
from tqconv.compose.sizes import size_of
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.convolution import FIRST
from tqconv.importers.keras.layers.normalization import axes_of
from tqconv.importers.keras.layers.shape import resize_to
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
LEAST = 1e-7
"""The least standard deviation that Normalization divides by (`backend.epsilon()`)."""


@handles("Rescaling")
def rescaling(b: KerasBuilder, x: Tensor, *, scale: Any, offset: Any = 0.0) -> Tensor:
    """Return x * scale + offset, each one number or one per channel."""
    y = b("MUL", b.real(x), np.asarray(scale, F))
    return y if np.all(np.asarray(offset) == 0) else b("ADD", y, np.asarray(offset, F))


@handles("Normalization")
def normalization(
    b: KerasBuilder,
    x: Tensor,
    *,
    axis: Any = -1,
    mean: Any = None,
    variance: Any = None,
    invert: bool = False,
) -> Tensor:
    """Return (x - mean) / max(sqrt(variance), 1e-7), or the inverse of that."""
    x = b.real(x)
    axes = axes_of(axis, x.rank) if axis is not None else []
    weights = b.layer.weights
    given = mean is not None
    center = np.asarray(mean if given else weights.get("mean", 0.0), np.float32)
    spread = np.asarray(variance if given else weights.get("variance", 1.0), np.float32)
    shape = [x.shape[i] if i in axes else 1 for i in range(x.rank)] if axes else [1] * x.rank
    if None in shape:
        raise UnsupportedError("the number of features is unknown")
    sizes = [size or 1 for size in shape]
    center, spread = (
        np.broadcast_to(a, sizes) if a.size == 1 else a.reshape(sizes) for a in (center, spread)
    )
    deviation = np.maximum(np.sqrt(spread), F(LEAST))
    if invert:
        return b("ADD", b("MUL", x, deviation), center)
    return b("MUL", b("SUB", x, center), F(1) / deviation)


@handles("Resizing")
def resizing(
    b: KerasBuilder,
    x: Tensor,
    *,
    height: int,
    width: int,
    interpolation: str = "bilinear",
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    antialias: bool = False,
    data_format: str | None = None,
    training: bool | None = None,
) -> Tensor:
    """Resize images to a size."""
    if crop_to_aspect_ratio or pad_to_aspect_ratio:
        raise UnsupportedError("Resizing that keeps the aspect ratio")
    return b.channels_last(
        b.real(x),
        data_format == FIRST,
        lambda t: resize_to(b, t, [height, width], interpolation, antialias),
    )


@handles("CenterCrop")
def center_crop(
    b: KerasBuilder,
    x: Tensor,
    *,
    height: int,
    width: int,
    data_format: str | None = None,
    training: bool | None = None,
) -> Tensor:
    """Cut the middle out of images; smaller ones are resized to it, keeping the aspect ratio."""

    def cropped(t: Tensor) -> Tensor:
        sizes = [size_of(b, t, axis) for axis in (-3, -2)]
        if not all(isinstance(size, int) for size in sizes):
            raise UnsupportedError(
                "CenterCrop of images of unknown size",
                hint="give the inputs a shape with --input_shapes",
            )
        h, w = (size for size in sizes if isinstance(size, int))
        if h >= height and w >= width:
            return _middle(b, t, (h, w), (height, width))
        if w * height < h * width:  # higher than wanted: keep the width
            kept = (int(float(w * height) / width), w)
        else:
            kept = (h, int(float(h * width) / height))
        return resize_to(b, _middle(b, t, (h, w), kept), [height, width], "bilinear")

    return b.channels_last(b.real(x), data_format == FIRST, cropped)


def _middle(b: KerasBuilder, x: Tensor, have: tuple[int, int], want: tuple[int, int]) -> Tensor:
    ranges = {}
    for axis, size, wanted in zip((-3, -2), have, want, strict=True):
        start = (size - wanted) // 2
        ranges[axis % x.rank] = (start, start + wanted, 1)
    return cut(b, x, ranges)


def encoded(b: KerasBuilder, ids: Tensor, depth: int, mode: str, weights: Tensor | None) -> Tensor:
    """Return categories as Keras writes them: int, one_hot, multi_hot or count."""
    if mode == "int":
        return ids
    ids = ids if ids.dtype in (np.int32, np.int64) else b.cast(ids, np.int32)
    one, zero = b.const(1, F, "one"), b.const(0, F, "zero")
    if mode == "one_hot":
        if ids.rank > 1 and ids.shape[-1] == 1:
            ids = b("SQUEEZE", ids, squeeze_dims=[ids.rank - 1])
        return gather.one_hot(b, ids, b.const(depth, np.int32, "depth"), one, zero, ids.rank)
    if mode not in ("multi_hot", "count"):
        raise UnsupportedError(f"output_mode `{mode}`")
    hot = gather.one_hot(b, ids, b.const(depth, np.int32, "depth"), one, zero, ids.rank)
    if ids.rank < 1:
        return hot
    if mode == "count" and weights is not None:
        hot = b("MUL", hot, b("EXPAND_DIMS", b.real(weights), np.array(ids.rank, np.int32)))
    along = np.array([ids.rank - 1], np.int32)
    return b("SUM" if mode == "count" else "REDUCE_MAX", hot, along, keep_dims=False)


@handles("CategoryEncoding")
def category_encoding(
    b: KerasBuilder,
    x: Tensor,
    *,
    num_tokens: int,
    output_mode: str = "multi_hot",
    count_weights: Tensor | None = None,
) -> Tensor:
    """Encode numbers of categories."""
    return encoded(b, x, num_tokens, output_mode, count_weights)


@handles("Discretization")
def discretization(
    b: KerasBuilder,
    x: Tensor,
    *,
    bin_boundaries: Any,
    num_bins: int | None = None,
    epsilon: float = 0.01,
    output_mode: str = "int",
) -> Tensor:
    """Count how many boundaries each number reaches."""
    limits = [float(v) for v in bin_boundaries or ()]
    if not limits:
        raise UnsupportedError("Discretization whose boundaries the file does not hold")
    wide = b("EXPAND_DIMS", b.real(x), np.array(x.rank, np.int32))
    reached = b.cast(b("GREATER_EQUAL", wide, np.array(limits, F)), np.int32)
    ids = b("SUM", reached, np.array([x.rank], np.int32), keep_dims=False)
    if b.major < 3:
        ids = b.cast(ids, np.int64) if output_mode == "int" else ids
    return encoded(b, ids, len(limits) + 1, output_mode, None)


@handles("IntegerLookup")
def integer_lookup(
    b: KerasBuilder,
    x: Tensor,
    *,
    vocabulary: Any,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    output_mode: str = "int",
    invert: bool = False,
    max_tokens: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary_size: int | None = None,
    vocabulary_dtype: str | None = None,
    idf_weights: Any = None,
    oov_method: Any = None,
    salt: Any = None,
) -> Tensor:
    """Number the known integers; all others are the one number out of the vocabulary."""
    words = [int(v) for v in vocabulary or ()]
    if invert or num_oov_indices != 1 or not words or output_mode == "tf_idf":
        raise UnsupportedError("IntegerLookup that is inverted, or with other than one OOV index")
    first = num_oov_indices + (mask_token is not None)
    ids = x if x.dtype in (np.int32, np.int64) else b.cast(x, np.int64)
    wide = b("EXPAND_DIMS", ids, np.array(x.rank, np.int32))
    hit = b.cast(b("EQUAL", wide, np.array(words, ids.dtype)), np.int32)
    unknown = first - 1
    places = np.arange(len(words), dtype=np.int32) + np.int32(first - unknown)
    found = b("SUM", b("MUL", hit, places), np.array([x.rank], np.int32), keep_dims=False)
    found = b("ADD", found, np.array(unknown, np.int32)) if unknown else found
    if mask_token is not None:
        is_mask = b("EQUAL", ids, np.array(mask_token, ids.dtype))
        found = b("SELECT_V2", is_mask, np.array(0, np.int32), found)
    if output_mode == "int":
        return b.cast(found, np.int64)
    depth = max_tokens if pad_to_max_tokens and max_tokens else first + len(words)
    return encoded(b, found, depth, output_mode, None)
