"""Constants, pass-through nodes, and what training leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.borders import COMPUTED
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.importers.tf.walk import DEAD, Dead
from tqconv.ir.arrays import narrowed
from tqconv.ir.graph import Tensor


@handles("Const")
def constant(b: Builder, *, value: Any, dtype: TypeNumber | None = None) -> Tensor:
    """Take the array; double and half become float32, the type that kernels compute with."""
    target = COMPUTED.get(value.dtype)
    return b.const(value if target is None else narrowed(value, target))


@handles(
    "Identity",
    "StopGradient",
    "PreventGradient",
    "Snapshot",
    "CheckNumerics",
    "PlaceholderWithDefault",
)
def passed_through(
    b: Builder,
    x: Tensor,
    *,
    message: str = "",
    shape: Any = None,
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Return the input as it is."""
    return x


@handles("IdentityN")
def passed_through_all(b: Builder, *xs: Tensor) -> tuple[Tensor, ...]:
    """Return all inputs as they are."""
    return xs


@handles("Switch", "RefSwitch")
def switch(b: Builder, data: Tensor, predicate: Tensor) -> tuple[Tensor | Dead, Tensor | Dead]:
    """Send data to output 1 where the constant predicate is true, else to output 0."""
    if predicate.data is None:
        raise UnsupportedError(
            f"it sends data into a branch of `{predicate.name}`, and no Merge that the outputs "
            "need ends the branch",
            hint="name an output behind the Merge, or give the predicate a value with "
            f"--set_input {predicate.name}=true",
        )
    return (DEAD, data) if bool(b.scalar(predicate, "pred")) else (data, DEAD)


def sizes(values: Any) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return sizes or axes as the int32 vector that kernels read."""
    return np.array(values, np.int32)
