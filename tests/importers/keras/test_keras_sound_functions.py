"""Functions of tf.signal, and those that decode, which tf.keras models hold as layers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_keras import Array, of_function

from tqconv.errors import UnsupportedError

RNG = np.random.default_rng(3)
SOUND = RNG.uniform(-1, 1, (2, 40)).astype(np.float32)
HAMMING = {"module": "builtins", "class_name": "function", "config": "hamming_window"}


def frames(x: Array, length: int, step: int, padding: float | None = None) -> Array:
    count = x.shape[-1]
    steps = 1 + (count - length) // step if padding is None else math.ceil(count / step)
    whole = np.pad(x, ((0, 0), (0, length)), constant_values=padding or 0)
    return np.stack([whole[:, i * step : i * step + length] for i in range(steps)], 1)


def raised_cosine(mean: float, length: int) -> Array:
    turns = np.arange(length) / (length if length % 2 == 0 else length - 1)
    return mean - (1 - mean) * np.cos(2 * np.pi * turns)


def test_frames(tmp_path: Path) -> None:
    told = {"frame_length": 16, "frame_step": 6}
    np.testing.assert_array_equal(
        of_function(tmp_path, "signal.frame", [SOUND], **told)[0], frames(SOUND, 16, 6)
    )
    y = of_function(tmp_path, "signal.frame", [SOUND], **told, pad_end=True, pad_value=3.0)[0]
    np.testing.assert_array_equal(y, frames(SOUND, 16, 6, 3))


@pytest.mark.parametrize(
    ("told", "length", "window"),
    [
        ({"frame_length": 16}, 16, raised_cosine(0.5, 16)),
        ({"frame_length": 15, "window_fn": "hamming_window"}, 16, raised_cosine(0.54, 15)),
        ({"frame_length": 15, "window_fn": HAMMING, "fft_length": 24}, 24, raised_cosine(0.54, 15)),
        ({"frame_length": 16, "window_fn": None, "fft_length": 20}, 20, np.ones(16)),
    ],
    ids=str,
)
def test_spectra(tmp_path: Path, told: dict[str, Any], length: int, window: Array) -> None:
    expected = np.fft.rfft(frames(SOUND, told["frame_length"], 5) * window, length)
    y = of_function(tmp_path, "signal.stft", [SOUND], frame_step=5, **told)[0]
    np.testing.assert_allclose(y, expected, atol=2e-5)


def test_a_window_of_the_users_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the window `mine`"):
        of_function(
            tmp_path, "signal.stft", [SOUND], frame_length=8, frame_step=4, window_fn="mine"
        )


@pytest.mark.parametrize("length", [8, 12])
def test_sound_of_spectra(tmp_path: Path, length: int) -> None:
    spectra = (RNG.uniform(-1, 1, (2, 3, 5)) + 1j * RNG.uniform(-1, 1, (2, 3, 5))).astype("c8")
    parts = np.fft.irfft(spectra, 8)[..., :length]
    parts = np.pad(parts, ((0, 0), (0, 0), (0, length - 8))) * raised_cosine(0.5, length)
    expected = np.zeros((2, length + 6))
    for i in range(3):
        expected[:, 3 * i : 3 * i + length] += parts[:, i]
    told = {"frame_length": length, "frame_step": 3, "fft_length": 8}
    y = of_function(tmp_path, "signal.inverse_stft", [spectra], **told)[0]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_windows_are_added_up(tmp_path: Path) -> None:
    x = RNG.uniform(-1, 1, (2, 3, 4)).astype(np.float32)
    expected = np.zeros((2, 10), np.float32)
    for i in range(3):
        expected[:, 3 * i : 3 * i + 4] += x[:, i]
    y = of_function(tmp_path, "signal.overlap_and_add", [x], frame_step=3)[0]
    np.testing.assert_allclose(y, expected, atol=1e-6)


def cosines(x: Array, kind: int, norm: str | None) -> Array:
    """Follow the definition, element by element."""
    n = x.shape[-1]
    y = np.zeros(x.shape)
    for k in range(n):
        for i in range(n):
            if kind == 2:
                factor = 2 * math.cos(math.pi * k * (2 * i + 1) / (2 * n))
                scale = math.sqrt((1 if k == 0 else 2) / (4 * n))
            else:
                factor = (1 if i == 0 else 2) * math.cos(math.pi * i * (2 * k + 1) / (2 * n))
                scale = math.sqrt((2 if i == 0 else 1) / (2 * n))
            y[..., k] += x[..., i] * factor * (scale if norm == "ortho" else 1)
    return y


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("kind", [2, 3])
@pytest.mark.parametrize("inverse", [False, True])
def test_cosine_transforms(tmp_path: Path, inverse: bool, kind: int, norm: str | None) -> None:
    name = "signal.idct" if inverse else "signal.dct"
    y = of_function(tmp_path, name, [SOUND], type=kind, norm=norm)[0]
    np.testing.assert_allclose(y, cosines(SOUND, 5 - kind if inverse else kind, norm), atol=1e-4)


@pytest.mark.parametrize("n", [30, 48])
def test_cosine_transforms_of_another_length(tmp_path: Path, n: int) -> None:
    expected = cosines(np.pad(SOUND, ((0, 0), (0, 8)))[:, :n], 2, None)
    y = of_function(tmp_path, "signal.dct", [SOUND], n=n)[0]
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_cepstral_coefficients(tmp_path: Path) -> None:
    y = of_function(tmp_path, "signal.mfccs_from_log_mel_spectrograms", [SOUND])[0]
    np.testing.assert_allclose(y, cosines(SOUND, 2, None) / math.sqrt(80), atol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_places_in_sorted_rows(tmp_path: Path, side: Any) -> None:
    rows, wanted = np.array([[1, 2, 2, 5]], np.float32), np.array([[2, 0, 6]], np.float32)
    told = {"values": ["x1", 0, 0], "side": side, "out_type": "int64"}
    y = of_function(tmp_path, "searchsorted", [rows, wanted], **told)[0]
    np.testing.assert_array_equal(y, np.searchsorted(rows[0], wanted, side))


def test_classes_that_are_said(tmp_path: Path) -> None:
    best = np.array([[0, 0, 3, 0, 1, 1], [3, 3, 3, 3, 3, 3]])
    chances = np.where(np.eye(4)[best] == 1, 0.7, 0.1).astype(np.float32)
    y = of_function(tmp_path, "keras.backend.ctc_decode", [chances], input_length=[5, 6])[0]
    np.testing.assert_array_equal(y, [[0, 0, 1, -1, -1, -1], [-1] * 6])


def test_boxes_that_do_not_overlap(tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 2, 2], [0, 0, 2, 1.9], [5, 5, 6, 6], [9, 9, 10, 10]], np.float32)
    scores = np.array([0.5, 0.9, 0.2, 0.8], np.float32)
    told = {"scores": ["x1", 0, 0], "max_output_size": 2}
    y = of_function(tmp_path, "image.non_max_suppression", [boxes, scores], **told)[0]
    np.testing.assert_array_equal(y, [1, 3])
