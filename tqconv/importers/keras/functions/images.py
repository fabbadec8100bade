"""Functions of `tf.image`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tqconv.compose import rearrange
from tqconv.compose.sizes import Size, element, size_of
from tqconv.compose.slices import cut
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers import products
from tqconv.importers.keras.layers.shape import resize_to
from tqconv.importers.keras.nodes import function, kind, node
from tqconv.importers.keras.registry import KerasBuilder
from tqconv.importers.keras.values import ints, tensor
from tqconv.ir.graph import Tensor

F = np.float32


def of_images(b: KerasBuilder, x: Tensor, make: Any) -> Tensor:
    """Apply `make` to [n, h, w, c], also where there is one image only."""
    if x.rank == 4:
        made: Tensor = make(x)
        return made
    if x.rank != 3:
        raise UnsupportedError(f"an image of rank {x.rank}")
    wide = make(b("EXPAND_DIMS", x, np.array(0, np.int32)))
    return b("SQUEEZE", wide, squeeze_dims=[0])


def extent(x: Tensor) -> tuple[int, int]:
    """Return height and width of images; UnsupportedError where they are not known."""
    height, width = x.shape[-3:-1]
    if height is None or width is None:
        raise UnsupportedError(
            "images of unknown size", hint="give the inputs a shape with --input_shapes"
        )
    return height, width


def _wanted(b: KerasBuilder, size: Any) -> list[Size]:
    if isinstance(size, Tensor):
        return [element(b, size, place) for place in (0, 1)]
    if any(isinstance(item, Tensor) for item in size):
        return [b.cast(i, np.int32) if isinstance(i, Tensor) else int(i) for i in size]
    return [size_ for size_ in ints(size, "size")]


@function("image.resize")
def resize(
    b: KerasBuilder,
    x: Tensor,
    *,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
) -> Tensor:
    """Resize images; the centers of pixels count."""
    if not isinstance(method, str):
        raise UnsupportedError(f"resize with the method {method!r}")
    method = method.lower()
    method = {"cubic": "bicubic"}.get(method, method)
    wanted = _wanted(b, size)
    if preserve_aspect_ratio:
        wanted = _in_proportion(extent(x), wanted)
    x = x if method == "nearest" else b.real(x)
    smooth = antialias and method not in ("nearest", "area")
    return of_images(b, x, lambda t: resize_to(b, t, wanted, method, smooth))


def _in_proportion(have: tuple[int, int], wanted: list[Size]) -> list[Size]:
    """Return the largest size inside the wanted one that has the proportions of the image."""
    numbers = [size for size in wanted if isinstance(size, int)]
    if len(numbers) < 2:
        raise UnsupportedError("resize that preserves the aspect ratio to a size that is computed")
    scale = min(F(w) / F(h) for w, h in zip(numbers, have, strict=True))
    return [int(np.round(F(h) * scale)) for h in have]


@function(
    **{
        "image.resize_bilinear": "ResizeBilinear",
        "image.resize_nearest_neighbor": "ResizeNearestNeighbor",
        "image.resize_bicubic": "ResizeBicubic",
    }
)
def resize_by(
    b: KerasBuilder,
    op: str,
    x: Tensor,
    *,
    size: Any,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Resize images as TensorFlow 1 does."""
    grid = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return node(b, op, x, size, **grid)


@function("image.resize_area")
def resize_area(b: KerasBuilder, x: Tensor, *, size: Any, align_corners: bool = False) -> Tensor:
    """Resize images by the mean of areas."""
    return node(b, "ResizeArea", x, size, align_corners=align_corners)


METHODS = ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea")
"""`tf.compat.v1.image.ResizeMethod`, by number."""


@function("image.resize_images")
def resize_images(
    b: KerasBuilder,
    x: Tensor,
    *,
    size: Any,
    method: Any = 0,
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
) -> Tensor:
    """Resize images as TensorFlow 1 does; corners of pixels count."""
    words = ("bilinear", "nearest", "bicubic", "area")
    number = words.index(method) if method in words else method
    if preserve_aspect_ratio or number not in range(len(METHODS)):
        raise UnsupportedError(f"resize_images with the method {method!r}, or in proportion")
    make = METHODS[number]
    return of_images(b, x, lambda t: node(b, make, t, size, align_corners=align_corners))


@function(**{"image.flip_left_right": -2, "image.flip_up_down": -3})
def flipped(b: KerasBuilder, axis: int, x: Tensor) -> Tensor:
    """Mirror images."""
    return node(b, "ReverseV2", x, [axis % x.rank])


@function("image.transpose")
def transposed(b: KerasBuilder, x: Tensor) -> Tensor:
    """Exchange rows and columns."""
    order = list(range(x.rank))
    order[-3], order[-2] = order[-2], order[-3]
    return b.transpose(x, order)


