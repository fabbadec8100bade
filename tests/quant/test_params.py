"""The arithmetic of scales, zero points and integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tqconv.quant.params import (
    LARGEST_BIAS,
    Params,
    activation,
    bias,
    decode,
    encode,
    legacy_weights,
    room_for_bias,
    round_away,
    weights,
)
from tqconv.quant.schemes import INT8, INT16, INT32, UINT8

REALS = st.floats(-1e6, 1e6, width=32)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "scale", "zero"),
    [
        (0.0, 6.0, UINT8, 0.0235294122248888, 0),
        (-100.0, 100.0, UINT8, 0.7843137383460999, 128),
        (0.0, 1.0, UINT8, 0.003921568859368563, 0),
        (-1.0, 1.0, INT8, 0.007843137718737125, -1),
        (2.0, 6.0, INT8, 0.0235294122248888, -128),
        (-6.0, -2.0, INT8, 0.0235294122248888, 127),
        (0.0, 0.0, INT8, float(np.float32(2e-6 / 255)), 0),
    ],
)
def test_activation_parameters(
    low: float, high: float, dtype: np.dtype, scale: float, zero: int
) -> None:
    made = activation(low, high, dtype)
    assert (made.scale[0], made.zero_point[0]) == (scale, zero)


def test_int16_activations_are_symmetric_and_never_use_the_lowest_integer() -> None:
    made = activation(-2.0, 1.0, INT16, symmetric=True)
    assert (made.scale[0], made.zero_point[0]) == (float(np.float32(2 / 32767)), 0)
    assert encode(np.array([-2.0]), made)[0] == -32767


@given(REALS, REALS)
def test_zero_is_stored_exactly_and_the_range_is_covered(a: float, b: float) -> None:
    low, high = sorted((a, b))
    for dtype in (INT8, UINT8):
        made = activation(low, high, dtype)
        assert decode(encode(np.zeros(1), made), made)[0] == 0
        least, most = made.covers()
        step = float(made.scale[0])
        # Moving the zero point to an integer shifts the ends by up to half a step.
        assert least <= low + 0.51 * step
        assert most >= high - 0.51 * step


@given(st.lists(REALS, min_size=1, max_size=20))
def test_values_within_range_come_back_within_half_a_step(values: list[float]) -> None:
    data = np.array(values)
    made = activation(float(data.min()), float(data.max()), INT8)
    inside = np.clip(data, *made.covers())
    error = np.abs(decode(encode(data, made), made) - inside)
    assert error.max() <= 0.5001 * made.scale[0]


def test_halves_round_away_from_zero() -> None:
    assert round_away(np.array([0.5, 1.5, -0.5, -2.5])).tolist() == [1, 2, -1, -3]


def test_weights_have_a_scale_per_slice_and_never_use_the_lowest_integer() -> None:
    data = np.array([[1.2345, -2.0], [0.0, 0.5]])
    made = weights(data, 0, INT8)
    assert made.scale.tolist() == [float(np.float32(2 / 127)), float(np.float32(0.5 / 127))]
    assert encode(data, made).tolist() == [[78, -127], [0, 127]]
    assert weights(data, None, INT8).scale.tolist() == [float(np.float32(2 / 127))]


@given(st.integers(1, 127), st.integers(0, 2**32 - 1), st.booleans())
def test_weights_on_a_grid_keep_it(most: int, seed: int, by_row: bool) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-most, most, (4, 30), endpoint=True)
    codes[rng.random((4, 30)) < rng.random()] = 0
    steps = rng.uniform(1e-4, 3, (4, 1)) if by_row else rng.uniform(1e-4, 3)
    data = (codes * steps).astype(np.float32)
    made = weights(data, 0 if by_row else None, INT8)
    np.testing.assert_allclose(decode(encode(data, made), made), data, rtol=1e-6, atol=1e-9)


def test_weights_of_zero_get_the_scale_that_tensorflow_gives_them() -> None:
    assert weights(np.zeros((1, 3)), 0, INT8).scale[0] == pytest.approx(3.937e-9, rel=1e-4)


def test_legacy_weights_are_asymmetric_and_narrow() -> None:
    data = np.array([-1.0, 0.0, 1.54])
    made = legacy_weights(data, UINT8)
    assert (made.scale[0], made.zero_point[0]) == (float(np.float32(2.54 / 254)), 101)
    assert encode(data, made).tolist() == [1, 101, 255]


def test_the_bias_scale_is_the_product() -> None:
    x, w = Params.of(0.5, 3, INT8), weights(np.array([[127.0], [254.0]]), 0, INT8)
    assert bias(x, w, INT32).scale.tolist() == [0.5, 1.0]


def test_a_bias_that_would_overflow_enlarges_the_weight_scale_of_its_channel() -> None:
    x, w = Params.of(1e-6, 0, INT8), weights(np.full((2, 1), 1e-3), 0, INT8)
    roomy = room_for_bias(w, x, np.array([1.0, 1e-9]), np.dtype(np.int32))
    assert roomy.scale[1] == w.scale[1]
    assert 1.0 / (roomy.scale[0] * x.scale[0]) <= LARGEST_BIAS["int32"]
    assert encode(np.array([1.0, 1e-9]), bias(x, roomy, INT32))[0] == pytest.approx(
        LARGEST_BIAS["int32"], rel=1e-6
    )
