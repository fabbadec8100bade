"""Diagonals, bands, complex numbers and Fourier transforms, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_op, const, graph, node, placeholder, results
from numpy.typing import NDArray

Array = NDArray[Any]
RNG = np.random.default_rng(4)
ALIGNMENTS = ("LEFT_LEFT", "LEFT_RIGHT", "RIGHT_LEFT", "RIGHT_RIGHT")
BANDS = [(0, 0), (1, 1), (-2, -2), (-1, 1), (0, 2), (-2, 0)]
INT32 = np.int32


def diagonals(x: Array, low: int, high: int, padding: float, align: str) -> Array:
    """Each diagonal of the last two dimensions, filled up to the longest on one side."""
    rows = {d: np.diagonal(x, d, -2, -1) for d in range(high, low - 1, -1)}
    longest = max(row.shape[-1] for row in rows.values())
    upper, lower = align.split("_")
    filled = []
    for d, row in rows.items():
        gap = np.full((*row.shape[:-1], longest - row.shape[-1]), padding, x.dtype)
        side = upper if d >= 0 else lower
        filled.append(np.concatenate([row, gap] if side == "LEFT" else [gap, row], -1))
    return filled[0] if low == high else np.stack(filled, -2)


def with_diagonals(x: Array, parts: Array, low: int, high: int, align: str) -> Array:
    """`x` with these diagonals: those of `parts`, written where `diagonals` reads them."""
    places = np.arange(x.shape[-2] * x.shape[-1]).reshape(x.shape[-2:])
    stored = diagonals(places, low, high, -1, align).reshape(-1)
    y = x.reshape(*x.shape[:-2], -1).copy()
    flat = parts.reshape(*x.shape[:-2], -1)
    y[..., stored[stored >= 0]] = flat[..., stored >= 0]
    return y.reshape(x.shape)


def band(low: int, high: int) -> Array:
    return np.array(low, INT32) if low == high else np.array([low, high], INT32)


@pytest.mark.parametrize("align", ALIGNMENTS)
@pytest.mark.parametrize(("low", "high"), BANDS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 3), (3, 3)], ids=str)
def test_bands_of_diagonals(shape: tuple[int, ...], low: int, high: int, align: str) -> None:
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    parts = diagonals(x, low, high, -7, align)
    operands = [x, band(low, high), np.float32(-7)]
    assert_op("MatrixDiagPartV3", operands, parts, constants=[1, 2], align=align)
    new = RNG.uniform(-1, 1, parts.shape).astype(np.float32)
    want = with_diagonals(x, new, low, high, align)
    assert_op("MatrixSetDiagV3", [x, new, band(low, high)], want, constants=[2], align=align)
    sizes = [np.array(size, INT32) for size in shape[-2:]]
    want = with_diagonals(np.full_like(x, 5), new, low, high, align)
    operands = [new, band(low, high), *sizes, np.float32(5)]
    assert_op("MatrixDiagV3", operands, want, constants=[1, 2, 3, 4], align=align)


def test_the_second_version_aligns_to_the_left() -> None:
    x = RNG.uniform(-1, 1, (2, 3, 4)).astype(np.float32)
    parts = diagonals(x, -1, 2, -7, "LEFT_LEFT")
    operands = [x, band(-1, 2), np.float32(-7)]
    assert_op("MatrixDiagPartV2", operands, parts, constants=[1, 2])
    want = with_diagonals(x, -parts, -1, 2, "LEFT_LEFT")
    assert_op("MatrixSetDiagV2", [x, -parts, band(-1, 2)], want, constants=[2])


@pytest.mark.parametrize("batch", ["", "Batch"])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_])
def test_main_diagonals(dtype: Any, batch: str) -> None:
    x, diagonal = RNG.integers(0, 2, (2, 3, 3)).astype(dtype), np.ones((2, 3), dtype)
    assert_op(f"{batch}MatrixDiagPart", [x], np.diagonal(x, 0, 1, 2))
    want = np.where(np.eye(3, dtype=bool), diagonal[0, 0], x)
    assert_op(f"{batch}MatrixSetDiag", [x, diagonal], want)
    want = np.broadcast_to(np.eye(3, dtype=dtype), (2, 3, 3))
    assert_op(f"{batch}MatrixDiag", [diagonal], want)


def test_open_sizes_of_a_matrix_follow_from_its_diagonals() -> None:
    diagonal, minus_one = np.arange(1, 4, dtype=np.float32), np.array(-1, INT32)
    for k in (0, 1, -2):
        operands = [diagonal, np.array(k, INT32), minus_one, minus_one, np.float32(0)]
        assert_op("MatrixDiagV2", operands, np.diag(diagonal, k), constants=[1, 2, 3, 4])


def test_diagonals_of_open_length() -> None:
    diagonal, minus_one = np.arange(1, 4, dtype=np.float32), np.array(-1, INT32)
    operands = [diagonal, np.array(0, INT32), minus_one, minus_one, np.float32(0)]
    want = np.diag(diagonal)
    assert_op("MatrixDiagV3", operands, want, constants=[1, 2, 3, 4], dynamic=True)


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 3), (3, 3)])
def test_main_diagonals_of_open_sizes(shape: tuple[int, ...]) -> None:
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    operands = [x, np.array(0, INT32), np.float32(0)]
    want = np.diagonal(x, 0, -2, -1)
    assert_op("MatrixDiagPartV3", operands, want, constants=[1, 2], dynamic=True)


def test_diagonals_of_tensors() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    want = np.diag(x.reshape(-1)).reshape(2, 3, 2, 3)
    assert_op("Diag", [x], want)
    assert_op("DiagPart", [want], x)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, -1), (-1, 0), (1, 2), (-1, -1)])
def test_bands(lower: int, upper: int, dynamic: bool) -> None:
    x = RNG.uniform(-1, 1, (2, 5, 4)).astype(np.float32)
    rows, columns = np.mgrid[:5, :4]
    kept = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    bounds = [np.array(lower, np.int64), np.array(upper, np.int64)]
    constants = [1, 2]
    want = np.where(kept, x, np.float32(0))
    for op in ("MatrixBandPart", "BatchMatrixBandPart"):
        assert_op(op, [x, *bounds], want, constants=constants, dynamic=dynamic)


def test_vector_product() -> None:
    x, y = RNG.integers(-9, 9, (2, 4, 3)).astype(np.float32)
    assert_op("Cross", [x, y], np.cross(x, y).astype(np.float32))


def spectrum(shape: tuple[int, ...]) -> Array:
    return (RNG.uniform(-1, 1, shape) + 1j * RNG.uniform(-1, 1, shape)).astype(np.complex64)


@pytest.mark.parametrize(("op", "function"), [("Real", np.real), ("Imag", np.imag)])
def test_parts(op: str, function: Any) -> None:
    x = spectrum((2, 3))
    assert_op(op, [x], np.ascontiguousarray(function(x)))


def test_sizes_of_complex_numbers() -> None:
    x = spectrum((2, 3))
    assert_op("ComplexAbs", [x], np.abs(x), rtol=1e-6)


# Sums of up to 400 float32 products, beside results of the size of their number.
ERROR = 1e-4


@pytest.mark.parametrize("n", [1, 2, 5, 8, 12, 31, 256, 400])
def test_transforms_of_any_length(n: int) -> None:
    real, complex_ = RNG.uniform(-1, 1, (3, n)).astype(np.float32), spectrum((3, n))
    length = np.array([n], INT32)
    want = np.fft.rfft(real).astype(np.complex64)
    assert_op("RFFT", [real, length], want, constants=[1], atol=ERROR)
    assert_op("FFT", [complex_], np.fft.fft(complex_).astype(np.complex64), atol=ERROR)
    assert_op("IFFT", [complex_], np.fft.ifft(complex_).astype(np.complex64), atol=ERROR)
    half = spectrum((3, n // 2 + 1))
    want = np.fft.irfft(half, n).astype(np.float32)
    assert_op("IRFFT", [half, length], want, constants=[1], atol=ERROR)


@pytest.mark.parametrize("n", [6, 12, 200])
def test_the_imaginary_parts_of_real_bins_are_zero(n: int) -> None:
    """The mean, and the highest frequency of an even length: else their angles are pi or -pi."""
    x = RNG.uniform(-1, 1, (8, n)).astype(np.float32)
    bins = [const("n", np.array([n], INT32)), node("bins", "RFFT", "x", "n")]
    message = graph(placeholder("x", np.float32, x.shape), *bins, node("y", "Imag", "bins"))
    for (have,) in results(message, {"x": x}, ["y"]):
        assert not have[:, [0, -1]].any()
        assert not np.signbit(have[:, [0, -1]]).any()


@pytest.mark.parametrize("shape", [(4, 8), (3, 6), (5, 8)], ids=str)
def test_transforms_over_several_dimensions(shape: tuple[int, int]) -> None:
    real, complex_ = RNG.uniform(-1, 1, (2, *shape)).astype(np.float32), spectrum((2, *shape))
    length, cube = np.array(shape, INT32), np.array((2, *shape), INT32)
    want = np.fft.rfft2(real).astype(np.complex64)
    assert_op("RFFT2D", [real, length], want, constants=[1], atol=ERROR)
    want = np.fft.rfftn(real).astype(np.complex64)
    assert_op("RFFT3D", [real, cube], want, constants=[1], atol=ERROR)
    assert_op("FFT2D", [complex_], np.fft.fft2(complex_).astype(np.complex64), atol=ERROR)
    assert_op("IFFT2D", [complex_], np.fft.ifft2(complex_).astype(np.complex64), atol=ERROR)
    assert_op("FFT3D", [complex_], np.fft.fftn(complex_).astype(np.complex64), atol=ERROR)
    assert_op("IFFT3D", [complex_], np.fft.ifftn(complex_).astype(np.complex64), atol=ERROR)
    half = spectrum((2, shape[0], shape[1] // 2 + 1))
    want = np.fft.irfft2(half, shape).astype(np.float32)
    assert_op("IRFFT2D", [half, length], want, constants=[1], atol=ERROR)
    want = np.fft.irfftn(half, (2, *shape), (0, 1, 2)).astype(np.float32)
    assert_op("IRFFT3D", [half, cube], want, constants=[1], atol=ERROR)


@pytest.mark.parametrize("length", [6, 8, 12])
def test_a_signal_is_cut_or_filled_to_the_length(length: int) -> None:
    x = RNG.uniform(-1, 1, (3, 9)).astype(np.float32)
    want = np.fft.rfft(x, length).astype(np.complex64)
    operands = [x, np.array([length], INT32)]
    assert_op("RFFT", operands, want, constants=[1], atol=ERROR)
