"""Operations of Keras 3 on spectra, complex numbers and frames of a signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex, gather, rearrange, spectrum
from tqconv.compose import conv as convolutions
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, operand, size_of
from tqconv.compose.slices import cut
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.operations import operands
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.ir.graph import Tensor

F = np.float32


def _parts(b: KerasBuilder, x: Tensor) -> list[Tensor]:
    return [complex.real(b, x), complex.imaginary(b, x)]


@handles("ops.RFFT")
def rfft(b: KerasBuilder, x: Tensor, *, fft_length: int | None = None) -> Sequence[Tensor]:
    """The spectrum of real numbers along the last axis: its real and its imaginary part."""
    length = static_size(x, -1) if fft_length is None else fft_length
    return _parts(b, spectrum.rfft(b, b.real(x), [length]))


@handles("ops.IRFFT")
def irfft(
    b: KerasBuilder, real: Tensor, imaginary: Tensor, *, fft_length: int | None = None
) -> Tensor:
    """Real numbers of a spectrum along the last axis."""
    length = 2 * (static_size(real, -1) - 1) if fft_length is None else fft_length
    return spectrum.irfft(b, complex.joined(b, real, imaginary), [length])


@operations(FFT=(1, False), FFT2=(2, False), IFFT2=(2, True))
def fft(
    b: KerasBuilder, told: tuple[int, bool], real: Tensor, imaginary: Tensor
) -> Sequence[Tensor]:
    """The spectrum of complex numbers, or back."""
    axes, inverse = told
    x = complex.joined(b, real, imaginary)
    return _parts(b, spectrum.fft(b, x, axes, inverse=inverse))


@handles("ops.ExtractSequences")
def extract_sequences(
    b: KerasBuilder, x: Tensor, *, sequence_length: int, sequence_stride: int
) -> Tensor:
    """Put windows of the last axis beside each other."""
    have = size_of(b, x, -1)
    least = have if isinstance(have, int) else sequence_length
    if not 0 < sequence_length <= least or sequence_stride < 1:
        raise UnsupportedError(f"windows of {sequence_length} elements of {have}")
    b.pay(least // sequence_stride * sequence_length, "sequence_length")
    rest = calculate(b, "FLOOR_DIV", calculate(b, "SUB", have, sequence_length), sequence_stride)
    count = operand(calculate(b, "ADD", rest, 1))
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    starts = b("MUL", b("RANGE", zero, count, one), np.array(sequence_stride, np.int32))
    places = b("ADD", b.reshape(starts, [-1, 1]), np.arange(sequence_length, dtype=np.int32))
    return gather.gathered(b, x, places, x.rank - 1)


WINDOWS = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46)}
"""The mean and the swing of windows: periodic ones of an even length, symmetric ones of an odd one,
as TensorFlow makes them."""


@handles("ops.STFT")
def short_time_spectra(
    b: KerasBuilder,
    x: Tensor,
    *,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Sequence[Tensor]:
    """The spectra of windows of the last axis, beside each other: real and imaginary parts."""
    b.pay(sequence_length + fft_length, "fft_length")
    x = b.real(x)
    if center:
        amounts = np.zeros((x.rank, 2), np.int32)
        amounts[-1] = fft_length // 2
        x = rearrange.mirror_pad(b, x, b.const(amounts, np.int32, "amounts"), "REFLECT")
    frames = extract_sequences(b, x, sequence_length=fft_length, sequence_stride=sequence_stride)
    if window is not None:
        bell = bell_of(window, sequence_length)
        spare = fft_length - sequence_length
        frames = b("MUL", frames, np.pad(bell, (spare // 2, spare - spare // 2)).astype(F))
    return _parts(b, spectrum.rfft(b, frames, [fft_length]))


def bell_of(window: Any, length: int) -> NDArray[np.float64]:
    """Return a window: one with a name, or the numbers that the file holds."""
    if not isinstance(window, str):
        return np.asarray(window, np.float64)
    if window not in WINDOWS:
        raise UnsupportedError(f"STFT with the window `{window}`")
    mean, swing = WINDOWS[window]
    turns = np.arange(length) / max(length - length % 2, 1)
    return np.asarray(mean - swing * np.cos(2 * np.pi * turns), np.float64)


@handles("ops.ViewAsComplex")
def as_complex(b: KerasBuilder, x: Tensor) -> Tensor:
    """Read pairs along the last axis as complex numbers."""
    return complex.joined(b, *rearrange.unstacked(b, b.real(x), 2, -1))


@handles("ops.ViewAsReal")
def as_real(b: KerasBuilder, x: Tensor) -> Tensor:
    """Put real and imaginary parts side by side."""
    return rearrange.stacked(b, _parts(b, x), -1)


@handles("ops.Polar")
def polar(b: KerasBuilder, size: Tensor, angle: Tensor) -> Tensor:
    """Complex numbers of sizes and angles."""
    x, y = (b("MUL", b.real(size), b(turn, b.real(angle))) for turn in ("COS", "SIN"))
    return complex.joined(b, x, y)


@handles("ops.Correlate")
def correlate(b: KerasBuilder, *xs: Tensor, mode: str = "valid", args: Any = None) -> Tensor:
    """Products of one vector with each place of the other, summed."""
    x, y = (b.real(t) for t in operands(b, xs, args))
    have, want = static_size(x, 0), static_size(y, 0)
    if mode == "valid" and want > have:
        raise UnsupportedError(f"Correlate of {have} numbers with {want}")
    around = 0 if mode == "valid" else want - 1
    signal = b.reshape(b("PAD", x, np.full((1, 2), around, np.int32)), [1, -1, 1])
    found = convolutions.conv(b, signal, b.reshape(y, [want, 1, 1]), [Window(want)])
    found = b.reshape(found, [-1])
    if mode != "same":
        return found
    longest = max(have, want)
    start = (have + want - 1 - longest) // 2
    return cut(b, found, {0: (start, start + longest, 1)})
