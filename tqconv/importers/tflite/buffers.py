"""Buffers of a .tflite file as arrays: what shares bytes in the file shares them in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, shaped
from tqconv.ir.arrays import memory_of
from tqconv.ir.types import STRING, Quant, Shape
from tqconv.untrusted import Budget

Array = NDArray[Any]
Numbers = Sequence[int] | Array


class Buffers:
    """What the bytes of one file stand for; each stretch of it is decoded once.

    Every further tensor that shares bytes pays for a copy of them: a pass may need to make one.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._decoded: dict[tuple[object, ...], Any] = {}

    def array(self, raw: Array, shape: tuple[int, ...], dtype: np.dtype, name: str) -> Array:
        """Return the values of tensor `name`; FormatError where the bytes do not fill its shape."""
        count = math.prod(shape)
        if dtype == STRING:
            flat = self._shared(raw, dtype, name, lambda: _strings(raw, name))
            return flat.reshape(shape) if flat.size == count else flat
        if dtype.name in ("int4", "uint4"):
            flat = self._shared(raw, dtype, name, lambda: _nibbles(raw, dtype))
            if flat.size not in (count, count + 1):
                raise FormatError(f"tensor '{name}' of {count} 4-bit values has {len(raw)} bytes")
            return flat[:count].reshape(shape)
        if len(raw) != count * dtype.itemsize:
            raise FormatError(
                f"tensor '{name}' of shape {shaped(shape)} has {len(raw)} bytes of data"
            )
        return self._shared(raw, dtype, name, lambda: raw.view(dtype)).reshape(shape)

    def _shared(self, raw: Array, dtype: np.dtype, name: str, make: Callable[[], Array]) -> Array:
        key = (*memory_of(raw), dtype)
        known: Array | None = self._decoded.get(key)
        if known is None:
            known = self._decoded[key] = make()
            self._pay(known.nbytes - len(raw), name)
        else:
            self._pay(known.nbytes, name)
        return known

    def _pay(self, count: int, name: str) -> None:
        self._budget.take(count, f"tensor '{name}'")

    def quant(
        self, entry: Mapping[str, Any], shape: Shape, dtype: np.dtype, name: str
    ) -> Quant | None:
        """Return what integers stand for.

        Raises FormatError where LiteRT refuses the file, neither one scale nor one per channel, or
        where stored integers stand for nothing.
        """
        scale, zero = entry.get("scale", ()), entry.get("zero_point", ())
        axis, count = entry.get("quantized_dimension", 0), len(scale)
        _check_numbers(np.asarray(scale), np.asarray(zero), dtype, name)
        if count > 1 and not (0 <= axis < len(shape) and shape[axis] in (count, None)):
            raise FormatError(f"tensor '{name}' of shape {shaped(shape)} has {count} scales")
        if count <= 1:
            return _parameters(entry, name)
        key = (_memory(scale), _memory(zero), axis)
        if key in self._decoded:
            self._pay(scale.nbytes + np.asarray(zero).nbytes, name)  # the writer does not share
        else:
            self._decoded[key] = _parameters(entry, name)
        made: Quant | None = self._decoded[key]
        return made


def _check_numbers(scale: Array, zero: Array, dtype: np.dtype, name: str) -> None:
    """Raise FormatError for steps that are no lengths, and zeros that the type cannot hold.

    int16 is symmetric (LiteRT's quantization specification), and most kernels refuse what is not. A
    step of 0 is one: converters of 2019 gave it to channels in which all weights are 0.
    """
    wrong = scale[~(np.isfinite(scale) & (scale >= 0))]
    if wrong.size:
        raise FormatError(f"tensor '{name}' has a scale of {wrong[0]}")
    if not zero.size or dtype.kind == "V":
        return
    limits = np.iinfo(dtype)
    if dtype == np.int16 and zero.any():
        raise FormatError(
            f"tensor '{name}' of int16 has a zero point of {zero[zero != 0][0]}, not 0"
        )
    outside = zero[(zero < limits.min) | (zero > limits.max)]
    if outside.size:
        raise FormatError(f"tensor '{name}' has a zero point of {outside[0]}, which {dtype} lacks")


def _memory(numbers: Numbers) -> tuple[object, ...]:
    return memory_of(numbers) if isinstance(numbers, np.ndarray) else ()


def _parameters(entry: Mapping[str, Any], name: str) -> Quant | None:
    scale = np.asarray(entry.get("scale", ()), np.float64)
    if not scale.size:
        return None
    zero = np.asarray(entry.get("zero_point", np.zeros(scale.size)), np.int64)
    if zero.size != scale.size:
        raise FormatError(
            f"tensor '{name}': {scale.size} scales stand beside {zero.size} zero points"
        )
    return Quant(scale, zero, entry.get("quantized_dimension", 0))


def _nibbles(raw: Array, dtype: np.dtype) -> Array:
    """Return 4-bit values [n], two for each byte, the low half first."""
    packed = np.asarray(raw, np.uint8)
    values = np.stack([packed & 0x0F, packed >> 4], axis=-1).reshape(-1).view(np.int8)
    if dtype.name == "int4":
        values = np.where(values > 7, values - 16, values).astype(np.int8)
    return values.astype(dtype)


def _strings(raw: Array, name: str) -> Array:
    """Return strings [n]: their number, the offsets of each and of the end, their characters."""
    content = bytes(raw)
    count = int.from_bytes(content[:4], "little")
    if 4 * (count + 2) > len(content):
        raise FormatError(f"string tensor '{name}' is damaged")
    offsets = np.frombuffer(content, "<i4", count + 1, 4)
    if count and (offsets[0] < 0 or offsets[-1] > len(content) or np.any(np.diff(offsets) < 0)):
        raise FormatError(f"string tensor '{name}' is damaged")
    values = np.empty(count, object)
    values[:] = [content[a:b] for a, b in pairwise(offsets)]
    return values
