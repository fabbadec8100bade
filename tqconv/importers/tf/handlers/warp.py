"""Projective transformations of images."""

from __future__ import annotations

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.warp import projected
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def image_projective_transform(
    b: Builder,
    images: Tensor,
    transforms: Tensor,
    output_shape: Tensor,
    fill_value: Tensor | None = None,
    *,
    interpolation: str,
    fill_mode: str = "CONSTANT",
    dtype: TypeNumber | None = None,
) -> Tensor:
    """Read each result (x, y) at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k)."""
    size = b.ints(output_shape, "output_shape")
    fill = b.const(0, np.float32, "fill") if fill_value is None else fill_value
    modes = {"interpolation": interpolation, "fill_mode": fill_mode}
    return projected(b, images, transforms, size, fill, **modes)
