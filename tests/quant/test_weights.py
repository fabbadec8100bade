"""Float16 and dynamic range: smaller constants, float activations."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Run, decibels, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.quant.weights import quantize

NETWORK = """
x: f32[2,8,8,16] -> z
a = CONV_2D(x, f32[16,3,3,16], f32[16]) {padding=SAME, stride_h=1, stride_w=1}
b = DEPTHWISE_CONV_2D(a, f32[1,9,9,16], f32[16]) {padding=SAME, stride_h=2, stride_w=2}
c = TRANSPOSE_CONV([2,8,8,16], f32[16,3,3,16], b, f32[16]) {padding=SAME, stride_h=2, stride_w=2}
d = MUL(c, f32[8,8,16])
e = FULLY_CONNECTED(d, f32[12,1024], f32[12])
z = RELU(e)
"""
X = np.random.default_rng(4).normal(size=(2, 8, 8, 16)).astype(np.float32)


def made(mode: str, **asked: object) -> tuple[Model, Model]:
    reference, model = Model([parse(NETWORK)]), Model([parse(NETWORK)])
    quantize(model, QuantizeOptions(mode=mode, **asked))  # type: ignore[arg-type]
    model.main.check()
    return reference, model


def stored(model: Model) -> dict[str, np.dtype]:
    """Return the type of each constant of reals, by the operator and operand that reads it."""
    found = {}
    for op in model.main.ops:
        for index, tensor in enumerate(op.inputs):
            if tensor is not None and tensor.is_constant and tensor.dtype != np.int32:
                found[f"{op.type} {index}"] = tensor.dtype
    return found


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize(
    ("mode", "error"), [("float16", 2e-3), ("weights", 1e-2), ("dynamic", 3e-2)]
)
def test_the_result_is_close(run: Run, mode: str, error: float, delegate: bool) -> None:
    reference, model = made(mode)
    wanted, got = run(reference, [X])[0], run(model, [X], delegate)[0]
    # 11 bits of a half, 7 of int8 weights times 8 of activations, over four layers.
    assert np.abs(wanted - got).max() <= error * np.abs(wanted).max()


def test_float16_puts_every_real_constant_behind_dequantize() -> None:
    _, model = made("float16")
    assert set(stored(model)) == {"DEQUANTIZE 0"}
    assert set(stored(model).values()) == {np.dtype(np.float16)}
    assert len(serialize(model)) < 0.6 * len(serialize(Model([parse(NETWORK)])))


def test_float16_clips_and_says_so(run: Run) -> None:
    model = Model([parse("x: f32[1] -> y\ny = MUL(x, 1e6)")])
    quantize(model, QuantizeOptions(mode="float16"))
    assert model.notes == ["1 values of 'y/b' lie beyond float16 and are clipped to 65504"]
    assert run(model, [np.ones(1, np.float32)])[0] == [65504.0]


def test_an_epsilon_that_float16_would_make_zero_stays_float(run: Run) -> None:
    model = Model([parse("x: f32[1] -> z\ny = ADD(x, 1e-12)\nz = RSQRT(y)")])
    quantize(model, QuantizeOptions(mode="float16"))
    assert run(model, [np.zeros(1, np.float32)])[0] == pytest.approx([1e6], rel=1e-5)


def test_dynamic_stores_large_weights_of_hybrid_kernels_only() -> None:
    _, model = made("dynamic")
    kinds = stored(model)
    int8 = {key for key, dtype in kinds.items() if dtype == np.int8}
    assert int8 == {
        "CONV_2D 1",
        "DEPTHWISE_CONV_2D 1",
        "TRANSPOSE_CONV 1",
        "FULLY_CONNECTED 1",
    }


def test_smaller_weights_stay_float_unless_asked() -> None:
    text = "x: f32[1,16] -> z\nz = FULLY_CONNECTED(x, f32[63,16])"
    for least, dtype in ((1024, np.float32), (1008, np.int8), (0, np.int8)):
        model = Model([parse(text)])
        quantize(model, QuantizeOptions(mode="dynamic", min_weight_elements=least))
        assert model.main.ops[0].inputs[1].dtype == dtype


def test_depthwise_weights_have_a_scale_for_each_channel_whatever_is_asked() -> None:
    _, model = made("dynamic", per_channel=False)
    sizes = {op.type: op.inputs[1].quant.scale.size for op in model.main.ops[:2]}
    assert sizes == {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 16}


@pytest.mark.parametrize("by_channel", [True, False])
def test_dense_layers_quantize_skewed_inputs_with_a_zero_point(by_channel: bool) -> None:
    """What a RELU made needs half of the steps else: without the delegate 6 dB are lost."""
    x = np.abs(np.random.default_rng(0).normal(size=(8, 128))).astype(np.float32)
    graph = parse("x: f32[8,128] -> z\nz = FULLY_CONNECTED(x, f32[64,128], zeros[64])")
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="dynamic", per_channel_dense=by_channel))
    w = graph.ops[0].input(1)
    assert w.data is not None
    assert w.quant is not None
    want = x @ w.quant.decode(w.data).T
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": x}, delegate)
        assert decibels(want, got) > 46


def test_keep_float_leaves_a_node_alone() -> None:
    _, model = made("dynamic", keep_float=("^a$",))
    assert stored(model)["CONV_2D 1"] == np.float32


def test_shared_weights_are_stored_once() -> None:
    graph = parse("x: f32[1,64] -> z\ny = FULLY_CONNECTED(x, f32[64,64])\nz = MUL(y, 2.0)")
    model = Model([graph])
    first = graph.ops[0]
    graph.ops[1].type = "FULLY_CONNECTED"
    graph.set_input(graph.ops[1], 1, first.inputs[1])
    quantize(model, QuantizeOptions(mode="dynamic"))
    assert graph.ops[0].inputs[1] is graph.ops[1].inputs[1]
