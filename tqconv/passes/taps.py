"""Windows without the rows and columns that only ever see padding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op
from tqconv.ops.stops import LONGEST_STEP
from tqconv.passes.rewrite import at, exact


class Taps(NamedTuple):
    """Which taps of an axis see an element of x, and which stay: from `first` up to `end`."""

    seen: list[int]
    first: int
    end: int


@exact
@at("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D")
def cut_taps_in_padding(graph: Graph, op: Op) -> bool:
    """Leave out the outer taps of a SAME window that lie in the padding wherever it stands.

    y = DEPTHWISE_CONV_2D(x: [1,2,2,c], w: [1,7,7,c]) {SAME}   ->   y = …(x, w[:, 2:5, 2:5]) {SAME}

    They add nothing, but their weights decide with which scale the others are stored. Those without
    which SAME would begin elsewhere become 0.
    """
    x, w = op.input(0), op.input(1)
    if op.options.get("padding", "SAME") != "SAME" or w.data is None or w.sparsity is not None:
        return False
    start, axes = (1, "hw") if w.rank == 4 else (0, "dhw")
    if w.data.shape[start : start + len(axes)].count(1) == len(axes):
        return False  # a single tap sees every element that it stands on
    cut = w.data
    for number, (axis, size) in enumerate(zip(axes, x.shape[1:], strict=False), start):
        stride, rate = op.options.get(f"stride_{axis}", 1), f"dilation_{axis}_factor"
        taps = _taps(size, cut.shape[number], stride, op.options.get(rate, 1))
        if len(taps.seen) < cut.shape[number]:
            cut = _cut(cut, number, taps)
    if cut is w.data or not _is_finite(w.data):
        return False
    if cut.shape == w.data.shape and np.array_equal(cut, w.data):
        return False
    fewer = graph.constant(f"{w.name}/seen", np.ascontiguousarray(cut))
    fewer.quant, fewer.range = w.quant, w.range
    graph.set_input(op, 1, fewer)
    return True


@exact
@at("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
def cut_windows_in_padding(graph: Graph, op: Op) -> bool:
    """Let SAME windows of a pool end where each of them sees all of x.

    y = MAX_POOL_2D(x: [1,4,4,c]) {SAME, filter 900 x 900}   ->   y = … {SAME, filter 7 x 7}

    No kernel takes windows of any length, whatever they see.
    """
    if op.options.get("padding", "SAME") != "SAME":
        return False
    changed = False
    for side, size in zip(("height", "width"), op.input(0).shape[1:], strict=False):
        window, stride = f"filter_{side}", int(op.options[f"stride_{side[0]}"])
        if not size:
            continue
        all_seen = size + (-(-size // stride) - 1) * stride
        if op.options[window] > all_seen:
            op.options[window], changed = all_seen, True
    return changed


@exact
@at("CONV_2D", "DEPTHWISE_CONV_2D")
def shorten_steps(graph: Graph, op: Op) -> bool:
    """Let strides that lead beyond x lead there just so, and a single tap have no dilation.

    Only where they are longer than the builtin kernels take.
    """
    changed = False
    for axis, size, taps in zip("hw", op.input(0).shape[1:], op.input(1).shape[1:], strict=False):
        stride, rate = f"stride_{axis}", f"dilation_{axis}_factor"
        if size and op.options.get(stride, 1) > max(size, LONGEST_STEP):
            op.options[stride], changed = size, True
        if taps == 1 and op.options.get(rate, 1) > LONGEST_STEP:
            op.options[rate], changed = 1, True
    return changed


def _cut(data: NDArray[Any], axis: int, taps: Taps) -> NDArray[Any]:
    along = np.moveaxis(data, axis, 0)
    if data.dtype == np.float32:
        dead = [t for t in range(len(along)) if t not in taps.seen]
        along = along.copy()
        along[dead] = 0
    return np.moveaxis(along[taps.first : taps.end], 0, axis)


def _taps(size: int | None, kernel: int, stride: int, rate: int) -> Taps:
    """Return the fewest taps of an axis with which SAME begins where it did, and all that see x."""
    if not size:
        return Taps(list(range(kernel)), 0, kernel)
    count, before = -(-size // stride), _before(size, kernel, stride, rate)
    starts = np.arange(count) * stride - before
    seen = [t for t in range(kernel) if _sees(starts + t * rate, size)]
    if not seen:
        return Taps(seen, 0, kernel)
    pairs = [
        Taps(seen, first, end)
        for first in range(seen[0] + 1)
        for end in range(seen[-1] + 1, kernel + 1)
        if _before(size, end - first, stride, rate) == before - first * rate
    ]
    return min(pairs, key=lambda taps: taps.end - taps.first)


def _sees(places: NDArray[np.int64], size: int) -> bool:
    return bool(((places >= 0) & (places < size)).any())


def _before(size: int, kernel: int, stride: int, rate: int) -> int:
    """Return how much SAME pads before an axis."""
    reach, count = (kernel - 1) * rate + 1, -(-size // stride)
    return max((count - 1) * stride + reach - size, 0) // 2


def _is_finite(data: NDArray[Any]) -> bool:
    """Whether nothing is infinite: that times the padding would be no number."""
    return data.dtype.kind != "f" or bool(np.isfinite(data.astype(np.float32)).all())
