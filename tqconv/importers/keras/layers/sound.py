"""Layers that make spectra of sound, and sound of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import complex, conv, functions, products, rearrange, spectrum
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import reshaped, size_of, sizes_of
from tqconv.compose.slices import cut
from tqconv.importers.keras.layers.convolution import FIRST, windows_of
from tqconv.importers.keras.layers.signals import bell_of, short_time_spectra
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
LEAST = 1e-7
"""The least power and the least size whose logarithm is taken (`backend.epsilon()`)."""
DECIBELS = F(10 / math.log(10))
"""What a natural logarithm is multiplied by."""


@handles("MelSpectrogram")
def mel_spectrogram(
    b: KerasBuilder,
    x: Tensor,
    *,
    fft_length: int = 2048,
    sequence_stride: int = 512,
    sequence_length: int | None = None,
    window: Any = "hann",
    sampling_rate: float = 16000,
    num_mel_bins: int = 128,
    min_freq: float = 20.0,
    max_freq: float | None = None,
    power_to_db: bool = True,
    top_db: float = 80.0,
    mag_exp: float = 2.0,
    min_power: float = 1e-10,
    ref_power: float = 1.0,
) -> Tensor:
    """Return the power in bands that are equally wide to the ear: [..., bands, steps]."""
    b.pay(num_mel_bins * (fft_length // 2 + 1), "num_mel_bins")
    real, imaginary = short_time_spectra(
        b,
        x,
        sequence_length=sequence_length or fft_length,
        sequence_stride=sequence_stride,
        fft_length=fft_length,
        window=window,
    )
    power = b("ADD", b("SQUARE", real), b("SQUARE", imaginary))
    power = power if mag_exp == 2 else b("POW", power, np.array(mag_exp / 2, F))
    highest = max_freq or int(sampling_rate / 2)
    bands = mel_bands(num_mel_bins, fft_length // 2 + 1, sampling_rate, min_freq, highest)
    y = products.affine(b, power, b.const(bands, F, "bands"))
    if power_to_db:
        least = b("LOG", b("MAXIMUM", y, np.array(min_power, F)))
        y = b("MUL", least, np.array(DECIBELS))
        y = b("SUB", y, np.array(10 * math.log10(max(abs(ref_power), min_power)), F))
        loudest = b("REDUCE_MAX", y, np.arange(y.rank, dtype=np.int32), keep_dims=False)
        y = b("MAXIMUM", y, b("SUB", loudest, np.array(top_db, F)))
    return b.transpose(y, (*range(y.rank - 2), y.rank - 1, y.rank - 2))


def mel_bands(
    count: int, bins: int, rate: float, lowest: float, highest: float
) -> NDArray[np.float32]:
    """Return the weights [bins, count] of triangles that are equally wide on the mel scale."""

    def mel(hertz: Any) -> NDArray[np.float64]:  # HTK's scale
        return np.asarray(1127 * np.log1p(np.asarray(hertz, np.float64) / 700))

    places = mel(np.linspace(0, rate / 2, bins)[1:, None])
    edges = np.linspace(mel(lowest), mel(highest), count + 2)
    up = (places - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - places) / (edges[2:] - edges[1:-1])
    bands = np.maximum(np.minimum(up, down), 0)
    return np.pad(bands, ((1, 0), (0, 0))).astype(F)  # the constant part belongs to no band


@handles("STFTSpectrogram")
def stft_spectrogram(
    b: KerasBuilder,
    x: Tensor,
    *,
    mode: str = "log",
    frame_length: int = 256,
    frame_step: int | None = None,
    fft_length: int | None = None,
    window: Any = None,
    periodic: bool = False,
    scaling: str | None = None,
    padding: str = "valid",
    expand_dims: bool = False,
    data_format: str | None = None,
) -> Tensor:
    """Return spectra of windows: [n, steps, frequencies of each channel], or with two axes.

    They are convolutions with weights that the file holds, which windows and scales are part of.
    """
    first = data_format == FIRST
    x = b.real(x)
    x = x if first else b.transpose(x, (0, 2, 1))
    count, channels, _ = sizes_of(b, x)
    signals = reshaped(b, x, [-1, *sizes_of(b, x)[2:], 1])
    windows = windows_of([frame_length], frame_step or frame_length // 2, 1, padding)

    def part(name: str) -> Tensor:
        y = conv.conv(b, signals, b.weight(f"{name}_kernel"), windows)
        return reshaped(b, y, [count, channels, *sizes_of(b, y)[1:]])

    y = _of_mode(b, mode, part)  # [n, channels, steps, frequencies]
    if expand_dims:
        return y if first else b.transpose(y, (0, 2, 3, 1))
    steps = size_of(b, y, 2)
    flat = y.shape[1] * y.shape[3] if y.shape[1] and y.shape[3] else -1
    if first:
        return reshaped(b, b.transpose(y, (0, 1, 3, 2)), [count, flat, steps])
    return reshaped(b, b.transpose(y, (0, 2, 1, 3)), [count, steps, flat])


def _of_mode(b: KerasBuilder, mode: str, part: Callable[[str], Tensor]) -> Tensor:
    """Return what a mode makes of the real and the imaginary part."""
    if mode in ("real", "imag"):
        return part(mode)
    real, imaginary = part("real"), part("imag")
    if mode == "angle":
        return functions.atan2(b, imaginary, real)
    if mode == "stft":
        return rearrange.joined(b, [real, imaginary], 3)
    power = b("ADD", b("SQUARE", real), b("SQUARE", imaginary))
    if mode == "psd":  # what lies between the constant part and the highest counts twice
        twice = np.full(power.shape[-1] or 1, 2, F)
        twice[[0, -1]] = 1
        return b("MUL", power, twice)
    y = b("SQRT", b("MAXIMUM", power, np.array(LEAST, F)))
    return y if mode == "magnitude" else b("LOG", b("MAXIMUM", y, np.array(LEAST, F)))


@handles("ops.ISTFT")
def sound_of_spectra(
    b: KerasBuilder,
    real: Tensor,
    imaginary: Tensor,
    *,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """Add up what windows of spectra [..., windows, frequencies] sound like."""
    b.pay(sequence_length + fft_length, "fft_length")
    parts = spectrum.irfft(b, complex.joined(b, b.real(real), b.real(imaginary)), [fft_length])
    if window is not None:
        spare = fft_length - sequence_length
        bell = np.pad(bell_of(window, sequence_length), (spare // 2, spare - spare // 2))
        parts = b("MUL", parts, _inverse_bell(bell, sequence_stride).astype(F))
    y = added_up(b, parts, sequence_stride)
    start = fft_length // 2 if center else 0
    whole = static_size(y, -1)
    end = whole - (fft_length // 2 if center else 0) if length is None else start + length
    return cut(b, y, {y.rank - 1: (start, min(end, whole), 1)})


def _inverse_bell(bell: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Return the window by which sound becomes what it was (tf.signal.inverse_stft_window_fn)."""
    rows = -(-len(bell) // step)
    power = np.pad(bell**2, (0, rows * step - len(bell))).reshape(rows, step).sum(0)
    return np.asarray(bell / np.tile(power, rows)[: len(bell)])


def added_up(b: KerasBuilder, parts: Tensor, step: int) -> Tensor:
    """Add parts [..., n, length] up, each `step` behind the one before it.

    Pieces of one step are put into rows, each of which is a place longer than what it holds: what
    belongs to one place then stands in one column.
    """
    count, length = static_size(parts, -2), static_size(parts, -1)
    rows = -(-length // step)
    outer = sizes_of(b, parts)[:-2]
    x = reshaped(b, parts, [-1, count, length])
    x = b("PAD", x, np.array([[0, 0], [0, 0], [0, rows * step - length]], np.int32))
    x = b.transpose(reshaped(b, x, [-1, count, rows, step]), (0, 2, 1, 3))
    x = b("PAD", x, np.array([[0, 0], [0, 0], [0, rows], [0, 0]], np.int32))
    places = count + rows - 1
    x = reshaped(b, x, [-1, (count + rows) * rows, step])
    x = cut(b, x, {1: (0, places * rows, 1)})
    x = b("SUM", reshaped(b, x, [-1, rows, places, step]), np.array([1], np.int32), keep_dims=False)
    x = cut(b, reshaped(b, x, [-1, places * step]), {1: (0, (count - 1) * step + length, 1)})
    return reshaped(b, x, [*outer, (count - 1) * step + length])
