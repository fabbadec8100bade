"""Convolutions over one to three axes, with groups and any padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size, told_size
from tqconv.compose.patches import joined_taps
from tqconv.compose.products import integer_product
from tqconv.compose.sizes import Size, inserted, removed, size_of, vector
from tqconv.compose.windows import Window, framed, left_to_kernel
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

AXES = "dhw"
"""What the kernels' options call the axes between batch and channels."""


def conv(b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return x: [n, …, c] convolved with w: [k…, c / groups, out], one window for each axis.

    How many groups there are follows from the channels. There is no bias: an ADD behind becomes it.
    """
    if len(windows) == 1:
        return in_one_row(b, x, w, windows[0], conv)
    if len(windows) == 2 and _is_depthwise(x, w):
        channels = static_size(x, 3)
        shape = (*w.shape[:2], channels, static_size(w, 3) // channels)
        return depthwise(b, x, b.reshape(w, shape), windows)
    x, padding = left_to_kernel(b, x, windows)
    if x.dtype.kind in "iu":
        return _of_integers(b, x, w, windows, padding)
    if len(windows) == 3:
        return _in_space(b, x, w, windows, padding)
    filters = b.turned(w, (3, 0, 1, 2))
    bias = zero_bias(b, "CONV_2D", size_of(b, w, 3), x.dtype)
    return b("CONV_2D", x, filters, bias, padding=padding, **options_of(windows))


def _is_depthwise(x: Tensor, w: Tensor) -> bool:
    """Whether each of several channels is a group, which has a kernel of its own."""
    channels, filters = x.shape[3] or 0, w.shape[3] or 0
    grouped = x.dtype.kind == "f" and w.is_static and w.shape[2] == 1 and channels > 1
    return grouped and filters > 0 and filters % channels == 0


def depthwise(b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window]) -> Tensor:
    """Return x: [n, …, c] with each channel convolved with its own filters: w: [k…, c, multiplier].

    y: [n, …, c * multiplier], the filters of one channel beside each other.
    """
    if len(windows) == 1:
        return in_one_row(b, x, w, windows[0], depthwise)
    *kernel, channels, multiplier = w.shape
    if channels is None or multiplier is None:
        raise UnsupportedError("the channels of the filter are unknown", hint="give it a shape")
    told_size(x, -1, channels)
    if len(windows) == 3:
        return conv(b, x, b.reshape(w, (*kernel, 1, channels * multiplier)), windows)
    x, padding = left_to_kernel(b, x, windows)
    return b(
        "DEPTHWISE_CONV_2D",
        x,
        b.reshape(w, (1, *kernel, channels * multiplier)),
        zero_bias(b, "DEPTHWISE_CONV_2D", channels * multiplier, x.dtype),
        depth_multiplier=multiplier,
        padding=padding,
        **options_of(windows),
    )


def in_one_row(
    b: Builder,
    x: Tensor,
    w: Tensor,
    window: Window,
    make: Callable[[Builder, Tensor, Tensor, Sequence[Window]], Tensor],
) -> Tensor:
    """Return what `make` makes of x: [n, l, c] as an image of one row, and of w: [k, …] as well."""
    row = Window(1)
    return removed(b, make(b, inserted(b, x, 1), inserted(b, w, 0), [row, window]), 1)


def options_of(windows: Sequence[Window], *, dilations: bool = True) -> dict[str, Any]:
    """Return strides and dilations as the kernels' options."""
    options = {}
    for axis, window in zip(AXES[-len(windows) :], windows, strict=True):
        options[f"stride_{axis}"] = window.stride
        if dilations:
            options[f"dilation_{axis}_factor"] = window.rate
    return options


def zero_bias(b: Builder, type: str, channels: Size, dtype: np.dtype) -> Tensor:
    """Return the zero bias that the kernel of an operator asks for."""
    if isinstance(channels, int):
        made = b.const(np.zeros(channels, dtype), what=f"{type.lower()}/b")
        made.filler = True
        return made
    return b("FILL", vector(b, [channels]), np.zeros((), dtype))


def _in_space(b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window], padding: str) -> Tensor:
    """Emit one CONV_3D for each group, which the kernel does not know."""
    own, channels = w.shape[3], x.shape[4]
    groups = channels // own if channels is not None and own else 1
    pieces = [(x, w)]
    if groups > 1:
        axis = np.array(4, np.int32)
        parts, filters = (b("SPLIT", axis, t, num_splits=groups) for t in (x, w))
        pieces = list(zip(parts, filters, strict=True))
    made = [
        b(
            "CONV_3D",
            part,
            f,
            zero_bias(b, "CONV_3D", size_of(b, f, 4), x.dtype),
            padding=padding,
            **options_of(windows),
        )
        for part, f in pieces
    ]
    return made[0] if groups == 1 else b("CONCATENATION", *made, axis=4)


def _of_integers(
    b: Builder, x: Tensor, w: Tensor, windows: Sequence[Window], padding: str
) -> Tensor:
    """Convolve integers as a product of patches and weights: the kernels take reals only."""
    *kernel, depth, channels = w.shape
    if None in kernel or depth is None or depth != x.shape[-1]:
        raise UnsupportedError(
            f"a convolution of {x.dtype} with groups or a filter of unknown size"
        )
    x = framed(b, x, windows) if padding == "SAME" else x
    elements = int(np.prod([static_size(w, axis) for axis in range(len(windows) + 1)]))
    return integer_product(b, joined_taps(b, x, windows), b.reshape(w, (elements, channels)))
