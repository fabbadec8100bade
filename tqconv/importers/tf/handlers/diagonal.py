"""Matrices: diagonals, bands and vector products.

Rearrangements are one GATHER by a constant map over the flattened matrices, followed by a RESHAPE.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.operands import static_size
from tqconv.compose.sizes import inserted, operand, reshaped, size_of, sizes_of
from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor

INT32 = np.dtype(np.int32)
ZERO, ONE = np.array(0, INT32), np.array(1, INT32)

Map = NDArray[np.int32]
ALIGNMENTS = ("LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT")


@handles("MatrixDiag", "BatchMatrixDiag")
def matrix_diag(b: TFBuilder, diagonal: Tensor) -> Tensor:
    """Square matrices with these main diagonals, zero elsewhere."""
    return b("MATRIX_DIAG", diagonal)


@handles("MatrixDiagPart", "BatchMatrixDiagPart")
def matrix_diag_part(b: TFBuilder, x: Tensor) -> Tensor:
    """The main diagonals."""
    return _diagonals(b, x, (0, 0), b.const(0, x.dtype, "padding"), "LEFT_LEFT")


@handles("MatrixSetDiag", "BatchMatrixSetDiag")
def matrix_set_diag(b: TFBuilder, x: Tensor, diagonal: Tensor) -> Tensor:
    """`x` with other main diagonals."""
    return b("MATRIX_SET_DIAG", x, diagonal)


@handles("MatrixDiagV2", "MatrixDiagV3")
def matrix_diag_of_many(
    b: TFBuilder,
    diagonals: Tensor,
    k: Tensor,
    num_rows: Tensor,
    num_cols: Tensor,
    padding_value: Tensor,
    *,
    align: str | None = None,
) -> Tensor:
    """Matrices with these diagonals, of which `k` numbers the lowest and highest."""
    low, high = _range_of(b, k)
    longest = static_size(diagonals, -1)
    rows, columns = int(b.scalar(num_rows, "num_rows")), int(b.scalar(num_cols, "num_cols"))
    rows, columns = _sizes(longest, low, high, rows, columns)
    if (low, high) == (0, 0) and rows == columns and _is_zero(padding_value):
        return b("MATRIX_DIAG", diagonals)
    places = diagonal_places(rows, columns, low, high, _alignment(b, align))
    count = places.shape[0] * places.shape[1]
    taken = np.full(rows * columns, count, np.int32)
    for index, place in enumerate(places.reshape(-1)):
        if place >= 0:
            taken[place] = index
    batch = sizes_of(b, diagonals)[: diagonals.rank - (1 if low == high else 2)]
    flat = reshaped(b, diagonals, [*batch, count])
    return _gathered(b, flat, taken, padding_value, [*batch, rows, columns])


def _sizes(longest: int, low: int, high: int, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns where -1 leaves them open, as TensorFlow infers them."""
    least_rows, least_columns = longest - min(high, 0), longest + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    elif rows == -1:
        rows = least_rows
    elif columns == -1:
        columns = least_columns
    return rows, columns


@handles("MatrixDiagPartV2", "MatrixDiagPartV3")
def matrix_diag_parts(
    b: TFBuilder, x: Tensor, k: Tensor, padding_value: Tensor, *, align: str | None = None
) -> Tensor:
    """The diagonals from `k[0]` to `k[1]`, the highest first."""
    return _diagonals(b, x, _range_of(b, k), padding_value, _alignment(b, align))


def _diagonals(b: TFBuilder, x: Tensor, k: tuple[int, int], padding: Tensor, align: str) -> Tensor:
    rows, columns = static_size(x, -2), static_size(x, -1)
    places = diagonal_places(rows, columns, *k, align)
    taken = np.where(places < 0, rows * columns, places).astype(np.int32)
    batch = sizes_of(b, x)[:-2]
    flat = reshaped(b, x, [*batch, rows * columns])
    shape = places.shape if k[0] != k[1] else places.shape[1:]
    return _gathered(b, flat, taken.reshape(-1), padding, [*batch, *shape])


@handles("MatrixSetDiagV2", "MatrixSetDiagV3")
def matrix_set_diags(
    b: TFBuilder, x: Tensor, diagonals: Tensor, k: Tensor, *, align: str | None = None
) -> Tensor:
    """`x` with other diagonals from `k[0]` to `k[1]`."""
    low, high = _range_of(b, k)
    if low == high == 0:
        return b("MATRIX_SET_DIAG", x, diagonals)
    rows, columns = static_size(x, -2), static_size(x, -1)
    places = diagonal_places(rows, columns, low, high, _alignment(b, align))
    taken = np.arange(rows * columns, dtype=np.int32)
    for index, place in enumerate(places.reshape(-1)):
        if place >= 0:
            taken[place] = rows * columns + index
    batch = sizes_of(b, x)[:-2]
    both = b(
        "CONCATENATION",
        reshaped(b, x, [*batch, rows * columns]),
        reshaped(b, diagonals, [*batch, places.size]),
        axis=x.rank - 2,
    )
    return reshaped(b, b("GATHER", both, taken, axis=x.rank - 2), sizes_of(b, x))


