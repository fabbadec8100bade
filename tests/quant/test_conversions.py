"""Conversions to integers and back: their scale and zero point are those of the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from graph_text import parse
from hypothesis import given, settings
from hypothesis import strategies as st

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant, Range
from tqconv.jobs.quantize import quantize
from tqconv.passes.driver import Stage, run_stages
from tqconv.passes.fake_quant import clamp_fake_quant, read_conversions
from tqconv.passes.pipeline import STAGES
from tqconv.passes.toco.stages import stages

RNG = np.random.default_rng(31)
EVIDENCE = (Stage("conversions", (read_conversions,)), Stage("evidence", (clamp_fake_quant,)))


def through(graph: Graph, x: Tensor, quant: Quant, dtype: type) -> Tensor:
    """Return `x` after a conversion to `dtype` and back."""
    integers = Tensor(graph.unique("q"), x.shape, np.dtype(dtype), quant=quant)
    reals = Tensor(graph.unique("d"), x.shape, np.dtype(np.float32))
    uses = list(x.uses)
    graph.add(Op("QUANTIZE", (x,), (integers,)))
    graph.add(Op("DEQUANTIZE", (integers,), (reals,)))
    for op, index in uses:
        graph.set_input(op, index, reals)
    graph.sort()
    return reals


def network() -> Graph:
    return parse("x: f32[1,8] -> z\nz = FULLY_CONNECTED(x, f32[4,8], zeros[4])")


def integers(graph: Graph, folder: Path, mode: str = "int8", **asked: object) -> Model:
    model = Model([graph])
    np.savez(folder / "s.npz", x=RNG.normal(size=(8, 8)).astype(np.float32))
    options = QuantizeOptions(mode=mode, calibration_data=str(folder / "s.npz"), **asked)  # type: ignore[arg-type]
    like = TocoOptions(inference_type="uint8") if mode == "uint8" else TocoOptions()
    run_stages(model, stages() if mode == "uint8" else EVIDENCE)
    quantize(model, options, toco=like)
    return model


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(2**-16, 1024, width=32),
    zero=st.integers(-128, 127),
    unsigned=st.booleans(),
)
def test_scale_and_zero_point_are_kept_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, scale: float, zero: int, unsigned: bool
) -> None:
    graph = network()
    dtype, start = (np.uint8, zero + 128) if unsigned else (np.int8, zero)
    through(graph, graph.inputs[0], Quant.per_tensor(scale, start), dtype)
    model = integers(graph, tmp_path_factory.mktemp("s"), integer_only=True, improve=False)
    assert [op.type for op in model.main.ops] == ["FULLY_CONNECTED"]
    quant = model.main.inputs[0].quant
    assert quant is not None
    assert (np.float32(quant.scale[0]), quant.zero_point[0]) == (np.float32(scale), zero)


def test_toco_reads_them_too(tmp_path: Path) -> None:
    graph = network()
    through(graph, graph.inputs[0], Quant.per_tensor(0.0317, 77), np.uint8)
    through(graph, graph.ops[-1].output, Quant.per_tensor(0.11, 128), np.uint8)
    graph.outputs[:] = [next(t for t in graph.tensors() if t.name == "d_1")]
    model = integers(graph, tmp_path, "uint8")
    assert [op.type for op in model.main.ops] == ["FULLY_CONNECTED"]
    for tensor, wanted in (
        (model.main.inputs[0], (0.0317, 77)),
        (model.main.outputs[0], (0.11, 128)),
    ):
        assert tensor.quant is not None
        assert tensor.quant.scale[0] == pytest.approx(wanted[0], rel=1e-6)
        assert tensor.quant.zero_point[0] == wanted[1]


@pytest.mark.parametrize("stored", [True, False], ids=["integers", "reals"])
@pytest.mark.parametrize("by_channel", [True, False])
def test_weights_keep_their_integers(tmp_path: Path, by_channel: bool, stored: bool) -> None:
    codes = RNG.integers(-127, 128, (4, 8)).astype(np.int8)
    scale = RNG.uniform(0.01, 0.1, 4 if by_channel else 1).astype(np.float32)
    quant = Quant(scale.astype(np.float64), np.zeros(scale.size, np.int64))
    graph = network()
    product = graph.ops[0]
    if stored:
        constant = graph.constant("codes", codes)
        constant.quant = quant
        reals = Tensor(graph.unique("w"), (4, 8), np.dtype(np.float32))
        graph.add(Op("DEQUANTIZE", (constant,), (reals,)))
        graph.set_input(product, 1, reals)
        graph.sort()
    else:
        product.input(1).data = (codes * scale.reshape(-1, 1)).astype(np.float32)
        through(graph, product.input(1), quant, np.int8)
    model = integers(graph, tmp_path, improve=False)
    made = next(t for t in model.main.tensors() if t.shape == (4, 8) and t.dtype == np.int8)
    assert made.data is not None
    assert made.quant is not None
    found = made.data * made.quant.scale.reshape(-1, 1)
    np.testing.assert_allclose(found, codes * scale.reshape(-1, 1), rtol=1e-6)


def test_scales_by_channel_clamp_activations(tmp_path: Path) -> None:
    graph = network()
    quant = Quant(RNG.uniform(0.001, 0.01, 8), np.zeros(8, np.int64), axis=1)
    through(graph, graph.inputs[0], quant, np.int8)
    model = integers(graph, tmp_path, integer_only=True)
    assert {op.type for op in model.main.ops} <= {
        "MAXIMUM",
        "MINIMUM",
        "QUANTIZE",
        "FULLY_CONNECTED",
    }


def test_a_range_stays_where_a_reshape_moves() -> None:
    graph = parse(
        "x: f32[1,1,8,4] -> z\n"
        "c = CONV_2D(x, f32[4,1,1,4], zeros[4]) {padding=VALID, stride_h=1, stride_w=1}\n"
        "r = RESHAPE(c, [1,8,4])\n"
        "y = TANH(r)\n"
        "z = TANH(y)"
    )
    (y,) = (t for t in graph.tensors() if t.name == "y")
    y.range = Range(-0.5, 0.5, "fake_quant", "y")
    run_stages(Model([graph]), STAGES)
    inner = [op.output for op in graph.ops if op.type == "TANH"]
    assert inner[0].shape == (1, 1, 8, 4)
    assert inner[0].range == Range(-0.5, 0.5, "fake_quant", "y")
