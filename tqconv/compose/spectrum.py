"""Discrete Fourier transforms.

Lengths that are powers of two go to RFFT2D, the only transform that LiteRT has. Others, and
transforms of complex numbers, are products with a constant matrix, of tensors whose last dimension
holds real and imaginary parts in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.complex import COMPLEX64, FLOAT32
from tqconv.compose.integers import bitcast
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, inserted, reshaped, size_of, sizes_of
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError, counted, shaped
from tqconv.ir.graph import Tensor

LONGEST = 4096
"""Points of a transform by matrix: 128 MB of constants are the most that is sensible."""
Matrix = NDArray[np.float32]


def rfft(b: Builder, x: Tensor, lengths: Sequence[int]) -> Tensor:
    """The half of the spectrum that a real signal needs, over the last dimensions.

    The signal is cut or filled with zeros to `lengths` first.
    """
    x = _resized(b, x, lengths)
    is_power = all(n > 0 and n & (n - 1) == 0 for n in lengths)
    if len(lengths) <= 2 and is_power and lengths[-1] > 1:  # of one point the kernel is wrong
        return _by_kernel(b, x, lengths)
    spectrum = _along_last(b, x, forward_of_real(lengths[-1]), is_complex=False)
    return _other_axes(b, spectrum, lengths, inverse=False)


def irfft(b: Builder, x: Tensor, lengths: Sequence[int]) -> Tensor:
    """The real signal, of `lengths`, of half a spectrum over the last dimensions."""
    x = _resized(b, x, [*lengths[:-1], lengths[-1] // 2 + 1])
    x = _other_axes(b, x, lengths, inverse=True)
    return _along_last(b, x, backward_to_real(lengths[-1]), is_complex=True, to_complex=False)


def fft(b: Builder, x: Tensor, axes: int, *, inverse: bool = False) -> Tensor:
    """The spectrum of a complex signal over the last dimensions, or its inverse."""
    lengths = [static_size(x, axis) for axis in range(-axes, 0)]
    x = _along_last(b, x, of_complex(lengths[-1], inverse), is_complex=True)
    return _other_axes(b, x, lengths, inverse)


def forward_of_real(n: int) -> Matrix:
    """[n, 2 (n / 2 + 1)]: columns are cosines and negative sines in turn."""
    cosines, sines = _waves(n, n // 2 + 1)
    return _interleaved(cosines, 0 - sines)


def of_complex(n: int, inverse: bool) -> Matrix:
    """[2 n, 2 n]: rows and columns are real and imaginary parts in turn."""
    cosines, sines = _waves(n, n)
    sines = sines if inverse else 0 - sines
    rows = np.stack([_interleaved(cosines, sines), _interleaved(-sines, cosines)], 1)
    return np.asarray(rows.reshape(2 * n, 2 * n) / (n if inverse else 1), np.float32)


def backward_to_real(n: int) -> Matrix:
    """[2 (n / 2 + 1), n]: the other half of the spectrum is the conjugate of this one."""
    count = n // 2 + 1
    weights = np.full((count, 1), 2.0)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    cosines, sines = _waves(n, count)
    rows = np.stack([weights * cosines.T, -weights * sines.T], 1)
    return np.asarray(rows.reshape(2 * count, n) / n, np.float32)


def _waves(n: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosines and sines of 2 pi j k / n: [n, count] each.

    Products are reduced first, so that large ones lose nothing. What is 0 is 0 exactly: noise of
    float64 would be an imaginary part of a real bin, and its sign decides between pi and -pi.
    """
    if n > LONGEST:
        raise UnsupportedError(f"a transform of {counted(n, 'point')}, which is no power of two")
    turns = np.outer(np.arange(n), np.arange(count)) % n
    angles = turns * (2 * np.pi / n)
    cosines = np.where(turns * 4 % (2 * n) == n, 0.0, np.cos(angles))
    return cosines, np.where(turns * 2 % n == 0, 0.0, np.sin(angles))


def _interleaved(real: NDArray[Any], imaginary: NDArray[Any]) -> Matrix:
    return np.asarray(np.stack([real, imaginary], -1).reshape(len(real), -1), np.float32)


