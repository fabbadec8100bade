"""What the weights of an operator meet: the second moments of its input columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UsageError, shaped
from tqconv.ir.graph import Op, Tensor
from tqconv.ops.table import those
from tqconv.quant.fit.products import Products, summed

ROWS_PER_WEIGHT, ROWS_AT_LEAST = 6, 512
"""Columns over all samples that are looked at: more change the moments little."""
ENOUGH = 2
"""Columns seen per weight of an output, below which rounding gains less and may cost less."""
SMALL = 1 << 27
"""Products that rounding by fewer columns may take: a tenth of a second."""
PRIOR = 0.25
"""Columns per weight that are taken as seen before, whose elements do not move together: what a
few samples have in common by chance would be fitted else."""
PRODUCTS = 1 << 34
"""Products for the second moments of one operator: half a second. Wide ones take what they need."""
FEWEST_ROWS = 16
"""Columns of one sample, at least."""
OF_CHANNELS, OF_CHANNELS_EACH = 20, 4
"""Columns per weight that are enough for kernels of single channels where many samples teach, and
of one sample, at least: taking columns apart takes most of the time there. Of 8 nets that saw 100
images, fitting gains as much on those that judge as with three times as many (2.6 dB for 1.6)."""
MANY_SAMPLES = 20
"""Samples from which on columns differ more than those of few do, which look alike."""
FEWEST_SAMPLES = 12
"""Samples that teach, at least, however many columns each of them has."""
TOGETHER, TOGETHER_BYTES = 1024, 1 << 22
"""Columns that are multiplied at once, and the bytes that may wait for that."""
WIDEST = 2304
"""Weights per output beyond which the moments would take too long (256 channels of 3 x 3)."""
BUDGET = 1 << 26
"""Bytes of the second moments that are gathered in one run over the samples."""
FITTED = those(lambda row: row.linear is not None and row.linear.x == 0)
"""Linear operators whose outputs read windows; those of TRANSPOSE_CONV add them up."""

Floats = NDArray[np.floating[Any]]
T = TypeVar("T")


@dataclass
class Moments:
    """Sums over input columns x: `second` = sum x x' of [g, n, n], `first` = sum x [g, n].

    g: independent groups of outputs (the channels of a depthwise convolution), else 1; n: weights
    that one output multiplies with. `second` is None where nobody asks for it.
    """

    second: Products | None
    first: NDArray[np.float64]
    rows: int = 0
    waiting: list[Floats] = field(default_factory=list)
    waiting_rows: int = 0

    def add(self, columns: Floats) -> None:
        """Take in columns [rows, n, g]."""
        self.waiting.append(columns)
        self.waiting_rows += columns.shape[0]
        bytes_each = columns[:1].nbytes
        if self.waiting_rows >= TOGETHER or self.waiting_rows * bytes_each >= TOGETHER_BYTES:
            self.settle()

    def settle(self) -> None:
        """Multiply what is waiting; until then `second` and `first` lack it."""
        if not self.waiting:
            return
        columns = np.concatenate(self.waiting, dtype=np.float32)
        self.waiting.clear()
        self.waiting_rows = 0
        if self.second is not None:
            self.second.add(np.ascontiguousarray(columns.transpose(2, 0, 1)))
        rows = columns.shape[0]
        total = np.ones(rows, np.float32) @ columns.reshape(rows, -1)
        self.first += total.reshape(columns.shape[1:]).T
        self.rows += rows

    def believed(self) -> NDArray[np.float32]:
        """Return the second moments [g, n, n], less of what elements have in common by chance."""
        assert self.second is not None
        whole = self.second.whole()
        own = np.diagonal(whole, axis1=1, axis2=2).copy()
        whole *= np.float32(self.rows / (self.rows + PRIOR * self.second.n))
        places = np.arange(self.second.n)
        whole[:, places, places] = own
        return whole

    def forget_second(self) -> None:
        """Give the memory of the second moments back."""
        self.second = None


class Lesson:
    """The moments of what the weights of operators meet, sample by sample; shared ones all of it.

    samples: how many there will be; of each so many columns are looked at that all are enough.
    """

    def __init__(self, ops: Sequence[Op], samples: int) -> None:
        self.moments: dict[Op, Moments] = {}
        for same in sharing(ops):
            self.moments |= dict.fromkeys(same, empty(same, samples))
        self._rows = {op: rows_each(op, samples) for op in ops}
        self._windows: dict[Op, Windows] = {}

    def hear(self, read: Callable[[str], Floats]) -> None:
        """Take in a sample; `read` returns what it makes of the tensor of a name."""
        for op, moments in self.moments.items():
            x = read(op.input(0).name)
            found = self._windows.get(op)
            if found is None or found.shape != x.shape:
                found = self._windows[op] = Windows(op, x.shape, self._rows[op])
            moments.add(found.columns(x))

    def settle(self) -> None:
        """Multiply what is waiting."""
        for moments in self.moments.values():
            moments.settle()


def joined(parts: Sequence[Moments]) -> Moments:
    """Return the moments of all columns of the parts; one that stands several times counts once."""
    parts = list({id(part): part for part in parts}.values())
    if len(parts) == 1:
        return parts[0]
    seconds = [part.second for part in parts if part.second is not None]
    second = summed(seconds) if len(seconds) == len(parts) else None
    return Moments(second, np.sum([p.first for p in parts], axis=0), sum(p.rows for p in parts))


def can_fit(op: Op) -> bool:
    """Whether the operator's rounding can be fitted: plain products of moderate width."""
    if op.type not in FITTED or op.input(1).data is None or not op.input(1).is_static:
        return False
    w = op.input(1).shape
    if op.type == "CONV_2D" and op.input(0).shape[3] != w[3]:
        return False
    return width(op) <= WIDEST


