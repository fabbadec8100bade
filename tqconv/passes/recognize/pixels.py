"""Pixel shuffles that are spelled out: channels that become places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader
from tqconv.ops.emit import emit
from tqconv.ops.facts import LINEAR
from tqconv.passes.fold import bias_of, float_weights, set_bias, set_weights
from tqconv.passes.layout.through import permutation
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at

PLACES = (2, 3)
"""Rows and columns of the image on which the operators are tried."""


@at("RESHAPE")
def recognize_depth_to_space(graph: Graph, op: Op) -> bool:
    """Read channels that are moved between the rows and columns.

    c = CONV_2D(x, w): [1,4,4,9]; t = TRANSPOSE(RESHAPE(c, [1,4,4,1,3,3]), [0,1,4,2,5,3])
    y = RESHAPE(t, [1,12,12,1])   ->   y = DEPTH_TO_SPACE(CONV_2D(x, w')) {block_size=3}

    Its channels are ordered rows, columns, rest; where others come, the filters before it are put
    into that order.
    """
    moves = made_by(op.input(0), "TRANSPOSE")
    parts = made_by(moves.input(0), "RESHAPE") if moves is not None else None
    perm = permutation(moves)
    if moves is None or parts is None or perm is None:
        return False
    x, y = parts.input(0), op.output
    block = _block(x, y)
    channels = _channels(parts, perm, block) if block else None
    if channels is None:
        return False
    if (channels != np.arange(channels.size)).any() and not _reorder(graph, x, parts, channels):
        return False
    name = f"{y.name}/depth_to_space"
    made = emit(graph, "DEPTH_TO_SPACE", x, name=name, source=op.source, block_size=block)
    if made.shape != y.shape:
        made = reshaped(graph, made, y.shape, f"{y.name}/reshape", op.source)
    made.range = y.range
    graph.replace(y, made)
    return True


@at("CONV_2D")
def recognize_patches(graph: Graph, op: Op) -> bool:
    """Read a convolution that only moves each tile of an image into the channels.

    y = CONV_2D(x: [1,8,8,3], eye(12) as [12,2,2,3]) {stride=2}
    ->   y = SPACE_TO_DEPTH(x) {block_size=2}
    """
    x, w, bias = op.input(0), op.input(1).data, bias_of(op)
    block = op.options.get("stride_h", 1)
    if w is None or block < 2 or w.shape[:3] != (block * block * w.shape[3], block, block):
        return False
    tiles = op.options.get("stride_w", 1) == block and x.rank == 4 and x.shape[3] == w.shape[3]
    whole = all(size is not None and size % block == 0 for size in x.shape[1:3])
    spread = any(op.options.get(f"dilation_{s}_factor", 1) != 1 for s in "hw")
    if not tiles or not whole or spread or has_activation(op) or w.dtype != np.float32:
        return False
    if bias is None or bias.any():
        return False
    if not np.array_equal(w.reshape(len(w), -1), np.eye(len(w), dtype=np.float32)):
        return False
    name = f"{op.output.name}/space_to_depth"
    y = emit(graph, "SPACE_TO_DEPTH", x, name=name, source=op.source, block_size=block)
    graph.replace(op.output, y)
    return True


def _block(x: Tensor, y: Tensor) -> int:
    """Return how many times as many rows and columns there are; 0 where this is no such thing."""
    sizes = [d for d in y.shape if d != 1]
    if x.rank != 4 or None in x.shape[1:] or 0 in x.shape or not sizes:
        return 0
    n, (h, w, c) = x.shape[0], (d or 0 for d in x.shape[1:])
    rows = sizes[1 if n != 1 and len(sizes) > 1 else 0] or 0
    block = rows // h
    if block < 2:
        return 0
    wanted = [d for d in (n, h * block, w * block, c // block**2) if d != 1]
    return block if sizes == wanted and c % block**2 == 0 and min(h, w) > 1 else 0


def _channels(parts: Op, perm: tuple[int, ...], block: int) -> NDArray[np.int64] | None:
    """Return which channel is the first, the second, … of DEPTH_TO_SPACE's; None if it is another.

    The operators are tried on a small image whose elements are their own numbers.
    """
    x, split = parts.input(0), parts.output.shape
    image = [d for d in x.shape[:3] if d != 1]
    kept = [k for k, d in enumerate(split) if d != 1]
    if [split[k] for k in kept[: len(image)]] != image:
        return None
    (h, w), c = PLACES, x.shape[3] or 0
    rest = c // block**2
    # The batch, if there is one, has to stay in front.
    lead = len(image) - 2
    order = [kept.index(k) for k in perm if k in kept]
    if order[:lead] != list(range(lead)):
        return None
    sizes = [h, w, *(split[k] or 0 for k in kept[len(image) :])]
    numbers = np.arange(h * w * c)
    moved = numbers.reshape(sizes).transpose([k - lead for k in order[lead:]])
    apart = moved.reshape(h, block, w, block, rest).transpose(0, 2, 1, 3, 4).reshape(h, w, c)
    found: NDArray[np.int64] = apart[0, 0]
    if (found >= c).any() or (apart != numbers.reshape(h, w, c)[..., found]).any():
        return None
    return found


def _reorder(graph: Graph, x: Tensor, reader: Op, channels: NDArray[np.int64]) -> bool:
    """Let a convolution make its channels in another order, if nobody else reads them."""
    linear = made_by(x, "CONV_2D")
    w = float_weights(linear) if linear is not None else None
    bias = bias_of(linear) if linear is not None and w is not None else None
    if linear is None or w is None or w.data is None or bias is None:
        return False
    if sole_reader(graph, x) is not reader:
        return False
    ordered = np.take(w.data, channels, LINEAR["CONV_2D"].out_axis)
    set_weights(graph, linear, np.ascontiguousarray(ordered))
    set_bias(graph, linear, np.ascontiguousarray(bias[channels]))
    return True
