"""Fourier transforms, and what speech models do before them."""

from __future__ import annotations

import numpy as np

from tqconv.compose import spectrum
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import inserted
from tqconv.errors import UnsupportedError
from tqconv.importers.borders import COMPUTED
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.tensors import dtype_of
from tqconv.ir.graph import Tensor

F = np.float32


@handles("DFT", since=17)
def transform_17(
    b: ONNXBuilder,
    x: Tensor,
    length: Tensor | None = None,
    *,
    axis: int = 1,
    inverse: int = 0,
    onesided: int = 0,
) -> Tensor:
    """Transform x: [..., n, ..., 1 or 2], real numbers or pairs of parts, along an axis."""
    count = None if length is None else int(b.scalar(length, "dft_length"))
    half, backward = bool(onesided), bool(inverse)
    return spectrum.of_parts(b, x, axis % x.rank, count, inverse=backward, half=half)


@handles("DFT", since=20)
def transform(
    b: ONNXBuilder,
    x: Tensor,
    length: Tensor | None = None,
    axis: Tensor | None = None,
    *,
    inverse: int = 0,
    onesided: int = 0,
) -> Tensor:
    """Transform x: [..., n, ..., 1 or 2], real numbers or pairs of parts, along an axis."""
    place = -2 if axis is None else int(b.scalar(axis, "axis"))
    return transform_17(b, x, length, axis=place, inverse=inverse, onesided=onesided)


@handles("STFT", since=17)
def short_transform(
    b: ONNXBuilder,
    x: Tensor,
    step: Tensor,
    window: Tensor | None = None,
    length: Tensor | None = None,
    *,
    onesided: int = 1,
) -> Tensor:
    """Transform frames of x: [n, samples, 1 or 2]: [n, frames, bins, 2]."""
    signal = inserted(b, x, 2) if x.rank == 2 else x
    if length is not None:
        count = int(b.scalar(length, "frame_length"))
    else:
        count = static_size(signal, 1) if window is None else static_size(window, 0)
    stride, samples = int(b.scalar(step, "frame_step")), signal.shape[1]
    if stride < 1 or count < 1 or (samples is not None and count > samples):
        raise UnsupportedError(f"frames of {count} samples every {stride} of {samples or '?'}")
    if window is not None and static_size(window, 0) != count:
        raise UnsupportedError(f"a window of {window.shape[0]} for frames of {count} samples")
    if window is None or window.is_constant:
        weights = None if window is None else window.data
        return spectrum.of_frames(b, signal, count, stride, weights, half=bool(onesided))
    b.pay((static_size(signal, 1) // stride + 1) * count, "frame_length")
    starts = np.arange(0, static_size(signal, 1) - count + 1, stride)
    places = (starts[:, None] + np.arange(count)).astype(np.int32)
    frames = b("MUL", b("GATHER", signal, places, axis=1), b.reshape(window, (count, 1)))
    return spectrum.of_parts(b, frames, 2, None, inverse=False, half=bool(onesided))


@handles("MelWeightMatrix", since=17)
def mel_weights(
    b: ONNXBuilder,
    bins: Tensor,
    length: Tensor,
    rate: Tensor,
    lowest: Tensor,
    highest: Tensor,
    *,
    output_datatype: int = 1,
) -> Tensor:
    """Return the constant matrix [dft_length / 2 + 1, bins] from a spectrum to mel bands."""
    count, points, sampled = (
        int(b.scalar(t, name))
        for t, name in ((bins, "num_mel_bins"), (length, "dft_length"), (rate, "sample_rate"))
    )
    edges = [
        2595 * np.log10(1 + float(b.scalar(t, name)) / 700)
        for t, name in ((lowest, "lower_edge_hertz"), (highest, "upper_edge_hertz"))
    ]
    if min(count, points) < 1 or sampled < 1:
        raise UnsupportedError(f"{count} bands of {points} points at {sampled} Hz")
    b.pay((count + 2) * (points // 2 + 1), "num_mel_bins")
    mels = np.arange(count + 2) * ((edges[1] - edges[0]) / (count + 2)) + edges[0]
    hertz = 700 * (10 ** (mels / 2595) - 1)
    corners = ((points + 1) * hertz // sampled).astype(int)
    rows = np.arange(points // 2 + 1)
    columns = []
    for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
        rising = (rows - low) / (middle - low) if middle > low else (rows == middle) * 1.0
        falling = (high - rows) / max(high - middle, 1)
        up = np.where((rows >= low) & (rows <= middle), rising, 0)
        columns.append(np.where((rows >= middle) & (rows < high), falling, up))
    dtype = dtype_of(output_datatype)
    return b.const(np.stack(columns, 1), COMPUTED.get(dtype, dtype))
