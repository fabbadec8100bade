"""The quantization schemes: which integer type stands for which kind of tensor."""

from __future__ import annotations

import numpy as np

from tqconv.errors import UsageError, suggestion
from tqconv.records import dataclass

INT8 = np.dtype(np.int8)
UINT8 = np.dtype(np.uint8)
INT16 = np.dtype(np.int16)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)


@dataclass(frozen=True)
class Scheme:
    """What activations, weights and biases become.

    `activation` None: activations stay float, only constants change. `symmetric`: activations have
    zero point 0. `per_channel`: weights have a scale for each output channel where kernels allow.
    """

    name: str
    activation: np.dtype | None
    weight: np.dtype
    bias: np.dtype = INT32
    symmetric: bool = False
    per_channel: bool = True


SCHEMES = {
    s.name: s
    for s in (
        Scheme("float16", None, np.dtype(np.float16)),
        Scheme("weights", None, INT8),
        Scheme("dynamic", None, INT8),
        Scheme("int8", INT8, INT8),
        Scheme("int16x8", INT16, INT8, bias=INT64, symmetric=True),
        Scheme("uint8", UINT8, UINT8, per_channel=False),
    )
}


def scheme(name: str) -> Scheme:
    """Return the scheme of this name; UsageError with a suggestion when there is none."""
    found = SCHEMES.get(name.lower())
    if found is None:
        raise UsageError(
            f"`{name}` is not a quantization{suggestion(name, SCHEMES)}",
            hint=f"one of: {', '.join(SCHEMES)}",
        )
    return found


BY_ACTIVATION = {INT8: SCHEMES["int8"], INT16: SCHEMES["int16x8"], UINT8: SCHEMES["uint8"]}
"""The scheme that an operator with activations of this type follows (int16 islands in int8)."""
