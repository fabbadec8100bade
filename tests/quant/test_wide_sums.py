"""Integers that must not overflow: long sums in int16x8, clamps of outputs that are always zero."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Graph, Model
from tqconv.jobs.quantize import quantize
from tqconv.runtime.compare import difference

RNG = np.random.default_rng(5)
CONV = "padding=VALID, stride_h=1, stride_w=1"
LONG = {
    "dense": ("x: f32[1,2048] -> z\nz = FULLY_CONNECTED(x, f32[4,2048])", (1, 2048)),
    "convolution": (
        f"x: f32[1,6,6,64] -> z\nz = CONV_2D(x, f32[4,5,5,64], zeros[4]) {{{CONV}}}",
        (1, 6, 6, 64),
    ),
    "depthwise": (
        f"x: f32[1,40,40,2] -> z\nz = DEPTHWISE_CONV_2D(x, f32[1,36,36,2], zeros[2]) {{{CONV}}}",
        (1, 40, 40, 2),
    ),
    "transposed": (
        "x: f32[1,4,4,512] -> z\n"
        "z = TRANSPOSE_CONV([1,6,6,4], f32[4,3,3,512], x) {padding=VALID, stride_h=1, stride_w=1}",
        (1, 4, 4, 512),
    ),
    "product": ("x: f32[1,8,2048] -> z\nz = BATCH_MATMUL(x, f32[2048,4])", (1, 8, 2048)),
}


def long_sums(text: str) -> Graph:
    """Return the graph with weights above zero, so that their products add up."""
    graph = parse(text)
    for tensor in graph.tensors():
        if tensor.data is not None and tensor.dtype == np.float32:
            tensor.data = np.abs(tensor.data)
    return graph


def quantized(graph: Graph, folder: Path, samples: np.ndarray, **asked: object) -> Model:
    np.savez(folder / "samples.npz", x=samples)
    model = Model([graph])
    options = QuantizeOptions(calibration_data=str(folder / "samples.npz"), **asked)  # type: ignore[arg-type]
    quantize(model, options)
    return model


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize("name", LONG)
def test_sums_of_16_by_8_bits_pass_32_bits(
    run: Run, tmp_path: Path, name: str, delegate: bool
) -> None:
    text, shape = LONG[name]
    samples = RNG.uniform(0.5, 1.0, (4, *shape)).astype(np.float32)
    model = quantized(long_sums(text), tmp_path, samples.reshape(-1, *shape[1:]), mode="int16x8")
    wanted = run(long_sums(text), [samples[0]])[0]
    assert difference(wanted, run(model, [samples[0]], delegate)[0])[0] > 60


def test_a_dense_layer_of_an_int16_island_has_a_wide_sum(run: Run, tmp_path: Path) -> None:
    text, shape = LONG["dense"]
    samples = RNG.uniform(0.5, 1.0, (4, *shape[1:])).astype(np.float32)
    model = quantized(long_sums(text), tmp_path, samples, mode="int8", int16=("z",))
    wanted = run(long_sums(text), [samples[:1]])[0]
    assert difference(wanted, run(model, [samples[:1]], False)[0])[0] > 60


@pytest.mark.parametrize("mode", ["int16x8", "int8", "uint8"])
@pytest.mark.parametrize("activation", ["RELU6", "RELU_N1_TO_1"])
@pytest.mark.parametrize("kind", ["fused", "apart"])
def test_the_clamp_of_an_output_that_is_always_zero_fits_32_bits(
    run: Run, tmp_path: Path, mode: str, activation: str, kind: str
) -> None:
    dense = "FULLY_CONNECTED(x, zeros[4,8], zeros[4])"
    text = f"x: f32[1,8] -> z\nz = {dense} {{fused_activation_function={activation}}}"
    if kind == "apart":
        text = f"x: f32[1,8] -> z\na = {dense}\nz = {activation}(a)"
    samples = RNG.normal(size=(4, 8)).astype(np.float32)
    model = quantized(parse(text), tmp_path, samples, mode=mode, improve=False)
    for delegate in (True, False):
        assert not np.any(run(model, [samples[:1]], delegate)[0])


@pytest.mark.parametrize("mode", ["int16x8", "int8", "uint8"])
@pytest.mark.parametrize("bias", [-0.5, -30.0])
def test_sums_that_a_clamp_makes_zero_fit_32_bits(
    run: Run, tmp_path: Path, mode: str, bias: float
) -> None:
    """The output has steps of nothing, of which the sums are a great many."""
    graph = parse(
        "x: f32[1,4,4,1] -> z\nc = DEPTHWISE_CONV_2D(x, f32[1,1,1,1], f32[1]) {padding=SAME, "
        "stride_h=1, stride_w=1, fused_activation_function=RELU}\nz = MUL(c, 3.0)"
    )
    graph.ops[0].input(1).data = np.full((1, 1, 1, 1), 0.17, np.float32)
    graph.ops[0].input(2).data = np.full(1, bias, np.float32)
    samples = RNG.uniform(-2, 2, (4, 4, 4, 1)).astype(np.float32)
    model = quantized(graph, tmp_path, samples, mode=mode, improve=False)
    for delegate in (True, False):
        assert not np.any(run(model, [samples[:1]], delegate)[0])


@pytest.mark.parametrize(("mode", "bits"), [("int16x8", 8), ("int8", 8), ("int8", 4)])
def test_weights_of_few_steps_make_zeros_too(
    run: Run, tmp_path: Path, mode: str, bits: int
) -> None:
    """Weights on a coarse grid, or of 4 bits, have steps far above a 127th of the largest."""
    graph = parse(
        "x: f32[1,4,4,2] -> z\nz = CONV_2D(x, f32[1,1,1,2], f32[1]) {padding=SAME, "
        "stride_h=1, stride_w=1, fused_activation_function=RELU6}"
    )
    graph.ops[0].input(1).data = np.array([[[[0.4, -7e-5]]]], np.float32)
    graph.ops[0].input(2).data = np.full(1, -3, np.float32)
    samples = RNG.uniform(-2, 2, (4, 4, 4, 2)).astype(np.float32)
    model = quantized(graph, tmp_path, samples, mode=mode, improve=False, weight_bits=bits)
    for delegate in (True, False):
        assert not np.any(run(model, [samples[:1]], delegate)[0])


def test_a_bias_that_dwarfs_the_products_leaves_room_for_the_multiplication(
    run: Run, tmp_path: Path
) -> None:
    graph = parse("x: f32[1,8] -> z\nz = FULLY_CONNECTED(x, f32[4,8], f32[4])")
    bias = np.array([3e6, -2e6, 1e6, 4e6], np.float32)
    graph.ops[0].input(2).data = bias
    samples = RNG.normal(size=(4, 8)).astype(np.float32) * np.float32(1e-6)
    model = quantized(graph, tmp_path, samples, mode="int16x8", improve=False)
    assert run(model, [samples[:1]], False)[0] == pytest.approx(bias[None], rel=1e-4)


@pytest.mark.parametrize("mode", ["int16x8", "int8"])
def test_what_is_compared_with_next_to_nothing_keeps_its_sign(
    run: Run, tmp_path: Path, mode: str
) -> None:
    """In the steps of the constant the integers of m would wrap around."""
    graph = parse(
        "x: f32[1,16] -> y\nm = MINIMUM(x, 1.5)\np = GREATER(m, 0.000001)\nn = MUL(m, 0.1)\n"
        "y = SELECT_V2(p, m, n)"
    )
    samples = RNG.uniform(-2, 2, (4, 16)).astype(np.float32)
    model = quantized(graph, tmp_path, samples, mode=mode, improve=False)
    bound = np.minimum(samples[:1], 1.5)
    want = np.where(bound > 0, bound, bound / 10)
    step = 2 / (127 if mode == "int8" else 32767)
    for delegate in (True, False):
        np.testing.assert_allclose(run(model, [samples[:1]], delegate)[0], want, atol=1.5 * step)