def width(op: Op) -> int:
    """Return how many weights one output multiplies with."""
    w = [int(d or 0) for d in op.input(1).shape]
    return w[1] * w[2] if op.type == "DEPTHWISE_CONV_2D" else int(np.prod(w[1:]))


def empty(ops: Sequence[Op], samples: int) -> Moments:
    """Return moments of no columns, for operators that share weights.

    Without second moments where so many samples give too few columns.
    """
    first = ops[0]
    groups = int(first.input(0).shape[3] or 1) if first.type == "DEPTHWISE_CONV_2D" else 1
    n = width(first)
    found = sum(samples * min(_places(op), rows_each(op, samples)) for op in ops)
    second = Products(groups, n) if is_worth(first, found) else None
    return Moments(second, np.zeros((groups, n)))


def is_worth(op: Op, columns: int) -> bool:
    """Whether an operator's rounding is fitted to so many columns: to few only if that is quick."""
    n = width(op)
    return columns >= ENOUGH * n or (columns > 0 and n * op.input(1).size <= SMALL)


def portions(ops: Sequence[Op], samples: int) -> list[list[Op]]:
    """Return the operators in parts whose second moments take `BUDGET` bytes, or one set of them.

    Operators that share weights stay together; those that need most samples come first.
    """
    result: list[list[Op]] = []
    left = 0
    for same in sorted(sharing(ops), key=lambda same: -_samples_for(same)):
        second = empty(same, samples).second
        size = 0 if second is None else second.nbytes
        if not result or size > left:
            result.append([])
            left = BUDGET
        result[-1] += same
        left -= size
    return result


