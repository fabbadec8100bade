"""Reading images at places that a tensor says: GridSample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.compose import warp
from tqconv.compose.builder import Builder
from tqconv.compose.sampling import Pixels, clamped, real, real_size
from tqconv.compose.sizes import calculate, size_of
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
MODES: Mapping[str, str] = {"bilinear": "BILINEAR", "linear": "BILINEAR", "nearest": "NEAREST"}
PADDINGS = ("zeros", "border", "reflection")


@handles("GridSample", since=16)
def grid_sample(
    b: ONNXBuilder,
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int = 0,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
) -> Tensor:
    """Read x: [n, c, h, w] at grid: [n, rows, columns, (x, y)], from -1 to 1."""
    if x.rank != 4:
        raise UnsupportedError(f"GridSample of {x.rank - 2} spatial axes")
    if mode not in MODES or padding_mode not in PADDINGS:
        raise UnsupportedError(f"GridSample with mode `{mode}`, padding_mode `{padding_mode}`")
    images = b.to_channels_last(x)
    row, column = (
        _place(b, grid, number, images, axis, bool(align_corners), padding_mode)
        for number, axis in ((1, 1), (0, 2))
    )
    if mode == "nearest":
        # Halves go to the even element; what is read is whole then.
        row, column = b("ROUND", row), b("ROUND", column)
    if padding_mode != "zeros":
        row, column = (
            clamped(b, place, real_size(b, calculate(b, "SUB", size_of(b, images, axis), 1)))
            for place, axis in ((row, 1), (column, 2))
        )
    fill = b.const(0, F, "fill")
    y = warp.sampled(
        b,
        Pixels.of(b, images),
        images,
        row,
        column,
        fill,
        interpolation=MODES[mode],
        fill_mode="CONSTANT",
    )
    return b.to_channels_first(y)


def _place(
    b: Builder,
    grid: Tensor,
    number: int,
    images: Tensor,
    axis: int,
    corners: bool,
    padding: str,
) -> Tensor:
    """Return the places along an axis of the images, in elements: [n, rows, columns].

    -1 and 1 are the middles of the first and last elements (`corners`), or their outer edges.
    """
    part = b("GATHER", grid, np.array(number, np.int32), axis=3)
    size = real_size(b, size_of(b, images, axis))
    from_zero = b("ADD", part, real(1))
    half = b("MUL", b("SUB", size, real(1)) if corners else size, real(0.5))
    place = b("MUL", from_zero, half)
    if not corners:
        place = b("SUB", place, real(0.5))
    return _reflected(b, place, size, corners) if padding == "reflection" else place


def _reflected(b: Builder, place: Tensor, size: Tensor, corners: bool) -> Tensor:
    """Mirror at the middles of the outermost elements (`corners`), or at their outer edges."""
    low = real(0 if corners else -0.5)
    span = b("SUB", size, real(1)) if corners else size
    if corners:
        span = b("MAXIMUM", span, real(1))  # one element: everything is there, after the clamp
    away = b("ABS", b("SUB", place, low))
    rest = b("FLOOR_MOD", away, b("MUL", span, real(2)))
    back = b("SUB", b("MUL", span, real(2)), rest)
    return b("ADD", b("MINIMUM", rest, back), low)
