"""The constants that a user gives tensors, as text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UsageError
from tqconv.ir.types import STRING


def parse_value(text: str, dtype: np.dtype) -> NDArray[Any]:
    """Return the constant that `false`, `0.5`, `[1, 2]` or a string stands for, or UsageError."""
    if dtype == STRING:
        return np.array(text.encode(), object)
    try:
        content = json.loads(text.strip().replace("(", "[").replace(")", "]").lower())
    except ValueError:
        content = _number(text)
    array = np.array(content)
    fits = array.dtype.kind in {"b": "b", "f": "fiu", "c": "fiuc"}.get(dtype.kind, "iu")
    if array.dtype.kind == "i" and dtype.kind == "b":
        fits = bool(np.isin(array, (0, 1)).all())
    if not fits:
        raise UsageError(f"`{text}` is not a value of type {dtype.name}")
    result = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(result.astype(object), array.astype(object)):
        raise UsageError(f"`{text}` does not fit into {dtype.name}")
    return result


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"`{text}` is not a value", hint="write true, 0.5, [1, 2] or [[1, 2], [3, 4]]"
        ) from None
