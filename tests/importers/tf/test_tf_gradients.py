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


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 3)])
def test_the_gradient_of_a_bias(shape: tuple[int, ...]) -> None:
    dy = np.random.default_rng(0).normal(size=shape).astype(F)
    assert_op("BiasAddGrad", [dy], dy.sum(tuple(range(len(shape) - 1))), **CLOSE)
    if len(shape) == 4:
        attrs = {"data_format": "NCHW"}
        assert_op("BiasAddGrad", [dy], dy.sum((0, 2, 3)), **attrs, **CLOSE)


SLIDES = [
    ("VALID", 1, 1, (3, 3)),
    ("VALID", 2, 1, (3, 2)),
    ("VALID", 1, 2, (2, 3)),
    ("SAME", 1, 1, (3, 3)),
    ("SAME", 2, 1, (3, 3)),
    ("SAME", 2, 1, (1, 1)),
]


@pytest.mark.parametrize(("padding", "stride", "rate", "kernel"), SLIDES)
def test_the_gradient_of_a_filter(
    padding: str, stride: int, rate: int, kernel: tuple[int, int]
) -> None:
    """Each element of a filter has met one part of the image at each step."""
    r = np.random.default_rng(0)
    x = r.normal(size=(2, 8, 9, 3)).astype(F)
    reach = [(k - 1) * rate + 1 for k in kernel]
    sizes = x.shape[1:3]
    steps = [
        -(-s // stride) if padding == "SAME" else (s - k) // stride + 1
        for s, k in zip(sizes, reach, strict=True)
    ]
    lacks = [
        max((n - 1) * stride + k - s, 0) if padding == "SAME" else 0
        for n, k, s in zip(steps, reach, sizes, strict=True)
    ]
    wide = np.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in lacks), (0, 0)])
    dy = r.normal(size=(2, *steps, 4)).astype(F)
    want = np.zeros((*kernel, 3, 4), F)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            seen = wide[:, i * rate :: stride, j * rate :: stride][:, : steps[0], : steps[1]]
            want[i, j] = np.einsum("nhwc,nhwo->co", seen, dy)
    attrs: dict[str, Any] = {
        "strides": [1, stride, stride, 1],
        "dilations": [1, rate, rate, 1],
        "padding": padding,
    }
    operands = [x, np.array(want.shape, np.int32), dy]
    close = {"rtol": 1e-5, "atol": 1e-4}  # sums of up to 144 products about 1
    assert_op("Conv2DBackpropFilter", operands, want, constants=(1,), **attrs, **close)


@pytest.mark.parametrize(
    ("padding", "size"), [("VALID", (6, 8)), ("VALID", (7, 8)), ("SAME", (7, 7))]
)
def test_the_gradient_of_maxima(padding: str, size: tuple[int, int]) -> None:
    """It goes to the first one where several are as large."""
    r = np.random.default_rng(0)
    x = r.integers(0, 3, (2, *size, 3)).astype(F)
    steps = [-(-s // 2) if padding == "SAME" else s // 2 for s in size]
    dy = r.normal(size=(2, *steps, 3)).astype(F)
    want, y = np.zeros_like(x), np.zeros_like(dy)
    for n, h, w, c in np.ndindex(*dy.shape):
        part = x[n, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2, c]
        at = np.unravel_index(part.argmax(), part.shape)
        y[n, h, w, c] = part.max()
        want[n, 2 * h + at[0], 2 * w + at[1], c] = dy[n, h, w, c]
    attrs: dict[str, Any] = {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": padding}
    assert_op("MaxPoolGrad", [x, y, dy], want, **attrs)


def test_the_gradient_of_maxima_that_share_elements_is_refused() -> None:
    x, y = np.zeros((1, 6, 6, 1), F), np.zeros((1, 2, 2, 1), F)
    attrs: dict[str, Any] = {"ksize": [1, 3, 3, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}
    with pytest.raises(UnsupportedError, match="windows that overlap"):
        assert_op("MaxPoolGrad", [x, y, y], x, **attrs)
