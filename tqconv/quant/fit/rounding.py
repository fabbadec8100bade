"""Rounding of weights that keeps the output close instead of each weight.

Columns are rounded one after the other, those with the strongest inputs first; each one makes good
what the earlier ones lost, as far as their inputs move together. This is GPTQ (Frantar et al.)
in the form of Babai's nearest plane, which needs a Cholesky factor but no inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DAMPING = 0.01
"""Part of the mean diagonal that is added to it: keeps inputs that never vary out of play."""
BLOCK = 128
"""Columns whose errors are gathered in one matrix product."""
PANEL = 256
"""Columns that are factored together."""

Matrix = NDArray[np.floating[Any]]


def fitted_codes(
    w: Matrix, scale: Matrix, zero: float, bounds: tuple[int, int], second: Matrix
) -> NDArray[np.float64]:
    """Return the integers [g, o, n] for weights `w` [g, o, n] in g groups of o outputs.

    `second`: moments [g, n, n] of their inputs; `scale`: [g, o]; stored = real / scale + zero,
    within `bounds`. Weights that are 0 stay 0: the others make good for them.
    """
    order = np.argsort(np.diagonal(second, axis1=1, axis2=2), axis=1, kind="stable")
    factor = _factors(second, order)
    # [n, g, o]: what is rounded together lies together.
    wanted = np.take_along_axis(w, order[:, None, :], axis=2).transpose(2, 0, 1)
    wanted = wanted.astype(np.float32, order="C")
    scale = scale.astype(np.float32)
    codes, errors = np.full_like(wanted, zero), wanted.copy()
    nonzero = wanted != 0
    low, high = bounds
    for stop in range(wanted.shape[0], 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        owed = _products(factor[:, start:stop, stop:], errors[stop:])
        block = factor[:, start:stop, start:stop]
        for j in range(stop - 1, start - 1, -1):
            share = owed[j - start]
            share += _products(block[:, j - start, None, j + 1 - start :], errors[j + 1 : stop])[0]
            share /= block[:, j - start, j - start, None]
            share += wanted[j]
            share /= scale
            rounded = np.rint(share, out=share)
            rounded += zero
            np.clip(rounded, low, high, out=rounded)
            np.copyto(codes[j], rounded, where=nonzero[j])
            errors[j] -= (codes[j] - zero) * scale
    result = np.empty(w.shape)
    np.put_along_axis(result, order[:, None, :], codes.transpose(1, 2, 0), axis=2)
    return result


def _products(factor: Matrix, errors: Matrix) -> Matrix:
    """Return the sums over k of factor [g, m, k] with errors [k, g, o], as [m, g, o]."""
    if factor.shape[0] == 1:
        return np.asarray(factor[0] @ errors[:, 0])[:, None]
    return np.asarray(np.matmul(factor, errors.transpose(1, 0, 2)).transpose(1, 0, 2))


def _factors(second: Matrix, order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the upper Cholesky factors of the damped moments, rows and columns in this order."""
    groups, n = order.shape
    group = np.arange(groups)[:, None, None]
    moved = second[group, order[:, :, None], order[:, None, :]]
    moved = moved.astype(np.float32, copy=False)  # damped, so that float32 is enough
    mean = np.diagonal(second, axis1=1, axis2=2).mean(axis=1, dtype=np.float64)
    moved[:, np.arange(n), np.arange(n)] += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    return _cholesky(moved).transpose(0, 2, 1)


def _cholesky(matrices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower Cholesky factors of [g, n, n], which is overwritten.

    In panels of `PANEL` columns: the matrix products between them are what takes the time, and
    they are twice as fast as the library's factorization of a wide matrix.
    """
    n = matrices.shape[1]
    if n <= PANEL:
        return np.asarray(np.linalg.cholesky(matrices))
    for start in range(0, n, PANEL):
        stop = min(start + PANEL, n)
        corner = np.linalg.cholesky(matrices[:, start:stop, start:stop])
        matrices[:, start:stop, start:stop] = corner
        matrices[:, start:stop, stop:] = 0
        below = matrices[:, stop:, start:stop]
        below[:] = below @ np.linalg.inv(corner).transpose(0, 2, 1)
        for left in range(stop, n, PANEL):
            right = min(left + PANEL, n)
            rows = below[:, left - stop :]
            columns = below[:, left - stop : right - stop]
            matrices[:, left:, left:right] -= rows @ columns.transpose(0, 2, 1)
    return matrices
