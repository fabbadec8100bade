"""Operators that ONNX tried and dropped: models of 2017 and 2018 have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose import norm
from tqconv.compose.functions import softplus
from tqconv.compose.slices import cut
from tqconv.errors import FormatError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.ir.graph import Tensor

F = np.float32


@handles("Affine")
def affine(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0, beta: float = 0.0) -> Tensor:
    """Return alpha x + beta."""
    return b("ADD", b("MUL", x, np.array(alpha, F)), np.array(beta, F))


@handles("Scale")
def scale(b: ONNXBuilder, x: Tensor, *, scale: float = 1.0) -> Tensor:
    """Return scale x."""
    return b("MUL", x, np.array(scale, F))


@handles("ImageScaler")
def image_scaler(
    b: ONNXBuilder, x: Tensor, *, bias: Sequence[float] = (), scale: float = 1.0
) -> Tensor:
    """Return scale x + bias of images [n, c, h, w]; one bias for each channel."""
    y = b("MUL", x, np.array(scale, F))
    if not bias:
        return y
    return b("ADD", y, norm.per_channel(b, b.const(np.array(bias, F)), x.rank, axis=1))


@handles("Crop")
def crop(b: ONNXBuilder, x: Tensor, *, border: Sequence[int], scale: Sequence[int] = ()) -> Tensor:
    """Cut images [n, c, h, w]; border: left, top, right, bottom; scale: height and width."""
    if len(border) != 4 or len(scale) not in (0, 2):
        raise FormatError(f"a border of {len(border)} numbers and a scale of {len(scale)}")
    left, top, right, bottom = border
    ends = (top + scale[0], left + scale[1]) if scale else (-bottom or None, -right or None)
    return cut(b, x, {2: (top, ends[0], 1), 3: (left, ends[1], 1)})


@handles("ScaledTanh")
def scaled_tanh(b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0, beta: float = 1.0) -> Tensor:
    """Return alpha tanh(beta x)."""
    return b("MUL", b("TANH", b("MUL", x, np.array(beta, F))), np.array(alpha, F))


@handles("ParametricSoftplus")
def parametric_softplus(
    b: ONNXBuilder, x: Tensor, *, alpha: float = 1.0, beta: float = 1.0
) -> Tensor:
    """Return alpha log(1 + exp(beta x))."""
    return b("MUL", softplus(b, b("MUL", x, np.array(beta, F))), np.array(alpha, F))
