"""Convolutions: kernels are [spatial…, in / groups, out], transposed ones [spatial…, out, in]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tqconv.compose import conv as convolutions
from tqconv.compose import transposed as adjoint
from tqconv.compose.operands import static_size
from tqconv.compose.sizes import Size, calculate, size_of
from tqconv.compose.windows import SAME, VALID, Padding, Window, windows_over
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.keras.layers.activation import activate
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor

FIRST = "channels_first"


def many(value: int | Sequence[int], count: int) -> list[int]:
    """Return one number for each of `count` axes."""
    values = [value] * count if isinstance(value, int) else list(value)
    if not all(isinstance(each, int | float) and each == int(each) for each in values):
        raise FormatError(f"{value!r} stands where whole numbers should, one for each axis")
    if len(values) != count:
        raise UnsupportedError(f"{values} for {count} axes")
    return [int(each) for each in values]


def windows_of(
    kernel: Sequence[int | None],
    strides: int | Sequence[int],
    rates: int | Sequence[int],
    padding: str,
) -> list[Window]:
    """Return windows with the padding that Keras names; `causal` is all of it in front."""
    count = len(kernel)
    rates = many(rates, count)
    how: Padding | list[Padding] = SAME if padding.lower() == "same" else VALID
    if padding == "causal":
        how = [((_known(k) - 1) * r, 0) for k, r in zip(kernel, rates, strict=True)]
    return windows_over(kernel, many(strides, count), rates, how)


def _known(size: int | None) -> int:
    if size is None:
        raise UnsupportedError("the size of the kernel is unknown")
    return size


def finished(b: KerasBuilder, y: Tensor, use_bias: bool, activation: Any, first: bool) -> Tensor:
    """Add the bias and apply the activation; y: [n, …, c], the result as the data format says."""
    y = b("ADD", y, b.weight("bias")) if use_bias else y
    y = b.to_channels_first(y) if first else y
    return activate(b, y, activation)


def _last(b: KerasBuilder, x: Tensor, data_format: str | None) -> Tensor:
    x = b.real(x)
    return b.to_channels_last(x) if data_format == FIRST else x


@handles("Conv1D", "Conv2D", "Conv3D")
def conv(
    b: KerasBuilder,
    x: Tensor,
    *,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    groups: int = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Tensor:
    """Convolve."""
    w = b.weight("kernel")
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    y = convolutions.conv(b, _last(b, x, data_format), w, windows)
    return finished(b, y, use_bias, activation, data_format == FIRST)


@handles("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(
    b: KerasBuilder,
    x: Tensor,
    *,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    depth_multiplier: int = 1,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    activation: Any = None,
    use_bias: bool = True,
    groups: int | None = 1,
    filters: int | None = None,
) -> Tensor:
    """Convolve each channel with filters of its own: kernel [spatial…, in, multiplier]."""
    _check_groups(groups)
    w = b.weight("kernel")
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    y = convolutions.depthwise(b, _last(b, x, data_format), w, windows)
    return finished(b, y, use_bias, activation, data_format == FIRST)


def _check_groups(groups: int | None) -> None:
    """Raise UnsupportedError for groups of channels: each channel has filters of its own here.

    Keras 2 writes `groups: 1` for such layers, Keras 3 knows no such key.
    """
    if groups not in (None, 1):
        raise UnsupportedError(
            f"groups = {groups} of a layer that convolves each channel by itself"
        )


@handles("SeparableConv1D", "SeparableConv2D")
def separable(
    b: KerasBuilder,
    x: Tensor,
    *,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    depth_multiplier: int = 1,
    activation: Any = None,
    use_bias: bool = True,
    groups: int = 1,
) -> Tensor:
    """Convolve each channel by itself, then mix the channels."""
    _check_groups(groups)
    w = b.weight("depthwise_kernel")
    windows = windows_of(w.shape[:-2], strides, dilation_rate, padding)
    y = convolutions.depthwise(b, _last(b, x, data_format), w, windows)
    one = [Window(1)] * len(windows)
    y = convolutions.conv(b, y, b.weight("pointwise_kernel"), one)
    return finished(b, y, use_bias, activation, data_format == FIRST)


@handles("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(
    b: KerasBuilder,
    x: Tensor,
    *,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
    groups: int = 1,
    activation: Any = None,
    use_bias: bool = True,
) -> Tensor:
    """Spread each element by the kernel; how much padding goes away follows from the sizes."""
    w = b.weight("kernel")
    x = _last(b, x, data_format)
    windows = windows_of(w.shape[:-2], strides, dilation_rate, "valid")
    extra = None if output_padding is None else many(output_padding, len(windows))
    y = spread(b, x, w, windows, padding == "same", extra)
    return finished(b, y, use_bias, activation, data_format == FIRST)


def spread(
    b: KerasBuilder,
    x: Tensor,
    w: Tensor,
    windows: Sequence[Window],
    same: bool,
    extra: Sequence[int] | None,
) -> Tensor:
    """Return the transposed convolution of x: [n, …, c] with w: [spatial…, out, in]."""
    sizes: list[Size] = [size_of(b, x, 0)]
    placed = []
    for axis, window in enumerate(windows):
        more = None if extra is None else extra[axis]
        size, cut = _spread(b, size_of(b, x, axis + 1), window, same, more)
        sizes.append(size)
        placed.append(cut)
    return adjoint.transposed(b, x, w, placed, [*sizes, static_size(w, -2)])


def _spread(
    b: KerasBuilder, size: Size, window: Window, same: bool, extra: int | None
) -> tuple[Size, Window]:
    """Return the size of an axis behind a transposed convolution, and the window that makes it.

    As Keras computes it (`deconv_output_length`): without `output_padding` size * stride with
    padding `same`, else max(reach - stride, 0) more; with it (size - 1) * stride + reach
    - 2 * (reach // 2 if `same`) + output_padding.
    """
    scaled = calculate(b, "MUL", size, window.stride)
    if extra is None:
        if same:
            return scaled, Window(window.kernel, window.stride, window.rate, SAME)
        return calculate(b, "ADD", scaled, max(window.reach - window.stride, 0)), window
    pad = window.reach // 2 if same else 0
    more = window.reach - window.stride - 2 * pad + extra
    total = calculate(b, "ADD", scaled, more)
    if not same:
        return total, window
    return total, Window(window.kernel, window.stride, window.rate, SAME)
