"""Resizing, and the moves between space, depth and batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, shaped
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.rules import elements, elements_or_unknown, not_negative, values
from tqconv.ops.spec import (
    INSISTS,
    SAME,
    Copies,
    FoldRule,
    QuantRule,
    ShapeRule,
    Typed,
    VersionRule,
    by_type,
    op,
)

EIGHT_BIT = frozenset({"INT8", "UINT8"})
Array = NDArray[Any]

# Types that the kernels compute right, measured in LiteRT 2.3.0.
FLOAT = frozenset({"float32"})
BLOCK_TYPES = frozenset({"float32", "int8", "uint8", "int32", "int64"})
NEAREST_TYPES = frozenset({"float32", "int8", "uint8", "int16", "int32", "uint32", "bool"})


def _image(tensor: Tensor) -> tuple[int | None, ...]:
    if tensor.rank != 4:
        raise UnsupportedError(f"'{tensor.name}' has rank {tensor.rank}, the kernel takes 4")
    return tensor.shape


def _resized(op: Op) -> Sequence[Typed]:
    """x: [n, h, w, c]; size: [2] of height and width."""
    n, h, w, c = _image(op.input(0))
    size = elements_or_unknown(op.input(1), 2)
    if any(d is not None and d < 1 for d in (*size, 1 if h is None else h, 1 if w is None else w)):
        raise UnsupportedError(f"resizing {[h, w]} to {list(size)}")
    return [((n, *size, c), op.input(0).dtype)]


def _steps(op: Op, size: int, wanted: int) -> tuple[Array, np.float32, bool, bool]:
    """Return positions of the output, the input's step per position, and the two options."""
    align = bool(op.options.get("align_corners", False))
    half = bool(op.options.get("half_pixel_centers", False))
    shrunk = 1 if align and wanted > 1 else 0
    step = np.float32(size - shrunk) / np.float32(wanted - shrunk)
    return np.arange(wanted, dtype=np.float32), step, align, half


def _nearest_rows(op: Op, size: int, wanted: int) -> Array:
    """Return the input row of each output row: GetNearestNeighbor of resize_nearest_neighbor.h."""
    at, step, align, half = _steps(op, size, wanted)
    place = (at + np.float32(0.5 * half)) * step
    rows = np.floor(place + np.float32(0.5)) if align else np.floor(place)
    return np.asarray(np.clip(rows, 0, size - 1), np.int64)


def _nearest(op: Op) -> Array:
    x = values(op, 0)
    height, width = (int(v) for v in values(op, 1))
    rows, columns = _nearest_rows(op, x.shape[1], height), _nearest_rows(op, x.shape[2], width)
    return x[:, rows][:, :, columns]


def _between(op: Op, size: int, wanted: int) -> tuple[Array, Array, Array]:
    """Return the two input rows of each output row and the weight of the second."""
    at, step, _, half = _steps(op, size, wanted)
    place = (at + np.float32(0.5)) * step - np.float32(0.5) if half else at * step
    first = np.maximum(np.floor(place), 0).astype(np.int64)
    second = np.minimum(np.ceil(place), size - 1).astype(np.int64)
    return np.minimum(first, size - 1), second, (place - first).astype(np.float32)


