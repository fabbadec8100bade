"""Variables: frozen ones are constants, those that the model assigns are read and stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.gather import gather_nd, gathered
from tqconv.compose.scatter import with_extremes, with_products, with_sums, with_updates
from tqconv.compose.slices import Masks, with_slice
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.cells import kind_of, store, value_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import RESOURCE

Combine = Callable[..., Tensor]


@handles("ReadVariableOp", "RefIdentity")
def read(b: TFBuilder, variable: Tensor, *, dtype: TypeNumber | None = None) -> Tensor:
    """Return the value: a frozen variable is one."""
    return value_of(b, variable)


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


@handles("VariableShape")
def shape_of(b: TFBuilder, variable: Tensor, *, out_type: TypeNumber | None = None) -> Tensor:
    """Return the shape of a variable."""
    dtype: Any = np.int32 if out_type is None else out_type.dtype
    if variable.dtype == RESOURCE and variable not in b.shared.cells:
        return b.const(kind_of(b, variable)[0], dtype)
    return b.shape_of(value_of(b, variable), dtype)


@handles("IsVariableInitialized", "VarIsInitializedOp")
def is_initialized(b: Builder, variable: Tensor, *, dtype: TypeNumber | None = None) -> Tensor:
    """Return true: a frozen variable has its value."""
    return b.const(np.array(True))


@handles("Assign", "AssignAdd", "AssignSub", "ScatterUpdate", "ScatterAdd", "ScatterSub")
def assign_reference(b: Builder, variable: Tensor, *operands: Tensor, **attributes: Any) -> None:
    """Refuse a result that depends on the new value of a variable of TF1."""
    raise UnsupportedError(
        f"an output needs the new value of variable '{variable.name}'",
        hint="ask for another output with --output_arrays, or give it a value with --set_input",
    )


@handles(AssignVariableOp=None, AssignAddVariableOp="ADD", AssignSubVariableOp="SUB")
def assign(
    b: TFBuilder,
    type: str | None,
    variable: Tensor,
    value: Tensor,
    *,
    dtype: TypeNumber | None = None,
    validate_shape: bool = False,
) -> Tensor:
    """Store a new value, or the old one plus or minus another; the handle says that it is done."""
    store(b, variable, value if type is None else b(type, value_of(b, variable), value))
    return variable


COMBINED: dict[str, Combine] = {
    "Update": with_updates,
    "Add": partial(with_sums, type="ADD"),
    "Sub": partial(with_sums, type="SUB"),
    "Mul": with_products,
    "Max": partial(with_extremes, larger="MAXIMUM"),
    "Min": partial(with_extremes, larger="MINIMUM"),
}
"""Ends of names -> the old value with updates at coordinates."""


PARTS: dict[str, Any] = {
    **{f"ResourceScatter{end}": (end, True) for end in COMBINED},
    **{f"ResourceScatterNd{end}": (end, False) for end in COMBINED if end != "Mul"},
}


@handles(**PARTS)
def scatter_rows(
    b: TFBuilder,
    told: tuple[str, bool],
    variable: Tensor,
    indices: Tensor,
    updates: Tensor,
    *,
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Store the old value with some slices changed; without Nd an index is one of rows."""
    end, by_rows = told
    old = value_of(b, variable)
    if by_rows:
        indices = b("EXPAND_DIMS", indices, np.array(indices.rank, np.int32))
        updates = _broadcast(b, updates, old, indices)
    store(b, variable, COMBINED[end](b, x=old, indices=indices, updates=updates))
    return variable


@handles("ResourceStridedSliceAssign")
def assign_slice(
    b: TFBuilder,
    variable: Tensor,
    begin: Tensor,
    end: Tensor,
    strides: Tensor,
    value: Tensor,
    *,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Tensor:
    """Store the old value with a slice replaced."""
    masks = Masks(begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    old = value_of(b, variable)
    store(b, variable, with_slice(b, old, begin, end, strides, value, masks))
    return variable


def _broadcast(b: Builder, updates: Tensor, old: Tensor, indices: Tensor) -> Tensor:
    """Repeat a scalar update for every slice."""
    if updates.rank:
        return updates
    shape = (*indices.shape[:-1], *old.shape[1:])
    if None in shape:
        raise UnsupportedError("a scalar update of an unknown number of rows")
    return b("BROADCAST_TO", updates, np.array(shape, np.int32))
