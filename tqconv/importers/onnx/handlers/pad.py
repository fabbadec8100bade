"""Pad and CenterCropPad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import rearrange, slices
from tqconv.compose.sizes import Size, calculate, element, size_of
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("Pad")
def pad_2(
    b: ONNXBuilder, x: Tensor, *, pads: Sequence[int], mode: str = "constant", value: float = 0.0
) -> Tensor:
    """Surround with a value, or with elements of the operand."""
    return _padded(b, x, pads, mode, b.const(value, x.dtype) if value else None)


@handles("Pad", since=11)
@handles("com.microsoft:Pad")
def pad(
    b: ONNXBuilder,
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    mode: str = "constant",
) -> Tensor:
    """Surround with a value, or with elements of the operand; some axes only."""
    along = list(range(x.rank)) if axes is None else [a % x.rank for a in b.ints(axes, "axes")]
    if pads.shape != (2 * len(along),):
        raise FormatError(f"{pads.shape} amounts for {len(along)} axes")
    amounts: list[Size] = [0] * (2 * x.rank)
    for i, axis in enumerate(along):
        amounts[axis] = element(b, pads, i)
        amounts[x.rank + axis] = element(b, pads, len(along) + i)
    numbers = [amount for amount in amounts if isinstance(amount, int)]
    if len(numbers) == len(amounts):
        return _padded(b, x, numbers, mode, value)
    pairs = list(zip(amounts[: x.rank], amounts[x.rank :], strict=True))
    if mode in MODES:
        return rearrange.pad_by_places(b, x, pairs, MODES[mode])
    if mode != "constant":
        raise UnsupportedError(f"mode `{mode}`")
    number = _filling(b, x, value)
    return rearrange.resized(b, x, pairs, number)


MODES = {"reflect": "REFLECT", "edge": "EDGE", "wrap": "WRAP"}


def _padded(
    b: ONNXBuilder, x: Tensor, pads: Sequence[int], mode: str, value: Tensor | None
) -> Tensor:
    if len(pads) != 2 * x.rank:
        raise FormatError(f"{len(pads)} amounts for {x.rank} axes")
    pairs = list(zip(pads[: x.rank], pads[x.rank :], strict=True))
    if mode in MODES:
        return rearrange.pad_by_places(b, x, pairs, MODES[mode])
    if mode != "constant":
        raise UnsupportedError(f"mode `{mode}`")
    cut = {
        axis: (max(-before, 0), None if after >= 0 else after, 1)
        for axis, (before, after) in enumerate(pairs)
        if before < 0 or after < 0
    }
    x = slices.cut(b, x, cut) if cut else x
    amounts = b.const(np.maximum(np.array(pairs), 0).astype(np.int32))
    number = _filling(b, x, value)
    return rearrange.pad(b, x, amounts, number)


def _filling(b: ONNXBuilder, x: Tensor, value: Tensor | None) -> Tensor | None:
    """Return what is put around `x`; None for zeros. Codes of reals are surrounded by codes."""
    zero = value is None or (value.data is not None and not value.data.any())
    if zero and x.quant is None:
        return None
    if x.quant is None or (value is not None and value.data is None):
        assert value is not None
        return b.reshape(value, ())
    filling = b.const(0 if value is None else b.scalar(value, "constant_value"), x.dtype)
    filling.quant = x.quant
    return filling


@handles("CenterCropPad", since=18)
def center_crop_pad(
    b: ONNXBuilder, x: Tensor, shape: Tensor, *, axes: Sequence[int] | None = None
) -> Tensor:
    """Cut off, or surround with zeros, equally on both sides; the odd element is behind."""
    along = range(x.rank) if axes is None else [axis % x.rank for axis in axes]
    amounts: list[tuple[Size, Size]] = [(0, 0)] * x.rank
    for i, axis in enumerate(along):
        more = calculate(b, "SUB", element(b, shape, i), size_of(b, x, axis))
        grown, cut = (rearrange.of_sign(b, more, sign) for sign in (1, -1))
        halves = [calculate(b, "FLOOR_DIV", size, 2) for size in (grown, cut)]
        before = calculate(b, "SUB", *halves)
        amounts[axis] = before, calculate(b, "SUB", more, before)
    return rearrange.resized(b, x, amounts)
