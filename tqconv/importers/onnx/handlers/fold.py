"""Col2Im: columns of overlapping blocks are added up to images."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.compose import patches
from tqconv.compose.operands import static_size
from tqconv.compose.windows import windows_over
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Col2Im", since=18)
def col2im(
    b: ONNXBuilder,
    x: Tensor,
    image_shape: Tensor,
    block_shape: Tensor,
    *,
    dilations: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Add up x: [n, c * taps, blocks] to images [n, c, …]."""
    sizes, kernel = b.ints(image_shape, "image_shape"), b.ints(block_shape, "block_shape")
    amounts = list(pads) if pads else [0] * (2 * len(sizes))
    around = list(zip(amounts[: len(sizes)], amounts[len(sizes) :], strict=True))
    windows = windows_over(kernel, strides or (), dilations or (), around)
    if len(kernel) != len(sizes) or x.rank != 3:
        raise UnsupportedError(f"blocks {kernel} of images {sizes}")
    return patches.folded(b, x, static_size(x, 1), sizes, windows)
