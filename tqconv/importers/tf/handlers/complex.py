"""Complex numbers and their parts."""

from __future__ import annotations

from tqconv.compose import complex
from tqconv.compose.builder import Builder
from tqconv.importers.tf.registry import composed, direct, handles
from tqconv.ir.graph import Tensor

direct(ComplexAbs="COMPLEX_ABS", Imag="IMAG")
composed(Complex=complex.joined)


@handles("Real")
def real(b: Builder, x: Tensor) -> Tensor:
    """The real part."""
    return complex.real(b, x)


@handles("Angle")
def angle(b: Builder, x: Tensor) -> Tensor:
    """The argument, in (-pi, pi]."""
    return b("ATAN2", complex.imaginary(b, x), complex.real(b, x))


@handles("Conj")
def conjugate(b: Builder, x: Tensor) -> Tensor:
    """The complex conjugate; a real number is its own."""
    return complex.conjugate(b, x) if x.dtype.kind == "c" else x
