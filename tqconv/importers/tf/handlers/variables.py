"""Variables: frozen ones are constants, those that the model assigns are read and stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.gather import gather_nd, gathered
from tqconv.compose.scatter import with_extremes, with_products, with_sums, with_updates
from tqconv.compose.slices import Masks, with_slice
from tqconv.errors import UnsupportedError, shaped
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import RESOURCE

Combine = Callable[..., Tensor]


def value_of(b: TFBuilder, variable: Tensor) -> Tensor:
    """Return a variable's value: the constant that it was frozen to, or what is stored now."""
    if variable.dtype != RESOURCE:
        return variable
    first = first_value(b, variable)
    read = Tensor(b.graph.unique(f"{b.name}/read"), first.shape, first.dtype)
    b.graph.add(Op("READ_VARIABLE", (variable,), (read,), {}, b.source))
    return read


def first_value(b: TFBuilder, variable: Tensor) -> NDArray[Any]:
    """Return what a variable that stays one holds before the first run."""
    first = b.shared.variables.get(variable)
    if first is None:
        raise UnsupportedError(
            f"variable '{variable.name}' is not frozen",
            hint="freeze the graph, or give its checkpoint with --checkpoint PREFIX",
        )
    return first


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
    if variable.dtype == RESOURCE:
        return b.const(first_value(b, variable).shape, dtype)
    return b.shape_of(variable, dtype)


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


def _store(b: TFBuilder, variable: Tensor, value: Tensor) -> None:
    """Emit what stores a value; its shape has to be the variable's."""
    first = first_value(b, variable)
    pairs = zip(value.shape, first.shape, strict=False)
    if value.rank != first.ndim or any(d is not None and d != size for d, size in pairs):
        raise UnsupportedError(
            f"variable '{variable.name}' of shape {shaped(first.shape)} gets {value!r}",
            hint="LiteRT's variables keep their shape",
        )
    b.graph.add(Op("ASSIGN_VARIABLE", (variable, value), (), {}, b.source))


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
    if variable.dtype != RESOURCE:
        assign_reference(b, variable)
    _store(b, variable, value if type is None else b(type, value_of(b, variable), value))
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
    _store(b, variable, COMBINED[end](b, x=old, indices=indices, updates=updates))
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
    _store(b, variable, with_slice(b, old, begin, end, strides, value, masks))
    return variable


def _broadcast(b: Builder, updates: Tensor, old: Tensor, indices: Tensor) -> Tensor:
    """Repeat a scalar update for every slice."""
    if updates.rank:
        return updates
    shape = (*indices.shape[:-1], *old.shape[1:])
    if None in shape:
        raise UnsupportedError("a scalar update of an unknown number of rows")
    return b("BROADCAST_TO", updates, np.array(shape, np.int32))
