"""Weights and tables of a few bits, which share a scale in blocks along a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import products
from tqconv.errors import FormatError, UnsupportedError, shaped
from tqconv.importers.onnx.handlers.places import gather
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import limits_of
from tqconv.ir.graph import Tensor

F = np.float32


@handles("com.microsoft:MatMulNBits")
def matmul_nbits(
    b: ONNXBuilder,
    x: Tensor,
    w: Tensor,
    scales: Tensor,
    zeros: Tensor | None = None,
    groups: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    K: int,  # noqa: N803  (ONNX's spelling)
    N: int,  # noqa: N803  (ONNX's spelling)
    block_size: int,
    accuracy_level: int = 0,
    bits: int = 4,
    weight_prepacked: int = 0,
) -> Tensor:
    """Multiply x: [..., K] by weights [N, blocks, bytes of a block], the first one in the low bits.

    The weights become reals, which `--quantize` stores as integers again.
    """
    if groups is not None or weight_prepacked or bits not in (2, 4, 8):
        raise UnsupportedError(f"a MatMulNBits of {bits} bits, prepacked, or in another order")
    blocks = -(-K // block_size)
    codes = _unpacked(b.value(w, "B").reshape(N, -1), bits, (N, blocks, block_size))
    factor = b.value(scales, "scales").astype(F).reshape(N, blocks, 1)
    if zeros is None:
        zero: NDArray[np.float32] = np.array(1 << (bits - 1), F)
    elif zeros.dtype == np.uint8:
        zero = _unpacked(b.value(zeros, "zero_points").reshape(N, -1), bits, (N, blocks, 1))
    else:
        zero = b.value(zeros, "zero_points").astype(F).reshape(N, blocks, 1)
    reals = ((codes - zero) * factor).reshape(N, -1)[:, :K]
    y = products.product(b, x, b.const(np.ascontiguousarray(reals), F), adj_w=True)
    return y if bias is None else b("ADD", y, bias)


@handles("com.microsoft:GatherBlockQuantized")
def gather_block_quantized(
    b: ONNXBuilder,
    table: Tensor,
    indices: Tensor,
    scales: Tensor,
    zeros: Tensor | None = None,
    *,
    bits: int = 4,
    block_size: int = 128,
    gather_axis: int = 0,
    quantize_axis: int = 1,
) -> Tensor:
    """Take rows of a table whose numbers share a scale in blocks along an axis.

    uint8 holds several numbers of a few bits along the last axis; the table becomes reals, too.
    """
    stored, factor = b.value(table, "data"), b.value(scales, "scales").astype(F)
    packed = limits_of(b, table.dtype, 0, 0) == (0, 255)  # else each number stands alone
    if packed and (bits not in (2, 4, 8) or block_size < 1):
        raise UnsupportedError(f"a GatherBlockQuantized of {bits} bits in blocks of {block_size}")
    axis, last = quantize_axis % factor.ndim, factor.shape[-1]
    codes = _all_unpacked(stored, bits) if packed else stored.astype(F)
    zero: NDArray[Any] = np.array(1 << (bits - 1) if packed else 0, F)
    if zeros is not None:
        zero = b.value(zeros, "zero_points")
        zero = _all_unpacked(zero, bits)[..., :last] if packed else zero.astype(F)
        zero = _spread(zero, block_size, axis, codes.shape[axis])
    reals = (codes - zero) * _spread(factor, block_size, axis, codes.shape[axis])
    return gather(b, b.const(np.ascontiguousarray(reals), F), indices, axis=gather_axis)


def _all_unpacked(stored: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return the numbers in the bytes along the last axis, those of the low bits first."""
    each = stored.shape[-1] * (8 // bits)
    rows = stored.reshape(-1, stored.shape[-1])
    return _unpacked(rows, bits, (rows.shape[0], 1, each)).reshape(*stored.shape[:-1], each)


def _spread(values: NDArray[Any], block: int, axis: int, size: int) -> NDArray[Any]:
    """Return what is said of blocks along an axis for each of its elements."""
    return np.repeat(values, block, axis).take(np.arange(size), axis)


def _unpacked(
    rows: NDArray[np.uint8], bits: int, shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return the numbers in the bytes of each row, those of the low bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (rows[:, :, None] >> shifts) & ((1 << bits) - 1)
    found = parts.reshape(rows.shape[0], -1)[:, : shape[1] * shape[2]]
    if found.size != shape[0] * shape[1] * shape[2]:
        raise FormatError(f"{rows.size} bytes for {shaped(shape)} numbers of {bits} bits")
    return found.reshape(shape).astype(F)
