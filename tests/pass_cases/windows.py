"""Options of windows that several cases have."""

from __future__ import annotations


def windows(size: int, stride: int) -> str:
    """Return the options of a pool without padding of its own."""
    sizes = f"filter_height={size}, filter_width={size}, stride_h={stride}, stride_w={stride}"
    return f"{{padding=VALID, {sizes}}}"


SAME_ONE = "{padding=SAME, stride_h=1, stride_w=1}"
"""Options of a convolution that keeps the size."""
