"""Crops of images, resized."""

from __future__ import annotations

from tqconv.compose.builder import Builder
from tqconv.compose.crop import cropped
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("CropAndResize")
def crop_and_resize(
    b: Builder,
    image: Tensor,
    boxes: Tensor,
    box_ind: Tensor,
    crop_size: Tensor,
    *,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Tensor:
    """Sample each box of its image on a grid: boxes [n, (y1, x1, y2, x2)] in parts of the image."""
    if method not in ("bilinear", "nearest"):
        raise UnsupportedError(f"method `{method}` is not supported")
    size = b.ints(crop_size, "crop_size")
    nearest = method == "nearest"
    return cropped(b, image, boxes, box_ind, size, nearest=nearest, outside=extrapolation_value)
