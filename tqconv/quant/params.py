"""The arithmetic of quantization: from a range of reals to scale, zero point and integers.

The numbers follow TensorFlow's converter, so that models stay comparable: zero is always exactly
representable, halves round away from zero, scales are float32 as the file stores them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.types import Quant, Range
from tqconv.quant.clipping import nearest_peaks
from tqconv.records import dataclass

TINY_RANGE = 1e-6
"""A range below this is widened by as much on each side: TensorFlow's quantization utilities."""
TINY_WEIGHTS = 5e-7
"""Magnitude that all-zero weights are given, half of `TINY_RANGE`."""
LARGEST_BIAS = {"int32": (2**31 - 1) // 2, "int64": 2**46}
"""TensorFlow enlarges the weight scale until the bias stays below half of int32; what 64 bits sum
up is multiplied as a number of 48 bits: kernels/internal/common.cc."""

NIBBLE = 16
"""XNNPACK multiplies weights of 4 bits of a dense layer by this, and so its bias: from 2**27
on it overflows (measured; LiteRT 2.3.0)."""

Reals = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Params:
    """How a tensor is stored: real = (stored - zero_point) * scale.

    `scale`: f64 [n], each a float32 value; `zero_point`: i64 [n]; n is 1 or the size of `axis`.
    `why`: the sentence that the plan prints.
    """

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    dtype: np.dtype
    axis: int = 0
    why: str = ""
    narrow: bool = False
    """The lowest integer is not used, as kernels expect it of weights."""

    @staticmethod
    def of(scale: float, zero_point: int, dtype: np.dtype, why: str = "") -> Params:
        """Return parameters for a whole tensor."""
        scales = np.array([np.float32(scale)], np.float64)
        return Params(scales, np.array([zero_point], np.int64), dtype, 0, why)

    @property
    def quant(self) -> Quant:
        """The same as the graph stores it."""
        return Quant(self.scale, self.zero_point, self.axis)

    @property
    def is_per_tensor(self) -> bool:
        """Whether one scale serves all elements."""
        return self.scale.size == 1

    def equals(self, other: Params | None) -> bool:
        """Return whether both store every real as the same integer of the same type."""
        return other is not None and self.dtype == other.dtype and self.quant.equals(other.quant)

    def key(self) -> tuple[object, ...]:
        """Return what is the same where `equals` holds, and hashable."""
        scale, zero = self.scale.tobytes(), self.zero_point.tobytes()
        return self.dtype.name, scale, zero, self.axis

    def covers(self) -> tuple[float, float]:
        """Return the lowest and highest real that can be stored (of the widest channel)."""
        low, high = limits(self.dtype)
        return (
            float(np.min((low - self.zero_point) * self.scale)),
            float(np.max((high - self.zero_point) * self.scale)),
        )


def limits(dtype: np.dtype, *, narrow: bool = False) -> tuple[int, int]:
    """Return the smallest and largest stored integer; `narrow` leaves the smallest out."""
    if dtype.name == "int4":
        return -8 + narrow, 7
    bounds = np.iinfo(dtype)
    return int(bounds.min) + narrow, int(bounds.max)


def with_zero(low: float, high: float) -> tuple[float, float]:
    """Return the range, widened so that it holds zero and is not tiny."""
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < TINY_RANGE:
        return low - TINY_RANGE, high + TINY_RANGE
    return low, high


def activation(
    low: float,
    high: float,
    dtype: np.dtype,
    *,
    symmetric: bool = False,
    narrow: bool = False,
    why: str = "",
) -> Params:
    """Return the parameters of an activation whose reals lie in [low, high].

    `symmetric`: the zero point is 0, as int16 activations need it, and the range is narrow.
    """
    low, high = with_zero(low, high)
    if symmetric:
        return Params.of(max(-low, high) / limits(dtype)[1], 0, dtype, why)
    first, last = limits(dtype, narrow=narrow)
    scale = (high - low) / (last - first)
    return Params.of(scale, _zero_point(low, high, scale, first, last), dtype, why)


def _zero_point(low: float, high: float, scale: float, first: int, last: int) -> int:
    """Compute from the end whose numbers are smaller, which loses less: TensorFlow's nudging."""
    from_low, from_high = first - low / scale, last - high / scale
    error_low = abs(first) + abs(low / scale)
    error_high = abs(last) + abs(high / scale)
    exact = from_low if error_low < error_high else from_high
    return int(np.clip(round_away(np.float64(exact)), first, last))


def weights(data: Reals, axis: int | None, dtype: np.dtype, why: str = "") -> Params:
    """Return symmetric narrow parameters of constant weights, per slice of `axis` or for all.

    Weights that lie on a grid already (trained for integers, or of 2 and 4 bits) keep its steps,
    so that nothing is lost; the largest magnitude of others is the last integer, or, with few
    integers, the magnitude with which least is lost.
    """
    peak, last = peaks(data, axis), limits(dtype)[1]
    codes = last_codes(data, axis, peak, dtype)
    if last < FEW and data.size:
        free = codes == last  # of those on a grid of 15 steps nothing is lost as they are
        rows = _slices(data, axis, peak.size)[free]
        peak[free] = nearest_peaks(rows, peak[free], last)
    return from_peaks(peak * (last / codes), axis, dtype, why)


FEW = 16
"""Integers of one sign below which clipping the largest weights pays: 4 bits."""


ON_GRID = 1e-3
"""Part of a step within which weights lie on a grid: float32 loses a tenth of it."""
TOGETHER = 512
"""Slices that are looked at together."""
GLANCE = 4
"""Weights of a slice, of the largest and of all, that rule out nearly all grids."""


def last_codes(
    data: Reals, axis: int | None, peak: NDArray[np.float64], dtype: np.dtype
) -> NDArray[np.float64]:
    """Return the integer [n] that stands for the largest magnitude of each slice.

    It is the largest with which all weights of the slice are whole steps, else that of the type.
    """
    last = limits(dtype)[1]
    found = np.full(peak.size, float(last))
    if data.size == 0:
        return found
    rows = _slices(data, axis, peak.size)
    codes = np.arange(1, last + 1)
    for start in range(0, peak.size, TOGETHER):
        part = slice(start, start + TOGETHER)
        row, code = _likely(rows[part], peak[part], codes)
        for each in np.unique(code):
            near = start + row[code == each]
            whole = near[_is_whole(rows[near] / peak[near, None] * each)]
            found[whole] = each
    return found


Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows, and for each of these a code; a row may stand there with several."""


def _likely(rows: Reals, peak: NDArray[np.float64], codes: NDArray[np.intp]) -> Pairs:
    """Return the codes with which a few weights of a row are whole steps."""
    left = np.flatnonzero(peak > TINY_WEIGHTS)
    some = _even(rows)[left] / peak[left, None]
    place, code = np.divmod(np.flatnonzero(_are_whole(some[:, :1] * codes)), codes.size)
    place, code = _still_likely(some[:, 1:], place, codes[code])
    again, place = np.unique(left[place], return_inverse=True)
    # The largest take longer to find, and are asked for by few.
    place, code = _still_likely(_largest(rows[again]) / peak[again, None], place, code)
    return again[place], code


def _still_likely(
    some: NDArray[np.float64], row: NDArray[np.intp], code: NDArray[np.intp]
) -> Pairs:
    """Return the pairs with which all of `some` [rows, few] are whole steps, too."""
    for weight in some.T:
        whole = _are_whole(weight[row] * code)
        row, code = row[whole], code[whole]
    return row, code


def whole_steps(data: Reals) -> tuple[float, float] | None:
    """Return the ends of 255 steps on which constants lie, zero among them, or None.

    Of the grids that hold them all it is the finest.
    """
    peak = float(np.max(np.abs(data), initial=0.0))
    if peak <= TINY_WEIGHTS:
        return None
    low, high = with_zero(float(data.min()), float(data.max()))
    codes = np.arange(int(255 * peak / (high - low) + ON_GRID), 0, -1)
    rows = _slices(data, None, 1) / np.float64(peak)
    some = np.concatenate([_even(rows), _largest(rows)], axis=1)
    likely = _is_whole(some * codes[:, None])
    found = next((code for code in codes[likely] if _is_whole(rows * code)[0]), None)
    if found is None:
        return None
    step = peak / float(found)
    first = round(low / step)
    return first * step, (first + 255) * step


def _slices(data: Reals, axis: int | None, count: int) -> Reals:
    """Return the weights as one row for each scale."""
    return data.reshape(1, -1) if axis is None else np.moveaxis(data, axis, 0).reshape(count, -1)


def _even(rows: Reals) -> NDArray[np.float64]:
    """Return an even choice of each row's weights."""
    return rows[:, :: max(1, rows.shape[1] // GLANCE)].astype(np.float64)


def _largest(rows: Reals) -> NDArray[np.float64]:
    """Return a few of the largest weights of each row, which sparse ones have."""
    size = rows.shape[1]
    found = np.abs(rows)
    if size > GLANCE:
        found = np.partition(found, size - GLANCE, axis=1)[:, -GLANCE:]
    return found.astype(np.float64)


def _is_whole(steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.all(_are_whole(steps), axis=-1))


def _are_whole(steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(steps - np.rint(steps)) <= ON_GRID)


def peaks(data: Reals, axis: int | None) -> NDArray[np.float64]:
    """Return the largest magnitude of the data [1], or of each slice along `axis` [n]."""
    if data.size == 0:
        return np.zeros(1 if axis is None else data.shape[axis])
    if axis is None:
        return np.array([np.max(np.abs(data))], np.float64)
    others = tuple(i for i in range(data.ndim) if i != axis)
    return np.asarray(np.max(np.abs(data), axis=others), np.float64)


def from_peaks(
    peak: NDArray[np.float64], axis: int | None, dtype: np.dtype, why: str = ""
) -> Params:
    """Return symmetric narrow parameters for largest magnitudes [n]."""
    wide = np.maximum(peak, TINY_WEIGHTS)
    scale = (wide / limits(dtype)[1]).astype(np.float32).astype(np.float64)
    return Params(scale, np.zeros(scale.size, np.int64), dtype, axis or 0, why, narrow=True)


CELLS = (-15, -9)
"""Exponents of the scale of an LSTM's cells: its kernel computes TANH of 0 to 6 integer bits."""


def cells(known: Range) -> Params:
    """Return int16 parameters of an LSTM's cells: a power of two, 2**15 of which cover the range.

    TensorFlow's converter chooses the same (lstm_utils); cells beyond 64 saturate, where TANH is 1.
    """
    peak = max(abs(known.low), abs(known.high), 2.0 ** CELLS[0])
    exponent = int(np.clip(np.ceil(np.log2(peak)) - 15, *CELLS))
    why = f"cells of [{known.low:.6g}, {known.high:.6g}], a power of two"
    return Params.of(2.0**exponent, 0, np.dtype(np.int16), why)


def legacy_weights(data: Reals, dtype: np.dtype, why: str = "") -> Params:
    """Return uint8 parameters of weights: one scale, asymmetric, without the lowest integer."""
    low, high = (float(data.min()), float(data.max())) if data.size else (0.0, 0.0)
    return replace(activation(low, high, dtype, narrow=True, why=why), narrow=True)


def bias(x: Params, w: Params, dtype: np.dtype, why: str = "") -> Params:
    """Return the parameters of a bias: the product of the scales of `x` and `w`."""
    scale = (x.scale * w.scale).astype(np.float32).astype(np.float64)
    return Params(scale, np.zeros(scale.size, np.int64), dtype, 0, why)


def room_for_bias(w: Params, x: Params, data: Reals, dtype: np.dtype) -> Params:
    """Return `w` with scales enlarged where the bias would overflow its type: TensorFlow's rule."""
    most = LARGEST_BIAS[dtype.name] / (NIBBLE if w.dtype.name == "int4" else 1)
    largest = np.abs(np.asarray(data, np.float64)).reshape(-1)
    if w.is_per_tensor:
        largest = np.array([largest.max(initial=0.0)])
    return at_least(w, largest / most / x.scale)


def at_least(w: Params, floor: NDArray[np.float64]) -> Params:
    """Return `w` with no scale below `floor`."""
    if np.all(w.scale >= floor):
        return w
    scale = np.maximum(w.scale, np.nextafter(np.float32(1) * floor.astype(np.float32), np.inf))
    return replace(w, scale=scale.astype(np.float32).astype(np.float64))


def round_away(x: Any) -> Any:
    """Round to the nearest integer, halves away from zero: C's std::round."""
    return np.trunc(x + np.copysign(0.5, x))


TO_ENCODE = 1 << 14
"""Elements that are encoded at once: what is made of them on the way stays in the cache."""


def encode(data: NDArray[Any], params: Params) -> NDArray[Any]:
    """Return the integers that stand for `data`."""
    scale, zero = params.quant.spread(data.ndim)
    ends = limits(params.dtype, narrow=params.narrow)
    if data.size <= TO_ENCODE:
        return _steps(data, scale, zero, ends).astype(params.dtype)
    stored = np.empty(data.shape, params.dtype)
    scales, zeros = np.broadcast_to(scale, data.shape), np.broadcast_to(zero, data.shape)
    rows = max(1, TO_ENCODE * len(data) // data.size)
    for start in range(0, len(data), rows):
        part = slice(start, start + rows)
        stored[part] = _steps(data[part], scales[part], zeros[part], ends)
    return stored


def _steps(
    data: NDArray[Any], scale: NDArray[Any], zero: NDArray[Any], ends: tuple[int, int]
) -> NDArray[np.float64]:
    return np.asarray(np.clip(round_away(np.asarray(data, np.float64) / scale) + zero, *ends))


def decode(stored: NDArray[Any], params: Params) -> NDArray[np.float64]:
    """Return the reals that stored integers stand for."""
    return params.quant.decode(stored)
