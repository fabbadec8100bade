"""Changes of the element type, and constants with the shape of a tensor."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.casts import converted
from tqconv.compose.integers import bitcast
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import TypeNumber, dtype_of
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("Cast")
def cast(
    b: Builder,
    x: Tensor,
    *,
    DstT: TypeNumber,  # noqa: N803  (TensorFlow's name)
    Truncate: bool = False,  # noqa: N803
) -> Tensor:
    """Convert to another type; double, half and float32 are one type here."""
    if Truncate and DstT.dtype != x.dtype:
        raise UnsupportedError("`Truncate`: rounding toward zero")
    return converted(b, x, DstT.dtype)


@handles("Bitcast")
def reinterpreted(
    b: Builder,
    x: Tensor,
    *,
    type: TypeNumber,
    T: TypeNumber | None = None,  # noqa: N803  (TensorFlow's name)
) -> Tensor:
    """Read the bits as another type; double and half get their own bits for that."""
    stored = x.dtype if T is None else dtype_of(int(T))
    bits = bitcast(b, b.cast(x, stored), dtype_of(int(type)))
    return b.cast(bits, type.dtype)


@handles(ZerosLike=0, OnesLike=1)
def filled_like(b: Builder, value: int, x: Tensor) -> Tensor:
    """Return zeros or ones in the shape of `x`."""
    return b("FILL", b.shape_of(x), np.array(value, x.dtype))
