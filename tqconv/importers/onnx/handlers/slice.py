"""Slice, with bounds that are known or computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import slices
from tqconv.compose.sizes import calculate, element, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Slice")
def slice_1(
    b: ONNXBuilder,
    x: Tensor,
    *,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
) -> Tensor:
    """Cut along axes."""
    axes = range(len(starts)) if axes is None else axes
    ranges = {axis % x.rank: (s, e, 1) for axis, s, e in zip(axes, starts, ends, strict=True)}
    return slices.cut(b, x, {axis: _open(*r) for axis, r in ranges.items()})


@handles("Slice", since=10)
def slice_(
    b: ONNXBuilder,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Cut along axes with steps; bounds that are computed go to the kernel."""
    along = list(range(_count(x, starts, ends))) if axes is None else b.ints(axes, "axes")
    strides = [1] * len(along) if steps is None else b.ints(steps, "steps")
    first, last = b.known(starts), b.known(ends)
    places = [axis % x.rank for axis in along]
    if first is None or last is None or None in first or None in last:
        return _computed_slice(b, x, starts, ends, places, strides)
    if any(
        x.shape[axis] is None and step < 0 and -FAR < int(s or 0) < -1
        for axis, s, step in zip(places, first, strides, strict=True)
    ):
        return _computed_slice(b, x, starts, ends, places, strides)
    ranges = {
        axis % x.rank: _open(_started(x.shape[axis], int(s or 0), step), int(e or 0), step)
        for axis, s, e, step in zip(along, first, last, strides, strict=True)
    }
    return slices.cut(b, x, ranges)


def _count(x: Tensor, starts: Tensor, ends: Tensor) -> int:
    """Return how many axes are cut, the first ones where none are named."""
    known = [size for size in (starts.shape[0], ends.shape[0]) if size is not None]
    if not known and x.rank != 1:
        raise UnsupportedError(
            f"how many axes '{starts.name}' and '{ends.name}' cut is unknown",
            hint="name the axes in the model, or give the inputs a shape with --input_shapes",
        )
    return known[0] if known else 1


FAR = 2**31 - 1
"""Bounds beyond it mean the end of an axis, which no axis passes."""


def _started(size: int | None, start: int, step: int) -> int:
    """Return where a slice begins: backwards at the first element, where that is far in front.

    Python takes nothing then.
    """
    return max(start, -size) if step < 0 and size else start


def _open(start: int, end: int, step: int) -> tuple[int | None, int | None, int]:
    """Return bounds as Python understands them: those beyond every size are open."""
    first = None if (step > 0 and start == 0) or (step < 0 and start >= FAR) else start
    if step > 0:
        return first, None if end >= FAR else end, step
    return first, None if end <= -FAR else end, step


def _computed_slice(
    b: ONNXBuilder,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Sequence[int],
    steps: Sequence[int],
) -> Tensor:
    """Emit a STRIDED_SLICE whose bounds are put together from the computed ones.

    Backwards it begins at the first element, where the bound lies in front; the kernel takes
    nothing then, as Python does.
    """
    place = {axis: i for i, axis in enumerate(axes)}
    rows = []
    for bounds, other in ((starts, 0), (ends, FAR)):
        clipped = b("MINIMUM", b("MAXIMUM", bounds, _number(bounds, -FAR)), _number(bounds, FAR))
        narrow = b.cast(clipped, np.int32)
        sizes = [
            element(b, narrow, place[axis]) if axis in place else other for axis in range(x.rank)
        ]
        if bounds is starts:
            sizes = [
                calculate(b, "MAXIMUM", calculate(b, "SUB", 0, size_of(b, x, axis)), size)
                if axis in place and steps[place[axis]] < 0
                else size
                for axis, size in enumerate(sizes)
            ]
        rows.append(vector(b, sizes))
    strides = [steps[place[axis]] if axis in place else 1 for axis in range(x.rank)]
    whole = sum(1 << axis for axis in range(x.rank) if axis not in place)
    return b(
        "STRIDED_SLICE",
        x,
        *rows,
        np.array(strides, np.int32),
        begin_mask=whole,
        end_mask=whole,
    )


def _number(like: Tensor, value: int) -> Any:
    return np.array(value, like.dtype)
