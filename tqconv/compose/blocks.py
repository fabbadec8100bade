"""Moves of blocks of the inner axes into the batch and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, calculate, reshaped, sizes_of, vector
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

BUILTIN_AXES = (1, 2)
"""How many blocked axes SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND take."""


def space_to_batch(b: Builder, x: Tensor, block: Tensor, paddings: Tensor) -> Tensor:
    """Put blocks of the axes behind the batch into the batch, after padding.

    block: [axes]; paddings: [axes, 2], before and after.
    """
    count = _axes(x, block)
    if count not in BUILTIN_AXES:
        return _axis_by_axis(b, x, b.ints(block, "block_shape"), b.ints(paddings, "paddings"))
    flat, rest = _one_rest(b, x, count)
    y = b("SPACE_TO_BATCH_ND", flat, int32_of(b, block), int32_of(b, paddings))
    return _restored(b, y, rest)


def batch_to_space(b: Builder, x: Tensor, block: Tensor, crops: Tensor) -> Tensor:
    """Spread the batch over blocks of the axes behind it, then crop.

    block: [axes]; crops: [axes, 2], before and after.
    """
    count = _axes(x, block)
    if count not in BUILTIN_AXES:
        return _axis_by_axis_back(b, x, b.ints(block, "block_shape"), b.ints(crops, "crops"))
    flat, rest = _one_rest(b, x, count)
    y = b("BATCH_TO_SPACE_ND", flat, int32_of(b, block), int32_of(b, crops))
    return _restored(b, y, rest)


def _axes(x: Tensor, block: Tensor) -> int:
    count = block.shape[0]
    if count is None or count >= x.rank:
        raise UnsupportedError(f"{count} block sizes for a tensor of rank {x.rank}")
    return count


def _one_rest(b: Builder, x: Tensor, count: int) -> tuple[Tensor, list[Size] | None]:
    """Return `x` with one dimension behind the blocked ones, and the sizes it stands for."""
    if x.rank == count + 2:
        return x, None
    sizes = sizes_of(b, x)
    rest = sizes[1 + count :]
    return reshaped(b, x, [*sizes[: 1 + count], calculate(b, "MUL", 1, *rest)]), rest


def _restored(b: Builder, y: Tensor, rest: list[Size] | None) -> Tensor:
    return y if rest is None else reshaped(b, y, [*sizes_of(b, y)[:-1], *rest])


def _axis_by_axis(b: Builder, x: Tensor, block: Sequence[int], paddings: Sequence[int]) -> Tensor:
    """Move blocks of one axis at a time, the last first: it is innermost in the batch."""
    sizes = sizes_of(b, x)
    for axis in range(len(block), 0, -1):
        each, pads = block[axis - 1], np.zeros((4, 2), np.int32)
        pads[2] = paddings[2 * axis - 2 : 2 * axis]
        n, outer, size, inner = _around(b, sizes, axis)
        view = b("PAD", reshaped(b, x, [n, outer, size, inner]), pads)
        size = calculate(b, "FLOOR_DIV", calculate(b, "ADD", size, int(pads.sum())), each)
        view = b.transpose(reshaped(b, view, [n, outer, size, each, inner]), (3, 0, 1, 2, 4))
        sizes = [calculate(b, "MUL", n, each), *sizes[1:axis], size, *sizes[axis + 1 :]]
        x = reshaped(b, view, sizes)
    return x


def _axis_by_axis_back(b: Builder, x: Tensor, block: Sequence[int], crops: Sequence[int]) -> Tensor:
    """Undo `_axis_by_axis`: the first axis first."""
    sizes = sizes_of(b, x)
    for axis in range(1, len(block) + 1):
        each, (before, after) = block[axis - 1], crops[2 * axis - 2 : 2 * axis]
        n, outer, size, inner = _around(b, sizes, axis)
        n = calculate(b, "FLOOR_DIV", n, each)
        view = b.transpose(reshaped(b, x, [each, n, outer, size, inner]), (1, 2, 3, 0, 4))
        view = reshaped(b, view, [n, outer, calculate(b, "MUL", size, each), inner])
        size = calculate(b, "ADD", calculate(b, "MUL", size, each), -before - after)
        begin = np.array([0, 0, before, 0], np.int32)
        view = b("SLICE", view, begin, vector(b, [-1, -1, size, -1]))
        sizes = [n, *sizes[1:axis], size, *sizes[axis + 1 :]]
        x = reshaped(b, view, sizes)
    return x


def _around(b: Builder, sizes: Sequence[Size], axis: int) -> tuple[Size, Size, Size, Size]:
    """Return the batch, what stands between it and `axis`, that axis, and what follows."""
    outer = calculate(b, "MUL", 1, *sizes[1:axis])
    return sizes[0], outer, sizes[axis], calculate(b, "MUL", 1, *sizes[axis + 1 :])