def _bilinear(op: Op) -> Array | None:
    x = values(op, 0)
    if x.dtype != np.float32:
        return None
    height, width = (int(v) for v in values(op, 1))
    top, bottom, down = _between(op, x.shape[1], height)
    left, right, across = _between(op, x.shape[2], width)
    down, across = down[:, None, None], across[:, None]
    upper = x[:, top][:, :, left] * (1 - across) + x[:, top][:, :, right] * across
    lower = x[:, bottom][:, :, left] * (1 - across) + x[:, bottom][:, :, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _block(op: Op) -> int:
    size = int(op.options.get("block_size", 0))
    if size < 1:
        raise UnsupportedError(f"block size {size} is not positive")
    return size


def _split(size: int | None, block: int, what: str) -> int | None:
    if block < 1:
        raise UnsupportedError(f"a block of {block} is not positive")
    if size is not None and size % block != 0:
        raise UnsupportedError(f"{what} {size} is not a multiple of {block}")
    return None if size is None else size // block


def _times(size: int | None, factor: int | None) -> int | None:
    return None if size is None or factor is None else size * factor


def _space_to_depth_shape(op: Op) -> Sequence[Typed]:
    n, h, w, c = _image(op.input(0))
    block = _block(op)
    sizes = (_split(h, block, "height"), _split(w, block, "width"))
    return [((n, *sizes, _times(c, block * block)), op.input(0).dtype)]


def _depth_to_space_shape(op: Op) -> Sequence[Typed]:
    n, h, w, c = _image(op.input(0))
    block = _block(op)
    depth = _split(c, block * block, "depth")
    return [((n, _times(h, block), _times(w, block), depth), op.input(0).dtype)]


def _space_to_depth(op: Op) -> Array:
    x, block = values(op, 0), _block(op)
    n, h, w, c = x.shape
    tiles = x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    return tiles.reshape(n, h // block, w // block, block * block * c)


def _depth_to_space(op: Op) -> Array:
    x, block = values(op, 0), _block(op)
    n, h, w, c = x.shape
    depth = c // (block * block)
    tiles = x.reshape(n, h, w, block, block, depth).transpose(0, 1, 3, 2, 4, 5)
    return tiles.reshape(n, h * block, w * block, depth)


def _blocks(op: Op) -> tuple[tuple[int | None, ...], tuple[tuple[int | None, int | None], ...]]:
    """Return block sizes and the pairs of paddings or crops, None where they are not known."""
    x, length = op.input(0), op.input(1).shape[0] if op.input(1).rank == 1 else None
    if x.rank not in (3, 4):
        raise UnsupportedError(f"'{x.name}' has rank {x.rank}, the kernel takes 3 or 4")
    count = x.rank - 2 if length is None else length
    if count != x.rank - 2:
        raise UnsupportedError(f"{count} block sizes for a tensor of rank {x.rank}")
    if op.input(2).is_static and op.input(2).shape != (count, 2):
        raise UnsupportedError(
            f"`{op.input(2).name}` has shape {shaped(op.input(2).shape)}, not [{count}, 2]"
        )
    block = elements_or_unknown(op.input(1), count)
    flat = elements_or_unknown(op.input(2), 2 * count)
    not_negative(flat, "paddings or crops")
    return block, tuple(zip(flat[::2], flat[1::2], strict=True))


def _to_batch_shape(op: Op) -> Sequence[Typed]:
    block, paddings = _blocks(op)
    x = op.input(0)
    batch, sizes = x.shape[0], list[int | None]()
    for size, each, (before, after) in zip(x.shape[1:-1], block, paddings, strict=True):
        batch = _times(batch, each)
        if size is None or each is None or before is None or after is None:
            sizes.append(None)
        else:
            sizes.append(_split(size + before + after, each, "padded size"))
    return [((batch, *sizes, x.shape[-1]), x.dtype)]


def _to_space_shape(op: Op) -> Sequence[Typed]:
    block, crops = _blocks(op)
    x = op.input(0)
    factor: int | None = 1
    sizes: list[int | None] = []
    for size, each, (before, after) in zip(x.shape[1:-1], block, crops, strict=True):
        factor = _times(factor, each)
        grown = _times(size, each)
        known = grown is not None and before is not None and after is not None
        sizes.append(grown - before - after if known else None)  # type: ignore[operator]
    batch = None if factor is None else _split(x.shape[0], factor, "batch")
    not_negative(sizes, f"crops {list(elements(op.input(2)) or ())} leave sizes")
    return [((batch, *sizes, x.shape[-1]), x.dtype)]


def _to_batch(op: Op) -> Array:
    x, block, paddings = values(op, 0), values(op, 1), values(op, 2)
    x = np.pad(x, [(0, 0), *((int(a), int(b)) for a, b in paddings), (0, 0)])
    count = len(block)
    split = [x.shape[0]]
    for size, each in zip(x.shape[1:-1], block, strict=True):
        split += [size // int(each), int(each)]
    within = [2 + 2 * i for i in range(count)]
    across = [1 + 2 * i for i in range(count)]
    tiles = x.reshape(*split, x.shape[-1]).transpose(*within, 0, *across, 1 + 2 * count)
    return tiles.reshape(-1, *(split[i] for i in across), x.shape[-1])


def _to_space(op: Op) -> Array:
    x, block, crops = values(op, 0), [int(v) for v in values(op, 1)], values(op, 2)
    count = len(block)
    batch = x.shape[0] // int(np.prod(block))
    order = [count]
    for i in range(count):
        order += [count + 1 + i, i]
    tiles = x.reshape(*block, batch, *x.shape[1:]).transpose(*order, 2 * count + 1)
    sizes = [s * b for s, b in zip(x.shape[1:-1], block, strict=True)]
    cut = [slice(int(a), s - int(b)) for s, (a, b) in zip(sizes, crops, strict=True)]
    return tiles.reshape(batch, *sizes, x.shape[-1])[(slice(None), *cut)]


# Minimum versions: LiteRT tools/versioning/op_version.cc.
def _resize_version(*options: str) -> VersionRule:
    def rule(op: Op) -> int:
        if op.input(0).dtype == np.int16:
            return 4
        if any(op.options.get(option, False) for option in options):
            return 3
        return 2 if op.input(0).dtype == np.int8 else 1

    return rule


def _block_version(op: Op) -> int:
    if op.input(0).dtype == np.int16:
        return 4
    if op.input(0).rank != 4:
        return 3
    return 2 if op.input(0).dtype == np.int8 else 1


_BILINEAR_VERSION = _resize_version("half_pixel_centers")
_NEAREST_VERSION = _resize_version("half_pixel_centers", "align_corners")
_SAME_8 = QuantRule(same=True, types=EIGHT_BIT)

_MIXED = QuantRule(same=True, averages=True)
_Types = frozenset[str] | None
_Row = tuple[str, ShapeRule, FoldRule, QuantRule, VersionRule, _Types, Copies | None]
_ROWS: dict[str, _Row] = {
    "RESIZE_BILINEAR": ("x size -> y", _resized, _bilinear, _MIXED, _BILINEAR_VERSION, FLOAT, None),
    "RESIZE_NEAREST_NEIGHBOR": (
        "x size -> y",
        _resized,
        _nearest,
        SAME,
        _NEAREST_VERSION,
        NEAREST_TYPES,
        None,
    ),
    "SPACE_TO_DEPTH": (
        "x -> y",
        _space_to_depth_shape,
        _space_to_depth,
        _SAME_8,
        by_type(int8=2),
        BLOCK_TYPES,
        "permuted",
    ),
    "DEPTH_TO_SPACE": (
        "x -> y",
        _depth_to_space_shape,
        _depth_to_space,
        _SAME_8,
        by_type(int8=2),
        BLOCK_TYPES,
        "permuted",
    ),
    "SPACE_TO_BATCH_ND": (
        "x block paddings -> y",
        _to_batch_shape,
        _to_batch,
        INSISTS,
        _block_version,
        None,
        "filled",
    ),
    "BATCH_TO_SPACE_ND": (
        "x block crops -> y",
        _to_space_shape,
        _to_space,
        INSISTS,
        _block_version,
        None,
        "chosen",
    ),
}
for _name, (_operands, _shape, _fold, _quant, _version, _types, _copies) in _ROWS.items():
    op(
        _name,
        _operands,
        shape=_shape,
        fold=_fold,
        quant=_quant,
        version=_version,
        copies=_copies,
        category="resize",
        types=_types,
        max_rank=4,
    )
