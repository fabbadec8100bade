"""Discrete Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqconv.compose import spectrum
from tqconv.compose.builder import Builder
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles(RFFT=spectrum.rfft, RFFT2D=spectrum.rfft, RFFT3D=spectrum.rfft)
@handles(IRFFT=spectrum.irfft, IRFFT2D=spectrum.irfft, IRFFT3D=spectrum.irfft)
def of_real(
    b: Builder, transform: Callable[[Builder, Tensor, Sequence[int]], Tensor], x: Tensor, n: Tensor
) -> Tensor:
    """The half of the spectrum that a real signal needs, over the last dimensions, or back."""
    return transform(b, x, b.ints(n, "fft_length"))


@handles(FFT=1, FFT2D=2, FFT3D=3)
def forward(b: Builder, axes: int, x: Tensor) -> Tensor:
    """The spectrum of a complex signal over the last dimensions."""
    return spectrum.fft(b, x, axes)


@handles(IFFT=1, IFFT2D=2, IFFT3D=3)
def backward(b: Builder, axes: int, x: Tensor) -> Tensor:
    """The complex signal of a spectrum over the last dimensions."""
    return spectrum.fft(b, x, axes, inverse=True)
