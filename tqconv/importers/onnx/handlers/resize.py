"""Resize and Upsample, along any axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import interpolate, open_axes, resize
from tqconv.compose.dims import Dim, described_dim, dim_origin
from tqconv.compose.interpolate import CROP, Axis, Filter
from tqconv.compose.open_axes import OpenAxis
from tqconv.compose.operands import int32_of
from tqconv.compose.sizes import Size, calculate, element, size_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32

NEAREST, LINEAR, CUBIC = "nearest", "linear", "cubic"
PLACES = {
    "pytorch_half_pixel": "half_pixel_or_first",
    "tf_crop_and_resize": CROP,
    "tf_half_pixel_for_nn": "half_pixel_for_nearest",
}
"""What the coordinate_transformation_modes are called that other frameworks gave their names."""
GRIDS: Mapping[str, dict[str, bool]] = {
    "half_pixel": {"half_pixel_centers": True},
    "align_corners": {"align_corners": True},
    "asymmetric": {},
}
"""The kernels' names of the places that they know."""
SAMPLES = range(1, 65)
"""Sizes at which the places of an axis of unknown size are compared with the kernel's."""


@dataclass(frozen=True)
class Way:
    """How elements are interpolated, whatever the sizes are."""

    mode: str
    coordinates: str = "asymmetric"
    rounding: str = "floor"
    filter: Filter = field(default_factory=Filter)
    extrapolation: float = 0.0


@handles("Upsample", since=7)
def upsample_by_attribute(
    b: ONNXBuilder, x: Tensor, *, scales: Sequence[float], mode: str = NEAREST
) -> Tensor:
    """Repeat or interpolate elements; the scales are an attribute."""
    return _resized(b, x, Way(mode), dict(enumerate(map(float, scales))))


@handles("Upsample", since=9)
def upsample(b: ONNXBuilder, x: Tensor, scales: Tensor, *, mode: str = NEAREST) -> Tensor:
    """Repeat or interpolate elements."""
    if scales.data is None:
        return _by_computed_factors(b, x, Way(mode), range(x.rank), scales)
    return _resized(b, x, Way(mode), _scales(b, scales, range(x.rank)))


@handles("Resize", since=10)
def resize_10(b: ONNXBuilder, x: Tensor, scales: Tensor, *, mode: str = NEAREST) -> Tensor:
    """Resize as runtimes did before the operator said how.

    So ONNX Runtime: `floor` where an axis grows, `ceil` where it shrinks.
    """
    factors = _scales(b, scales, range(x.rank))
    shrinks = any(f < 1 for f in factors.values())
    return _resized(b, x, Way(mode, rounding="ceil" if shrinks else "floor"), factors)


