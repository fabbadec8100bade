"""Reading elements at computed places, and choosing by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.operands import axis_operand, int32_of, with_kernel
from tqconv.errors import Unsupported
from tqconv.importers.tf.handlers.variables import value_of
from tqconv.importers.tf.registry import TFBuilder, direct, handles
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)


@handles("Gather")
def gather(b: TFBuilder, x: Tensor, indices: Tensor, *, validate_indices: bool = True) -> Tensor:
    """Take rows."""
    return gathered(b, x, indices, 0)


@handles("GatherV2")
def gather_v2(
    b: TFBuilder, x: Tensor, indices: Tensor, axis: Tensor, *, batch_dims: int = 0
) -> Tensor:
    """Take elements along an axis; the first `batch_dims` dimensions are gone through in step."""
    return gathered(b, x, indices, axis_operand(b, axis, x.rank), batch_dims)


@handles("ResourceGather")
def resource_gather(
    b: TFBuilder,
    x: Tensor,
    indices: Tensor,
    *,
    batch_dims: int = 0,
    validate_indices: bool = True,
    dtype: Any = None,
) -> Tensor:
    """Take rows of a variable."""
    return gathered(b, value_of(b, x), indices, batch_dims, batch_dims)


@handles("ResourceGatherNd")
def resource_gather_nd(b: TFBuilder, x: Tensor, indices: Tensor, *, dtype: Any = None) -> Tensor:
    """Take slices of a variable."""
    return gather_nd(b, value_of(b, x), indices)


def gathered(b: TFBuilder, x: Tensor, indices: Tensor, axis: int, batch_dims: int = 0) -> Tensor:
    """Take elements along an axis in [0, rank)."""
    if batch_dims < 0:
        batch_dims += indices.rank
    return b("GATHER", x, indices, axis=axis, batch_dims=batch_dims)


@handles("GatherNd")
def gather_nd(b: TFBuilder, x: Tensor, indices: Tensor, *, bad_indices_policy: str = "") -> Tensor:
    """Take the slices at coordinates: the last dimension of `indices`."""
    if bad_indices_policy not in ("", "DEFAULT", "ERROR"):
        raise Unsupported(f"bad_indices_policy `{bad_indices_policy}`")
    if indices.rank and indices.shape[-1] == 0:
        return _everywhere(b, x, indices)
    return b("GATHER_ND", x, indices)


def _everywhere(b: TFBuilder, x: Tensor, indices: Tensor) -> Tensor:
    """Coordinates of length 0 take the whole of `x`, once for each."""
    head = b(
        "SLICE", b.shape_of(indices), np.array([0], INT32), np.array([indices.rank - 1], INT32)
    )
    return b("BROADCAST_TO", x, b("CONCATENATION", head, b.shape_of(x), axis=0))


@handles("OneHot")
def one_hot(
    b: TFBuilder, indices: Tensor, depth: Tensor, on: Tensor, off: Tensor, *, axis: int = -1
) -> Tensor:
    """Put `on` where the new axis counts to the index, `off` elsewhere."""
    if indices.dtype not in (np.int32, np.int64):
        indices = b.cast(indices, INT32)
    place = indices.rank if axis == -1 else axis
    return b("ONE_HOT", indices, int32_of(b, depth), on, off, axis=place)


direct(SelectV2="SELECT_V2")


@handles("Select")
def select(b: TFBuilder, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Choose by element; a vector chooses whole rows, a scalar everything."""
    type = "SELECT" if condition.rank in (1, x.rank) else "SELECT_V2"
    return b(type, condition, x, y)


@handles("Where")
def where(b: TFBuilder, condition: Tensor) -> Tensor:
    """Return the int64 coordinates of elements that are true, or not 0."""
    return b("WHERE", truth(b, condition))


def truth(b: TFBuilder, x: Tensor) -> Tensor:
    """Return which elements are not 0; NaN is not 0."""
    if x.dtype == np.bool_:
        return x
    x = with_kernel(b, x)
    return b("NOT_EQUAL", x, np.zeros((), x.dtype))


def true_places(b: TFBuilder, condition: Tensor) -> Tensor:
    """Return the places of the true elements of a vector, int32: [n]."""
    return b.reshape(b.cast(b("WHERE", condition), INT32), (-1,))
