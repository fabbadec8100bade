"""Changes of the element type, and constants with the shape of a tensor."""

from __future__ import annotations

import numpy as np

from tqconv.compose import complex
from tqconv.compose.integers import INT64, UINT64, bitcast
from tqconv.errors import Unsupported
from tqconv.importers.tf.node import TypeNumber, dtype_of
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)


@handles("Cast")
def cast(
    b: TFBuilder,
    x: Tensor,
    *,
    DstT: TypeNumber,  # noqa: N803  (TensorFlow's name)
    Truncate: bool = False,  # noqa: N803
) -> Tensor:
    """Convert to another type; double, half and float32 are one type here."""
    if Truncate and DstT.dtype != x.dtype:
        raise Unsupported("`Truncate`: rounding toward zero")
    return converted(b, x, DstT.dtype)


def converted(b: TFBuilder, x: Tensor, dtype: np.dtype) -> Tensor:
    """Return `x` as another type.

    Reals are truncated and stop at the limits of the type, integers wrap around, complex numbers
    lose their imaginary part.
    """
    if x.dtype == dtype or {x.dtype, dtype} <= {INT64, UINT64}:
        return bitcast(b, x, dtype)
    if dtype.kind == "c":
        return b.cast(converted(b, x, FLOAT32), dtype)
    if x.dtype.kind == "c":
        return converted(b, complex.real(b, x), dtype)
    if x.dtype == UINT64:
        return _from_uint64(b, x, dtype)
    if dtype == UINT64:
        return bitcast(b, converted(b, x, INT64), UINT64)
    return b.cast(x, dtype)


def _from_uint64(b: TFBuilder, x: Tensor, dtype: np.dtype) -> Tensor:
    """CAST does not read uint64. As int64 the upper half is negative, 2^64 too low as a real."""
    signed = bitcast(b, x, INT64)
    if dtype.kind != "f":
        return converted(b, signed, dtype)
    real = b.cast(signed, FLOAT32)
    return b("SELECT_V2", b("LESS", real, np.float32(0)), b("ADD", real, np.float32(2.0**64)), real)


@handles("Bitcast")
def reinterpreted(
    b: TFBuilder,
    x: Tensor,
    *,
    type: TypeNumber,
    T: TypeNumber | None = None,  # noqa: N803  (TensorFlow's name)
) -> Tensor:
    """Read the bits as another type; double and half get their own bits for that."""
    stored = x.dtype if T is None else dtype_of(int(T))
    bits = bitcast(b, b.cast(x, stored), dtype_of(int(type)))
    return b.cast(bits, type.dtype)


@handles("ZerosLike", "OnesLike")
def filled_like(b: TFBuilder, x: Tensor) -> Tensor:
    """Return zeros or ones in the shape of `x`."""
    value = np.array(b.node.op == "OnesLike", x.dtype)
    return b("FILL", b.shape_of(x), value)
