"""Reading images at places that tensors say: GridSample and RoiAlign."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.compose import lattice, products
from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import joined
from tqconv.compose.sampling import clamped, real, real_size
from tqconv.compose.sizes import (
    Size,
    calculate,
    element,
    inserted,
    operand,
    reshaped,
    size_of,
    vector,
)
from tqconv.compose.slices import along
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32
MODES: Mapping[str, str] = {"bilinear": lattice.LINEAR, "bicubic": lattice.CUBIC}
"""What opset 16 calls modes that later ones have for any number of axes."""


@handles("GridSample", since=16)
@handles("com.microsoft:GridSample")
def grid_sample(
    b: ONNXBuilder,
    x: Tensor,
    grid: Tensor,
    *,
    align_corners: int = 0,
    mode: str = "linear",
    padding_mode: str = "zeros",
) -> Tensor:
    """Read x: [n, c, …] at grid: [n, *places, (…, y, x)], from -1 to 1."""
    images = b.to_channels_last(x)
    count, corners = x.rank - 2, bool(align_corners)
    places = [_place(b, grid, count - 1 - i, images, 1 + i, corners) for i in range(count)]
    edge = lattice.Edge(padding_mode, corners)
    return b.to_channels_first(lattice.read(b, images, places, MODES.get(mode, mode), edge))


def _place(
    b: Builder, grid: Tensor, number: int, images: Tensor, axis: int, corners: bool
) -> Tensor:
    """Return the places along an axis of the images, in elements: [n, *places].

    -1 and 1 are the middles of the first and last elements (`corners`), or their outer edges.
    """
    part = b("GATHER", grid, np.array(number, np.int32), axis=grid.rank - 1)
    size = real_size(b, size_of(b, images, axis))
    from_zero = b("ADD", part, real(1))
    half = b("MUL", b("SUB", size, real(1)) if corners else size, real(0.5))
    place = b("MUL", from_zero, half)
    return place if corners else b("SUB", place, real(0.5))


@handles("AffineGrid", since=20)
def affine_grid(b: ONNXBuilder, theta: Tensor, size: Tensor, *, align_corners: int = 0) -> Tensor:
    """Return the places [n, *sizes, (x, y, …)] that matrices move a regular grid to.

    theta: [n, axes, axes + 1], size: (n, c, *sizes).
    """
    axes = static_size(theta, 1)
    sizes = [element(b, size, 2 + axis) for axis in range(axes)]
    ones = b("FILL", vector(b, [*sizes, 1]), real(1))
    columns = [ones]
    for axis, count in enumerate(sizes):
        shape = [-1 if i == axis else 1 for i in range(axes + 1)]
        column = b("RESHAPE", _regular(b, count, bool(align_corners)), np.array(shape, np.int32))
        columns.insert(0, b("MUL", ones, column))
    points = joined(b, columns, axes)
    flat = reshaped(b, points, [calculate(b, "MUL", 1, *sizes), axes + 1])
    moved = products.product(b, inserted(b, flat, 0), theta, adj_w=True)
    return reshaped(b, moved, [size_of(b, theta, 0), *sizes, axes])


def _regular(b: ONNXBuilder, count: Size, corners: bool) -> Tensor:
    """Return as many places from -1 to 1: of elements' middles, the first and last of `corners`."""
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    numbers = b.cast(b("RANGE", zero, operand(count), one), F)
    length = real_size(b, calculate(b, "SUB", count, 1) if corners else count)
    if corners:
        # One element has its place at -1.
        step = b("DIV", real(2), b("MAXIMUM", length, real(1)))
        return b("SUB", b("MUL", numbers, step), real(1))
    return b("SUB", b("DIV", b("ADD", b("MUL", numbers, real(2)), real(1)), length), real(1))


