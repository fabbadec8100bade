"""Gradients of activations, which inference graphs of saliency and style models contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from graphs import assert_op, model_of, one_op
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError

Array = NDArray[Any]
F = np.float32
FEATURES = np.array([[-80, -3, -1, -1e-3, -0.0], [0, 1e-3, 1, 6, 80]], F)
DY = np.array([[3, -1, 0.5, 2, 7], [-4, 1, 2.5, 3, 9]], F)
CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # up to four roundings of numbers about 1
SCALE, SCALE_ALPHA = 1.0507009873554805, 1.7580993408473768

FROM_FEATURES: dict[str, Callable[[Array], Array]] = {
    "ReluGrad": lambda x: x > 0,
    "Relu6Grad": lambda x: (x > 0) & (x < 6),
    "SoftplusGrad": lambda x: 1 / (1 + np.exp(-x)),
    "SoftsignGrad": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "EluGrad": lambda y: np.where(y < 0, y + 1, 1),
    "SeluGrad": lambda y: np.where(y < 0, y + SCALE_ALPHA, SCALE),
}
"""Derivatives by the features; of Elu and Selu by the outputs. The gradient comes first."""

OUTPUTS = np.array([[0.1, 0.5, 1, 2, 3], [-0.5, -1, 0.25, 8, 0.75]], F)
FROM_OUTPUTS: dict[str, Callable[[Array], Array]] = {
    "InvGrad": lambda y: -y * y,
    "ReciprocalGrad": lambda y: -y * y,
    "RsqrtGrad": lambda y: -0.5 * y**3,
    "SigmoidGrad": lambda y: y * (1 - y),
    "SqrtGrad": lambda y: 0.5 / y,
    "TanhGrad": lambda y: 1 - y * y,
}
"""Derivatives by the outputs, which come first."""


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("op", FROM_FEATURES)
def test_gradients_from_features(op: str, dynamic: bool) -> None:
    want = DY * FROM_FEATURES[op](FEATURES.astype(np.float64))
    assert_op(op, [DY, FEATURES], want.astype(F), dynamic=dynamic, **CLOSE)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("op", FROM_OUTPUTS)
def test_gradients_from_outputs(op: str, dynamic: bool) -> None:
    want = DY * FROM_OUTPUTS[op](OUTPUTS.astype(np.float64))
    assert_op(op, [OUTPUTS, DY], want.astype(F), dynamic=dynamic, **CLOSE)


@pytest.mark.parametrize("alpha", [0.2, 0.0, 1.5])
def test_the_gradient_of_leaky_relu(alpha: float) -> None:
    want = np.where(FEATURES > 0, DY, F(alpha) * DY)
    assert_op("LeakyReluGrad", [DY, FEATURES], want, alpha=alpha, **CLOSE)


@pytest.mark.parametrize("dtype", [np.int32, np.complex64])
@pytest.mark.parametrize("op", [*FROM_FEATURES, *FROM_OUTPUTS, "LeakyReluGrad"])
def test_gradients_are_real(op: str, dtype: Any) -> None:
    message = one_op(op, np.ones(2, dtype), np.ones(2, dtype))[0]
    with pytest.raises(UnsupportedError, match=f"{op} of {np.dtype(dtype)}"):
        model_of(message)
