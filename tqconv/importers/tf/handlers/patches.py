"""Operators that look at each element of a sliding window: patches, morphology."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.compose import patches
from tqconv.compose.builder import Builder
from tqconv.importers.tf.formats import spatial, windows_of
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("ExtractImagePatches", "ExtractVolumePatches")
def extract_patches(
    b: Builder,
    x: Tensor,
    *,
    ksizes: list[int],
    strides: list[int],
    padding: str,
    rates: Sequence[int] | None = None,
) -> Tensor:
    """Put the elements of each window into the channels, in the order of its axes."""
    windows = windows_of(spatial(ksizes), strides, padding, dilations=rates)
    return patches.patches(b, x, windows)


@handles("Dilation2D")
def dilation2d(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *,
    strides: list[int],
    rates: list[int],
    padding: str,
) -> Tensor:
    """Return the maximum of x + w over each window, w: [kh, kw, c]."""
    return patches.dilated(b, x, w, windows_of(w.shape[:2], strides, padding, dilations=rates))
