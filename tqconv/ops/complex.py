"""Complex numbers: their parts, and the transform that makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ops.fineness import as_fine, before_transform
from tqconv.ops.rules import FLOAT32, elements_or_unknown, same_as, values, with_numpy
from tqconv.ops.spec import ELEMENTWISE, Typed, op

COMPLEX64 = np.dtype(np.complex64)
_REAL = frozenset({"float32"})

_PARTS: dict[str, Callable[..., NDArray[Any]]] = {
    "COMPLEX_ABS": np.abs,
    "REAL": np.real,
    "IMAG": np.imag,
}
for name, part in _PARTS.items():
    op(
        name,
        "x -> y",
        shape=same_as(FLOAT32),
        fold=with_numpy(part),
        layout=ELEMENTWISE,
        carries=as_fine,
        category="arithmetic",
        types=frozenset({"complex64"}),
    )


def _spectrum_shape(op: Op) -> list[Typed]:
    x = op.input(0)
    if x.rank < 2:
        raise UnsupportedError(f"a two-dimensional transform of a tensor of rank {x.rank}")
    height, width = elements_or_unknown(op.input(1), 2)
    for size in (height, width):
        if size is not None and (size < 1 or size & (size - 1)):
            raise UnsupportedError(f"a transform of {size} numbers, which is no power of two")
    half = None if width is None else width // 2 + 1
    return [((*x.shape[:-2], height, half), COMPLEX64)]


def _spectrum(op: Op) -> NDArray[Any]:
    height, width = (int(v) for v in values(op, 1))
    spectrum = np.fft.rfft2(values(op, 0).astype(np.float64), (height, width))
    return np.asarray(spectrum, COMPLEX64)


op(
    "RFFT2D",
    "x fft_length -> y",
    shape=_spectrum_shape,
    fold=_spectrum,
    carries=before_transform,
    category="arithmetic",
    types=_REAL,
)
