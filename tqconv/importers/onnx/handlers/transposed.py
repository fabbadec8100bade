"""ConvTranspose over one to three axes. Images have channels first: [n, c, …]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import transposed
from tqconv.compose.conv import in_one_row
from tqconv.compose.operands import told_size
from tqconv.compose.sizes import Size, size_of
from tqconv.compose.windows import SAME, VALID, Padding, Window, known_amounts, padded
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.handlers.windows import AUTO_PADS, windows_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor


@handles("ConvTranspose")
def conv_transpose(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Tensor:
    """Spread x: [n, c, …] by w: [c, out / group, k…]."""
    told_size(x, 1, w.shape[0])
    windows = windows_of(
        x,
        w.shape[2:],
        strides=strides,
        dilations=dilations,
        pads=None if auto_pad in AUTO_PADS else pads,
        auto_pad=auto_pad if auto_pad not in AUTO_PADS else "NOTSET",
    )
    extra = list(output_padding) if output_padding else [0] * len(windows)
    wanted: Sequence[int | None] | None = None
    if output_shape:
        wanted = list(output_shape)[-len(windows) :]
    elif auto_pad.startswith("SAME"):
        sizes = zip(x.shape[2:], windows, strict=True)
        wanted = [None if size is None else size * window.stride for size, window in sizes]
    if len(extra) != len(windows) or (wanted is not None and len(wanted) != len(windows)):
        raise UnsupportedError("output_padding or output_shape of another number of axes")
    if wanted is not None:
        axes = zip(windows, x.shape[2:], wanted, extra, strict=True)
        fitted = [_fitted(*axis, auto_pad == "SAME_UPPER") for axis in axes]
        windows, extra = [window for window, _ in fitted], [more for _, more in fitted]
    return b.channels_last(x, True, lambda t: _spread(b, t, w, bias, windows, extra, group))


def _fitted(
    window: Window, size: int | None, wanted: int | None, extra: int, upper: bool
) -> tuple[Window, int]:
    """Return a window whose padding makes an axis as long as it is wanted, and what lies behind.

    Half of what is too much is cut off in front, the larger half unless `upper`.
    """
    if size is None or wanted is None:
        raise UnsupportedError(
            "what is cut off depends on a size that is unknown",
            hint="give the inputs a shape with --input_shapes",
        )
    reached = (size - 1) * window.stride + window.reach + extra
    total = reached - wanted
    if total <= -window.stride:
        raise UnsupportedError(f"output_shape {wanted} lies beyond the {reached} that are reached")
    if total < 0:
        return _with(window, VALID), extra - total
    smaller, larger = total // 2, total - total // 2
    return _with(window, (smaller, larger) if upper else (larger, smaller)), extra


def _with(window: Window, padding: Padding) -> Window:
    return Window(window.kernel, window.stride, window.rate, padding)


def _spread(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    windows: Sequence[Window],
    extra: Sequence[int],
    group: int,
) -> Tensor:
    """Spread x: [n, …, c]; where each channel is a group, without a kernel for each."""
    channels, own, *_ = w.shape
    if own is None or channels is None:
        raise UnsupportedError("the channels of the filter are unknown", hint="give it a shape")
    if x.shape[-1] not in (None, channels) or channels % group:
        raise UnsupportedError(
            f"a filter of {channels} channels in {group} groups for {x.shape[-1]}"
        )
    reached = [min(more, w.stride - 1) for more, w in zip(extra, windows, strict=True)]
    sizes = transposed.spread_sizes(b, x, own * group, windows, reached)
    filters = b.transpose(w, (*range(2, w.rank), 1, 0))
    known = all(isinstance(size, int) for size in sizes[1:]) and None not in x.shape[1:]
    if group == channels and group > 1 and own == 1 and len(windows) < 3 and known:
        filters = b.transpose(w, (*range(2, w.rank), 0, 1))
        y = _by_channel(b, x, filters, windows, sizes)
    else:
        named = [_named(b, x, axis, window, sizes[axis]) for axis, window in enumerate(windows, 1)]
        if all(window.padding == SAME for window in named):
            windows = named
        y = transposed.transposed(b, x, filters, windows, sizes)
    behind = np.zeros((x.rank, 2), np.int32)
    behind[1:-1, 1] = np.subtract(extra, reached)  # the kernels make no more than a stride of it
    y = padded(b, y, behind)
    return y if bias is None else b("ADD", y, bias)


def _by_channel(
    b: ONNXBuilder, x: Tensor, w: Tensor, windows: Sequence[Window], sizes: Sequence[Size]
) -> Tensor:
    if len(windows) == 2:
        return transposed.spread_channels(b, x, w, windows, sizes)
    rows = [sizes[0], 1, *sizes[1:]]
    return in_one_row(
        b, x, w, windows[0], lambda b, x, w, both: transposed.spread_channels(b, x, w, both, rows)
    )


def _named(b: ONNXBuilder, x: Tensor, axis: int, window: Window, size: Size) -> Window:
    """Return a window with SAME padding, which a kernel does itself, if its amounts are those."""
    own = size_of(b, x, axis)
    if not isinstance(own, int) or not isinstance(size, int) or window.padding == VALID:
        return window
    named = _with(window, SAME)
    same = known_amounts(b, size, named) == window.padding and -(-size // window.stride) == own
    return named if same else window
