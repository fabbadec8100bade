"""Reading elements at computed places, and choosing by a condition."""

from __future__ import annotations

from tqconv.compose import gather as places
from tqconv.compose.builder import Builder
from tqconv.compose.gather import gathered, truth
from tqconv.compose.operands import axis_operand
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import direct, handles
from tqconv.ir.graph import Tensor


@handles("Gather")
def gather(b: Builder, x: Tensor, indices: Tensor, *, validate_indices: bool = True) -> Tensor:
    """Take rows."""
    return gathered(b, x, indices, 0)


@handles("GatherV2")
def gather_v2(
    b: Builder, x: Tensor, indices: Tensor, axis: Tensor, *, batch_dims: int = 0
) -> Tensor:
    """Take elements along an axis; the first `batch_dims` dimensions are gone through in step."""
    return gathered(b, x, indices, axis_operand(b, axis, x.rank), batch_dims)


@handles("GatherNd")
def gather_nd(b: Builder, x: Tensor, indices: Tensor, *, bad_indices_policy: str = "") -> Tensor:
    """Take the slices at coordinates: the last dimension of `indices`."""
    if bad_indices_policy not in ("", "DEFAULT", "ERROR"):
        raise UnsupportedError(f"bad_indices_policy `{bad_indices_policy}`")
    return places.gather_nd(b, x, indices)


@handles("OneHot")
def one_hot(
    b: Builder, indices: Tensor, depth: Tensor, on: Tensor, off: Tensor, *, axis: int = -1
) -> Tensor:
    """Put `on` where the new axis counts to the index, `off` elsewhere."""
    return places.one_hot(b, indices, depth, on, off, indices.rank if axis == -1 else axis)


direct(SelectV2="SELECT_V2")


@handles("Select")
def select(b: Builder, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Choose by element; a vector chooses whole rows, a scalar everything."""
    type = "SELECT" if condition.rank in (1, x.rank) else "SELECT_V2"
    return b(type, condition, x, y)


@handles("Where")
def where(b: Builder, condition: Tensor) -> Tensor:
    """Return the int64 coordinates of elements that are true, or not 0."""
    return b("WHERE", truth(b, condition))