@handles("RoiAlign", since=10)
def roi_align_10(
    b: ONNXBuilder, x: Tensor, rois: Tensor, images: Tensor, *, mode: str = "avg",
    output_height: int = 1, output_width: int = 1, sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Tensor:  # fmt: skip
    """Pool regions; places count from the middles of the first elements."""
    bins = (output_height, output_width)
    return _pooled(b, x, rois, images, mode, bins, sampling_ratio, spatial_scale, False)


@handles("RoiAlign", since=16)
def roi_align(
    b: ONNXBuilder, x: Tensor, rois: Tensor, images: Tensor, *,
    coordinate_transformation_mode: str = "half_pixel", mode: str = "avg", output_height: int = 1,
    output_width: int = 1, sampling_ratio: int = 0, spatial_scale: float = 1.0,
) -> Tensor:  # fmt: skip
    """Pool regions of images, of each bin at equally spaced places."""
    if coordinate_transformation_mode not in ("half_pixel", "output_half_pixel"):
        raise UnsupportedError(f"coordinate_transformation_mode `{coordinate_transformation_mode}`")
    bins = (output_height, output_width)
    half = coordinate_transformation_mode == "half_pixel"
    return _pooled(b, x, rois, images, mode, bins, sampling_ratio, spatial_scale, half)


def _pooled(
    b: ONNXBuilder,
    x: Tensor,
    rois: Tensor,
    numbers: Tensor,
    mode: str,
    bins: tuple[int, int],
    ratio: int,
    scale: float,
    half: bool,
) -> Tensor:
    """Read regions [r, (x1, y1, x2, y2)] of x: [n, c, h, w]: [r, c, *bins]."""
    if ratio < 1:
        raise UnsupportedError(
            "a RoiAlign whose number of places depends on the sizes of its regions",
            hint="export it with a sampling_ratio above 0",
        )
    if mode not in ("avg", "max"):
        raise UnsupportedError(f"mode `{mode}`")
    pixels = b.to_channels_last(x)
    edges = b("SUB", b("MUL", rois, real(scale)), real(0.5 if half else 0))
    places, seen = [], None
    for axis, (first, last) in enumerate(((1, 3), (0, 2))):
        place = _along_regions(b, edges, first, last, bins[axis], ratio, half)
        size = real_size(b, size_of(b, pixels, 1 + axis))
        near = b("LOGICAL_AND", b("GREATER_EQUAL", place, real(-1)), b("LESS_EQUAL", place, size))
        place = clamped(b, place, b("SUB", size, real(1)))
        places.append(inserted(b, place, 2 if axis == 0 else 1))
        near = inserted(b, near, 2 if axis == 0 else 1)
        seen = near if seen is None else b("LOGICAL_AND", seen, near)
    assert seen is not None
    index = reshaped(b, b.cast(numbers, np.int32), [size_of(b, numbers, 0), 1, 1])
    taps = list(
        lattice.weighted(b, pixels, places, edge=lattice.Edge("border", True), images=index)
    )
    value = taps[0]
    for tap in taps[1:]:
        value = b("ADD" if mode == "avg" else "MAXIMUM", value, tap)
    value = b("SELECT_V2", inserted(b, seen, 3), value, np.array(0, F))
    shape = [size_of(b, rois, 0), bins[0], ratio, bins[1], ratio, size_of(b, pixels, 3)]
    parts = reshaped(b, value, shape)
    axes = np.array([2, 4], np.int32)
    return b.to_channels_first(b("MEAN" if mode == "avg" else "REDUCE_MAX", parts, axes))


def _along_regions(
    b: ONNXBuilder, edges: Tensor, first: int, last: int, bins: int, ratio: int, half: bool
) -> Tensor:
    """Return places along an axis: [r, bins * ratio]."""
    start, end = (along(b, edges, 1, column, column + 1) for column in (first, last))
    length = b("SUB", end, start)
    if not half:
        length = b("MAXIMUM", length, real(1))
    b.pay(bins * ratio, "output_height and output_width")
    steps = (np.arange(bins * ratio, dtype=F) + F(0.5)) / F(bins * ratio)
    return b("ADD", start, b("MUL", length, steps[None]))
