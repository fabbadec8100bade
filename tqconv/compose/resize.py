"""Resizing of images x: [n, h, w, c]."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import open_resample, resample
from tqconv.compose.builder import Builder
from tqconv.compose.operands import int32_of
from tqconv.compose.products import affine
from tqconv.compose.sampling import real_size
from tqconv.compose.sizes import (
    Size,
    calculate,
    element,
    operand,
    reshaped,
    size_of,
    sizes_of,
    vector,
)
from tqconv.ir.graph import Tensor

FLOAT32 = np.dtype(np.float32)
Matrix = NDArray[np.float32]


def bilinear(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Interpolate between four neighbours; the result is real whatever the image is.

    size: [2], height and width, at run time if need be. Where pixels lie: corners on corners, or
    centers at half pixels, or the first ones on each other.
    """
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    return b("RESIZE_BILINEAR", b.cast(x, FLOAT32), int32_of(b, size), **options)


def nearest(
    b: Builder,
    x: Tensor,
    size: Tensor,
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Repeat or drop rows and columns of any element type."""
    options = {"align_corners": align_corners, "half_pixel_centers": half_pixel_centers}
    if x.dtype.itemsize < FLOAT32.itemsize or x.dtype == FLOAT32:
        return b("RESIZE_NEAREST_NEIGHBOR", x, int32_of(b, size), **options)
    for axis in (1, 2):
        x = b("GATHER", x, _nearest_places(b, x, axis, size, options), axis=axis)
    return x


def bicubic(
    b: Builder,
    x: Tensor,
    size: Sequence[Size],
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Tensor:
    """Interpolate between sixteen neighbours: a product with a matrix on either side."""

    def matrix(axis: int, have: Size, wanted: Size) -> Matrix | Tensor:
        if isinstance(have, int) and isinstance(wanted, int):
            return resample.cubic_matrix(have, wanted, align_corners, half_pixel_centers)
        return open_resample.cubic_matrix(b, have, wanted, align_corners, half_pixel_centers)

    return _between(b, x, size, matrix)


def area(b: Builder, x: Tensor, size: Sequence[Size], *, align_corners: bool = False) -> Tensor:
    """Average the part of the image under each result: a product with a matrix on either side."""

    def matrix(axis: int, have: Size, wanted: Size) -> Matrix | Tensor:
        if isinstance(have, int) and isinstance(wanted, int):
            return resample.area_matrix(have, wanted, align_corners)
        return open_resample.area_matrix(b, have, wanted, align_corners)

    return _between(b, x, size, matrix)


def by_kernel(
    b: Builder,
    x: Tensor,
    size: Sequence[Size],
    kernel: str,
    antialias: bool,
    scales: Tensor | None = None,
    shifts: Sequence[float] = (0.0, 0.0),
) -> Tensor:
    """Scale and shift the image, resampling with a kernel: a product with a matrix on either side.

    kernel: one of `resample.KERNELS`. scales: [2], as the sizes are by default.
    """

    def matrix(axis: int, have: Size, wanted: Size) -> Matrix | Tensor:
        scale = _scale(b, scales, axis, have, wanted)
        shift = shifts[axis]
        if scale.data is not None and isinstance(have, int) and isinstance(wanted, int):
            known = float(scale.data)
            return resample.kernel_matrix(have, wanted, known, shift, kernel, antialias)
        return open_resample.kernel_matrix(
            b, have, wanted, scale, shift, kernel, antialias, fills=scales is None and not shift
        )

    return _between(b, x, size, matrix)


def _scale(b: Builder, scales: Tensor | None, axis: int, have: Size, wanted: Size) -> Tensor:
    """Return the scale of an axis (0: rows), which is the quotient of its sizes by default."""
    if scales is None:
        return b("DIV", real_size(b, wanted), real_size(b, have))
    places = [np.array([place], np.int32) for place in (axis, axis + 1, 1)]
    return b("STRIDED_SLICE", scales, *places, shrink_axis_mask=1)


def _between(
    b: Builder,
    x: Tensor,
    size: Sequence[Size],
    matrix: Callable[[int, Size, Size], Matrix | Tensor],
) -> Tensor:
    """Return `x` between the matrices that are made for its rows and its columns."""
    rows, columns = (
        matrix(axis, size_of(b, x, axis + 1), wanted) for axis, wanted in enumerate(size)
    )
    return between_matrices(b, x, rows, columns)


def along_axis(b: Builder, x: Tensor, axis: int, matrix: Matrix) -> Tensor:
    """Return `x` of any rank with an axis resampled by a matrix: [wanted, size]."""
    if _is_identity(matrix):
        return x
    weights = b.const(matrix, FLOAT32, "matrix")
    return b.on_last_axis(x, axis, lambda t: affine(b, t, weights, transposed=True))


def between_matrices(
    b: Builder, x: Tensor, rows: Matrix | Tensor, columns: Matrix | Tensor
) -> Tensor:
    """Return rows @ x @ columns^T for each image and channel of x: [n, h, w, c], as float32."""
    x = b.cast(x, FLOAT32)
    n, h, w, c = sizes_of(b, x)
    if not _is_identity(rows):
        flat = reshaped(b, x, [n, h, calculate(b, "MUL", w, c)])
        count = size_of(b, rows, 0) if isinstance(rows, Tensor) else rows.shape[0]
        x = reshaped(b, b("BATCH_MATMUL", rows, flat), [n, count, w, c])
    if not _is_identity(columns):
        x = b("BATCH_MATMUL", columns, x)
    return x


def _is_identity(matrix: Matrix | Tensor) -> bool:
    if isinstance(matrix, Tensor):
        return False
    return matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix)))


def _nearest_places(
    b: Builder, x: Tensor, axis: int, size: Tensor, options: dict[str, bool]
) -> Tensor:
    """Return which element of an axis each result repeats: its numbers, resized as an image."""
    count, wanted = size_of(b, x, axis), element(b, size, axis - 1)
    zero, one = np.array(0, np.int32), np.array(1, np.int32)
    numbers = b.cast(b("RANGE", zero, operand(count), one), FLOAT32)
    image = reshaped(b, numbers, [1, count, 1, 1])
    places = b("RESIZE_NEAREST_NEIGHBOR", image, vector(b, [wanted, 1]), **options)
    return b.cast(reshaped(b, places, [wanted]), np.int32)
