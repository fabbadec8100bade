"""Complex numbers as pairs of float32: LiteRT multiplies complex tensors, and does little else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import of_one_shape
from tqconv.compose.integers import bitcast
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)
COMPLEX64 = np.dtype(np.complex64)


def on_pairs(b: Builder, compute: Callable[..., Tensor], *operands: Tensor) -> Tensor:
    """Apply a function that treats both parts alike, to tensors [..., (real, imaginary)]."""
    return bitcast(b, compute(*(bitcast(b, x, FLOAT32) for x in operands)), COMPLEX64)


def join(b: Builder, real: Tensor, imaginary: Tensor) -> Tensor:
    """A complex tensor of its parts, which must have one shape."""
    return bitcast(b, b("PACK", real, imaginary, axis=real.rank, values_count=2), COMPLEX64)


def joined(b: Builder, real: Tensor, imaginary: Tensor) -> Tensor:
    """A complex tensor of its parts, which broadcast."""
    return join(b, *of_one_shape(b, real, imaginary))


def real(b: Builder, x: Tensor) -> Tensor:
    """The real part."""
    return b("REAL", x) if x.dtype.kind == "c" else x


def imaginary(b: Builder, x: Tensor) -> Tensor:
    """The imaginary part."""
    return b("IMAG", x)


def size(b: Builder, x: Tensor) -> Tensor:
    """|x|."""
    return b("COMPLEX_ABS", x)


def conjugate(b: Builder, x: Tensor) -> Tensor:
    """`x` with the other sign of the imaginary part."""
    return on_pairs(b, lambda p: b("MUL", p, np.array([1, -1], np.float32)), x)


def scaled(b: Builder, x: Tensor, factor: Tensor) -> Tensor:
    """`x` times a real tensor of the same shape."""
    axis = np.array(factor.rank, np.int32)
    return on_pairs(b, lambda p: b("MUL", p, b("EXPAND_DIMS", factor, axis)), x)


def divide(b: Builder, x: Tensor, y: Tensor) -> Tensor:
    """`x` / y = x conj(y) / |y|²."""
    inverse = b("DIV", np.float32(1), size(b, y))
    return b("MUL", x, scaled(b, scaled(b, conjugate(b, y), inverse), inverse))


def sign(b: Builder, x: Tensor) -> Tensor:
    """`x` / |x|, and 0 at 0."""
    length = size(b, x)
    inverse = b("DIV", np.float32(1), length)
    kept = b("SELECT_V2", b("EQUAL", length, np.float32(0)), np.float32(0), inverse)
    return scaled(b, x, kept)
