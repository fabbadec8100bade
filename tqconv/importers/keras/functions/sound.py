"""Functions of `tf.signal`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import products, spectrum
from tqconv.compose.operands import static_size
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.signals import bell_of, extract_sequences
from tqconv.importers.keras.layers.sound import added_up
from tqconv.importers.keras.nodes import function
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.ir.graph import Tensor

F = np.float32
HANN = "hann_window"


@function("signal.frame")
def frame(
    b: KerasBuilder,
    x: Tensor,
    *,
    frame_length: int,
    frame_step: int,
    pad_end: bool = False,
    pad_value: float = 0,
    axis: int = -1,
) -> Tensor:
    """Put windows of the last axis beside each other."""
    if axis not in (-1, x.rank - 1):
        raise UnsupportedError(f"frames along axis {axis} of a tensor of rank {x.rank}")
    if pad_end:
        have = static_size(x, -1)
        steps = -(-have // frame_step)
        amounts = np.zeros((x.rank, 2), np.int32)
        amounts[-1, 1] = max(0, frame_length + (steps - 1) * frame_step - have)
        x = b("PADV2", x, amounts, np.array(pad_value, x.dtype)) if amounts.any() else x
    return extract_sequences(b, x, sequence_length=frame_length, sequence_stride=frame_step)


@function("signal.stft")
def stft(
    b: KerasBuilder,
    x: Tensor,
    *,
    frame_length: int,
    frame_step: int,
    fft_length: int | None = None,
    window_fn: Any = HANN,
    pad_end: bool = False,
) -> Tensor:
    """The spectra of windows of the last axis."""
    frames = frame(b, b.real(x), frame_length=frame_length, frame_step=frame_step, pad_end=pad_end)
    window = _window(window_fn, frame_length)
    frames = frames if window is None else b("MUL", frames, window)
    return spectrum.rfft(b, frames, [fft_length or _enclosing(frame_length)])


@function("signal.inverse_stft")
def inverse_stft(
    b: KerasBuilder,
    x: Tensor,
    *,
    frame_length: int,
    frame_step: int,
    fft_length: int | None = None,
    window_fn: Any = HANN,
) -> Tensor:
    """What windows of spectra sound like, added up."""
    length = fft_length or _enclosing(frame_length)
    frames = along(b, spectrum.irfft(b, x, [length]), -1, None, frame_length)
    if frame_length > length:
        amounts = np.zeros((frames.rank, 2), np.int32)
        amounts[-1, 1] = frame_length - length
        frames = b("PAD", frames, amounts)
    window = _window(window_fn, frame_length)
    frames = frames if window is None else b("MUL", frames, window)
    return added_up(b, frames, frame_step)


def _window(name: Any, length: int) -> NDArray[Any] | None:
    """Return the window that a function of `tf.signal` makes; files hold its name."""
    if name is None:
        return None
    name = name.get("config") if isinstance(name, Mapping) else name
    return bell_of(str(name).removesuffix("_window"), length).astype(F)


def _enclosing(length: int) -> int:
    """Return the least power of two that is not below."""
    return 1 << max(length - 1, 0).bit_length()


@function("signal.overlap_and_add")
def overlap_and_add(b: KerasBuilder, x: Tensor, *, frame_step: int) -> Tensor:
    """Add up windows, each a step behind the one before it."""
    return added_up(b, b.real(x), frame_step)


@function(**{"signal.dct": False, "signal.idct": True})
def dct(
    b: KerasBuilder,
    inverse: bool,
    x: Tensor,
    *,
    type: int = 2,
    n: int | None = None,
    axis: int = -1,
    norm: str | None = None,
) -> Tensor:
    """Cosine transform along the last axis: a product with a constant matrix."""
    have = static_size(x, -1)
    length = n or have
    if axis != -1 or type not in (2, 3):
        raise UnsupportedError(f"a cosine transform of type {type} along axis {axis}")
    b.pay(length * max(length, have), "n")
    make = _cosines if (type == 2) != inverse else _third
    matrix, rows = make(length, norm == "ortho"), np.zeros((length, have))
    rows[:, : min(have, length)] = matrix[:, : min(have, length)]
    return products.affine(b, b.real(x), b.const(rows, F, "cosines"), transposed=True)


def _cosines(n: int, is_orthogonal: bool) -> NDArray[np.float64]:
    """[n, n]: row k is 2 cos(pi k (2 i + 1) / 2 n), the transform of type 2."""
    angles = np.outer(np.arange(n), 2 * np.arange(n) + 1) % (4 * n) * (np.pi / (2 * n))
    rows = 2 * np.cos(angles)
    if is_orthogonal:
        rows *= np.sqrt(1 / (2 * n))
        rows[0] *= np.sqrt(0.5)
    return np.asarray(rows, np.float64)


def _third(n: int, is_orthogonal: bool) -> NDArray[np.float64]:
    """[n, n]: the transform of type 3, the inverse of type 2 up to a factor of 2 n."""
    columns = _cosines(n, is_orthogonal).T
    if not is_orthogonal:
        columns = columns.copy()
        columns[:, 0] *= 0.5
    return columns


@function("signal.mfccs_from_log_mel_spectrograms")
def mfccs(b: KerasBuilder, x: Tensor) -> Tensor:
    """Cepstral coefficients of logarithms of power in bands."""
    bands = static_size(x, -1)
    b.pay(bands * bands, "bands")
    rows = _cosines(bands, is_orthogonal=False) / np.sqrt(2 * bands)
    return products.affine(b, b.real(x), b.const(rows, F, "cosines"), transposed=True)
