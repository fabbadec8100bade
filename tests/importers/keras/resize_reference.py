"""Resizing of images in numpy: each axis is a product with a matrix of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from networks_keras import Array


def triangle(x: Array) -> Array:
    return np.maximum(1 - np.abs(x), 0)


def pieces(x: Array, near: Sequence[float], far: Sequence[float]) -> Array:
    """Return one cubic polynomial of |x| below 1 and another one from there up to 2."""
    d = np.abs(x)
    return np.where(d < 1, np.polyval(near, d), np.where(d < 2, np.polyval(far, d), 0))


def keys(x: Array) -> Array:
    """Keys (1981), with a = -1/2."""
    return pieces(x, (1.5, -2.5, 0, 1), (-0.5, 2.5, -4, 2))


def mitchell(x: Array) -> Array:
    """Mitchell and Netravali (1988), with B = C = 1/3."""
    return pieces(x, (7 / 6, -2, 0, 8 / 9), (-7 / 18, 2, -10 / 3, 16 / 9))


def lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda x: np.where(np.abs(x) < radius, np.sinc(x) * np.sinc(x / radius), 0)


def bell(x: Array) -> Array:
    return np.where(np.abs(x) < 1.5, np.exp(-2 * x * x), 0)


KERNELS: Mapping[str, Callable[[Array], Array]] = {
    "bilinear": triangle,
    "bicubic": keys,
    "lanczos3": lanczos(3),
    "lanczos5": lanczos(5),
    "gaussian": bell,
    "mitchellcubic": mitchell,
}


def weights(size: int, wanted: int, interpolation: str, antialias: bool) -> Array:
    """Return the matrix [wanted, size] that resizes one axis; centers of pixels count."""
    step, ends = size / wanted, np.arange(size + 1)
    if interpolation == "nearest":
        return np.eye(size)[np.floor((np.arange(wanted) + 0.5) * step).astype(int)]
    if interpolation == "area":
        edges = np.arange(wanted + 1) * step
        first = np.maximum(ends[:-1], edges[:-1, None])
        return np.maximum(np.minimum(ends[1:], edges[1:, None]) - first, 0) / step
    width = max(step, 1) if antialias else 1
    apart = (np.arange(size) + 0.5 - (np.arange(wanted)[:, None] + 0.5) * step) / width
    if interpolation == "bicubic" and not antialias:  # from a table of 1024 steps
        apart = np.rint(apart * 1024) / 1024
    matrix = KERNELS[interpolation](apart)
    return np.asarray(matrix / matrix.sum(1, keepdims=True))


def resized(
    x: Array, size: Sequence[int], interpolation: str = "bilinear", antialias: bool = False
) -> Array:
    """Return x: [n, h, w, c] with another height and width."""
    rows, columns = (
        weights(have, want, interpolation, antialias)
        for have, want in zip(x.shape[1:3], size, strict=True)
    )
    return np.einsum("ij,njkc,lk->nilc", rows, x.astype(np.float64), columns)
