"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.pool import Pool, average_pool, max_over_channels, max_pool, max_pool_places
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.formats import channels_first, spatial, windows_of
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles(MaxPool=max_pool, AvgPool=average_pool, MaxPool3D=max_pool, AvgPool3D=average_pool)
def pool(
    b: Builder,
    kind: Pool,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Pool over windows; padding never counts."""
    first = channels_first(data_format)
    channels = ksize[1 if first else -1]
    if channels != 1:
        _check_channels_only(ksize, strides)
        return b.channels_last(x, first, lambda x: max_over_channels(b, x, channels))
    kernel = spatial(ksize, data_format)
    windows = windows_of(kernel, strides, padding, data_format, explicit_paddings=explicit_paddings)
    return b.channels_last(x, first, lambda x: kind(b, x, windows))


@handles("MaxPoolV2")
def max_pool_v2(
    b: Builder,
    x: Tensor,
    ksize: Tensor,
    strides: Tensor,
    *,
    padding: str,
    data_format: str = "NHWC",
) -> Tensor:
    """Pool over windows whose sizes are operands."""
    sizes, steps = b.ints(ksize, "ksize"), b.ints(strides, "strides")
    return pool(
        b, max_pool, x, ksize=sizes, strides=steps, padding=padding, data_format=data_format
    )


@handles("MaxPoolWithArgmax")
def max_pool_with_argmax(
    b: Builder,
    x: Tensor,
    *,
    ksize: list[int],
    strides: list[int],
    padding: str,
    Targmax: TypeNumber | None = None,  # noqa: N803
    include_batch_in_index: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return maxima, and where each is first found: (row * width + column) * channels + channel."""
    windows = windows_of(spatial(ksize), strides, padding)
    height, width, channels = (static_size(x, axis) for axis in (1, 2, 3))
    image = height * width * channels if include_batch_in_index else 0
    y, index = max_pool_places(b, x, windows, [image, width * channels, channels, 1])
    return y, b.cast(index, np.int64 if Targmax is None else Targmax.dtype)


def _check_channels_only(kernel: Sequence[int], steps: Sequence[int]) -> None:
    """Raise UnsupportedError for a window over channels and more than them."""
    ones = sorted(kernel)[:-1]
    if any(size != 1 for size in ones) or list(kernel) != list(steps):
        raise UnsupportedError(f"a window over channels and more: {list(kernel)} by {list(steps)}")
