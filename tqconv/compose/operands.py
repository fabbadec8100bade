"""Integer operands (axes, sizes, shapes), which sources give as int32 or int64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64, UINT64, bitcast
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

_INT32 = np.iinfo(np.int32)
_TURNED = np.array(np.iinfo(np.int64).min, INT64)


def int32_of(b: Builder, tensor: Tensor) -> Tensor | NDArray[Any]:
    """Return an integer operand as int32, the type that kernels read.

    Constants beyond int32 are clipped: as bounds of a slice they mean "to the end".
    """
    if tensor.data is None:
        return b.cast(tensor, np.int32)
    if tensor.dtype == np.int32:
        return tensor
    return np.asarray(np.clip(tensor.data, _INT32.min, _INT32.max), np.int32)


def axis_operand(b: Builder, tensor: Tensor, rank: int, operand: str = "axis") -> int:
    """Return a constant axis in [0, rank); it may be negative in the graph."""
    return axis_of(int(b.scalar(tensor, operand)), rank)


def axes_operand(b: Builder, tensor: Tensor, rank: int, operand: str = "axis") -> list[int]:
    """Return constant axes in [0, rank), in their order, each once."""
    return list(dict.fromkeys(axis_of(axis, rank) for axis in b.ints(tensor, operand)))


def static_size(tensor: Tensor, axis: int) -> int:
    """Return the size of a dimension; raises UnsupportedError while it is unknown."""
    size = tensor.shape[axis]
    if size is None:
        raise UnsupportedError(
            f"dimension {axis} of '{tensor.name}' is unknown",
            hint="give the inputs a shape with --input_shapes",
        )
    return size


def told_size(x: Tensor, axis: int, size: int | None) -> None:
    """Note the size of a dimension that a source leaves open, and an operand of its reader says."""
    axis = axis_of(axis, x.rank)
    if x.shape[axis] is None and size is not None:
        x.shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])


def with_kernel(b: Builder, x: Tensor) -> Tensor:
    """Return uint64 as the int64 of the same bits: enough to tell whether elements are equal."""
    return bitcast(b, x, INT64) if x.dtype == UINT64 else x


def in_order(b: Builder, x: Tensor) -> Tensor:
    """Return uint64 as int64 in the same order: the highest bit is turned."""
    return b("ADD", bitcast(b, x, INT64), _TURNED) if x.dtype == UINT64 else x


def out_of_order(b: Builder, y: Tensor, dtype: np.dtype) -> Tensor:
    """Undo `in_order`."""
    return bitcast(b, b("ADD", y, _TURNED), UINT64) if dtype == UINT64 else y
