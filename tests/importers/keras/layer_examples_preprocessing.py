"""Examples of layers that prepare images and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from layer_example import Draw, Example, F, example, first_of
from networks_keras import Array
from resize_reference import resized


@example("Rescaling")
def rescaling(d: Draw, op: str) -> Example:
    x = d.whole(2, *d.numbers(d.number(1, 2), 1, 4), 3, below=256, dtype=d.one_of("f4", "u1", "i4"))
    scale, offset = d.one_of(1 / 255, [0.5, 0.25, 2.0]), d.one_of(0.0, -1.0, [1.0, 2.0, 3.0])
    y = (x.astype(F) * np.array(scale, F) + np.array(offset, F)).astype(F)
    return Example({"scale": scale, "offset": offset}, [x], [y])


def in_proportion(have: Sequence[int], want: Sequence[int]) -> tuple[int, int]:
    """Return the height that goes with an image's width, and the width that goes with its height.

    They have the proportions of another image.
    """
    return have[1] * want[0] // want[1], have[0] * want[1] // want[0]


def middle(x: Array, want: Sequence[int]) -> Array:
    """Return the middle of images [n, h, w, c]; what does not go in half is behind it."""
    top, left = ((have - size) // 2 for have, size in zip(x.shape[1:3], want, strict=True))
    return x[:, top : top + want[0], left : left + want[1]]


def cut_to(x: Array, want: Sequence[int]) -> Array:
    """Return the largest middle of x with the proportions of a size."""
    fits = zip(x.shape[1:3], in_proportion(x.shape[1:3], want), strict=True)
    return middle(x, [min(pair) for pair in fits])


def filled_to(x: Array, want: Sequence[int], value: float) -> Array:
    """Return x with the proportions of a size, as much of a value before as behind."""
    fits = zip(x.shape[1:3], in_proportion(x.shape[1:3], want), strict=True)
    amounts = [(max(fit - have, 0) // 2,) * 2 for have, fit in fits]
    return np.pad(x, [(0, 0), *amounts, (0, 0)], constant_values=value)


KINDS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


@example("Resizing", count=24)
def resizing(d: Draw, op: str) -> Example:
    """Keras 3 keeps the type, and rounds; Keras 2 always computes reals."""
    new = d.major >= 3
    kind = d.one_of(*KINDS, *(() if new else ("area", "gaussian", "mitchellcubic")))
    have, want = d.numbers(2, 3, 6), d.numbers(2, 2, 6)
    whole = d.flag()
    if whole:  # weights of 1/2, 1/4, …: whether a result is half of one is then exact
        have, want, kind = [4, 4], [d.one_of(1, 2, 4) for _ in want], d.one_of(*KINDS[:2])
    x = d.whole(2, *have, 2, below=256, dtype=np.uint8 if whole else F)
    options: dict[str, Any] = {"height": want[0], "width": want[1], "interpolation": kind}
    shape = d.one_of("crop", "", *(["pad"] if new and not whole else []))
    antialias, value = new and d.flag(), d.one_of(0.0, 7.0)
    options |= {"crop_to_aspect_ratio": shape == "crop"}
    if new:
        options |= {"pad_to_aspect_ratio": shape == "pad", "antialias": antialias}
        options |= {"fill_mode": "constant", "fill_value": value}
    kept = {"crop": cut_to(x, want), "pad": filled_to(x, want, value), "": x}[shape]
    y = resized(kept, want, kind, antialias)
    if new and whole:
        y = np.clip(np.rint(y), 0, 255).astype(np.uint8)
    return framed(d, options, x, y)


def framed(
    d: Draw, options: dict[str, Any], x: Array, y: Array, may_be_open: bool = True
) -> Example:
    """Return the example of images up to 255 in one of the layouts that the generation knows.

    may_be_open: whether height and width may be unknown before the model runs.
    """
    free = np.array(d.one_of([], [1], [1, 2]) if may_be_open else [], int)
    if d.major >= 3 and d.flag():
        options["data_format"] = "channels_first"
        x, y, free = first_of(x), first_of(y), free + 1
    return Example(options, [x], [y], free=free.tolist(), atol=0.01)


@example("CenterCrop", count=12)
def center_crop(d: Draw, op: str) -> Example:
    have, want = d.numbers(2, 3, 6), d.numbers(2, 2, 6)
    x = d.whole(2, *have, 2, below=256, dtype=d.one_of("f4", "u1"))
    fits = have[0] >= want[0] and have[1] >= want[1]
    y = middle(x, want).astype(F) if fits else resized(cut_to(x, want), want)
    return framed(d, {"height": want[0], "width": want[1]}, x, y)


@example("RandomCrop")
def random_crop(d: Draw, op: str) -> Example:
    have, want = d.numbers(2, 3, 6), d.numbers(2, 2, 6)
    x = d.whole(2, *have, 2, below=256, dtype=d.one_of("f4", "u1"))
    y = x if d.major >= 3 else resized(cut_to(x, want), want)
    return framed(d, {"height": want[0], "width": want[1]}, x, y)


@example("AutoContrast", majors=[3])
def auto_contrast(d: Draw, op: str) -> Example:
    """It stretches over the axes 1 and 2, whatever the layout is."""
    low, high = d.one_of((0, 255), (-1, 1), (0, 1))
    part = d.rng().uniform(size=(2, 3, 4, 3)).astype(F)
    part[:, :, :, 0] = 0.5  # without contrast
    x = (low + part * (high - low)).astype(F)
    least, most = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
    extent = np.where(most > least, most - least, 1)
    y = np.where(most > least, (x - least) / extent * (high - low) + low, x)
    options: dict[str, Any] = {"value_range": [low, high]}
    options["data_format"] = d.one_of("channels_first", "channels_last")
    return Example(options, [x], [y], atol=1e-4 * (high - low))
