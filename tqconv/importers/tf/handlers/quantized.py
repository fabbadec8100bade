"""Integers that stand for reals in TensorFlow 1's own scheme: a range beside the tensor."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sampling import rounded as round_away
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.handlers.fakequant import fake_quant, steps_to
from tqconv.importers.tf.node import TypeNumber, dtype_of
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32


@dataclass(frozen=True)
class Steps:
    """The integers of a quantized type, as reals."""

    lowest: np.float32
    highest: np.float32

    @staticmethod
    def of(dtype: np.dtype, narrow: bool = False) -> Steps:
        """Return the range of a type; `narrow` leaves out its lowest value."""
        limits = np.iinfo(dtype)
        return Steps(F(limits.min + int(narrow)), F(limits.max))

    @property
    def count(self) -> np.float32:
        """How many steps lie between the ends."""
        return F(float(self.highest) - float(self.lowest))


@handles("Dequantize")
def dequantize(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    mode: str = "MIN_COMBINED",
    narrow_range: bool = False,
    axis: int = -1,
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Return the reals that integers stand for; `low` and `high` are those of the type's limits."""
    if x in b.shared.reals and (b.shared.fake_quant.quantizing or not _is_rounded_here(x)):
        return b.shared.reals[x]
    low, high = (_along(b, bound, x.rank, axis) for bound in (low, high))
    values, steps = b.cast(x, F), Steps.of(x.dtype)
    if mode == "SCALED":
        narrow = Steps.of(x.dtype, narrow_range)
        scale = b("DIV", high, narrow.highest)
        if steps.lowest < 0:
            scale = b("MAXIMUM", b("DIV", low, narrow.lowest), scale)
        return b("MUL", values, scale)
    scale = b("DIV", b("SUB", high, low), steps.count)
    if mode == "MIN_FIRST":
        start = b("MUL", round_away(b, b("DIV", low, scale)), scale)
    elif mode == "MIN_COMBINED":
        start = low
    else:
        raise UnsupportedError(f"mode `{mode}`")
    return b("ADD", b("MUL", b("SUB", values, steps.lowest), scale), start)


def _is_rounded_here(x: Tensor) -> bool:
    """Whether integers are those of a QuantizeV2, which are computed as TensorFlow does."""
    return x.producer is not None and x.producer.source.op_type == "QuantizeV2"


def _along(b: Builder, bound: Tensor, rank: int, axis: int) -> Tensor:
    """A bound for each slice along `axis`, or one for all when it is -1."""
    if axis < 0:
        return b.reshape(bound, ()) if bound.rank else bound
    return b.reshape(bound, [-1 if i == axis else 1 for i in range(rank)])


def stored(b: Builder, x: Tensor, low: Tensor, high: Tensor, dtype: np.dtype) -> Tensor:
    """Return the integers that stand for `x` where [low, high] are the ends of their type."""
    return b.cast(b.cast(_min_first(b, x, low, high, Steps.of(dtype)), np.int32), dtype)


@handles("QuantizeV2")
def quantize(
    b: TFBuilder,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    T: TypeNumber,  # noqa: N803
    mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO",
    narrow_range: bool = False,
    axis: int = -1,
    ensure_minimum_range: float = 0.01,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return integers that stand for reals, and the range that the type's limits stand for."""
    dtype = dtype_of(int(T))
    low, high = (_along(b, bound, x.rank, axis) for bound in (low, high))
    low, high = _wide_enough(b, low, high, F(ensure_minimum_range))
    if mode == "SCALED":
        steps = Steps.of(dtype, narrow_range)
        y, low, high = _scaled(b, x, low, high, steps, round_mode)
    elif mode == "MIN_FIRST":
        y = _min_first(b, x, low, high, Steps.of(dtype))
    elif mode == "MIN_COMBINED":
        y = _min_combined(b, x, low, high, Steps.of(dtype))
    else:
        raise UnsupportedError(f"mode `{mode}`")
    shape = () if axis < 0 else (x.shape[axis],)
    integers = b.cast(b.cast(y, np.int32), dtype)
    if not x.is_constant and axis < 0:
        b.shared.reals[integers] = _evidence(b, x, low, high, mode, dtype)
    return integers, b.reshape(low, shape), b.reshape(high, shape)


def _evidence(
    b: TFBuilder, x: Tensor, low: Tensor, high: Tensor, mode: str, dtype: np.dtype
) -> Tensor:
    """Return the reals that will be read as integers: those in a range that is known, or all."""
    if low.data is None or high.data is None or dtype.itemsize > 2:
        return x
    first, last = float(low.data), float(high.data)
    if mode == "MIN_FIRST" and last > first:
        scale = (last - first) / float(Steps.of(dtype).count)
        start = round(first / scale) * scale
        first, last = start, last - first + start
    narrow = mode == "SCALED" and first == -last
    return fake_quant(b, x, first, last, 8 * dtype.itemsize, narrow)


def _wide_enough(b: Builder, low: Tensor, high: Tensor, least: np.float32) -> tuple[Tensor, Tensor]:
    """The range with 0 in it, and not too small for its steps."""
    size = b("MAXIMUM", b("MAXIMUM", b("ABS", low), b("ABS", high)), F(1))
    first = b("MINIMUM", low, F(0))
    last = b("MAXIMUM", high, b("ADD", first, b("MUL", size, least)))
    return first, b("MAXIMUM", last, F(0))


def _scaled(
    b: Builder, x: Tensor, low: Tensor, high: Tensor, steps: Steps, round_mode: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Integers are reals times a scale, so that 0 is 0."""
    scale = steps_to(b, steps.highest, high)
    if steps.lowest < 0:
        scale = b("MINIMUM", steps_to(b, steps.lowest, low), scale)
    least, most = (b("DIV", end, scale) for end in (steps.lowest, steps.highest))
    values = b("MUL", b("MAXIMUM", b("MINIMUM", x, most), least), scale)
    rounded = b("ROUND", values) if round_mode == "HALF_TO_EVEN" else round_away(b, values)
    return rounded, least, most


def _min_first(b: Builder, x: Tensor, low: Tensor, high: Tensor, steps: Steps) -> Tensor:
    scale = b("DIV", steps.count, b("SUB", high, low))
    start = round_away(b, b("MUL", low, scale))
    values = b("SUB", round_away(b, b("MUL", x, scale)), b("SUB", start, steps.lowest))
    return b("MINIMUM", b("MAXIMUM", values, steps.lowest), steps.highest)


def _min_combined(b: Builder, x: Tensor, low: Tensor, high: Tensor, steps: Steps) -> Tensor:
    scale = b("DIV", steps.count, b("SUB", high, low))
    values = b("MUL", b("SUB", b("MAXIMUM", b("MINIMUM", x, high), low), low), scale)
    return round_away(b, b("ADD", values, steps.lowest))
