"""Constants as arrays: what they take in memory, and views that repeat one value."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ENDS = 1 << 16
"""Bytes at each end of a large array that a checksum looks at. Arrays that agree in both and differ
between are compared with each other, so these must be few in a file of any size."""
GLANCE = 1 << 9
"""Bytes at each end that are looked at first: in these weights differ, and masks may not."""


def repeated(value: Any, shape: Sequence[int], dtype: np.dtype) -> Array:
    """Return an array of one value without storing it more than once; it is read-only."""
    one = np.empty((), dtype)
    one[()] = value
    return np.broadcast_to(one, tuple(shape))


def stored_elements(array: Array) -> int:
    """Return how many elements an array has in memory; a view that repeats one has one.

    >>> stored_elements(np.broadcast_to(np.float32(0), (1000, 1000)))
    1
    """
    if array.flags.c_contiguous:
        return array.size
    pairs = zip(array.shape, array.strides, strict=True)
    return math.prod(size if stride else min(size, 1) for size, stride in pairs)


def is_repeated(array: Array) -> bool:
    """Whether an array is a view of one element that it repeats."""
    return array.size > 1 and stored_elements(array) == 1


def stored_bytes(array: Array) -> int:
    """Return how many bytes of memory an array takes; see `stored_elements`."""
    return stored_elements(array) * array.itemsize


def converted(array: Array, dtype: np.dtype) -> Array:
    """Return an array in another type; a view that repeats one value stays one."""
    if array.dtype == dtype:
        return array
    if is_repeated(array):
        one = array[(0,) * array.ndim].astype(dtype)
        return repeated(one, array.shape, dtype)
    return array.astype(dtype)


def narrowed(array: Array, dtype: np.dtype) -> Array:
    """Return an array in another type; of reals in a narrower one what is finite stays finite."""
    if array.dtype.kind != "f" or dtype.itemsize >= array.dtype.itemsize:
        return converted(array, dtype)
    if is_repeated(array):
        return repeated(narrowed(array[(0,) * array.ndim], dtype), array.shape, dtype)
    with np.errstate(over="ignore"):
        result = array.astype(dtype)
    lost = np.isinf(result) & np.isfinite(array)
    largest = np.copysign(np.finfo(dtype).max, result)
    return np.where(lost, largest, result) if lost.any() else result


def memory_of(array: Array) -> tuple[object, ...]:
    """Return what two arrays have in common that are the same view of the same memory.

    It holds as long as the array is alive.
    """
    address = array.__array_interface__["data"][0]
    return address, array.shape, array.strides, array.dtype


def contiguous(array: Array, dtype: np.dtype) -> Array:
    """Return an array in C order and in a type; a view that repeats one value stays one."""
    if is_repeated(array):
        return converted(array, dtype)
    return np.ascontiguousarray(array, dtype).reshape(array.shape)


def checksum(array: Array) -> int:
    """Return a checksum of the bytes in C order; equal arrays have the same.

    Of large ones both ends are looked at: who finds the same sum compares all bytes anyway.
    """
    return _checksum(array, ENDS)


def glance(array: Array) -> int:
    """Return a cheap checksum, which tells most arrays apart; equal ones have the same."""
    return _checksum(array, GLANCE)


def _checksum(array: Array, ends: int) -> int:
    if array.nbytes <= 2 * ends:
        return zlib.crc32(_flat(array).data)
    count = ends // array.itemsize
    first, last = array.flat[:count], array.flat[array.size - count :]
    return zlib.crc32(last.tobytes(), zlib.crc32(first.tobytes()))


def same_bytes(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same bytes in C order; NaN equals itself."""
    if a.nbytes != b.nbytes:
        return False
    if memory_of(a) == memory_of(b):
        return True
    if is_repeated(a) and is_repeated(b) and a.dtype == b.dtype:
        return bool(a[(0,) * a.ndim].tobytes() == b[(0,) * b.ndim].tobytes())
    return np.array_equal(_flat(a), _flat(b))


class Shared:
    """Arrays of which equal ones are found again.

    They are told apart by their size; only those that agree in it are glanced at, and only those
    that agree in that, too, have a checksum computed.
    """

    def __init__(self) -> None:
        self._alike: dict[tuple[int, ...], list[tuple[Array, Any]]] = {}
        """What is known of arrays, as far as it was asked for -> those that nobody looked at."""

    def find(self, array: Array) -> Any | None:
        """Return what `add` was given with an array of the same bytes, the first of them."""
        key: tuple[int, ...] = (array.nbytes,)
        for finer in (glance, checksum):
            waiting = self._alike.get(key)
            if waiting is None:
                return None
            for other, value in waiting:
                self._alike.setdefault((*key, finer(other)), []).append((other, value))
            waiting.clear()
            key = (*key, finer(array))
        found = self._alike.get(key, ())
        return next((value for other, value in found if same_bytes(other, array)), None)

    def add(self, array: Array, value: Any) -> None:
        """Let an array be found; it has to live as long as this does."""
        self._alike.setdefault((array.nbytes,), []).append((array, value))


def _flat(array: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
