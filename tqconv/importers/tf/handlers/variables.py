"""Variables that were frozen in place; heads of training pipelines, which have to be cut off."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import RESOURCE


@handles("ReadVariableOp", "RefIdentity")
def read(b: TFBuilder, variable: Tensor, *, dtype: TypeNumber | None = None) -> Tensor:
    """Return the value: a frozen variable is one."""
    return _value(variable)


@handles("VariableShape")
def shape_of(b: TFBuilder, variable: Tensor, *, out_type: TypeNumber | None = None) -> Tensor:
    """Return the shape of a variable."""
    dtype: Any = np.int32 if out_type is None else out_type.dtype
    return b.shape_of(_value(variable), dtype)


@handles("IsVariableInitialized", "VarIsInitializedOp")
def is_initialized(b: TFBuilder, variable: Tensor, *, dtype: TypeNumber | None = None) -> Tensor:
    """Return true: a frozen variable has its value."""
    return b.const(np.array(True))


@handles("Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "AssignAddVariableOp")
@handles("AssignSubVariableOp", "ScatterUpdate", "ScatterAdd", "ScatterSub")
def assign(b: TFBuilder, variable: Tensor, *operands: Tensor, **attributes: Any) -> None:
    """Refuse a result that depends on the new value of a variable."""
    raise Unsupported(
        f"an output needs the new value of variable '{variable.name}'",
        hint="ask for another output with --output_arrays, or give it a value with --set_input",
    )


def _value(variable: Tensor) -> Tensor:
    if variable.dtype == RESOURCE:
        raise Unsupported(
            f"variable '{variable.name}' is not frozen",
            hint="freeze the graph, or give its checkpoint with --checkpoint PREFIX",
        )
    return variable
