"""Resizing, and moves between space, depth and batch, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import numbers
from graphs import assert_op
from numpy.typing import NDArray

from tqconv.compose.resample import KERNELS, kernel_matrix
from tqconv.errors import UnsupportedError

Array = NDArray[Any]
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # sums of up to 100 weighted numbers about 1


X = numbers(2, 6, 8, 3)
SIZES = [(9, 5), (3, 4), (6, 8), (1, 1), (12, 16)]
MODES: list[dict[str, bool]] = [{}, {"align_corners": True}, {"half_pixel_centers": True}]
ids = [next(iter(mode), "legacy") for mode in MODES]


def places(
    size: int, wanted: int, align_corners: bool = False, half_pixel_centers: bool = False
) -> Array:
    """Where each result lies, in elements of the input."""
    shrunk = 1 if align_corners and wanted > 1 else 0
    step = (size - shrunk) / (wanted - shrunk)
    at = np.arange(wanted)
    return (at + 0.5) * step - 0.5 if half_pixel_centers else at * step


def linear(size: int, wanted: int, **mode: bool) -> Array:
    at = np.clip(places(size, wanted, **mode), 0, size - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(size)))


def nearest(size: int, wanted: int, **mode: bool) -> Array:
    step_only = {k: v for k, v in mode.items() if k == "align_corners"}
    at = places(size, wanted, **step_only)
    if mode.get("half_pixel_centers"):
        at = np.floor((np.arange(wanted) + 0.5) * size / wanted)
    row = np.floor(at + 0.5) if mode.get("align_corners") else np.floor(at)
    return np.eye(size)[np.clip(row, 0, size - 1).astype(int)]


def cubic(size: int, wanted: int, **mode: bool) -> Array:
    """TensorFlow's weights come from a table of 1024 steps between two neighbours."""
    half, at = mode.get("half_pixel_centers", False), places(size, wanted, **mode)
    a, matrix = (-0.5 if half else -0.75), np.zeros((wanted, size))
    for row, place in enumerate(at):
        first = int(np.floor(place))
        part = np.rint((place - first) * 1024) / 1024
        for source in range(first - 1, first + 3):
            d = abs(source - first - part)
            near = ((a + 2) * d - (a + 3)) * d * d + 1
            weight = near if d <= 1 else ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
            inside = min(max(source, 0), size - 1)
            if not half or inside == source:
                matrix[row, inside] += weight
        matrix[row] /= matrix[row].sum() if half else 1
    return matrix


def covered(size: int, wanted: int, **mode: bool) -> Array:
    edges = places(size, wanted + 1) * (wanted + 1) / wanted if not mode else None
    if edges is None:
        step = (size - 1) / (wanted - 1) if wanted > 1 else size
        edges = np.arange(wanted + 1) * step
    matrix = np.zeros((wanted, size))
    for row in range(wanted):
        for source in range(int(np.ceil(edges[row + 1]))):
            part = min(source + 1, edges[row + 1]) - max(source, edges[row])
            matrix[row, min(source, size - 1)] += max(part, 0) / (edges[row + 1] - edges[row])
    return matrix


def resized(x: Array, size: Any, weights: Any, **mode: bool) -> Array:
    rows, columns = weights(x.shape[1], size[0], **mode), weights(x.shape[2], size[1], **mode)
    return np.einsum("ij,njkc,lk->nilc", rows, x.astype(np.float64), columns)


@pytest.mark.parametrize("mode", MODES, ids=ids)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("op", "weights"),
    [("ResizeBilinear", linear), ("ResizeNearestNeighbor", nearest), ("ResizeBicubic", cubic)],
)
def test_resize(op: str, weights: Any, size: Any, mode: Any) -> None:
    expected = resized(X, size, weights, **mode).astype(np.float32)
    assert_op(op, (X, np.array(size, np.int32)), expected, constants=(1,), **mode, **CLOSE)


@pytest.mark.parametrize("mode", MODES[:2], ids=ids[:2])
@pytest.mark.parametrize("size", SIZES)
def test_resize_area(size: Any, mode: Any) -> None:
    expected = resized(X, size, covered, **mode).astype(np.float32)
    operands = (X, np.array(size, np.int32))
    assert_op("ResizeArea", operands, expected, constants=(1,), **mode, **CLOSE)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "i8"])
