"""Writing elements to computed places, and taking tensors apart and together by computed places."""

from __future__ import annotations

from tqconv.compose import scatter
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("ScatterNd")
def scatter_nd(
    b: Builder, indices: Tensor, updates: Tensor, shape: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Add updates to zeros at coordinates: the last dimension of `indices`."""
    _check_policy(bad_indices_policy)
    return scatter.added_up(b, indices, updates, int32_of(b, shape))


@handles(TensorScatterAdd="ADD", TensorScatterSub="SUB", ScatterNdNonAliasingAdd="ADD")
def tensor_scatter_add(
    b: Builder,
    type: str,
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    bad_indices_policy: str = "",
) -> Tensor:
    """Add updates to `x`, or subtract them, at coordinates; updates of one place add up."""
    _check_policy(bad_indices_policy)
    return scatter.with_sums(b, type, x, indices, updates)


@handles(TensorScatterMax="MAXIMUM", TensorScatterMin="MINIMUM")
def tensor_scatter_extreme(
    b: Builder,
    type: str,
    x: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    bad_indices_policy: str = "",
) -> Tensor:
    """Take the larger (smaller) of `x` and the updates at coordinates."""
    _check_policy(bad_indices_policy)
    return scatter.with_extremes(b, type, x, indices, updates)


@handles("TensorScatterUpdate")
def tensor_scatter_update(
    b: Builder, x: Tensor, indices: Tensor, updates: Tensor, *, bad_indices_policy: str = ""
) -> Tensor:
    """Replace elements at coordinates; of several updates of one place the last one stays."""
    _check_policy(bad_indices_policy)
    return scatter.with_updates(b, x, indices, updates)


def _check_policy(policy: str) -> None:
    if policy not in ("", "DEFAULT", "ERROR"):
        raise UnsupportedError(f"bad_indices_policy `{policy}`")


@handles("SparseToDense")
def sparse_to_dense(
    b: Builder,
    indices: Tensor,
    shape: Tensor,
    values: Tensor,
    default: Tensor,
    *,
    validate_indices: bool = True,
) -> Tensor:
    """Put values into a tensor of one default value."""
    return scatter.sparse_to_dense(b, indices, shape, values, default)


@handles("DynamicPartition")
def dynamic_partition(
    b: Builder, x: Tensor, partitions: Tensor, *, num_partitions: int
) -> tuple[Tensor, ...]:
    """Return the rows of each partition, in their order."""
    return scatter.partitioned(b, x, partitions, num_partitions)


@handles("DynamicStitch", "ParallelDynamicStitch")
def dynamic_stitch(b: Builder, *operands: Tensor) -> Tensor:
    """Put row i of all data at place indices[i]; where a place stands twice, the last row stays."""
    count = len(operands) // 2
    return scatter.stitched(b, operands[:count], operands[count:])
