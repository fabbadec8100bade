"""Operators of ai.onnx.ml on tensors of numbers, as converters of classical models write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.sizes import reshaped
from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("ai.onnx.ml:ArrayFeatureExtractor")
def features(b: ONNXBuilder, x: Tensor, places: Tensor) -> Tensor:
    """Take elements along the last axis; of a vector, as one row."""
    taken = b("GATHER", x, reshaped(b, places, [-1]), axis=x.rank - 1)
    return reshaped(b, taken, [1, -1]) if x.rank == 1 else taken


@handles("ai.onnx.ml:Binarizer")
def binarizer(b: ONNXBuilder, x: Tensor, *, threshold: float = 0.0) -> Tensor:
    """1 where x is above the threshold, else 0."""
    return b.cast(b("GREATER", x, np.array(threshold, x.dtype)), x.dtype)


@handles("ai.onnx.ml:Scaler")
def scaler(
    b: ONNXBuilder, x: Tensor, *, offset: Sequence[float] = (), scale: Sequence[float] = ()
) -> Tensor:
    """(x - offset) * scale, one number of each for all features, or one for each."""
    y = b.cast(x, F)
    y = b("SUB", y, np.array(offset, F)) if offset else y
    return b("MUL", y, np.array(scale, F)) if scale else y


@handles("ai.onnx.ml:Normalizer")
def normalizer(b: ONNXBuilder, x: Tensor, *, norm: str = "MAX") -> Tensor:
    """Divide each row by its largest element, the sum of its sizes, or its length."""
    y = b.cast(x, F)
    last = np.array([y.rank - 1], np.int32)
    if norm == "L2":
        size = b("SQRT", b("SUM", b("SQUARE", y), last, keep_dims=True))
    elif norm == "L1":
        size = b("SUM", b("ABS", y), last, keep_dims=True)
    elif norm == "MAX":
        size = b("REDUCE_MAX", y, last, keep_dims=True)
    else:
        raise UnsupportedError(f"norm `{norm}`")
    zero = b("EQUAL", size, np.array(0, F))
    return b("DIV", y, b("SELECT_V2", zero, np.array(1, F), size))