def test_resize_of_integers(dtype: str) -> None:
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, (1, 6, 8, 2), dtype)
    rows, columns = (nearest(s, w).argmax(1) for s, w in ((6, 9), (8, 5)))
    size = np.array([9, 5], np.int32)
    assert_op("ResizeNearestNeighbor", (x, size), x[:, rows][:, :, columns], constants=(1,))
    small = x >> (limits.bits - 8) if limits.bits > 8 else x
    expected = resized(small, (9, 5), linear).astype(np.float32)
    assert_op("ResizeBilinear", (small, size), expected, constants=(1,), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("dynamic", [False, True])
def test_resize_to_a_size_at_run_time(dynamic: bool, dtype: Any) -> None:
    x = (X * 9).astype(dtype)
    expected = resized(x, (9, 5), nearest).astype(dtype)
    operands = (x, np.array([9, 5], np.int32))
    assert_op("ResizeNearestNeighbor", operands, expected, dynamic=dynamic)


@pytest.mark.parametrize("mode", MODES, ids=ids)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("op", "weights"), [("ResizeBicubic", cubic), ("ResizeArea", covered)])
def test_matrices_of_sizes_at_run_time(op: str, weights: Any, size: Any, mode: Any) -> None:
    if op == "ResizeArea" and mode == MODES[2]:
        pytest.skip("TensorFlow has no such mode")
    expected = resized(X, size, weights, **mode).astype(np.float32)
    assert_op(op, (X, np.array(size, np.int32)), expected, dynamic=True, **mode, **CLOSE)


MOVES = {
    "filled": ((3 / 6, 9 / 8), (0.0, 0.0)),
    "smaller than the result": ((0.25, 0.5), (0.0, 0.0)),
    "moved": ((0.5, 1.0), (0.75, -2.5)),
}
"""Scales and shifts of the image in the result."""


@pytest.mark.parametrize(("scales", "shifts"), MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_of_sizes_at_run_time(
    kernel: str, antialias: bool, scales: Any, shifts: Any
) -> None:
    """They weigh as the matrices of known sizes do."""
    size, scale, shift = (3, 9), np.array(scales, np.float32), np.array(shifts, np.float32)
    rows, columns = (
        kernel_matrix(have, wanted, float(by), float(move), kernel, antialias)
        for have, wanted, by, move in zip(X.shape[1:3], size, scale, shift, strict=True)
    )
    expected = np.einsum("ij,njkc,lk->nilc", rows, X, columns)
    operands = (X, np.array(size, np.int32), scale, shift)
    attrs = {"kernel_type": kernel, "antialias": antialias}
    assert_op(
        "ScaleAndTranslate", operands, expected, constants=(3,), dynamic=True, **attrs, **CLOSE
    )


def test_a_kernel_that_nobody_knows_is_named() -> None:
    size, scale = np.array([3, 9], np.int32), np.array([0.5, 1.125], np.float32)
    operands = (X, size, scale, np.zeros(2, np.float32))
    with pytest.raises(UnsupportedError, match="kernel_type `sinc`"):
        assert_op(
            "ScaleAndTranslate", operands, X, constants=(3,), dynamic=True, kernel_type="sinc"
        )


@pytest.mark.parametrize("antialias", [False, True])
def test_scale_and_translate_with_a_triangle(antialias: bool) -> None:
    x, size = numbers(1, 8, 6, 2), (3, 9)
    scale, shift = np.array([3 / 8, 1.5], np.float32), np.array([0, 0.5], np.float32)
    matrices = []
    for wanted, have, s, t in zip(size, x.shape[1:3], scale, shift, strict=True):
        at = (np.arange(wanted) + 0.5 - t) / s
        width = max(1 / s, 1) if antialias else 1
        distance = np.abs(np.arange(have) + 0.5 - at[:, None]) / width
        weights = np.maximum(0, 1 - distance) * ((at >= 0) & (at <= have))[:, None]
        total = weights.sum(1, keepdims=True)
        matrices.append(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))
    expected = np.einsum("ij,njkc,lk->nilc", matrices[0], x, matrices[1]).astype(np.float32)
    operands = (x, np.array(size, np.int32), scale, shift)
    attrs = {"kernel_type": "triangle", "antialias": antialias}
    assert_op("ScaleAndTranslate", operands, expected, constants=(1, 2, 3), **attrs, **CLOSE)


