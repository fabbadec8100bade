"""Rounding of weights that keeps the output close instead of each weight.

Columns are rounded one after the other, those with the strongest inputs first; each one makes good
what the earlier ones lost, as far as their inputs move together. This is GPTQ (Frantar et al.)
in the form of Babai's nearest plane, which needs a Cholesky factor but no inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.quant.params import round_away

DAMPING = 0.01
"""Part of the mean diagonal that is added to it: keeps inputs that never vary out of play."""
BLOCK = 128
"""Columns whose errors are gathered in one matrix product."""

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
    wanted = np.take_along_axis(w.astype(np.float64), order[:, None, :], axis=2)
    codes, errors = np.empty_like(wanted), np.zeros_like(wanted)
    for stop in range(wanted.shape[2], 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        owed = errors[:, :, stop:] @ factor[:, start:stop, stop:].transpose(0, 2, 1)
        block = factor[:, start:stop, start:stop].astype(np.float64)
        for j in range(stop - 1, start - 1, -1):
            row = block[:, j - start, j + 1 - start :, None]
            share = owed[:, :, j - start] + (errors[:, :, j + 1 : stop] @ row)[:, :, 0]
            target = wanted[:, :, j] + share / block[:, j - start, j - start, None]
            rounded = np.clip(round_away(target / scale) + zero, *bounds)
            codes[:, :, j] = np.where(wanted[:, :, j] == 0, zero, rounded)
            errors[:, :, j] = wanted[:, :, j] - (codes[:, :, j] - zero) * scale
    result = np.empty_like(codes)
    np.put_along_axis(result, order[:, None, :], codes, axis=2)
    return result


def _factors(second: Matrix, order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the upper Cholesky factors of the damped moments, rows and columns in this order."""
    groups, n = order.shape
    group = np.arange(groups)[:, None, None]
    moved = second[group, order[:, :, None], order[:, None, :]]
    moved = moved.astype(np.float32, copy=False)  # damped, so that float32 is enough
    mean = np.diagonal(second, axis1=1, axis2=2).mean(axis=1, dtype=np.float64)
    moved[:, np.arange(n), np.arange(n)] += np.where(mean > 0, DAMPING * mean, 1.0)[:, None]
    return np.asarray(np.linalg.cholesky(moved).transpose(0, 2, 1))
