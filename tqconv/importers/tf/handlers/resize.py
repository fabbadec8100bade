"""Resizing of images."""

from __future__ import annotations

from tqconv.compose import resize
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, element
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("ResizeBilinear")
def resize_bilinear(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Interpolate between four neighbours; the result is real whatever the image is."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return resize.bilinear(b, x, size, **options)


@handles("ResizeNearestNeighbor")
def resize_nearest_neighbor(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Repeat or drop rows and columns."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return resize.nearest(b, x, size, **options)


@handles("ResizeBicubic")
def resize_bicubic(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Interpolate between sixteen neighbours: a product with a matrix on either side."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return resize.bicubic(b, x, _sizes(b, size), **options)


@handles("ResizeArea")
def resize_area(b: Builder, x: Tensor, size: Tensor, *, align_corners: bool = False) -> Tensor:
    """Average the part of the image under each result: a product with a matrix on either side."""
    return resize.area(b, x, _sizes(b, size), align_corners=align_corners)


@handles("ScaleAndTranslate")
def scale_and_translate(
    b: Builder,
    x: Tensor,
    size: Tensor,
    scale: Tensor,
    translation: Tensor,
    *,
    kernel_type: str = "lanczos3",
    antialias: bool = True,
) -> Tensor:
    """Resample with a kernel: a product with a matrix on either side."""
    shifts = b.value(translation, "translation").reshape(-1).tolist()
    return resize.by_kernel(b, x, _sizes(b, size), kernel_type, antialias, scale, shifts)


def _sizes(b: Builder, size: Tensor) -> list[Size]:
    return [element(b, size, place) for place in (0, 1)]