@function("image.rot90")
def rotated(b: KerasBuilder, x: Tensor, *, k: int = 1) -> Tensor:
    """Turn images counter-clockwise by quarters."""
    quarters = ints(k, "k")[0] % 4
    if quarters % 2:
        x = transposed(b, x)
    axes = {0: [], 1: [-3], 2: [-3, -2], 3: [-2]}[quarters]
    return rearrange.reversed_along(b, x, [a % x.rank for a in axes])


KERNELS: Mapping[str, list[list[float]]] = {
    "image.rgb_to_yuv": [
        [0.299, -0.14714119, 0.61497538],
        [0.587, -0.28886916, -0.51496512],
        [0.114, 0.43601035, -0.10001026],
    ],
    "image.yuv_to_rgb": [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]],
    "image.rgb_to_yiq": [
        [0.299, 0.59590059, 0.2115],
        [0.587, -0.27455667, -0.52273617],
        [0.114, -0.32134392, 0.31119955],
    ],
    "image.yiq_to_rgb": [
        [1, 1, 1],
        [0.95598634, -0.27201283, -1.10674021],
        [0.6208248, -0.64720424, 1.70423049],
    ],
}
"""The matrices of `tensorflow/python/ops/image_ops_impl.py`."""


@function(**KERNELS)
def colors(b: KerasBuilder, matrix: list[list[float]], x: Tensor) -> Tensor:
    """Change the space of colors: a product with a matrix."""
    return products.tensordot(b, x, b.const(matrix, F, "matrix"), axes=1)


GRAY = (0.2989, 0.587, 0.114)
"""The weights of red, green and blue in `tf.image.rgb_to_grayscale`."""


@function("image.rgb_to_grayscale")
def gray(b: KerasBuilder, x: Tensor) -> Tensor:
    """The brightness of colors."""
    if x.dtype.kind != "f":
        return converted(b, gray(b, converted(b, x, F, False)), x.dtype, False)
    return products.tensordot(b, x, b.const([[w] for w in GRAY], F, "weights"), axes=1)


@function("image.grayscale_to_rgb")
def of_gray(b: KerasBuilder, x: Tensor) -> Tensor:
    """Repeat a channel three times."""
    return node(b, "Tile", x, [*[1] * (x.rank - 1), 3])


@function("image.convert_image_dtype")
def convert_image_dtype(
    b: KerasBuilder, x: Tensor, *, dtype: Any, saturate: bool = False
) -> Tensor:
    """Convert to another type, whose range stands for 0 to 1 in integers."""
    return converted(b, x, kind(dtype).dtype, saturate)


def converted(b: KerasBuilder, x: Tensor, dtype: Any, saturate: bool) -> Tensor:
    """Return an image in another type."""
    wanted = np.dtype(dtype)
    if wanted == x.dtype or wanted.kind == x.dtype.kind == "f":
        return x
    if wanted.kind == "f":
        return b("MUL", b.cast(x, F), np.array(1 / np.iinfo(x.dtype).max, F))
    if x.dtype.kind != "f":
        raise UnsupportedError(f"an image of {x.dtype} as {wanted}")
    most = np.iinfo(wanted).max
    scaled = b("MUL", x, np.array(most + 0.5, F))
    if saturate:
        scaled = b("MINIMUM", b("MAXIMUM", scaled, np.array(0, F)), np.array(most, F))
    return b.cast(scaled, wanted)


ADJUSTMENTS: Mapping[str, tuple[str, str]] = {
    "image.adjust_contrast": ("AdjustContrastv2", "contrast_factor"),
    "image.adjust_saturation": ("AdjustSaturation", "saturation_factor"),
    "image.adjust_hue": ("AdjustHue", "delta"),
    "image.adjust_brightness": ("AddV2", "delta"),
}


@function(**ADJUSTMENTS)
def adjusted(
    b: KerasBuilder,
    told: tuple[str, str],
    x: Tensor,
    *,
    contrast_factor: Any = None,
    saturation_factor: Any = None,
    delta: Any = None,
) -> Tensor:
    """Change contrast, saturation, hue or brightness."""
    found = {"contrast_factor": contrast_factor, "saturation_factor": saturation_factor}
    if x.dtype.kind != "f":
        raise UnsupportedError(f"{b.layer.op} of integers")
    return node(b, told[0], x, found.get(told[1]) if delta is None else delta)


@function("image.adjust_gamma")
def adjust_gamma(b: KerasBuilder, x: Tensor, *, gamma: Any = 1, gain: Any = 1) -> Tensor:
    """Return gain * x ** gamma."""
    if x.dtype.kind != "f":
        raise UnsupportedError(f"{b.layer.op} of integers")
    return node(b, "Mul", node(b, "Pow", x, gamma), gain)


