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
BLOCK = 64
"""Columns whose errors are gathered in one matrix product."""
PANEL = 64
"""Columns that are factored together; between them the library multiplies matrices."""

Matrix = NDArray[np.floating[Any]]


def fitted_codes(
    w: Matrix, scale: Matrix, zero: float, bounds: tuple[int, int], second: Matrix
) -> Matrix:
    """Return the integers [g, o, n] for weights `w` [g, o, n] in g groups of o outputs.

    `second`: moments [g, n, n] of their inputs; `scale`: [g, o]; stored = real / scale + zero,
    within `bounds`. Weights that are 0 stay 0: the others make good for them.
    """
    order = np.argsort(np.diagonal(second, axis1=1, axis2=2), axis=1, kind="stable")
    factor = _factors(second, order)
    # [n, g, o]: what is rounded together lies together. In steps, of which 0 stands for 0.
    wanted = np.ascontiguousarray(_ordered(w, order).transpose(2, 0, 1), np.float32)
    wanted /= scale.astype(np.float32)
    steps, errors = np.empty_like(wanted), wanted.copy()
    nonzero = None if np.all(wanted) else wanted != 0
    low, high = (np.float32(bound - zero) for bound in bounds)
    for stop in range(wanted.shape[0], 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        own = np.diagonal(factor, axis1=1, axis2=2)[:, start:stop].T[:, :, None]
        owed = _products(factor[:, start:stop, stop:], errors[stop:])
        steps[start:stop] = owed / own + wanted[start:stop]
        block = factor[:, start:stop, start:stop] / own.transpose(1, 0, 2)
        for j in range(stop - 1, start - 1, -1):
            here = steps[j]
            here += _products(block[:, j - start, None, j + 1 - start :], errors[j + 1 : stop])[0]
            np.rint(here, out=here)
            np.maximum(here, low, out=here)
            np.minimum(here, high, out=here)
            if nonzero is not None:
                here *= nonzero[j]
            np.subtract(wanted[j], here, out=errors[j])
    steps += np.float32(zero)
    return _ordered(steps.transpose(1, 2, 0), np.argsort(order, axis=1))


def _ordered(x: Matrix, order: NDArray[np.intp]) -> Matrix:
    """Return [g, o, n] with what each group has along the last axis in its order."""
    if len(order) == 1:  # the same five times as fast
        return np.asarray(x.take(order[0], axis=2))
    return np.take_along_axis(x, order[:, None, :], axis=2)


def _products(factor: Matrix, errors: Matrix) -> Matrix:
    """Return the sums over k of factor [g, m, k] with errors [k, g, o], as [m, g, o]."""
    if factor.shape[0] == 1:
        return np.asarray(factor[0] @ errors[:, 0])[:, None]
    return np.asarray(np.matmul(factor, errors.transpose(1, 0, 2)).transpose(1, 0, 2))


def _factors(second: Matrix, order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the upper Cholesky factors of the damped moments, rows and columns in this order."""
    groups, n = order.shape
    if groups == 1:
        moved = second[0].take(order[0], axis=0).take(order[0], axis=1)[None]
    else:
        moved = second[np.arange(groups)[:, None, None], order[:, :, None], order[:, None, :]]
    moved = moved.astype(np.float32, copy=False)  # damped, so that float32 is enough
    mean = np.diagonal(second, axis1=1, axis2=2).mean(axis=1, dtype=np.float64)
    moved[:, np.arange(n), np.arange(n)] += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    return _cholesky(moved).transpose(0, 2, 1)


def _cholesky(matrices: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the lower Cholesky factors of [g, n, n], which is overwritten.

    In panels of `PANEL` columns, each after one product with all columns before it: twice as fast
    as the library's own factorization of a wide matrix.
    """
    n = matrices.shape[1]
    for start in range(0, n, PANEL):
        stop = min(start + PANEL, n)
        done = matrices[:, start:, :start]
        panel = matrices[:, start:, start:stop]
        if start:
            panel -= done @ done[:, : stop - start].transpose(0, 2, 1)
        corner = np.linalg.cholesky(panel[:, : stop - start])
        panel[:, : stop - start] = corner
        matrices[:, start:stop, stop:] = 0
        if stop < n:
            below = panel[:, stop - start :]
            below[:] = below @ np.linalg.inv(corner).transpose(0, 2, 1)
    return matrices
