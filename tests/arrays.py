"""Arrays that tests are written with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    """Return normal float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ints(*values: int) -> Array:
    """Return an int32 vector."""
    return np.array(values, np.int32)


def stored(value: Any) -> Array:
    """Return reals as float32, and other numbers as int32."""
    made = np.asarray(value)
    return made.astype(np.float32 if made.dtype.kind == "f" else np.int32)
