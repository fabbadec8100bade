"""Examples of operations that multiply and sum, of matrices and of spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras_rows import Draw, F, I, Known, Row, Table
from networks_keras import Array

TABLE = Table()


def values(d: Draw, *shape: int) -> Array:
    return d.ints(*shape, low=-3, high=3) if d.number(0, 4) == 0 else d.reals(*shape)


@TABLE.examples("numpy", "Matmul", count=8)
def products(d: Draw, op: str) -> Row:
    rows, inner, columns = (d.number(2, 4) for _ in range(3))
    batch = d.shape(0, 2)
    left, right = d.pick((batch, batch), (batch, ()), ((), batch), (batch, tuple(1 for _ in batch)))
    x, y = values(d, *left, rows, inner), values(d, *right, inner, columns)
    if d.number(0, 4) == 0:
        x, y = d.pick(
            (x, values(d, inner)), (values(d, inner), y), (values(d, inner), values(d, inner))
        )
    known = Known(y) if d.flag() else y
    return Row([x, known], x @ y, close=1e-4)


@TABLE.examples("numpy", "Matmul", count=1)
def products_of_bytes(d: Draw, op: str) -> Row:
    x, y = d.ints(3, 4, low=-99, high=99, dtype=np.int8), d.ints(4, 2, low=-99, dtype=np.int8)
    return Row([x, y], x.astype(I) @ y.astype(I))


@TABLE.examples("numpy", "Outer", count=1)
def times_a_number(d: Draw, op: str) -> Row:
    x = d.ints(3, low=0, high=255, dtype=np.uint8)
    return Row([x, -2], np.outer(x.astype(I), -2), fixed=True)


@TABLE.examples("numpy", "Dot", count=8)
def dots(d: Draw, op: str) -> Row:
    inner = d.number(2, 4)
    x = values(d, *d.shape(0, 2), inner)
    y = d.pick(values(d, inner), values(d, inner, 3), values(d, inner, 2), values(d, 2, inner, 3))
    if d.number(0, 5) == 0:
        y = 2.5
    return Row([x, y], np.dot(x, y), close=1e-4)


@TABLE.examples("numpy", "Tensordot", count=6)
def contracted(d: Draw, op: str) -> Row:
    a, b, c = (d.number(2, 4) for _ in range(3))
    x, y, axes = d.pick(
        (values(d, 2, a, b), values(d, a, b, c), 2),
        (values(d, 2, a), values(d, a, c), 1),
        (values(d, 2, b, a), values(d, a, c), [[2], [0]]),
        (values(d, a, 2, b), values(d, c, b, a), [[0, -1], [-1, 1]]),
        (values(d, a, b), values(d, c), 0),
        (values(d, 2, a), values(d, c, a), [1, 1]),
    )
    return Row([x, y], np.tensordot(x, y, axes), {"axes": axes}, close=1e-4)


@TABLE.examples("numpy", "Einsum", count=8)
def sums(d: Draw, op: str) -> Row:
    text = d.pick(
        *("ij,jk->ik", "bij,bjk->bik", "bij,kj->bik", "ij->ji", "bij->b", "bhtd,bhsd->bhts"),
        *("bi,bj->bij", "bij,bij->bi", "...ij,jk->...ik", "ij,jk,kl->il", "ii->i", "ij,ij"),
    )
    sizes = {letter: d.number(2, 4) for letter in "ijkbhtdsl"}
    parts = text.split("->")[0].split(",")
    xs = [d.reals(*[sizes[s] for s in part.replace("...", "b")]) for part in parts]
    return Row(xs, np.einsum(text, *xs), {"subscripts": text}, fixed=True, close=1e-4)


@TABLE.examples("numpy", "Inner", "Vdot", "Outer", count=4)
def vectors(d: Draw, op: str) -> Row:
    shape = d.shape(1, 3)
    x, y = values(d, *shape), values(d, *shape)
    if op == "Inner":
        y = values(d, *d.shape(0, 1), shape[-1])
    make: Any = {"Inner": np.inner, "Vdot": np.vdot, "Outer": np.outer}[op]
    return Row([x, y], make(x, y), close=1e-4)


@TABLE.examples("numpy", "Cross", count=6)
def crossed(d: Draw, op: str) -> Row:
    shape = d.shape(1, 3)
    x, y = values(d, *shape, 3), values(d, *shape, 3)
    config: dict[str, Any] = {"axisa": -1, "axisb": -1, "axisc": -1, "axis": None}
    if d.flag():
        ends = [d.axis(len(shape) + 1) for _ in range(3)]
        x, y = np.moveaxis(x, -1, ends[0]).copy(), np.moveaxis(y, -1, ends[1]).copy()
        config |= dict(zip(("axisa", "axisb", "axisc"), ends, strict=True))
    elif d.flag():
        axis = d.axis(len(shape) + 1)
        x, y = np.moveaxis(x, -1, axis).copy(), np.moveaxis(y, -1, axis).copy()
        config["axis"] = axis
    elif d.flag():
        y = values(d, 3)
    return Row([x, y], np.cross(x, y, **config), config, fixed=True)


def squares(d: Draw) -> Array:
    """Return matrices that are well away from singular ones."""
    size = d.number(2, 4)
    return d.reals(*d.shape(0, 2), size, size, low=-1, high=1) + F(3 * np.eye(size))


@TABLE.examples("linalg", "Det", "Inv")
@TABLE.examples("math", "Logdet")
def of_squares(d: Draw, op: str) -> Row:
    x = squares(d)
    x = x @ np.swapaxes(x, -1, -2) if op == "Logdet" else x  # Keras asks for positive ones
    found = {
        "Det": np.linalg.det,
        "Inv": np.linalg.inv,
        "Logdet": lambda m: np.linalg.slogdet(m)[1],
    }[op](x)
    return Row([x], F(found), fixed=True, close=1e-4)


@TABLE.examples("linalg", "Cholesky")
def triangles(d: Draw, op: str) -> Row:
    x = squares(d)
    x, upper = x @ np.swapaxes(x, -1, -2), d.flag()
    y = np.linalg.cholesky(x)
    return Row(
        [x], np.swapaxes(y, -1, -2) if upper else y, {"upper": upper}, fixed=True, close=1e-4
    )


@TABLE.examples("linalg", "Solve", "SolveTriangular", count=4)
def solved(d: Draw, op: str) -> Row:
    x, config = squares(d), {}
    y = d.reals(*x.shape[:-1], d.number(1, 3))
    column = x.ndim == 2 and d.flag()
    y = y[..., 0] if column else y
    if op == "SolveTriangular":
        config = {"lower": d.flag()}
        x = np.tril(x) if config["lower"] else np.triu(x)
    return Row([x, y], np.linalg.solve(x, y), config, fixed=True, close=1e-4)


@TABLE.examples("numpy", "Slogdet")
def signs_of_determinants(d: Draw, op: str) -> Row:
    x = squares(d)
    x[..., 0, :] *= d.pick(1, -1)
    return Row([x], tuple(np.linalg.slogdet(x)), fixed=True, close=1e-4)


@TABLE.examples("linalg", "CholeskyInverse")
def inverses_of_products(d: Draw, op: str) -> Row:
    upper = d.flag()
    x = squares(d)
    x = np.triu(x) if upper else np.tril(x)
    turned = np.swapaxes(x, -1, -2)
    whole = turned @ x if upper else x @ turned
    return Row([x], np.linalg.inv(whole), {"upper": upper}, fixed=True, close=1e-4)


def pair(spectrum: Array) -> tuple[Array, Array]:
    return F(spectrum.real), F(spectrum.imag)


@TABLE.examples("math", "ViewAsComplex", "ViewAsReal")
@TABLE.examples("nn", "Polar")
def complex_numbers(d: Draw, op: str) -> Row:
    pairs = d.reals(*d.shape(1, 3), 2)
    x = np.complex64(pairs[..., 0] + 1j * pairs[..., 1])
    if op == "Polar":
        size, angle = pairs[..., 0].copy(), pairs[..., 1].copy()
        return Row([size, angle], np.complex64(size * np.exp(1j * angle)))
    return Row([pairs], x) if op == "ViewAsComplex" else Row([x], pairs)


@TABLE.examples("math", "STFT", count=6)
def short_time_spectra(d: Draw, op: str) -> Row:
    length, points = d.pick((4, 4), (8, 8), (5, 8), (6, 16))
    step, center = d.number(1, 4), d.flag()
    window = d.pick("hann", "hamming", None)
    x = d.reals(*d.shape(1, 2), 20)
    swing = {"hann": 0.5, "hamming": 0.46, None: 0}[window]
    # Of an odd length TensorFlow's windows are symmetric, of an even one periodic.
    turns = np.arange(length) / (length - length % 2)
    bell = 1 - swing - swing * np.cos(2 * np.pi * turns) if swing else np.ones(points)
    spare = (points - len(bell)) // 2
    bell = np.pad(bell, (spare, points - len(bell) - spare))
    around = [*[(0, 0)] * (x.ndim - 1), (points // 2,) * 2]
    wide = np.pad(x, around, "reflect") if center else x
    frames = np.lib.stride_tricks.sliding_window_view(wide, points, -1)[..., ::step, :]
    config = {"sequence_length": length, "sequence_stride": step, "fft_length": points}
    config |= {"window": window, "center": center}
    return Row([x], pair(np.fft.rfft(frames * bell)), config, close=1e-4)


@TABLE.examples("math", "ISTFT", count=6)
def sound_of_spectra(d: Draw, op: str) -> Row:
    """Windows overlap so that none of their sums is 0; what they are divided by is known then."""
    length, points = d.pick((8, 8), (6, 8), (12, 16))
    step, count, center = d.number(1, length // 2), d.number(3, 6), d.flag()
    window = d.pick("hamming", None)
    parts = [d.reals(*d.shape(1, 1), count, points // 2 + 1) for _ in range(1)]
    parts.append(d.reals(*parts[0].shape))
    frames = np.fft.irfft(parts[0] + 1j * parts[1], points)
    bell = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(length) / length)
    bell = np.pad(bell, (points - length) // 2) if window else np.ones(points)
    total = np.array([(bell[i % step :: step] ** 2).sum() for i in range(points)])
    frames = frames * bell / total if window else frames
    whole = np.zeros((*frames.shape[:-2], (count - 1) * step + points))
    for number in range(count):
        whole[..., number * step : number * step + points] += frames[..., number, :]
    start = points // 2 if center else 0
    given = d.pick(None, points // 2)
    end = whole.shape[-1] - start if given is None else start + given
    config = {"sequence_length": length, "sequence_stride": step, "fft_length": points}
    config |= {"window": window, "center": center, "length": given}
    return Row([parts], F(whole[..., start:end]), config, close=1e-4)


@TABLE.examples("numpy", "Correlate", count=6)
def correlations(d: Draw, op: str) -> Row:
    mode = d.pick("valid", "same", "full")
    x, y = d.reals(d.number(5, 9)), d.reals(d.number(1, 5))
    return Row([x, y], F(np.correlate(x, y, mode)), {"mode": mode}, fixed=True)


@TABLE.examples("math", "RFFT", "IRFFT")
def real_spectra(d: Draw, op: str) -> Row:
    length = d.pick(4, 8, 16)
    shape = d.shape(1, 2)
    config = {"fft_length": d.pick(None, length)}
    if op == "RFFT":
        x = d.reals(*shape, length)
        return Row([x], pair(np.fft.rfft(x)), config, close=1e-4)
    parts = [d.reals(*shape, length // 2 + 1) for _ in range(2)]
    found = np.fft.irfft(parts[0] + 1j * parts[1], length)
    return Row([parts], F(found), config, close=1e-4)


@TABLE.examples("math", "FFT", "FFT2", "IFFT2")
def spectra(d: Draw, op: str) -> Row:
    shape = (*d.shape(1, 2), 4, 8)
    parts = [d.reals(*shape) for _ in range(2)]
    make: Any = {"FFT": np.fft.fft, "FFT2": np.fft.fft2, "IFFT2": np.fft.ifft2}[op]
    return Row([parts], pair(make(parts[0] + 1j * parts[1])), close=1e-3)


@TABLE.examples("math", "ExtractSequences")
def sequences(d: Draw, op: str) -> Row:
    x = d.reals(*d.shape(1, 2), d.number(7, 12))
    length, step = d.number(2, 5), d.number(1, 4)
    y = np.lib.stride_tricks.sliding_window_view(x, length, -1)[..., ::step, :]
    return Row([x], y, {"sequence_length": length, "sequence_stride": step})