@handles("Resize", since=11)
def resize_11(
    b: ONNXBuilder,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    antialias: int = 0,
    axes: Sequence[int] | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = NEAREST,
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Resize some axes by scales or to sizes."""
    along = [axis % x.rank for axis in axes] if axes else list(range(x.rank))
    a = cubic_coeff_a if mode == CUBIC else None
    filter = Filter(a, bool(antialias), bool(exclude_outside))
    coordinates = PLACES.get(coordinate_transformation_mode, coordinate_transformation_mode)
    way = Way(mode, coordinates, nearest_mode, filter, extrapolation_value)
    regions = _regions(b, roi, along) if coordinates == CROP else {}
    if sizes is None or sizes.shape == (0,):
        if scales is not None and scales.data is None:
            return _by_computed_factors(b, x, way, along, scales)
        return _resized(b, x, way, _scales(b, scales, along), regions)
    if sizes.data is None or None in [x.shape[axis] for axis in along]:
        if keep_aspect_ratio_policy != "stretch":
            b.value(sizes, "sizes")
            raise UnsupportedError("a kept aspect ratio of sizes that are not known")
        return _to_sizes(b, x, way, along, sizes)
    wanted = dict(zip(along, b.ints(sizes, "sizes"), strict=True))
    factors = {axis: size / (x.shape[axis] or 1) for axis, size in wanted.items()}
    if keep_aspect_ratio_policy != "stretch":
        scale = _CHOICES[keep_aspect_ratio_policy](factors.values())
        factors = dict.fromkeys(along, scale)
        wanted = {axis: int(scale * (x.shape[axis] or 0) + 0.5) for axis in along}
    return _resized(b, x, way, factors, regions, wanted)


_CHOICES: Mapping[str, Callable[..., float]] = {"not_larger": min, "not_smaller": max}


def _scales(b: ONNXBuilder, scales: Tensor | None, along: Sequence[int]) -> dict[int, float]:
    values = b.value(scales, "scales").reshape(-1)
    if len(values) != len(along):
        raise UnsupportedError(f"{len(values)} scales for {len(along)} axes")
    if not (np.isfinite(values) & (values > 0)).all():
        raise UnsupportedError(f"the scales {values.tolist()}")
    return dict(zip(along, map(float, values), strict=True))


def _regions(
    b: ONNXBuilder, roi: Tensor | None, along: Sequence[int]
) -> dict[int, tuple[float, float]]:
    values = b.value(roi, "roi").reshape(-1)
    if len(values) != 2 * len(along):
        raise UnsupportedError(f"a roi of {len(values)} numbers for {len(along)} axes")
    pairs = zip(values[: len(along)], values[len(along) :], strict=True)
    return {axis: (float(p), float(q)) for axis, (p, q) in zip(along, pairs, strict=True)}


def _resized(
    b: ONNXBuilder,
    x: Tensor,
    way: Way,
    factors: Mapping[int, float],
    regions: Mapping[int, tuple[float, float]] | None = None,
    wanted: Mapping[int, int] | None = None,
) -> Tensor:
    """Resize the axes by factors; `wanted`: the sizes where they are not the rounded products."""
    if way.mode not in (NEAREST, LINEAR, CUBIC):
        raise UnsupportedError(f"mode `{way.mode}`")
    if way.mode != NEAREST and x.dtype != F:
        raise UnsupportedError(f"mode `{way.mode}` of {x.dtype}")
    changed = [i for i, f in factors.items() if f != 1 or (regions or {}).get(i, (0, 1)) != (0, 1)]
    unknown = [i for i in changed if x.shape[i] is None]
    if unknown:
        return _by_factors(b, x, way, {axis: factors[axis] for axis in changed})
    axes = {}
    for i in changed:
        size = x.shape[i] or 0
        # A product such as 5 * 0.6 in float32 is the next number to 3.
        made = int(F(size) * F(factors[i])) if wanted is None else wanted[i]
        if size == 0 or made == 0:
            raise UnsupportedError(f"axis {i} of size {size} is resized to {made}")
        axes[i] = Axis(size, made, factors[i], (regions or {}).get(i, (0.0, 1.0)))
    grid = _grid(way, list(axes.values()))
    y = None if grid is None else _by_kernel(b, x, way.mode, grid, axes)
    return _axis_by_axis(b, x, way, axes) if y is None else y


def _axis_by_axis(b: ONNXBuilder, x: Tensor, way: Way, axes: Mapping[int, Axis]) -> Tensor:
    seen = None
    for i, axis in axes.items():
        if way.mode == NEAREST:
            places = interpolate.nearest_places(axis, way.coordinates, way.rounding)
            x = b("GATHER", x, places, axis=i)
        else:
            x = resize.along_axis(b, x, i, interpolate.matrix(axis, way.coordinates, way.filter))
        outside = interpolate.is_outside(axis, way.coordinates)
        if outside.any():
            shape = [1] * x.rank
            shape[i] = axis.wanted
            part = outside.reshape(shape)
            seen = part if seen is None else seen | part
    if seen is None:
        return x
    return b("SELECT_V2", seen, np.array(way.extrapolation, x.dtype), x)


def _grid(way: Way, axes: Sequence[Axis]) -> str | None:
    """Return the kernel's name of the places at which all axes are read, if it knows them."""
    if way.mode == CUBIC:
        return None
    for grid in GRIDS:
        if all(_agrees(way, axis, grid) for axis in axes):
            return grid
    return None


def _agrees(way: Way, axis: Axis, grid: str) -> bool:
    exact = Axis(axis.size, axis.wanted, axis.wanted / axis.size)
    if way.mode == NEAREST:
        found = interpolate.nearest_places(axis, way.coordinates, way.rounding)
        outside = interpolate.is_outside(axis, way.coordinates).any()
        return not outside and np.array_equal(found, _kernel_places(exact, grid))
    if interpolate.is_outside(axis, way.coordinates).any():
        return False
    found_weights = interpolate.matrix(axis, way.coordinates, way.filter)
    return np.allclose(found_weights, interpolate.matrix(exact, grid, Filter()), rtol=0, atol=1e-6)


def _kernel_places(axis: Axis, grid: str) -> NDArray[np.int32]:
    """Return what RESIZE_NEAREST_NEIGHBOR repeats, computed in float32 as it does."""
    at = np.arange(axis.wanted, dtype=F)
    corners = grid == "align_corners" and axis.wanted > 1
    step = F(axis.size - 1) / F(axis.wanted - 1) if corners else F(axis.size) / F(axis.wanted)
    places = (at + F(0.5 if grid == "half_pixel" else 0)) * step
    found = np.floor(places + F(0.5)) if grid == "align_corners" else np.floor(places)
    return np.clip(found, 0, axis.size - 1).astype(np.int32)


def _by_kernel(
    b: ONNXBuilder, x: Tensor, mode: str, grid: str, axes: Mapping[int, Axis]
) -> Tensor | None:
    wanted: dict[int, Size] = {i: axis.wanted for i, axis in axes.items()}
    return x if not axes else _on_images(b, x, mode, GRIDS[grid], wanted)


def _on_images(
    b: ONNXBuilder, x: Tensor, mode: str, options: dict[str, bool], wanted: Mapping[int, Size]
) -> Tensor | None:
    """Resize by the kernel, which takes [n, h, w, c]; None for other axes, or for wide integers."""
    if mode == NEAREST and x.dtype.itemsize >= 4 and x.dtype != F:
        return None
    inner = set(wanted)
    if x.rank == 4 and inner <= {2, 3}:
        return b.channels_last(x, True, lambda t: _kernel(b, t, mode, options, x, wanted, (2, 3)))
    if x.rank == 4 and inner <= {1, 2}:
        return _kernel(b, x, mode, options, x, wanted, (1, 2))
    if None in x.shape:
        return None
    if x.rank == 3 and inner == {2}:
        n, c, length = x.shape
        image = b.reshape(x, (n, c, 1, length))
        y = _on_images(b, image, mode, options, {3: wanted[2]})
        return None if y is None else b.reshape(y, (n, c, y.shape[3]))
    if x.rank == 5 and inner <= {2, 3, 4}:
        n, c, depth, *plane = x.shape
        flat = b.reshape(x, (n, (c or 0) * (depth or 0), *plane))
        y = _on_images(b, flat, mode, options, {i - 1: s for i, s in wanted.items() if i > 2})
        if y is None or 2 not in wanted:
            return None if y is None else b.reshape(y, (n, c, depth, *y.shape[2:]))
        height, width = y.shape[2] or 0, y.shape[3] or 0
        y = b.reshape(y, (n, c, depth, height * width))
        y = _on_images(b, y, mode, options, {2: wanted[2]})
        return None if y is None else b.reshape(y, (n, c, y.shape[2], height, width))
    return None


def _kernel(
    b: ONNXBuilder,
    image: Tensor,
    mode: str,
    options: dict[str, bool],
    x: Tensor,
    wanted: Mapping[int, Size],
    axes: tuple[int, int],
) -> Tensor:
    if not wanted:
        return image
    sizes = vector(b, [wanted[i] if i in wanted else size_of(b, x, i) for i in axes])
    return b(
        "RESIZE_BILINEAR" if mode == LINEAR else "RESIZE_NEAREST_NEIGHBOR", image, sizes, **options
    )


def _by_factors(b: ONNXBuilder, x: Tensor, way: Way, factors: Mapping[int, float]) -> Tensor:
    """Resize axes of unknown sizes by factors: by the kernel where these are whole numbers."""
    if all(f.is_integer() for f in factors.values()):
        samples = [Axis(s, s * int(f), f) for f in set(factors.values()) for s in SAMPLES]
        grid = _grid(way, samples)
        wanted = {i: calculate(b, "MUL", size_of(b, x, i), int(f)) for i, f in factors.items()}
        y = None if grid is None else _on_images(b, x, way.mode, GRIDS[grid], wanted)
        if y is not None:
            return y
    for i, factor in factors.items():
        x = _open_axis(b, x, i, way, OpenAxis.by_factor(b, x, i, factor))
    return x


def _by_computed_factors(
    b: ONNXBuilder, x: Tensor, way: Way, along: Sequence[int], scales: Tensor
) -> Tensor:
    """Resize axes by factors that are known at run time only; those that are 1 are left alone."""
    if way.mode != NEAREST and x.dtype != F:
        raise UnsupportedError(f"mode `{way.mode}` of {x.dtype}")
    if way.coordinates == CROP:
        b.value(scales, "scales")
    for place, i in enumerate(along):
        factor = open_axes.number(b, scales, place)
        if isinstance(factor, Tensor):
            if way.filter.antialias:
                b.value(scales, "scales")
        elif not (np.isfinite(factor) and factor > 0):
            raise UnsupportedError(f"the scale {factor}")
        if factor != 1:
            x = _open_axis(b, x, i, way, OpenAxis.by_factor(b, x, i, factor))
    return x


def _open_axis(b: ONNXBuilder, x: Tensor, number: int, way: Way, axis: OpenAxis) -> Tensor:
    if way.mode == NEAREST:
        return open_axes.repeated(b, x, number, axis, way.coordinates, way.rounding)
    return open_axes.filtered(b, x, number, axis, way.coordinates, way.filter)


EXACT = {
    (NEAREST, "asymmetric", "floor"): "asymmetric",
    (NEAREST, "half_pixel_for_nearest", "floor"): "half_pixel",
    (NEAREST, "half_pixel", "round_prefer_ceil"): "half_pixel",
    (NEAREST, "align_corners", "round_prefer_ceil"): "align_corners",
    (LINEAR, "half_pixel", ""): "half_pixel",
    (LINEAR, "align_corners", ""): "align_corners",
    (LINEAR, "asymmetric", ""): "asymmetric",
}
"""What the kernels compute whatever the sizes are: mode, places, rounding."""


def _to_sizes(b: ONNXBuilder, x: Tensor, way: Way, along: Sequence[int], sizes: Tensor) -> Tensor:
    """Resize to sizes of which some, or those of `x`, are known at run time only."""
    if way.mode != NEAREST and x.dtype != F:
        raise UnsupportedError(f"mode `{way.mode}` of {x.dtype}")
    if sizes.data is None and (way.coordinates == CROP or way.filter.antialias):
        b.value(sizes, "sizes")
    flat = sizes if sizes.data is None else b.const(int32_of(b, sizes), np.int32)
    wanted = {axis: element(b, flat, place) for place, axis in enumerate(along)}
    for place, axis in enumerate(along):
        if _is_size_of(x, axis, wanted[axis], flat, place):
            wanted.pop(axis)
    grid = EXACT.get((way.mode, way.coordinates, way.rounding if way.mode == NEAREST else ""))
    exact = grid is not None and not way.filter.antialias
    y = _on_images(b, x, way.mode, GRIDS[grid], wanted) if grid is not None and exact else None
    if y is not None:
        return y
    for i, size in wanted.items():
        x = _open_axis(b, x, i, way, OpenAxis.to_size(b, x, i, size))
    return x


def _is_size_of(x: Tensor, axis: int, wanted: Size, sizes: Tensor, place: int) -> bool:
    """Whether an element of a vector, or the number it is known to be, is the size of an axis."""
    if isinstance(wanted, int):
        return wanted == x.shape[axis]
    told = described_dim(sizes, place)
    return told is not None and dim_origin(told) == dim_origin(Dim(x, axis))
