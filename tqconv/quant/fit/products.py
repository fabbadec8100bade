"""Sums of products of columns, each pair of rows once: half of a symmetric matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BAND = 256
"""Rows that are multiplied and kept together: of 2,304, 55 % of the matrix are kept."""

Floats = NDArray[np.floating[Any]]


class Products:
    """The sum of x x' over columns x, for each of g groups of n rows.

    `bands`: BAND rows each, [g, rows, n - first], from the diagonal of the first of them on.
    """

    def __init__(self, groups: int, n: int) -> None:
        self.groups, self.n = groups, n
        starts = range(0, n, BAND)
        self.bands = [np.zeros((groups, min(BAND, n - s), n - s), np.float32) for s in starts]

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return sum(band.nbytes for band in self.bands)

    def add(self, columns: Floats) -> None:
        """Take in columns [g, number, n] of float32."""
        for start, band in zip(range(0, self.n, BAND), self.bands, strict=True):
            left = columns[:, :, start : start + BAND]
            band += np.matmul(left.transpose(0, 2, 1), columns[:, :, start:])

    def whole(self) -> NDArray[np.float32]:
        """Return all of it, [g, n, n]."""
        matrix = np.empty((self.groups, self.n, self.n), np.float32)
        for start, band in zip(range(0, self.n, BAND), self.bands, strict=True):
            stop = start + band.shape[1]
            matrix[:, start:stop, start:] = band
            matrix[:, stop:, start:stop] = band[:, :, band.shape[1] :].transpose(0, 2, 1)
        return matrix


def summed(parts: Sequence[Products]) -> Products:
    """Return the sums over the columns of all parts."""
    first = parts[0]
    whole = Products(first.groups, first.n)
    for part in parts:
        for mine, more in zip(whole.bands, part.bands, strict=True):
            mine += more
    return whole
