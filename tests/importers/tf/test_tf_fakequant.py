"""Fake and real quantization in TensorFlow's schemes, against their definitions in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import (
    assert_close,
    assert_op,
    const,
    graph,
    model_of,
    node,
    placeholder,
    results,
    typed,
)
from numpy.typing import NDArray

Array = NDArray[Any]
F = np.float32
X = np.random.default_rng(5).uniform(-8, 8, (40, 3)).astype(F)
STEP = 1e-5
"""One float32 rounding of the largest value; whole steps of the grids are 100 times larger."""


def on_grid(x: Array, low: Any, high: Any, bits: int, narrow: bool) -> Array:
    """TensorFlow's fake quantization: the range is moved so that 0 is a step."""
    first, last = int(narrow), 2**bits - 1
    low, high = np.asarray(low, F), np.asarray(high, F)
    scale = (high - low) / F(last - first)
    with np.errstate(divide="ignore", invalid="ignore"):
        zero = np.clip(np.floor(first - low / scale + F(0.5)), first, last)
        least, most = (first - zero) * scale, (last - zero) * scale
        steps = np.floor((np.clip(x, least, most) - least) / scale + F(0.5))
    return np.where(scale == 0, 0, steps * scale + least).astype(F)


def clear_of_ties(x: Array, low: Any, high: Any, bits: int, narrow: bool) -> Array:
    """`x` with 0 for what lies so near to half a step that float32 may round it either way."""
    scale = np.asarray(high, np.float64) - low
    scale = np.where(scale == 0, 1, scale / (2**bits - 1 - narrow))
    return np.where(np.abs(np.abs(x / scale) % 1 - 0.5) < 0.02, F(0), x)


RANGES = [(-6.0, 6.0), (0.0, 6.0), (-0.5, 7.3), (1.0, 3.0), (-3.0, -1.0)]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize(("low", "high"), RANGES)
def test_fake_quantization(low: float, high: float, bits: int, narrow: bool) -> None:
    x = clear_of_ties(X, low, high, bits, narrow)
    want = on_grid(x, low, high, bits, narrow)
    options = {"num_bits": bits, "narrow_range": narrow, "atol": STEP}
    assert_op("FakeQuantWithMinMaxArgs", [x], want, min=low, max=high, **options)
    operands = [x, F(low), F(high)]
    for constants in ([1, 2], []):
        assert_op("FakeQuantWithMinMaxVars", operands, want, constants=constants, **options)


@pytest.mark.parametrize("narrow", [False, True])
def test_fake_quantization_per_channel(narrow: bool) -> None:
    low, high = np.array([-1, 0, 0.5], F), np.array([2, 0, 3], F)
    x = clear_of_ties(X, low, high, 8, narrow)
    want = on_grid(x, low, high, 8, narrow)
    for constants in ([1, 2], []):
        assert_op(
            "FakeQuantWithMinMaxVarsPerChannel",
            [x, low, high],
            want,
            constants=constants,
            narrow_range=narrow,
            atol=STEP,
        )


def test_an_empty_range_gives_zeros() -> None:
    operands = [X, F(0), F(0)]
    assert_op("FakeQuantWithMinMaxVars", operands, np.zeros_like(X), constants=[1, 2])


def test_the_range_of_a_constant_is_kept_as_evidence() -> None:
    message = graph(
        const("w", X[0]),
        const("low", F(-2)),
        const("high", F(3)),
        placeholder("x", F, (2, 3)),
        node("q", "FakeQuantWithMinMaxVars", "w", "low", "high", narrow_range=True),
        node("y", "Mul", "x", "q"),
    )
    weights = next(t for op in model_of(message).main.ops for t in op.inputs if t and t.is_constant)
    assert weights.range is not None
    assert (weights.range.low, weights.range.high, weights.range.kind) == (-2, 3, "fake_quant")


def rounded_to_range(
    x: Array, low: Any, high: Any, signed: bool, narrow: bool, bits: int, mode: str, clamp: bool
) -> Array:
    """TensorFlow's rounding: 0 is a step, and the side that needs larger steps decides."""
    first = F(-(2 ** (bits - 1)) + narrow if signed else 0)
    last = F(2 ** (bits - signed) - 1)
    low, high = np.asarray(low, F), np.asarray(high, F)
    most = F(np.finfo(F).max)
    with np.errstate(divide="ignore", invalid="ignore"):
        from_low = np.where(first * low > 0, first / low, most)
        from_high = np.where(last * high > 0, last / high, most)
    scale = np.minimum(from_low, from_high)
    step = np.where(from_low < from_high, low / (first or F(1)), high / last).astype(F)
    x = np.clip(x, np.minimum(first * step, last * step), last * step) if clamp else x
    steps = np.rint(x * scale) if mode == "HALF_TO_EVEN" else np.floor(x * scale + F(0.5))
    return (steps * step).astype(F)


def test_the_first_version_has_its_range_as_attributes() -> None:
    want = rounded_to_range(X, -5.5, 2.0, True, False, 6, "HALF_TO_EVEN", clamp=True)
    attrs = {"range_given": True, "input_min": -5.5, "input_max": 2.0}
    assert_op("QuantizeAndDequantize", [X], want, atol=STEP, num_bits=6, **attrs)