def _along_last(
    b: Builder, x: Tensor, matrix: Matrix, *, is_complex: bool, to_complex: bool = True
) -> Tensor:
    batch: list[Size] = sizes_of(b, x)[:-1]
    flat = bitcast(b, x, FLOAT32) if is_complex else x
    flat = reshaped(b, flat, [-1, matrix.shape[0]])
    y = b("FULLY_CONNECTED", flat, np.ascontiguousarray(matrix.T), None)
    if not to_complex:
        return reshaped(b, y, [*batch, matrix.shape[1]])
    return bitcast(b, reshaped(b, y, [*batch, matrix.shape[1] // 2, 2]), COMPLEX64)


def _other_axes(b: Builder, x: Tensor, lengths: Sequence[int], inverse: bool) -> Tensor:
    """Transform the dimensions before the last."""
    for back, length in enumerate(reversed(lengths[:-1]), start=2):
        matrix = of_complex(length, inverse)
        along = partial(_along_last, b, matrix=matrix, is_complex=True)
        x = b.on_last_axis(x, x.rank - back, along)
    return x


def _by_kernel(b: Builder, x: Tensor, lengths: Sequence[int]) -> Tensor:
    batch = sizes_of(b, x)
    if len(lengths) == 2:
        return b("RFFT2D", x, np.array(lengths, np.int32))
    rows = reshaped(b, x, [*batch[:-1], 1, lengths[0]])
    spectrum = b("RFFT2D", rows, np.array([1, *lengths], np.int32))
    return reshaped(b, spectrum, [*batch[:-1], lengths[0] // 2 + 1])


def _resized(b: Builder, x: Tensor, lengths: Sequence[int]) -> Tensor:
    """Cut or fill with zeros the last dimensions."""
    begin, sizes = np.zeros(x.rank, np.int32), np.full(x.rank, -1, np.int32)
    paddings = np.zeros((x.rank, 2), np.int32)
    for axis, length in zip(range(x.rank - len(lengths), x.rank), lengths, strict=True):
        have = static_size(x, axis)
        sizes[axis] = min(have, length)
        paddings[axis, 1] = max(0, length - have)
    parts = bitcast(b, x, FLOAT32) if x.dtype == COMPLEX64 else x
    extra = parts.rank - x.rank
    if any(size not in (-1, have) for size, have in zip(sizes, x.shape, strict=True)):
        kept = np.pad(sizes, (0, extra), constant_values=-1)
        parts = b("SLICE", parts, np.pad(begin, (0, extra)), kept)
    if paddings.any():
        parts = b("PAD", parts, np.pad(paddings, ((0, extra), (0, 0))))
    return bitcast(b, parts, COMPLEX64) if x.dtype == COMPLEX64 else parts


def of_parts(
    b: Builder, x: Tensor, axis: int, length: int | None, *, inverse: bool, half: bool
) -> Tensor:
    """Transform x: [..., n, ..., 1 or 2], real numbers or pairs of parts, along an axis.

    `length`: x is cut or filled with zeros to it. `half`: only the half of the spectrum that a real
    signal needs is made; from such a half, the inverse makes a real signal: [..., 1].
    """
    parts = static_size(x, -1)
    if parts not in (1, 2) or not 0 <= axis < x.rank - 1:
        raise UnsupportedError(f"a transform along axis {axis} of {shaped(x.shape)}")
    have = static_size(x, axis)
    points = length if length is not None else 2 * (have - 1) if inverse and half else have
    to_real = inverse and half
    matrix = backward_to_real(points) if to_real else of_complex(points, inverse)
    if half and not inverse:
        matrix = matrix[:, : 2 * (points // 2 + 1)]
    matrix = matrix if parts == 2 else matrix[::2]
    made = 1 if to_real else 2
    read = min(have, matrix.shape[0] // parts)
    order = [*(i for i in range(x.rank - 1) if i != axis), axis, x.rank - 1]
    moved = b.transpose(along(b, x, axis, 0, read), order)
    batch = sizes_of(b, moved)[:-2]
    rows = np.ascontiguousarray(matrix[: read * parts].T)
    flat = b("FULLY_CONNECTED", reshaped(b, moved, [-1, read * parts]), rows, None)
    y = reshaped(b, flat, [*batch, matrix.shape[1] // made, made])
    return b.transpose(y, [order.index(i) for i in range(x.rank)])


def of_frames(
    b: Builder,
    x: Tensor,
    count: int,
    step: int,
    window: NDArray[Any] | None = None,
    *,
    half: bool,
) -> Tensor:
    """Transform frames of x: [n, samples, 1 or 2], `count` samples every `step`.

    [n, frames, bins, 2], as many frames as fit. Each frame is weighed by `window`: [count]. A
    convolution with waves does all of it, however long the signal is. `half`: as `of_parts` has it.
    """
    parts, bins = static_size(x, 2), count // 2 + 1 if half else count
    if parts not in (1, 2):
        raise UnsupportedError(f"frames of {shaped(x.shape)}")
    waves = of_complex(count, inverse=False)[:: 3 - parts, : 2 * bins]
    if window is not None:
        waves = waves * np.repeat(window.astype(np.float32), parts)[:, None]
    filters = np.ascontiguousarray(waves.T).reshape(2 * bins, 1, count, parts)
    y = b(
        "CONV_2D",
        inserted(b, x, 1),
        filters,
        np.zeros(2 * bins, np.float32),
        padding="VALID",
        stride_h=1,
        stride_w=step,
    )
    return reshaped(b, y, [size_of(b, x, 0), size_of(b, y, 2), bins, 2])
