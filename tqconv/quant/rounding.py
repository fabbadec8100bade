"""Rounding of weights that keeps the output close instead of each weight.

Columns are rounded one after the other, those with the strongest inputs first; each one makes good what
the earlier ones lost, as far as their inputs move together. This is GPTQ (Frantar et al., 2022) in the
form of Babai's nearest plane, which needs a Cholesky factor but no inverse.
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
    """Return the integers [o, n] for weights `w` [o, n] that meet inputs of moments `second` [n, n].

    `scale`: [o, 1]; stored = real / scale + zero, within `bounds`.
    """
    order = np.argsort(np.diag(second), kind="stable")
    factor = _factor(second[np.ix_(order, order)])
    wanted = w[:, order].astype(np.float64)
    codes = np.empty_like(wanted)
    errors = np.zeros_like(wanted)
    for stop in range(wanted.shape[1], 0, -BLOCK):
        start = max(stop - BLOCK, 0)
        owed = errors[:, stop:] @ factor[start:stop, stop:].T
        for j in range(stop - 1, start - 1, -1):
            owed_here = owed[:, j - start] + errors[:, j + 1 : stop] @ factor[j, j + 1 : stop]
            target = wanted[:, j] + owed_here / factor[j, j]
            codes[:, j] = np.clip(round_away(target / scale[:, 0]) + zero, *bounds)
            errors[:, j] = wanted[:, j] - (codes[:, j] - zero) * scale[:, 0]
    result = np.empty_like(codes)
    result[:, order] = codes
    return result


def _factor(second: Matrix) -> NDArray[np.float64]:
    """Return the upper Cholesky factor of the damped moments."""
    mean = float(np.mean(np.diag(second)))
    damped = second + np.eye(len(second)) * (DAMPING * mean if mean > 0 else 1.0)
    return np.asarray(np.linalg.cholesky(damped).T, np.float64)