def diagonal_places(rows: int, columns: int, low: int, high: int, align: str) -> Map:
    """Return where each element of the stored diagonals lies in the flat matrix; -1: padding.

    [high - low + 1, longest]; the first row is diagonal `high`. `align` says where superdiagonals
    (first word) and subdiagonals (second word) stand in their rows.
    """
    if not (-rows < low <= high < columns or rows == 0 or columns == 0):
        raise Unsupported(f"diagonals {low} to {high} of a {rows} x {columns} matrix")
    lengths = {d: min(rows + min(d, 0), columns - max(d, 0)) for d in range(low, high + 1)}
    longest = max(lengths.values())
    places = np.full((high - low + 1, longest), -1, np.int32)
    upper, lower = align.split("_")
    for d, length in lengths.items():
        side = upper if d >= 0 else lower
        start = longest - length if side == "RIGHT" else 0
        steps = np.arange(length)
        places[high - d, start : start + length] = (
            (steps + max(-d, 0)) * columns + steps + max(d, 0)
        )
    return places


def _gathered(b: TFBuilder, flat: Tensor, taken: Map, padding: Tensor, shape: list[Any]) -> Tensor:
    """Take elements of the last dimension; one past its end stands for the padding."""
    size = static_size(flat, -1)
    if (taken == size).any():
        amounts = np.zeros((flat.rank, 2), np.int32)
        amounts[-1, 1] = 1
        flat = b("PADV2", flat, amounts, b.reshape(padding, ()))
    return reshaped(b, b("GATHER", flat, taken, axis=flat.rank - 1), shape)


def _range_of(b: TFBuilder, k: Tensor) -> tuple[int, int]:
    numbers = b.ints(k, "k")
    return numbers[0], numbers[-1]


def _alignment(b: TFBuilder, align: str | None) -> str:
    """The second versions, without an attribute, put all left; the third default to RIGHT_LEFT."""
    if align is None:
        return "RIGHT_LEFT" if b.node.op.endswith("V3") else "LEFT_LEFT"
    if align not in ALIGNMENTS:
        raise Unsupported(f"align `{align}`")
    return align


def _is_zero(tensor: Tensor) -> bool:
    return tensor.data is not None and not tensor.data.any()


@handles("MatrixBandPart", "BatchMatrixBandPart")
def matrix_band_part(b: TFBuilder, x: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Zero outside a band: `lower` below and `upper` above the diagonal, all when negative."""
    rows, columns = (b("RANGE", ZERO, operand(size_of(b, x, axis)), ONE) for axis in (-2, -1))
    below = b("SUB", inserted(b, rows, 1), inserted(b, columns, 0))
    inside = b(
        "LOGICAL_AND",
        _within(b, below, b.cast(lower, INT32)),
        _within(b, b("NEG", below), b.cast(upper, INT32)),
    )
    return b("SELECT_V2", inside, x, np.array(0, x.dtype))


def _within(b: TFBuilder, distance: Tensor, limit: Tensor) -> Tensor:
    return b("LOGICAL_OR", b("LESS", limit, ZERO), b("LESS_EQUAL", distance, limit))


@handles("Diag")
def diag(b: TFBuilder, x: Tensor) -> Tensor:
    """A tensor of twice the rank with `x` on its diagonal."""
    matrix = b("MATRIX_DIAG", reshaped(b, x, [-1]) if x.rank != 1 else x)
    return reshaped(b, matrix, [*sizes_of(b, x), *sizes_of(b, x)])


@handles("DiagPart")
def diag_part(b: TFBuilder, x: Tensor) -> Tensor:
    """The diagonal of a tensor whose first half of dimensions equals the second."""
    half = sizes_of(b, x)[: x.rank // 2]
    count = int(np.prod([static_size(x, axis) for axis in range(x.rank // 2)]))
    flat = reshaped(b, x, [count * count])
    return reshaped(
        b, b("GATHER", flat, np.arange(count, dtype=np.int32) * (count + 1), axis=0), half
    )


@handles("Cross")
def cross(b: TFBuilder, x: Tensor, y: Tensor) -> Tensor:
    """The vector product along a last dimension of three."""
    turned = [[b("GATHER", t, np.array(p, INT32), axis=t.rank - 1) for t in (x, y)] for p in _TURNS]
    (x1, y1), (x2, y2) = turned
    return b("SUB", b("MUL", x1, y2), b("MUL", x2, y1))


_TURNS = ([1, 2, 0], [2, 0, 1])
