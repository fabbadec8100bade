"""Images as samples; Pillow is needed only here."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import DependencyError, FormatError, UsageError, counted
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass
from tqconv.untrusted import IMAGE_PIXELS, reading

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
"""What Pillow may take a file for; some of its other readers start programs."""
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's modes by number of channels."""


@dataclass(frozen=True)
class Scaling:
    """Pixels become (pixel - mean) / std; one number, or one per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_image(path: Path, tensor: Tensor, scaling: Scaling | None) -> NDArray[Any]:
    """Return an image as a batch for `tensor` [1, h, w, c], resized and scaled.

    Without `scaling`, pixels 0 … 255 span the input's known range; UsageError when it is unknown.
    """
    height, width, channels = _image_shape(tensor)
    image = _pixels(path, height, width, channels)
    if tensor.dtype.kind in "iu":
        return image.astype(tensor.dtype)[None]
    if scaling is None and tensor.range is None:
        raise UsageError(
            f"it is not known which reals the pixels of {path} stand for",
            hint="give --mean and --std, where real = (pixel - mean) / std, or --input_range "
            f"{tensor.name}:MIN,MAX",
        )
    if scaling is None:
        assert tensor.range is not None
        low, high = tensor.range.low, tensor.range.high
        return np.asarray(low + image * ((high - low) / 255), np.float32)[None]
    for flag, numbers in (("--mean", scaling.mean), ("--std", scaling.std)):
        if len(numbers) not in (1, channels):
            raise UsageError(
                f"{flag} has {counted(len(numbers), 'number')} for images of {channels} channels",
                hint="give one number, or one for each channel",
            )
    mean, std = np.array(scaling.mean, np.float32), np.array(scaling.std, np.float32)
    return np.asarray((image - mean) / std, np.float32)[None]


def _image_shape(tensor: Tensor) -> tuple[int, int, int]:
    if tensor.rank != 4 or None in tensor.shape[1:] or tensor.shape[3] not in MODES:
        shape = list(tensor.shape)
        raise UsageError(f"input '{tensor.name}' of shape {shape} does not take images")
    _, height, width, channels = (int(d or 1) for d in tensor.shape)
    return height, width, channels


def _pixels(path: Path, height: int, width: int, channels: int) -> NDArray[np.float32]:
    """Return the image [h, w, c] with values 0 … 255, resized without keeping its proportions."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DependencyError("reading images needs Pillow", hint="pip install pillow") from error
    with reading(f"{path} is not an image that Pillow reads"), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # said below, as an error
        with Image.open(path, formats=FORMATS) as file:
            if math.prod(file.size) > IMAGE_PIXELS:
                raise FormatError(
                    f"{path} has {file.width} x {file.height} pixels, too many to be read",
                    hint=f"samples are small: make images of at most {IMAGE_PIXELS} pixels",
                )
            image = file.convert(MODES[channels])
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.float32).reshape(height, width, channels)
