"""Changes of the element type."""

from __future__ import annotations

import numpy as np

from tqconv.compose import complex
from tqconv.compose.builder import Builder
from tqconv.compose.integers import INT64, UINT64, bitcast
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)


def converted(b: Builder, x: Tensor, dtype: np.dtype) -> Tensor:
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


def _from_uint64(b: Builder, x: Tensor, dtype: np.dtype) -> Tensor:
    """CAST does not read uint64. As int64 the upper half is negative, 2^64 too low as a real."""
    signed = bitcast(b, x, INT64)
    if dtype.kind != "f":
        return converted(b, signed, dtype)
    real = b.cast(signed, FLOAT32)
    return b("SELECT_V2", b("LESS", real, np.float32(0)), b("ADD", real, np.float32(2.0**64)), real)
