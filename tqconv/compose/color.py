"""Colors: conversions between RGB and HSV, contrast, hue, saturation."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sampling import FLOAT32, real
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)
HUE_DISTANCES = ((3.0, 1.0, -1.0), (2.0, -1.0, 2.0), (4.0, -1.0, 2.0))
"""Red, green, blue: (center, sign, offset) of sign * |6 h - center| + offset, cut to [0, 1]."""


def rgb_to_hsv(b: Builder, x: Tensor) -> Tensor:
    """Convert the last dimension; hue, saturation and value are in [0, 1]."""
    red, green, blue = channels = _channels(b, x)
    value = b("MAXIMUM", b("MAXIMUM", red, green), blue)
    span = b("SUB", value, b("MINIMUM", b("MINIMUM", red, green), blue))
    zero = real(0)
    saturation = b("SELECT_V2", b("GREATER", value, zero), b("DIV", span, value), zero)
    norm = b("DIV", real(1), b("MUL", span, real(6)))
    hues = []
    for number in range(3):
        after, before = channels[(number + 1) % 3], channels[(number + 2) % 3]
        turned = b("MUL", norm, b("SUB", after, before))
        hues.append(b("ADD", turned, real(2 * number / 6)))
    hue = b("SELECT_V2", b("EQUAL", value, green), hues[1], hues[2])
    hue = b("SELECT_V2", b("EQUAL", value, red), hues[0], hue)
    hue = b("SELECT_V2", b("GREATER", span, zero), hue, zero)
    hue = b("SELECT_V2", b("LESS", hue, zero), b("ADD", hue, real(1)), hue)
    return b("CONCATENATION", hue, saturation, value, axis=x.rank - 1)


def hsv_to_rgb(b: Builder, x: Tensor) -> Tensor:
    """Convert the last dimension: value * (1 - saturation * (1 - color of the hue))."""
    hue, saturation, value = _channels(b, x)
    turned = b("MUL", hue, real(6))
    rest = b("SUB", real(1), saturation)
    colors = []
    for center, sign, offset in HUE_DISTANCES:
        distance = b("ABS", b("SUB", turned, real(center)))
        color = b("ADD", b("MUL", distance, real(sign)), real(offset))
        color = b("MINIMUM", b("MAXIMUM", color, real(0)), real(1))
        colors.append(b("MUL", b("ADD", rest, b("MUL", saturation, color)), value))
    return b("CONCATENATION", *colors, axis=x.rank - 1)


def adjust_contrast(b: Builder, x: Tensor, factor: Tensor) -> Tensor:
    """Scale the distance from the mean of each image and channel."""
    x = b.cast(x, FLOAT32)
    mean = b("MEAN", x, np.array([x.rank - 3, x.rank - 2], INT32), keep_dims=True)
    return b("ADD", b("MUL", b("SUB", x, mean), factor), mean)


def adjust_hue(b: Builder, x: Tensor, delta: Tensor) -> Tensor:
    """Turn the hue by a part of the circle."""
    hue, saturation, value = _channels(b, rgb_to_hsv(b, x))
    turned = b("ADD", hue, delta)
    turned = b("SUB", turned, b("FLOOR", turned))
    return hsv_to_rgb(b, b("CONCATENATION", turned, saturation, value, axis=x.rank - 1))


def adjust_saturation(b: Builder, x: Tensor, scale: Tensor) -> Tensor:
    """Scale the saturation, up to 1."""
    hue, saturation, value = _channels(b, rgb_to_hsv(b, x))
    scaled = b("MINIMUM", b("MAXIMUM", b("MUL", saturation, scale), real(0)), real(1))
    return hsv_to_rgb(b, b("CONCATENATION", hue, scaled, value, axis=x.rank - 1))


def _channels(b: Builder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split the last dimension, which has three elements."""
    first, second, third = b("SPLIT", np.array(x.rank - 1, INT32), x, num_splits=3)
    return first, second, third
