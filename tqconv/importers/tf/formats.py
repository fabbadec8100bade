"""How TensorFlow says where channels are, and what its windows are."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.compose.windows import SAME, VALID, Padding, Window, windows_over
from tqconv.errors import UnsupportedError

LAST = ("NHWC", "NDHWC", "NWC")
FIRST = ("NCHW", "NCDHW", "NCW")
PADDINGS: dict[str, Padding] = {"SAME": SAME, "VALID": VALID}


def channels_first(data_format: str) -> bool:
    """Return whether the channels come before the other axes."""
    if data_format not in (*LAST, *FIRST):
        raise UnsupportedError(f"data_format `{data_format}` is not supported")
    return data_format in FIRST


def spatial(values: Sequence[int], data_format: str = "NHWC") -> list[int]:
    """Return the spatial entries of a per-dimension list such as `strides` or `ksize`.

    Raises UnsupportedError when the batch or channel entry is not 1.
    """
    first = channels_first(data_format)
    if len(values) < 3:
        raise UnsupportedError(f"{list(values)} says nothing about height and width")
    inner = list(values[2:]) if first else list(values[1:-1])
    if values[0] != 1 or (values[1] if first else values[-1]) != 1:
        raise UnsupportedError(f"a window over the batch or the channels: {list(values)}")
    return inner


def windows_of(
    kernel: Sequence[int | None],
    strides: Sequence[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] | None = None,
    explicit_paddings: Sequence[int] = (),
) -> list[Window]:
    """Return the windows that a node describes; `kernel` holds its spatial sizes alone."""
    steps = spatial(strides, data_format)
    rates = [1] * len(steps) if dilations is None else spatial(dilations, data_format)
    return windows_over(kernel, steps, rates, _paddings(padding, data_format, explicit_paddings))


def _paddings(
    padding: str, data_format: str, amounts: Sequence[int]
) -> Padding | Sequence[Padding]:
    """Return the padding; `amounts`: before and after for each dimension, if it is EXPLICIT."""
    if padding == "EXPLICIT":
        if len(amounts) < 6 or len(amounts) % 2 or min(amounts) < 0:
            raise UnsupportedError(f"explicit paddings {list(amounts)}")
        pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
        outer = [pairs[0], pairs[1 if channels_first(data_format) else -1]]
        if any(pair != (0, 0) for pair in outer):
            raise UnsupportedError(f"padding of the batch or the channels: {list(amounts)}")
        return pairs[2:] if channels_first(data_format) else pairs[1:-1]
    if padding not in PADDINGS:
        raise UnsupportedError(f"padding `{padding}` is not supported")
    return PADDINGS[padding]
