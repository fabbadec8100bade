"""Constants, shapes and rearrangements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.tensors import computed
from tqconv.ir.graph import Tensor


@handles("Constant")
def constant(
    b: ONNXBuilder,
    *,
    value: Any = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
    value_string: str | None = None,
    value_strings: Sequence[str] | None = None,
) -> Tensor:
    """Return a constant in one of the forms that ONNX has for it."""
    if value is not None:
        return b.const(computed(value))
    for number, dtype in (
        (value_float, np.float32),
        (value_floats, np.float32),
        (value_int, np.int64),
        (value_ints, np.int64),
    ):
        if number is not None:
            return b.const(number, dtype)
    texts = [value_string] if value_string is not None else list(value_strings or ())
    array = np.array([t.encode() if isinstance(t, str) else t for t in texts], object)
    if value_string is None and value_strings is None:
        raise UnsupportedError("a Constant without a value")
    return b.const(array.reshape(()) if value_string is not None else array)


@handles("Identity")
def identity(b: ONNXBuilder, x: Tensor) -> Tensor:
    """Pass on."""
    return x


@handles("Transpose")
def transpose(b: ONNXBuilder, x: Tensor, *, perm: Sequence[int] | None = None) -> Tensor:
    """Permute the axes; reverse them where no permutation is given."""
    return b.transpose(x, tuple(perm) if perm is not None else tuple(range(x.rank))[::-1])
