"""What a call of Keras is given: tensors, numbers and lists of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import rearrange
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.ir.graph import Tensor


def tensor(b: KerasBuilder, value: Any, dtype: Any = None, what: str = "const") -> Tensor:
    """Return a value as a tensor: numbers are float32 or int32 where no type is asked for."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple) and _holds_tensors(value):
        kinds = [t.dtype for t in tensors_in(value)]
        wanted = kinds[0] if dtype is None else dtype
        return rearrange.stacked(b, [tensor(b, item, wanted, what) for item in value])
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise UnsupportedError(f"{value!r} is no number")
    if dtype is None:
        dtype = {"f": np.float32, "b": np.bool_}.get(array.dtype.kind, np.int32)
    return b.const(array, dtype, what)


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors in nested lists."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [found for item in value for found in tensors_in(item)]
    return []


def _holds_tensors(value: Any) -> bool:
    return bool(tensors_in(value))


def ints(value: Any, what: str) -> list[int]:
    """Return whole numbers that have to be known; UnsupportedError where they are computed."""
    if isinstance(value, Tensor):
        if value.data is None:
            raise UnsupportedError(f"`{what}` is computed by the model; it has to be known")
        return [int(v) for v in value.data.reshape(-1)]
    return [int(v) for v in np.asarray(value).reshape(-1)]


def axes_of(axis: Any, rank: int) -> list[int]:
    """Return axes in [0, rank); None means all."""
    if axis is None:
        return list(range(rank))
    found: Sequence[int] = ints(axis, "axis")
    if any(not -rank <= a < rank for a in found):
        raise UnsupportedError(f"axis {axis} of a tensor of rank {rank}")
    return [a % rank for a in found]
