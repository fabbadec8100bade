"""Complex numbers and their parts."""

from __future__ import annotations

from tqconv.importers.tf.handlers import pairs
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import TFBuilder, direct, handles
from tqconv.ir.graph import Tensor

direct(ComplexAbs="COMPLEX_ABS", Imag="IMAG")


@handles("Real")
def real(b: TFBuilder, x: Tensor) -> Tensor:
    """The real part."""
    return pairs.real(b, x)


@handles("Complex")
def joined(b: TFBuilder, real: Tensor, imaginary: Tensor) -> Tensor:
    """A complex number of two reals that broadcast."""
    if real.shape != imaginary.shape or not real.is_static:
        zero = b("MUL", b("ZEROS_LIKE", real), b("ZEROS_LIKE", imaginary))
        real, imaginary = b("ADD", real, zero), b("ADD", imaginary, zero)
    return pairs.join(b, real, imaginary)


@handles("Angle")
def angle(b: TFBuilder, x: Tensor) -> Tensor:
    """The argument, in (-pi, pi]."""
    return b("ATAN2", pairs.imaginary(b, x), pairs.real(b, x))


@handles("Conj")
def conjugate(b: TFBuilder, x: Tensor) -> Tensor:
    """The complex conjugate; a real number is its own."""
    return pairs.conjugate(b, x) if x.dtype.kind == "c" else x
