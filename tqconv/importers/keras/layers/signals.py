"""Operations of Keras 3 for networks, matrices and spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex, gather, linalg, matrices, products, rearrange, spectrum
from tqconv.compose import conv as convolutions
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import calculate, operand, reshaped, size_of, sizes_of, vector
from tqconv.compose.slices import cut
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers import pooling
from tqconv.importers.keras.layers.convolution import FIRST, many, spread, windows_of
from tqconv.importers.keras.layers.moves import moved
from tqconv.importers.keras.layers.operations import INT32, operands
from tqconv.importers.keras.layers.products import tensordot
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.registry import KerasBuilder, handles, operations
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor

F = np.float32


@operations(AdaptiveAveragePool="MEAN", AdaptiveMaxPool="REDUCE_MAX")
def adaptive_pool(
    b: KerasBuilder, type: str, x: Tensor, *, output_size: Any, data_format: str | None = None
) -> Tensor:
    """Reduce parts of each axis."""
    return pooling.adaptive_pool(b, type, x, output_size=output_size, data_format=data_format)


@handles("ops.ConvTranspose")
def conv_transpose(
    b: KerasBuilder,
    *xs: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    args: Any = None,
) -> Tensor:
    """Spread each element by a tensor [spatial…, out, in]."""
    x, w = operands(b, xs, args)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, "valid")
    extra = None if output_padding is None else many(output_padding, len(windows))
    same = padding == "same"
    return b.channels_last(
        b.real(x), data_format == FIRST, lambda t: spread(b, t, w, windows, same, extra)
    )


@handles("ops.SeparableConv")
def separable(
    b: KerasBuilder,
    *xs: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    args: Any = None,
) -> Tensor:
    """Convolve each channel by itself, then mix the channels."""
    x, w, mix = operands(b, xs, args)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    one = [Window(1)] * len(windows)

    def made(t: Tensor) -> Tensor:
        return convolutions.conv(b, convolutions.depthwise(b, t, w, windows), mix, one)

    return b.channels_last(b.real(x), data_format == FIRST, made)


@operations(DepthToSpace="DEPTH_TO_SPACE", SpaceToDepth="SPACE_TO_DEPTH")
def blocks(
    b: KerasBuilder, type: str, x: Tensor, *, block_size: int, data_format: str = "channels_last"
) -> Tensor:
    """Move blocks of space into channels, or back."""
    first = data_format == FIRST
    return b.channels_last(x, first, lambda t: b(type, t, block_size=block_size))


@handles("ops.BatchNorm")
def batch_norm(
    b: KerasBuilder,
    *xs: Tensor,
    axis: int,
    epsilon: float = 1e-3,
    offset: Any = None,
    scale: Any = None,
    args: Any = None,
) -> Tensor:
    """Return (x - mean) * scale / sqrt(variance + epsilon) + offset."""
    x, mean, variance, *rest = [*in_order(b, xs, args)]
    offset = rest[0] if rest else offset
    scale = rest[1] if len(rest) > 1 else scale
    x = b.real(x)

    def shaped(value: Any, what: str) -> Tensor:
        flat = b.real(tensor(b, value, F, what))
        sizes = [1] * x.rank
        sizes[axis % x.rank] = flat.shape[0] or 1
        return b.reshape(flat, sizes)

    factor = b("RSQRT", b("ADD", shaped(variance, "variance"), np.array(epsilon, F)))
    factor = factor if scale is None else b("MUL", factor, shaped(scale, "scale"))
    y = b("MUL", b("SUB", x, shaped(mean, "mean")), factor)
    return y if offset is None else b("ADD", y, shaped(offset, "offset"))


@operations(Det=linalg.matrix_determinant, Inv=linalg.matrix_inverse)
def of_matrix(b: KerasBuilder, compute: Callable[[Builder, Tensor], Tensor], x: Tensor) -> Tensor:
    """The determinant, or the inverse, of matrices."""
    return compute(b, b.real(x))


@handles("ops.Cholesky")
def cholesky(b: KerasBuilder, x: Tensor, *, upper: bool = False) -> Tensor:
    """The triangle whose product with its transpose is the matrix."""
    y = linalg.cholesky(b, b.real(x))
    return b.transpose(y, (*range(y.rank - 2), y.rank - 1, y.rank - 2)) if upper else y


@handles("ops.Solve", "ops.SolveTriangular")
def solve(b: KerasBuilder, *xs: Tensor, lower: bool = False, args: Any = None) -> Tensor:
    """Solve linear equations."""
    x, y = operands(b, xs, args)
    column = y.rank == x.rank - 1
    y = b("EXPAND_DIMS", y, np.array(y.rank, np.int32)) if column else y
    if b.layer.op == "ops.Solve":
        found = linalg.matrix_solve(b, x, y)
    else:
        found = linalg.matrix_triangular_solve(b, x, y, lower=lower)
    return reshaped(b, found, sizes_of(b, found)[:-1]) if column else found


@handles("ops.Outer")
def outer(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Multiply all elements of one with all of the other."""
    x, y = operands(b, xs, args, numbers=INT32)
    return b("MUL", reshaped(b, x, [-1, 1]), reshaped(b, y, [1, -1]))


@handles("ops.Inner", "ops.Vdot")
def inner(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Multiply and sum along the last axis of both, or all of them."""
    x, y = operands(b, xs, args)
    if 0 in (x.rank, y.rank):
        return b("MUL", x, y)
    if b.layer.op == "ops.Vdot":
        flat = b("MUL", reshaped(b, x, [-1]), reshaped(b, y, [-1]))
        return b("SUM", flat, np.array([0], np.int32), keep_dims=False)
    return tensordot(b, x, y, axes=[[x.rank - 1], [y.rank - 1]])


@handles("ops.Cross")
def cross(
    b: KerasBuilder,
    *xs: Tensor,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
    args: Any = None,
) -> Tensor:
    """The cross product of vectors of three along an axis of either; `axis` stands for all."""
    x, y = operands(b, xs, args)
    first, second, last = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    x, y = moved(b, x, source=first, destination=-1), moved(b, y, source=second, destination=-1)
    if (x.shape[-1], y.shape[-1]) != (3, 3):
        raise UnsupportedError("Cross of vectors that do not have three elements")
    return moved(b, matrices.cross(b, x, y), source=-1, destination=last)


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


@handles("ops.Logdet", "ops.Slogdet")
def log_det(b: KerasBuilder, x: Tensor) -> Sequence[Tensor]:
    """The logarithm of the size of the determinant; for Slogdet its sign before it."""
    found = linalg.log_matrix_determinant(b, b.real(x))
    return found if b.layer.op == "ops.Slogdet" else found[1:]


@handles("ops.CholeskyInverse")
def inverse_of_product(b: KerasBuilder, x: Tensor, *, upper: bool = False) -> Tensor:
    """The inverse of the matrix of which this is the Cholesky triangle."""
    x = b.real(x)
    b.pay(static_size(x, -1) ** 2, "input")
    identity = b("BROADCAST_TO", np.eye(static_size(x, -1), dtype=F), vector(b, sizes_of(b, x)))
    inverse = linalg.matrix_triangular_solve(b, x, identity, lower=not upper)
    return products.product(b, inverse, inverse, adj_x=not upper, adj_w=upper)


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
