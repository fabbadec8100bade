"""How ONNX says what windows are: `kernel_shape`, `pads`, `auto_pad`, `ceil_mode`."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.compose.pool import ceiled
from tqconv.compose.windows import SAME, SAME_LOWER, VALID, Padding, Window, windows_over
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor

AUTO_PADS: dict[str, Padding] = {"SAME_UPPER": SAME, "SAME_LOWER": SAME_LOWER, "VALID": VALID}


def windows_of(
    x: Tensor,
    kernel: Sequence[int | None],
    *,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: int = 0,
) -> list[Window]:
    """Return one window for each spatial axis of x: [n, c, …].

    pads: all amounts before the axes, then all behind. UnsupportedError where a list has another
    length than there are axes.
    """
    count = x.rank - 2
    if auto_pad in AUTO_PADS:
        paddings: list[Padding] = [AUTO_PADS[auto_pad]] * count
    elif auto_pad in ("NOTSET", ""):
        amounts = list(pads) if pads else [0] * (2 * count)
        _check("pads", amounts, 2 * count)
        paddings = list(zip(amounts[:count], amounts[count:], strict=True))
    else:
        raise UnsupportedError(f"auto_pad `{auto_pad}`")
    for name, values in (("kernel_shape", kernel), ("strides", strides), ("dilations", dilations)):
        _check(name, values, count)
    windows = windows_over(kernel, strides or (), dilations or (), paddings)
    if not ceil_mode or auto_pad in AUTO_PADS:
        return windows
    return [ceiled(window, size) for window, size in zip(windows, x.shape[2:], strict=True)]


def _check(name: str, values: Sequence[int | None] | None, count: int) -> None:
    if values and len(values) != count:
        raise UnsupportedError(f"{name} {list(values)} for {count} spatial axes")