def selection(ops: Sequence[Op], samples: Sequence[T]) -> Sequence[T]:
    """Return as many samples, an even selection, as teach enough about the operators."""
    wanted = max([FEWEST_SAMPLES, *map(_samples_for, sharing(ops))])
    count = min(wanted, len(samples))
    return [samples[i * len(samples) // count] for i in range(count)]


def _samples_for(ops: Sequence[Op]) -> int:
    """Return how many samples have all columns that are worth looking at."""
    return -(-_enough(ops[0]) // max(sum(map(_places, ops)), 1))


def sharing(ops: Iterable[Op]) -> list[list[Op]]:
    """Return the operators by the weights that they share (an unrolled loop's)."""
    by_weights: dict[tuple[Tensor, str], list[Op]] = {}
    for op in ops:
        by_weights.setdefault((op.input(1), op.type), []).append(op)
    return list(by_weights.values())


def _places(op: Op) -> int:
    """Return how many columns a sample has, many where sizes are not known."""
    shape = op.input(0).shape if op.type == "FULLY_CONNECTED" else op.output.shape[:3]
    if any(dim is None for dim in shape):
        return MANY
    count = math.prod(dim for dim in shape if dim is not None)
    return count // width(op) if op.type == "FULLY_CONNECTED" else count


GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, without their whole parts, are spread most evenly from 0 to 1."""
MANY = 1 << 30
"""A number of columns that is enough for all weights."""


def rows_each(op: Op, samples: int) -> int:
    """Return how many columns of each of so many samples are worth looking at."""
    if op.type == "DEPTHWISE_CONV_2D" and samples >= MANY_SAMPLES:
        return max(OF_CHANNELS_EACH, -(-OF_CHANNELS * width(op) // samples))
    return max(FEWEST_ROWS, -(-_enough(op) // max(samples, 1)))


def _enough(op: Op) -> int:
    """Return how many columns are worth looking at in all."""
    n = width(op)
    return min(ROWS_PER_WEIGHT * n + ROWS_AT_LEAST, max(ENOUGH * n, PRODUCTS // max(n, 1) ** 2))


class Windows:
    """Which windows of an input of this shape are looked at: an even selection, at most `most`."""

    def __init__(self, op: Op, shape: tuple[int, ...], most: int) -> None:
        self.shape = shape
        self.apart = op.type == "DEPTHWISE_CONV_2D"
        self.outside: NDArray[np.bool_] | None = None
        if op.type == "FULLY_CONNECTED":
            self.size = int(op.input(1).shape[1] or 1)
            count = math.prod(shape) // self.size
            self.rows = _spread(count, most)[:, None]
        else:
            self.size = shape[3]
            self._look(op, most)

    def _look(self, op: Op, most: int) -> None:
        """Choose windows of an image [b, h, w, c]."""
        height, across = self.shape[1:3]
        down = _line(op, "h", height, int(op.input(1).shape[1] or 1))
        over = _line(op, "w", across, int(op.input(1).shape[2] or 1))
        count = self.shape[0] * len(down) * len(over)
        if not count:
            raise UsageError(
                f"a sample is too small for '{op.output.name}': it sees {shaped(self.shape)}",
                hint="leave samples out that are smaller than what the model is for, or pad them",
            )
        places = _spread(count, most)
        rest, column = np.divmod(places, len(over))
        batch, row = np.divmod(rest, len(down))
        ys, xs = down[row][:, :, None], over[column][:, None, :]
        outside = (ys < 0) | (ys >= height) | (xs < 0) | (xs >= across)
        nearest = (batch[:, None, None] * height + ys.clip(0, height - 1)) * across
        self.rows = (nearest + xs.clip(0, across - 1)).reshape(len(places), -1)
        if outside.any():
            self.outside = outside.reshape(len(places), -1)

    def columns(self, x: Floats) -> Floats:
        """Return columns [rows, n, g] that the weights meet in the windows of `x`."""
        chosen = x.reshape(-1, self.size).take(self.rows, axis=0)
        if self.outside is not None:
            chosen[self.outside] = 0
        return chosen if self.apart else chosen.reshape(len(chosen), -1, 1)


def _line(op: Op, axis: str, size: int, kernel: int) -> NDArray[np.intp]:
    """Return the positions [windows, kernel] along an axis; padding lies outside of it."""
    stride = op.options.get(f"stride_{axis}", 1)
    taps = np.arange(kernel) * op.options.get(f"dilation_{axis}_factor", 1)
    reach = int(taps[-1]) + 1
    if op.options.get("padding", "SAME") == "SAME":
        count = -(-size // stride)
        before = max((count - 1) * stride + reach - size, 0) // 2
    else:
        count, before = max((size - reach) // stride + 1, 0), 0
    return np.arange(count)[:, None] * stride - before + taps


def _spread(places: int, most: int) -> NDArray[np.intp]:
    """Return an even selection of the places: all of them, or `most`.

    They lie a golden section of the whole apart, all the way round: no two are the same, and none
    of the lines and channels that the places are ordered by is preferred.
    """
    if places <= most:
        return np.arange(places)
    step = max(1, round(places * GOLDEN))
    while gcd(step, places) > 1:
        step += 1
    return np.sort(np.arange(most) * step % places)