def _box(b: KerasBuilder, x: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    first = x.rank - 3
    return cut(b, x, {first: (top, top + height, 1), first + 1: (left, left + width, 1)})


@function("image.central_crop")
def central_crop(b: KerasBuilder, x: Tensor, *, central_fraction: float) -> Tensor:
    """Cut the middle out of images."""
    sizes = extent(x)
    starts = [int((size - size * central_fraction) / 2) for size in sizes]
    kept = [size - 2 * start for size, start in zip(sizes, starts, strict=True)]
    return _box(b, x, *starts, *kept)


@function("image.crop_to_bounding_box")
def crop_to_bounding_box(
    b: KerasBuilder,
    x: Tensor,
    *,
    offset_height: int,
    offset_width: int,
    target_height: int,
    target_width: int,
) -> Tensor:
    """Cut a box out of images."""
    box = (offset_height, offset_width, target_height, target_width)
    return _box(b, x, *(ints(v, "box")[0] for v in box))


@function("image.pad_to_bounding_box")
def pad_to_bounding_box(
    b: KerasBuilder,
    x: Tensor,
    *,
    offset_height: int,
    offset_width: int,
    target_height: int,
    target_width: int,
) -> Tensor:
    """Surround images with zeros."""
    height, width = extent(x)
    amounts = np.zeros((x.rank, 2), np.int32)
    amounts[-3] = offset_height, target_height - offset_height - height
    amounts[-2] = offset_width, target_width - offset_width - width
    if (amounts < 0).any():
        raise UnsupportedError("an image that is padded to less than its size")
    return b("PAD", x, amounts) if amounts.any() else x


@function("image.resize_with_crop_or_pad")
def crop_or_pad(b: KerasBuilder, x: Tensor, *, target_height: int, target_width: int) -> Tensor:
    """Cut or pad images around the middle."""
    have, wanted = extent(x), (target_height, target_width)
    off = [h - w for h, w in zip(have, wanted, strict=True)]
    x = _box(b, x, *(max(o // 2, 0) for o in off), *map(min, have, wanted))
    top, left = (max(-o // 2, 0) for o in off)
    sizes = {"target_height": target_height, "target_width": target_width}
    return pad_to_bounding_box(b, x, offset_height=top, offset_width=left, **sizes)


@function("image.resize_with_pad")
def resize_with_pad(
    b: KerasBuilder,
    x: Tensor,
    *,
    target_height: int,
    target_width: int,
    method: str = "bilinear",
    antialias: bool = False,
) -> Tensor:
    """Resize images in their proportions, and surround them with zeros."""
    have, wanted = extent(x), (target_height, target_width)
    ratio = max(F(h) / F(w) for h, w in zip(have, wanted, strict=True))
    inner = [int(np.floor(F(h) / ratio)) for h in have]
    x = resize(b, x, size=inner, method=method, antialias=antialias)
    top, left = (max(0, (w - i) // 2) for w, i in zip(wanted, inner, strict=True))
    sizes = {"target_height": target_height, "target_width": target_width}
    return pad_to_bounding_box(b, x, offset_height=top, offset_width=left, **sizes)


@function("image.per_image_standardization")
def standardized(b: KerasBuilder, x: Tensor) -> Tensor:
    """Give each image mean 0 and variance 1."""
    x = b.real(x)
    sizes = [size_of(b, x, axis) for axis in (-3, -2, -1)]
    numbers = [size for size in sizes if isinstance(size, int)]
    if len(numbers) < len(sizes):
        extent(x)
    axes = [x.rank - 3, x.rank - 2, x.rank - 1]
    mean = node(b, "Mean", x, axes, keep_dims=True)
    spread = node(b, "Mean", node(b, "SquaredDifference", x, mean), axes, keep_dims=True)
    least = np.array(1 / np.sqrt(np.prod(numbers)), F)
    deviation = b("MAXIMUM", b("SQRT", spread), least)
    return b("DIV", b("SUB", x, mean), deviation)


@function("image.extract_patches")
def extract_patches(
    b: KerasBuilder, x: Tensor, *, sizes: Any, strides: Any, rates: Any, padding: str
) -> Tensor:
    """Put the elements of each window into the channels."""
    windows = {"ksizes": list(sizes), "strides": list(strides), "rates": list(rates)}
    return node(b, "ExtractImagePatches", x, **windows, padding=padding)


@function("image.crop_and_resize")
def crop_and_resize(
    b: KerasBuilder,
    x: Tensor,
    *,
    boxes: Any,
    crop_size: Any,
    box_indices: Any = None,
    box_ind: Any = None,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
) -> Tensor:
    """Cut boxes out of images, and resize them."""
    indices = box_ind if box_indices is None else box_indices
    options = {"method": method, "extrapolation_value": float(extrapolation_value)}
    return node(b, "CropAndResize", x, tensor(b, boxes, F), indices, crop_size, **options)