@pytest.mark.parametrize(
    "kernel", ["lanczos3", "lanczos1", "gaussian", "keyscubic", "mitchellcubic"]
)
def test_scale_and_translate_keeps_a_plane_image(kernel: str) -> None:
    x = np.full((1, 8, 6, 1), 3, np.float32)
    scale, shift = np.array([0.5, 2], np.float32), np.zeros(2, np.float32)
    expected = np.full((1, 4, 12, 1), 3, np.float32)
    operands = (x, np.array([4, 12], np.int32), scale, shift)
    op = "ScaleAndTranslate"
    assert_op(op, operands, expected, constants=(1, 2, 3), kernel_type=kernel, rtol=1e-6)


def to_depth(x: Array, block: int) -> Array:
    n, h, w, c = x.shape
    tiles = x.reshape(n, h // block, block, w // block, block, c).transpose(0, 1, 3, 2, 4, 5)
    return tiles.reshape(n, h // block, w // block, -1)


DTYPES = ["f4", "i1", "u1", "i2", "u2", "i4", "i8", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_space_to_depth_and_back(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2 if dtype == "?" else 100, (2, 6, 4, 2)).astype(dtype)
    y = to_depth(x, 2)
    assert_op("SpaceToDepth", (x,), y, block_size=2)
    assert_op("DepthToSpace", (y,), x, block_size=2)


def test_space_to_depth_with_channels_first() -> None:
    x = numbers(2, 6, 4, 3)
    first, last = (t.transpose(0, 3, 1, 2).copy() for t in (x, to_depth(x, 2)))
    assert_op("SpaceToDepth", (first,), last, block_size=2, data_format="NCHW")
    assert_op("DepthToSpace", (last,), first, block_size=2, data_format="NCHW")


def to_batch(x: Array, block: Any, paddings: Any) -> Array:
    x = np.pad(x, [(0, 0), *paddings, *[(0, 0)] * (x.ndim - 1 - len(block))])
    parts = [
        x[(slice(None), *(slice(i, None, k) for i, k in zip(place, block, strict=True)))]
        for place in np.ndindex(*block)
    ]
    return np.concatenate(parts)


BLOCKS = [
    ((2, 6), (2,), ((0, 2),)),
    ((2, 6, 3), (3,), ((1, 2),)),
    ((2, 6, 3, 2), (3,), ((1, 2),)),
    ((2, 3, 4), (2, 2), ((0, 1), (1, 1))),
    ((2, 3, 4, 3), (2, 2), ((0, 1), (1, 1))),
    ((2, 3, 4, 2, 3), (2, 2), ((0, 1), (1, 1))),
    ((2, 3, 4, 5, 2), (2, 1, 3), ((0, 1), (0, 0), (1, 0))),
    ((1, 2, 2, 2, 2, 2), (2, 1, 2, 1), ((0, 0), (0, 0), (1, 1), (0, 0))),
]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize(("shape", "block", "paddings"), BLOCKS)
def test_space_to_batch_and_back(shape: Any, block: Any, paddings: Any, dtype: Any) -> None:
    x = numbers(*shape)
    y = to_batch(x, block, paddings)
    blocks, pairs = np.array(block, dtype), np.array(paddings, dtype)
    assert_op("SpaceToBatchND", (x, blocks, pairs), y, constants=(1, 2))
    assert_op("BatchToSpaceND", (y, blocks, pairs), x, constants=(1, 2))


def test_space_to_batch_with_blocks_at_run_time() -> None:
    x, block, paddings = numbers(2, 3, 4, 3), np.array([2, 2]), np.array([[0, 1], [1, 1]])
    operands = (x, block.astype(np.int32), paddings.astype(np.int32))
    assert_op("SpaceToBatchND", operands, to_batch(x, block, paddings))


def test_space_to_batch_of_square_blocks() -> None:
    x, paddings = numbers(2, 3, 4, 3), np.array([[0, 1], [1, 1]], np.int32)
    y = to_batch(x, (2, 2), paddings)
    assert_op("SpaceToBatch", (x, paddings), y, constants=(1,), block_size=2)
    assert_op("BatchToSpace", (y, paddings), x, constants=(1,), block_size=2)
