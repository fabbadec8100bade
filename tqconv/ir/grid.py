"""The integers that stand for a range of reals, in TensorFlow Lite's double precision arithmetic.

Scales stay float64 here: TOCO rounded them to float32 only when it wrote the file, after it had
computed integers with them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.types import Range
from tqconv.records import dataclass

STORED: dict[int, np.dtype] = {8: np.dtype(np.uint8), 16: np.dtype(np.int16)}
"""FakeQuant's num_bits, rounded up -> the type that TOCO chose (quantization_util.cc)."""


@dataclass(frozen=True)
class Grid:
    """real = (stored - zero_point) * scale, stored in [first, last]."""

    scale: float
    zero_point: int
    dtype: np.dtype
    first: int
    last: int

    @property
    def low(self) -> float:
        """The smallest real that the type, not only the grid, can hold."""
        return (int(np.iinfo(self.dtype).min) - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The largest real that the type can hold."""
        return (int(np.iinfo(self.dtype).max) - self.zero_point) * self.scale

    def encode(self, data: NDArray[Any]) -> NDArray[Any]:
        """Return the integers nearest to reals; halves go away from zero, the rest saturates."""
        if self.scale == 0:
            return np.full(data.shape, self.zero_point, self.dtype)
        steps = self.zero_point + (1.0 / self.scale) * data.astype(np.float64)
        bounds = np.iinfo(self.dtype)
        whole = np.clip(rounded(steps), bounds.min, bounds.max).astype(self.dtype)
        return np.where(whole == bounds.min, np.array(self.first, self.dtype), whole)


def grid(low: float, high: float, dtype: np.dtype, *, narrow: bool = False) -> Grid:
    """Return the grid over [low, high], which holds 0; `narrow` leaves the smallest integer out.

    The zero point is computed from the end that loses fewer bits: ChooseQuantizationParams of
    tensorflow/lite/kernels/internal/quantization_util.h.
    """
    bounds = np.iinfo(dtype)
    first, last = int(bounds.min) + narrow, int(bounds.max)
    if low == high:
        return Grid(0.0, 0, dtype, first, last)
    scale = (high - low) / (last - first)
    from_low, from_high = first - low / scale, last - high / scale
    low_is_better = abs(first) + abs(low / scale) < abs(last) + abs(high / scale)
    zero = min(max(from_low if low_is_better else from_high, first), last)
    return Grid(scale, int(rounded(np.float64(zero))), dtype, first, last)


def extremes(data: NDArray[Any]) -> tuple[float, float]:
    """Return the range of constants as TOCO computes it: with 0, and 1 above nothing but zeros."""
    low = min(0.0, float(data.min(initial=0.0)))
    high = max(0.0, float(data.max(initial=0.0)))
    return (low, high) if low < high else (0.0, 1.0)


def stored_type(bits: int) -> np.dtype | None:
    """Return the type that FakeQuant's num_bits ask for; None above 16."""
    return next((STORED[width] for width in STORED if bits <= width), None)


def on_stored_grid(data: NDArray[Any], range: Range) -> NDArray[np.float32]:
    """Return what is left of constants after a FakeQuant over `range`, in its float32 arithmetic.

    The grid is that of the type which stores it, also where num_bits is less: TOCO's
    resolve_constant_fake_quant.cc, and FakeQuantizeArray of quantization_util.cc.
    """
    dtype = stored_type(range.bits)
    if dtype is None or range.low == range.high:
        return data.astype(np.float32)
    chosen = grid(range.low, range.high, dtype, narrow=range.narrow)
    scale = np.float32(chosen.scale)
    least = np.float32(chosen.first - chosen.zero_point) * scale
    most = np.float32(chosen.last - chosen.zero_point) * scale
    shifted = np.clip(data, least, most) - least
    inverse = np.float32(1) / scale
    return np.asarray(rounded(shifted * inverse) * scale + least, np.float32)


def rounded(x: Any) -> Any:
    """Return the nearest integers, halves away from zero, as C's std::round does."""
    magnitude = np.abs(x)
    whole = np.floor(magnitude)
    return np.copysign(whole + (magnitude - whole >= 0.5), x)
