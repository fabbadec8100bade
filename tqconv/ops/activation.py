"""Activations and normalizations: operators whose output has the shape of the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ir.types import Range
from tqconv.ops.rules import broadcast_shapes, has_shape, same, values, with_numpy
from tqconv.ops.spec import (
    ALL_TYPES,
    DELEGATED,
    ELEMENTWISE,
    LAST,
    FoldRule,
    QuantRule,
    Typed,
    VersionRule,
    by_type,
    op,
)

FLOAT = frozenset({"float32"})
EIGHT_BIT = frozenset({"INT8", "UINT8"})

# Output scales and zero points that LiteRT's kernels build in: kernels/activations.cc.
UNIT = {"INT8": (1 / 256, -128), "UINT8": (1 / 256, 0), "INT16": (1 / 32768, 0)}
SIGNED_UNIT = {"INT8": (1 / 128, 0), "UINT8": (1 / 128, 128), "INT16": (1 / 32768, 0)}
LOG_UNIT = {"INT8": (16 / 256, 127), "UINT8": (16 / 256, 255)}
UNIT_VECTOR = {"INT8": (1 / 128, 0), "UINT8": (1 / 128, 128)}


def _elu(x: NDArray[Any]) -> NDArray[Any]:
    return np.where(x < 0, np.expm1(x), x)


def _hard_swish(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(x * np.clip(x + np.float32(3), 0, 6) / np.float32(6), x.dtype)


def _logistic(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))), x.dtype)


def _prelu(x: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    return np.where(x >= 0, x, x * alpha)


def _leaky_relu(op: Op) -> NDArray[Any]:
    x = values(op, 0)
    return np.where(x > 0, x, x * np.float32(op.options.get("alpha", 0.0)))


def _gelu(op: Op) -> NDArray[Any]:
    data = values(op, 0)
    x = data.astype(np.float64)
    if op.options.get("approximate", False):
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1 + np.tanh(inner)), data.dtype)
    erfc = np.vectorize(math.erfc, otypes=[np.float64])
    return np.asarray(0.5 * x * erfc(-x * math.sqrt(0.5)), data.dtype)


def _softmax(op: Op) -> NDArray[Any]:
    data = values(op, 0)
    x = data.astype(np.float64) * op.options.get("beta", 0.0)
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), data.dtype)


def _before_softmax(made: Range) -> float:
    """Steps of 4 make neighbours differ by a factor of 55: only the order would be left.

    The range of what follows a mask of -1e9 is no range of logits.
    """
    return 4.0


def _log_softmax(x: NDArray[Any]) -> NDArray[Any]:
    shifted = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), x.dtype)


def _l2_normalize(x: NDArray[Any]) -> NDArray[Any]:
    length = np.sqrt(np.square(x.astype(np.float64)).sum(axis=-1, keepdims=True))
    # 1e-6: the kernel's floor of the length, internal/reference/l2normalization.h.
    return np.asarray(x / np.maximum(length, 1e-6), x.dtype)


def _image(op: Op) -> Sequence[Typed]:
    if op.input(0).rank != 4:
        raise UnsupportedError(
            f"'{op.input(0).name}' has rank {op.input(0).rank}, the kernel takes 4"
        )
    return same(op)


def _local_response(op: Op) -> NDArray[Any]:
    data = values(op, 0)
    options = {"bias": 0.0, "alpha": 0.0, "beta": 0.0, "radius": 0, **op.options}
    x, radius = data.astype(np.float64), options["radius"]
    depth = x.shape[-1]
    near = np.abs(np.arange(depth)[:, None] - np.arange(depth)) <= radius
    squares = np.square(x) @ near
    scale = (options["bias"] + options["alpha"] * squares) ** -options["beta"]
    return np.asarray(x * scale, data.dtype)


FARTHEST = 1 << 16
"""Channels on each side, for which the kernel makes room whether there are as many or not."""


def _local_response_shape(op: Op) -> Sequence[Typed]:
    radius = int(op.options.get("radius", 0))
    if not 0 <= radius <= FARTHEST:
        raise UnsupportedError(f"channels within a radius of {radius}, not of 0 to {FARTHEST}")
    return _image(op)


def _hard_swish_floor(scales: Sequence[float], width: int) -> float:
    """Inputs are scaled by 1/128 and then down to the output: kernels/activations.cc."""
    return scales[0] / 128


def _clamped(low: float, high: float) -> Callable[[tuple[float, float]], tuple[float, float]]:
    return lambda ends: (min(max(ends[0], low), high), min(max(ends[1], low), high))


# Minimum versions of this file: LiteRT tools/versioning/op_version.cc.
_CLAMPS: dict[str, tuple[tuple[float, float], QuantRule, VersionRule]] = {
    "RELU": ((0.0, math.inf), QuantRule(), by_type(int8=2, uint8=2, int16=3)),
    "RELU6": ((0.0, 6.0), QuantRule(), by_type(int8=2, int16=3)),
    "RELU_N1_TO_1": ((-1.0, 1.0), QuantRule(types=EIGHT_BIT), by_type()),
    "RELU_0_TO_1": ((0.0, 1.0), QuantRule(types=EIGHT_BIT), by_type()),
}
for _name, (_bounds, _quant, _version) in _CLAMPS.items():
    op(
        _name,
        "x -> y",
        shape=same,
        fold=with_numpy(lambda x, bounds=_bounds: np.asarray(np.clip(x, *bounds), x.dtype)),
        layout=ELEMENTWISE,
        quant=_quant,
        version=_version,
        category="activation",
        types=FLOAT,
        clamp=_bounds,
        interval=_clamped(*_bounds),
    )

_WITHIN = {"LOGISTIC": (0.0, 1.0), "SOFTMAX": (0.0, 1.0), "TANH": (-1.0, 1.0)}
_FLAT = {"HARD_SWISH": (-3.0, math.inf), "LOGISTIC": (-8.0, 8.0), "TANH": (-4.0, 4.0)}
_ELEMENTWISE: dict[str, tuple[FoldRule, QuantRule, VersionRule]] = {
    "ELU": (with_numpy(_elu), QuantRule(types=frozenset({"INT8"})), by_type()),
    "LEAKY_RELU": (_leaky_relu, QuantRule(), by_type(int16=2)),
    "HARD_SWISH": (
        with_numpy(_hard_swish),
        QuantRule(types=EIGHT_BIT, floor=_hard_swish_floor),
        by_type(),
    ),
    "GELU": (_gelu, QuantRule(), by_type(int8=2, uint8=2, int16=3)),
    "LOGISTIC": (
        with_numpy(_logistic),
        QuantRule(fixed=UNIT, insists=ALL_TYPES),
        by_type(int8=2, int16=3),
    ),
    "TANH": (
        with_numpy(np.tanh),
        QuantRule(fixed=SIGNED_UNIT, insists=frozenset({"INT16"})),
        by_type(int8=2, int16=3),
    ),
}
for _name, (_fold, _quant, _version) in _ELEMENTWISE.items():
    op(
        _name,
        "x -> y",
        shape=same,
        fold=_fold,
        layout=ELEMENTWISE,
        quant=_quant,
        version=_version,
        category="activation",
        types=FLOAT,
        decides="each" if _name == "LOGISTIC" else None,
        within=_WITHIN.get(_name),
        flat=_FLAT.get(_name),
    )


def _prelu_shape(op: Op) -> list[Typed]:
    """Alpha is spread over x, never x over alpha."""
    x = op.input(0)
    has_shape(x, broadcast_shapes(t.shape for t in (x, op.input(1))))
    return [(x.shape, x.dtype)]


op(
    "PRELU",
    "x alpha -> y",
    shape=_prelu_shape,
    fold=with_numpy(_prelu),
    layout=ELEMENTWISE,
    # int8 beside int16 activations too: the kernel reads an int16 alpha wrongly.
    quant=QuantRule(weight={"alpha": None}),
    category="activation",
    types=FLOAT,
)


def _along_last(op: Op) -> list[Typed]:
    if not op.input(0).rank:
        raise UnsupportedError(f"{op.type} of a scalar, which has no last axis")
    return [(op.input(0).shape, op.input(0).dtype)]


_LAST_AXIS: dict[str, tuple[FoldRule, QuantRule, VersionRule]] = {
    "SOFTMAX": (
        _softmax,
        QuantRule(fixed=UNIT, insists=frozenset({"INT8", "INT16"})),
        by_type(int8=2, int16=3),
    ),
    "LOG_SOFTMAX": (
        with_numpy(_log_softmax),
        QuantRule(fixed=LOG_UNIT, types=EIGHT_BIT, insists=EIGHT_BIT),
        by_type(int8=2),
    ),
    "L2_NORMALIZATION": (
        with_numpy(_l2_normalize),
        QuantRule(fixed=UNIT_VECTOR, types=EIGHT_BIT, insists=EIGHT_BIT),
        by_type(int8=2),
    ),
}
for _name, (_fold, _quant, _version) in _LAST_AXIS.items():
    op(
        _name,
        "x -> y",
        shape=_along_last,
        fold=_fold,
        quant=_quant,
        version=_version,
        layout=LAST,
        category="activation",
        types=FLOAT,
        in_place=_name == "SOFTMAX",
        step=_before_softmax if _name == "SOFTMAX" else None,
        decides="row" if _name.endswith("SOFTMAX") else None,
        within=_WITHIN.get(_name),
        max_rank=DELEGATED if _name == "SOFTMAX" else None,
    )

op(
    "LOCAL_RESPONSE_NORMALIZATION",
    "x -> y",
    shape=_local_response_shape,
    fold=_local_response,
    category="activation",
    types=FLOAT,
    max_rank=4,
)
