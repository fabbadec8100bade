"""Examples of layers that make spectra of sound, and of layers in a row."""

from __future__ import annotations

from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example
from networks_keras import Array, layer

WINDOWS = {"hann": 0.5, "hamming": 0.54}


def spectra(x: Array, length: int, points: int, step: int, window: str) -> Array:
    """Return the spectra of windows of x: [..., t], whose ends are mirrored."""
    mean = WINDOWS[window]
    bell = mean - (1 - mean) * np.cos(2 * np.pi * np.arange(length) / length)
    spare = (points - length) // 2
    bell = np.pad(bell, (spare, points - length - spare))
    around = [*[(0, 0)] * (x.ndim - 1), (points // 2,) * 2]
    wide = np.pad(x.astype(np.float64), around, "reflect")
    frames = np.lib.stride_tricks.sliding_window_view(wide, points, -1)[..., ::step, :]
    return np.fft.rfft(frames * bell)


def triangles(count: int, bins: int, rate: int, low: float, high: float) -> Array:
    """Return the weight of each frequency in each band, one after the other."""
    ends = np.linspace(*(2595 * np.log10(1 + f / 700) for f in (low, high)), count + 2)
    found = np.zeros((bins, count))
    for number in range(1, bins):
        place = 2595 * np.log10(1 + number * rate / 2 / (bins - 1) / 700)
        for band in range(count):
            found[number, band] = max(np.interp(place, ends[band : band + 3], [0, 1, 0]), 0)
    return found


@example("MelSpectrogram", majors=[3], count=12)
def mel_spectrogram(d: Draw, op: str) -> Example:
    x = d.reals(*d.one_of([40], [2, 48], [2, 2, 40]))
    length, points = d.one_of((16, 16), (12, 16), (8, 32))
    step, window, count = d.number(3, 9), d.one_of("hann", "hamming"), d.number(2, 5)
    low, high = d.one_of((20.0, None), (300.0, 3000.0))
    options: dict[str, Any] = {"fft_length": points, "sequence_length": length}
    options |= {"sequence_stride": step, "window": window, "sampling_rate": 8000}
    options |= {"num_mel_bins": count, "min_freq": low, "max_freq": high}
    exponent, in_db = d.one_of(2.0, 1.0, 3.0), d.flag()
    options |= {"mag_exp": exponent, "power_to_db": in_db}
    power = np.abs(spectra(x, length, points, step, window)) ** exponent
    y = power @ triangles(count, points // 2 + 1, 8000, low, high or 4000)
    if in_db:
        least, reference, top = d.one_of(1e-10, 0.5), d.one_of(1.0, -3.0), d.one_of(80.0, 10.0)
        options |= {"min_power": least, "ref_power": reference, "top_db": top}
        y = 10 * np.log10(np.maximum(y, least)) - 10 * np.log10(max(abs(reference), least))
        y = np.maximum(y, y.max() - top)
    return Example(options, [x], [F(y).swapaxes(-1, -2)], atol=1e-3, rtol=1e-3)


@example("STFTSpectrogram", majors=[3], count=24)
def stft_spectrogram(d: Draw, op: str) -> Example:
    mode = d.one_of("log", "magnitude", "psd", "real", "imag", "angle", "stft")
    length, step, padding = d.number(4, 6), d.number(1, 4), d.one_of("valid", "same")
    x = d.reals(2, d.number(8, 14), d.number(1, 3))
    parts = {
        name: d.reals(length, 1, 5)
        for name, other in (("real", "imag"), ("imag", "real"))
        if mode != other
    }

    def convolved(name: str) -> Array:  # [n, steps, frequencies, channels]
        zero = np.zeros(5, F)
        each = [
            ref.convolution(x[..., i : i + 1], parts[name], zero, [step], [1], padding)
            for i in range(x.shape[-1])
        ]
        return np.stack(each, -1)

    made = {name: convolved(name) for name in parts}
    if mode in made:
        y = made[mode]
    elif mode == "angle":
        y = np.arctan2(made["imag"], made["real"])
    elif mode == "stft":
        y = np.concatenate([made["real"], made["imag"]], 2)
    else:
        y = made["real"] ** 2 + made["imag"] ** 2
        if mode == "psd":
            y[:, :, 1:-1] *= 2
        else:
            y = np.sqrt(np.maximum(y, 1e-7))
            y = np.log(y) if mode == "log" else y
    options: dict[str, Any] = {"mode": mode, "frame_length": length, "frame_step": step}
    options |= {"fft_length": 8, "padding": padding, "window": "hann", "scaling": "density"}
    options |= {"periodic": d.flag(), "expand_dims": d.flag()}
    options["data_format"] = d.one_of("channels_first", "channels_last")
    first = options["data_format"] == "channels_first"
    y = y.transpose(0, 3, 1, 2) if first else y
    x = np.ascontiguousarray(x.transpose(0, 2, 1)) if first else x
    if not options["expand_dims"]:
        y = y.swapaxes(2, 3)  # channels before their frequencies
        y = y.reshape(2, -1, y.shape[3]) if first else y.reshape(2, y.shape[1], -1)
    return Example(
        options, [x], [F(y)], list(parts.values()), free=d.one_of([], [1, 2][first:][:1])
    )


@example("Pipeline", majors=[3], count=3)
def pipeline(d: Draw, op: str) -> Example:
    x, w = d.reals(2, 3, 4), d.reals(4, 5)
    inside = [
        layer("Rescaling", "scale", scale=2.0, offset=1.0),
        layer("Pipeline", "inner", layers=[layer("Dense", "dense", units=5, use_bias=False)]),
        layer("RandomFlip", "flip"),
    ]
    return Example({"layers": inside}, [x], [(2 * x + 1) @ w], [w])
