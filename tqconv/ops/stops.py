"""Constants with which a kernel stops the model, whatever else it is given.

A rule says why, in a clause that goes on from the operator's name, or returns None where the
kernel runs, or where it is not known. Measured with LiteRT 2.3.0, with and without its delegate.
"""

from __future__ import annotations

import math

import numpy as np

from tqconv.errors import shaped
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.rules import axis_of, elements

LONGEST_WINDOW = 1 << 16
"""Elements along an axis that the builtin kernels pool."""
LARGEST_WINDOW = 1 << 30
"""Elements that XNNPACK refuses to pool, where it pools at all."""
LONGEST_STEP = (1 << 15) - 1
"""Strides and dilations that the builtin kernels of convolutions take."""


def none(op: Op) -> str | None:
    """Whatever its constants are, the kernel runs."""
    return None


def zero_divisor(op: Op) -> str | None:
    """Integers: of reals that are stored as integers the code of zero, even for no elements."""
    divisor = op.input(1)
    return None if divisor.dtype.kind not in "iu" else any_zero_divisor(op)


def any_zero_divisor(op: Op) -> str | None:
    """FLOOR_DIV looks at reals, too."""
    divisor = op.input(1)
    zero = 0 if divisor.quant is None else divisor.quant.zero_point.reshape(-1)[0]
    if divisor.data is None or not (divisor.data == zero).any():
        return None
    return f"divides by '{divisor.name}', a constant that holds 0"


def negative_exponent(op: Op) -> str | None:
    """Integers have no negative powers."""
    exponent = op.input(1).data
    if exponent is None or exponent.dtype.kind != "i" or not (exponent < 0).any():
        return None
    return f"raises integers to the power of {exponent.min()}"


def _outside(what: str, places: Tensor, size: int | None, low: int = 0) -> str | None:
    """Say which constant place is not among `size`."""
    if places.data is None or size is None:
        return None
    wrong = places.data[(places.data < low) | (places.data >= size)]
    if not wrong.size:
        return None
    return f"{what} {wrong[0]} of {size} (in '{places.name}')"


def outside_axis(op: Op) -> str | None:
    """GATHER: places along its axis."""
    x = op.input(0)
    axis = axis_of(int(op.options.get("axis", 0)), x.rank)
    return _outside("gathers element", op.input(1), x.shape[axis])


def outside_rows(op: Op) -> str | None:
    """EMBEDDING_LOOKUP: rows of a table."""
    return _outside("looks up row", op.input(0), op.input(1).shape[0])


def _outside_shape(what: str, places: Tensor, shape: tuple[int | None, ...]) -> str | None:
    """Say which constant coordinates, the last dimension of `places`, are not in a shape."""
    if places.data is None:
        return None
    for column, size in zip(np.moveaxis(places.data, -1, 0), shape, strict=False):
        wrong = np.argwhere((column < 0) | (column >= (math.inf if size is None else size)))
        if len(wrong):
            place = places.data[tuple(wrong[0])].tolist()
            return f"{what} {place} of {shaped(shape)} (in '{places.name}')"
    return None


def outside_sizes(op: Op) -> str | None:
    """GATHER_ND: coordinates in what is read."""
    return _outside_shape("gathers element", op.input(1), op.input(0).shape)


def outside_result(op: Op) -> str | None:
    """SCATTER_ND: coordinates in what is made."""
    sizes = elements(op.input(2))
    return None if sizes is None else _outside_shape("writes element", op.input(0), sizes)


def outside_dense(op: Op) -> str | None:
    """SPARSE_TO_DENSE: coordinates [n, rank], or those of a list [n], or one."""
    places, sizes = op.input(0), elements(op.input(1))
    if places.data is None or sizes is None:
        return None
    rows = Tensor(places.name, (), places.dtype, places.data.reshape(-1, len(sizes)))
    return _outside_shape("writes element", rows, sizes)


def outside_segments(op: Op) -> str | None:
    """UNSORTED_SEGMENT_*: negative numbers are left out, those from the count on stop it."""
    count = elements(op.input(2))
    least = np.iinfo(op.input(1).dtype).min
    return _outside("puts elements into segment", op.input(1), count[0] if count else None, least)


def torn_segments(op: Op) -> str | None:
    """SEGMENT_SUM: numbers start at 0 and grow by 0 or 1."""
    ids = op.input(1).data
    if ids is None or not ids.size:
        return None
    steps = np.diff(ids.reshape(-1).astype(np.int64))
    if ids.flat[0] == 0 and np.isin(steps, (0, 1)).all():
        return None
    return f"has segments '{op.input(1).name}' that do not start at 0 and grow by 1"


def long_sequences(op: Op) -> str | None:
    """REVERSE_SEQUENCE: no sequence is longer than there are elements."""
    x, lengths = op.input(0), op.input(1)
    size = x.shape[axis_of(int(op.options.get("seq_dim", 0)), x.rank)]
    if lengths.data is None or size is None or not (lengths.data > size).any():
        return None
    return f"reverses {lengths.data.max()} of {size} elements"


def no_steps(op: Op) -> str | None:
    """RANGE: a step of 0 leads nowhere."""
    delta = op.input(2).data
    return None if delta is None or delta.any() else "counts in steps of 0"


def no_axes(op: Op) -> str | None:
    """REVERSE_V2: the kernel reads an axis that is not there."""
    axes = op.input(1)
    return "reverses along no axis" if axes.data is not None and not axes.data.size else None


def _windows(op: Op) -> tuple[int, int]:
    return int(op.options.get("filter_height", 0)), int(op.options.get("filter_width", 0))


def long_windows(op: Op) -> str | None:
    """L2_POOL_2D, which only the builtin kernel computes."""
    height, width = _windows(op)
    long = max(height, width) > LONGEST_WINDOW
    return f"pools windows of {height} x {width} elements" if long else None


def large_windows(op: Op) -> str | None:
    """AVERAGE_POOL_2D and MAX_POOL_2D: what the delegate does not take either."""
    height, width = _windows(op)
    return None if height * width < LARGEST_WINDOW else long_windows(op)


def long_steps(op: Op) -> str | None:
    """TRANSPOSE_CONV: the delegate takes none that the builtin kernel does not."""
    stride = max(int(op.options.get(f"stride_{axis}", 0)) for axis in "hw")
    return f"takes steps of {stride} elements" if stride > LONGEST_STEP else None