@pytest.mark.parametrize("mode", ["HALF_TO_EVEN", "HALF_UP"])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (-5.5, 2.0), (0.0, 3.0)])
def test_a_given_range(low: float, high: float, narrow: bool, signed: bool, mode: str) -> None:
    want = rounded_to_range(X, low, high, signed, narrow, 8, mode, clamp=True)
    for constants in ([1, 2], []):
        assert_op(
            "QuantizeAndDequantizeV2",
            [X, F(low), F(high)],
            want,
            atol=STEP,
            constants=constants,
            signed_input=signed,
            range_given=True,
            round_mode=mode,
            narrow_range=narrow,
        )


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("axis", [-1, 1])
def test_the_range_of_the_elements(axis: int, signed: bool) -> None:
    x = X if signed else np.abs(X)
    low, high = (x.min(0), x.max(0)) if axis == 1 else (x.min(), x.max())
    want = rounded_to_range(x, low, high, signed, False, 5, "HALF_TO_EVEN", clamp=False)
    operands = [x, F(0), F(0)]
    options = {"constants": [1, 2, 3], "signed_input": signed, "axis": axis, "atol": STEP}
    assert_op("QuantizeAndDequantizeV4", operands, want, num_bits=5, **options)
    operands.append(np.array(5, np.int32))
    assert_op("QuantizeAndDequantizeV3", operands, want, range_given=False, **options)


STORED = {
    "quint8": np.uint8,
    "qint8": np.int8,
    "quint16": np.uint16,
    "qint16": np.int16,
}
MODES = ["MIN_COMBINED", "MIN_FIRST", "SCALED"]
LOW, HIGH = -2.3, 5.1


def dequantized(x: Array, mode: str) -> Array:
    limits = np.iinfo(x.dtype)
    if mode == "SCALED":
        low_side = LOW / limits.min if limits.min else 0.0
        return (x * max(low_side, HIGH / limits.max)).astype(F)
    scale = (HIGH - LOW) / (limits.max - limits.min)
    start = np.rint(LOW / scale) * scale if mode == "MIN_FIRST" else LOW
    return ((x.astype(np.int64) - limits.min) * scale + start).astype(F)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stored", STORED)
def test_reals_of_integers(stored: str, mode: str) -> None:
    limits = np.iinfo(STORED[stored])
    x = np.random.default_rng(6).integers(limits.min, limits.max, 50, STORED[stored], endpoint=True)
    message = graph(
        placeholder("x", STORED[stored], x.shape),
        const("low", F(LOW)),
        const("high", F(HIGH)),
        node("y", "Dequantize", "x", "low", "high", T=typed(stored), mode=mode),
    )
    for (measured,) in results(message, {"x": x}, ["y"]):
        assert_close(measured, dequantized(x, mode), atol=STEP)


def test_quantized_weights_become_float_constants() -> None:
    message = graph(
        const("w", np.array([0, 128, 255], np.uint8), "quint8"),
        const("low", F(-1)),
        const("high", F(1)),
        node("reals", "Dequantize", "w", "low", "high", T=typed("quint8"), mode="MIN_FIRST"),
        placeholder("x", F, (2, 3)),
        node("y", "Mul", "x", "reals"),
    )
    assert [op.type for op in model_of(message).main.ops] == ["MUL"]


def test_what_is_just_below_a_half_is_rounded_down() -> None:
    """In float32 the sum of 0.49999997 and 0.5 is 1."""
    near = np.nextafter(F(0.5), F(0))
    x = np.array([near, -near, 0.5, -0.5, 1.5, 2.5], F)
    message = graph(
        placeholder("x", F, x.shape),
        const("low", F(-127)),
        const("high", F(127)),
        node("y", "QuantizeV2", "x", "low", "high", T=typed("qint8"), mode="SCALED"),
    )
    for (integers,) in results(message, {"x": x}, ["y"]):
        np.testing.assert_array_equal(integers, [0, 0, 1, -1, 2, 3])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stored", STORED)
def test_integers_of_reals(stored: str, mode: str) -> None:
    """Each integer stands for a real that is half a step away at most."""
    message = graph(
        placeholder("x", F, X.shape),
        const("low", F(LOW)),
        const("high", F(HIGH)),
        node("y", "QuantizeV2", "x", "low", "high", T=typed(stored), mode=mode),
    )
    limits = np.iinfo(STORED[stored])
    for integers, low, high in results(message, {"x": X}, ["y", "y:1", "y:2"]):
        assert integers.dtype == STORED[stored]
        if mode == "SCALED":
            step = max(LOW / limits.min if limits.min else 0.0, HIGH / limits.max)
            np.testing.assert_allclose((low, high), (limits.min * step, limits.max * step), 1e-6)
            reals = integers * step
        else:
            step = (HIGH - LOW) / (limits.max - limits.min)
            np.testing.assert_allclose((low, high), (LOW, HIGH), 1e-6)
            reals = (integers.astype(np.float64) - limits.min) * step + LOW
        # MIN_FIRST moves the grid by up to half a step more, so that 0 lies on it.
        reach = 1.01 if mode == "MIN_FIRST" else 0.51
        kept = np.clip(X, low, high)
        assert np.abs(reals - kept).max() <= reach * step + STEP
