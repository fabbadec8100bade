"""Why a value of a quantized model is far from the float one's, as far as numbers tell."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tqconv.exporters.drawing.words import stored_ends
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.histogram import Histogram
from tqconv.ops.table import known, spec

if TYPE_CHECKING:
    from tqconv.quant.evidence.ranges import Record

NEAR = 6.0
"""Decibels above a measured ratio up to which something that allows no more is the cause: half of
the noise's amplitude is its."""
WIDENED = 1.5
"""Range over what was observed above which most of it is somebody else's."""
TINY = 8
"""Codes that a channel of weights uses, at most, whose values are mostly rounding."""
FULL = 2**31 - 2
"""Magnitude of a bias that has reached the end of 32 bits."""
ROUNDING = 12.0
"""A step squared over the mean square of rounding to the nearest one."""


def cause(tensor: Tensor, record: Record | None, sqnr: float, errors: Mapping[str, float]) -> str:
    """Return the likely cause of the noise of a value, in words.

    record: what was measured of it; errors: signal-to-noise ratios in dB of all values. What is
    said of ranges, steps and weights is the ratio that they alone would allow.
    """
    op = tensor.producer
    seen = None if record is None else record.histogram
    return (
        _clipped(tensor, seen, sqnr)
        or _bias(op)
        or _channel(op)
        or _coarse(tensor, record, seen, sqnr)
        or _before(op, sqnr, errors)
        or "its weights and inputs are rounded"
    )


def _clipped(tensor: Tensor, seen: Histogram | None, sqnr: float) -> str:
    """Return whether what lies outside of the range is most of the noise."""
    if tensor.quant is None or seen is None or not seen.total:
        return ""
    low, high = stored_ends(tensor, tensor.quant)
    centers = seen.centers()
    outside = float(np.sum(seen.counts * (centers - np.clip(centers, low, high)) ** 2))
    if _decibels(float(np.sum(seen.counts * centers**2)), outside) > sqnr + NEAR:
        return ""
    share = 100 * seen.beyond(low, high)
    return f"clipped range: {share:.2g} % of the values lie outside of {low:.4g} … {high:.4g}"


def _decibels(signal: float, noise: float) -> float:
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else math.inf


def _bias(op: Op | None) -> str:
    """Return whether a bias is at the end of its integers."""
    for tensor in () if op is None else op.inputs:
        stored = tensor is not None and tensor.quant is not None and tensor.data is not None
        if stored and tensor is not None and tensor.dtype == np.int32 and tensor.data is not None:
            worst = int(np.argmax(np.abs(tensor.data.astype(np.int64))))
            if abs(int(tensor.data.reshape(-1)[worst])) >= FULL:
                return f"saturated bias: channel {worst} of '{tensor.name}' needs more than 32 bits"
    return ""


def _channel(op: Op | None) -> str:
    """Return whether a channel of weights uses only a few integers of one common scale."""
    for tensor, codes in _weights(op):
        if tensor.quant is None or not tensor.quant.is_per_tensor:
            continue
        most = np.abs(codes).max(axis=1)
        used = most[most > 0]
        if used.size and used.min() <= TINY:
            channel = int(np.flatnonzero(most == used.min())[0])
            return f"tiny channel: {channel} of '{tensor.name}' uses {int(used.min())} of 127 codes"
    return ""


def _weights(op: Op | None) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
    """Yield the quantized weights of an operator, and their codes as [channels, rest].

    The codes are without the zero point.
    """
    rule = spec(op.type).quant if op is not None and known(op.type) else None
    if op is None or rule is None:
        return
    for name, axis in rule.weight.items():
        place = spec(op.type).operands.index(name)
        tensor = op.inputs[place] if place < len(op.inputs) else None
        if tensor is None or tensor.data is None or tensor.quant is None or axis is None:
            continue
        if tensor.data.size > 0 and axis < tensor.data.ndim and tensor.dtype.kind in "iu":
            moved = np.moveaxis(tensor.data.astype(np.int64), axis, 0)
            yield tensor, moved.reshape(len(moved), -1) - int(tensor.quant.zero_point[0])


def _coarse(tensor: Tensor, record: Record | None, seen: Histogram | None, sqnr: float) -> str:
    """Return whether steps of this size allow no more, and why they are so large."""
    if tensor.quant is None or record is None or seen is None or not seen.total:
        return ""
    energy = float(np.sum(seen.counts * seen.centers() ** 2)) / seen.total
    scale = float(tensor.quant.scale[0])
    best = _decibels(energy, scale**2 / ROUNDING)
    if best > sqnr + NEAR:
        return ""
    low, high = stored_ends(tensor, tensor.quant)
    if record.observed is not None and high - low > WIDENED * (
        record.observed[1] - record.observed[0]
    ):
        ends = f"{record.observed[0]:.4g} … {record.observed[1]:.4g}"
        return (
            f"widened group: it shares the range {low:.4g} … {high:.4g} with others, and was seen "
            f"between {ends}"
        )
    steps = max(1, round(math.sqrt(energy) / scale))
    return f"wide range: most values lie within {steps} steps of it, which allows {best:.0f} dB"


def _before(op: Op | None, sqnr: float, errors: Mapping[str, float]) -> str:
    """Return what comes in: the worst input, and how well the weights are kept."""
    if op is None:
        return ""
    inputs = [t.name for t in op.inputs if t is not None and t.name in errors]
    kept = [
        _decibels(float(np.mean(codes.astype(np.float64) ** 2)), 1 / ROUNDING)
        for _, codes in _weights(op)
    ]
    if kept and min(kept) <= sqnr + NEAR:
        return f"rounded weights, which allow {min(kept):.0f} dB"
    if not inputs:
        return ""
    worst = min(inputs, key=lambda name: errors[name])
    verb = "grows from" if errors[worst] > sqnr + NEAR else "comes from"
    return f"the noise {verb} its input '{worst}', which has {errors[worst]:.1f} dB"
