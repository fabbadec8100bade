"""Transposed convolutions, which TensorFlow calls gradients with respect to the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tqconv.compose import transposed
from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, element, size_of
from tqconv.compose.windows import Window
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.formats import channels_first, windows_of
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor

Spread = Callable[[Builder, Tensor, Tensor, Sequence[Window], Sequence[Size]], Tensor]


@handles(
    Conv2DBackpropInput=transposed.transposed,
    DepthwiseConv2dNativeBackpropInput=transposed.spread_channels,
)
def conv2d_backprop_input(
    b: Builder,
    spread: Spread,
    input_sizes: Tensor,
    w: Tensor,
    x: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
) -> Tensor:
    """Spread `x` by `w` into a tensor of `input_sizes`.

    w: [kh, kw, out / groups, in], or for each channel apart [kh, kw, out, multiplier].
    """
    windows = windows_of(w.shape[:2], strides, padding, data_format, dilations, explicit_paddings)
    return _spread(b, spread, input_sizes, w, x, windows, data_format)


@handles("Conv3DBackpropInputV2")
def conv3d_backprop_input(
    b: Builder,
    input_sizes: Tensor,
    w: Tensor,
    x: Tensor,
    *,
    strides: list[int],
    padding: str,
    data_format: str = "NDHWC",
    dilations: Sequence[int] = (1, 1, 1, 1, 1),
) -> Tensor:
    """Spread `x` by `w: [kd, kh, kw, out, in]` into a tensor of `input_sizes`."""
    windows = windows_of(w.shape[:3], strides, padding, data_format, dilations)
    return _spread(b, transposed.transposed, input_sizes, w, x, windows, data_format)


def _spread(
    b: Builder,
    spread: Spread,
    given: Tensor,
    w: Tensor,
    x: Tensor,
    windows: Sequence[Window],
    data_format: str,
) -> Tensor:
    first = channels_first(data_format)

    def make(x: Tensor) -> Tensor:
        return spread(b, x, w, windows, _output_sizes(b, given, w, x, first))

    return b.channels_last(x, first, make)


def _output_sizes(b: Builder, given: Tensor, w: Tensor, x: Tensor, first: bool) -> list[Size]:
    """Return the sizes of the result, channels last; `given` may leave out batch and channels."""
    inner = x.rank - 2
    count = given.shape[0]
    if count is None:
        raise UnsupportedError("the length of input `input_sizes` is unknown")
    sizes = [element(b, given, index) for index in range(count)]
    if count == inner:
        return [size_of(b, x, 0), *sizes, size_of(b, w, -2)]
    return [sizes[0], *sizes[2:], sizes[1]] if first else sizes
