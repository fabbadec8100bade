"""What integers must not lose: clamps of FAKE_QUANT, divisors, 8-bit inputs, custom operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.jobs.quantize import quantize
from tqconv.passes.fake_quant import clamp_fake_quant
from tqconv.runtime.compare import difference

SAMPLES = np.random.default_rng(3).normal(0, 1.5, (48, 8)).astype(np.float32)
DELEGATES = [True, False]


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "samples.npz"
    np.savez(path, x=SAMPLES)
    return str(path)


def converted(text: str, data: str, mode: str = "int8", **more: object) -> Model:
    graph = parse(text)
    clamp_fake_quant(graph)
    graph.prune()
    graph.sort()
    model = Model([graph])
    options = QuantizeOptions(mode=mode, calibration_data=data, **more)  # type: ignore[arg-type]
    quantize(model, options)
    return model


def types(model: Model) -> list[str]:
    return [op.type for op in model.main.ops]


def quality(run: Run, text: str, model: Model, delegate: bool) -> float:
    """Return the mean signal-to-noise ratio in dB against the float graph."""
    ratios = []
    for x in SAMPLES[:, None]:
        wanted, got = run(parse(text), [x], delegate)[0], run(model, [x], delegate)[0]
        ratios.append(difference(wanted, got)[0])
    return float(np.mean(ratios))


FAKE = "num_bits=8"
CLAMPED = {
    "after a product": f"""x: f32[1,8] -> z
        a = FULLY_CONNECTED(x, f32[8,8])
        q = FAKE_QUANT(a) {{min=0.0, max=2.0, {FAKE}}}
        z = FULLY_CONNECTED(q, f32[4,8])""",
    "whose range does not hold zero": f"""x: f32[1,8] -> z
        a = FULLY_CONNECTED(x, f32[8,8])
        q = FAKE_QUANT(a) {{min=1.0, max=2.0, {FAKE}}}
        z = FULLY_CONNECTED(q, f32[4,8])""",
    "two of one tensor": f"""x: f32[1,8] -> z
        a = FULLY_CONNECTED(x, f32[8,8])
        q = FAKE_QUANT(a) {{min=0.0, max=4.0, {FAKE}}}
        r = FAKE_QUANT(a) {{min=-0.5, max=0.5, {FAKE}}}
        z = ADD(q, r)""",
    "one behind the other": f"""x: f32[1,8] -> z
        a = FULLY_CONNECTED(x, f32[8,8])
        q = FAKE_QUANT(a) {{min=-4.0, max=4.0, {FAKE}}}
        r = FAKE_QUANT(q) {{min=-0.5, max=0.5, {FAKE}}}
        z = FULLY_CONNECTED(r, f32[4,8])""",
    "beside what stays float": f"""x: f32[1,8] -> z
        a = SIN(x)
        q = FAKE_QUANT(a) {{min=-0.3, max=0.4, {FAKE}}}
        z = FULLY_CONNECTED(q, f32[4,8])""",
    "of four bits": """x: f32[1,8] -> z
        a = FULLY_CONNECTED(x, f32[8,8])
        q = FAKE_QUANT(a) {min=-2.0, max=2.0, num_bits=4}
        z = FULLY_CONNECTED(q, f32[4,8])""",
}


# The rounding to 16 steps, which the last one is about, is lost in 16 bits.
@pytest.mark.parametrize(
    ("claim", "mode"),
    [(c, "int8") for c in CLAMPED] + [(c, "int16x8") for c in list(CLAMPED)[:-1]],
)
@pytest.mark.parametrize("delegate", DELEGATES)
def test_the_clamp_of_a_fake_quant_stays(
    run: Run, data: str, claim: str, mode: str, delegate: bool
) -> None:
    model = converted(CLAMPED[claim], data, mode)
    assert quality(run, CLAMPED[claim], model, delegate) > 24


def test_a_clamp_that_the_integers_have_anyway_costs_nothing(data: str) -> None:
    model = converted(CLAMPED["after a product"].replace("min=0.0", "min=-1.0"), data)
    assert types(model) == ["QUANTIZE", "FULLY_CONNECTED", "FULLY_CONNECTED", "DEQUANTIZE"]


def test_trained_weights_are_rounded_to_their_grid() -> None:
    graph = parse("""x: f32[1,8] -> z
        w = FAKE_QUANT(f32[4,8]) {min=-1.0, max=1.0, num_bits=4}
        z = FULLY_CONNECTED(x, w)""")
    clamp_fake_quant(graph)
    weights = graph.ops[-1].input(1).data
    assert weights is not None
    assert len(np.unique(weights)) <= 16


DIVISION = """x: f32[1,8] -> z
    s = SQUARE(x)
    m = MEAN(s, [1]) {keep_dims=True}
    a = ADD(m, 0.1)
    r = SQRT(a)
    z = DIV(x, r)"""


@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_positive_divisor_is_kept_from_zero(run: Run, data: str, delegate: bool) -> None:
    model = converted(
        DIVISION, data, integer_only=True, input_type="float32", output_type="float32"
    )
    assert types(model).count("MAXIMUM") == 1
    assert quality(run, DIVISION, model, delegate) > 25
    assert np.isfinite(run(model, [np.zeros((1, 8), np.float32)], delegate)[0]).all()


def test_a_divisor_that_may_be_zero_is_refused(data: str) -> None:
    text = """x: f32[1,8] -> z
        a = ADD(x, 0.1)
        z = DIV(x, a)"""
    with pytest.raises(QuantizationError, match="DIV stops where 'a' is stored as zero"):
        converted(text, data, integer_only=True)


def test_bytes_are_reals_without_a_cast(run: Run, tmp_path: Path) -> None:
    pixels = np.random.default_rng(4).integers(0, 200, (16, 8)).astype(np.uint8)
    np.savez(tmp_path / "bytes.npz", x=pixels)
    text = """x: u8[1,8] -> z
        r = CAST(x) {in_data_type=UINT8, out_data_type=FLOAT32}
        z = FULLY_CONNECTED(r, f32[4,8])"""
    model = converted(text, str(tmp_path / "bytes.npz"), integer_only=True)
    assert types(model) == ["QUANTIZE", "FULLY_CONNECTED"]
    (x,) = model.main.inputs
    assert (x.dtype, x.quant is not None and x.quant.scale[0]) == (np.uint8, 1.0)
    inner = model.main.ops[0].output.quant
    assert inner is not None
    assert (inner.scale[0], inner.zero_point[0]) == (1.0, -128)
    top = np.full((1, 8), 255, np.uint8)
    scale = model.main.outputs[0].quant
    assert scale is not None
    for delegate in DELEGATES:
        got = (run(model, [top[:] // 2], delegate)[0] - scale.zero_point[0]) * scale.scale[0]
        wanted = run(parse(text), [top // 2], delegate)[0]
        np.testing.assert_allclose(got, wanted, atol=2 * scale.scale[0])


def test_a_custom_operator_reads_reals_and_its_outputs_stay_reals(data: str) -> None:
    graph = parse("""x: f32[1,8] -> y
        y = FULLY_CONNECTED(x, f32[4,8])""")
    made = Tensor("found", (1, 4), np.dtype(np.float32))
    graph.add(Op("CUSTOM", (graph.outputs[0],), (made,), {"custom_code": "Finder"}))
    graph.outputs[:] = [made]
    model = _with_ranges(graph, data)
    assert types(model) == ["FULLY_CONNECTED", "DEQUANTIZE", "CUSTOM"]
    assert [t.dtype for t in (*model.main.inputs, *model.main.outputs)] == [np.int8, np.float32]


def _with_ranges(graph: Graph, data: str) -> Model:
    options = QuantizeOptions(mode="int8", integer_only=True, input_ranges={"x": (-4.0, 4.0)})
    graph.ops[0].output.range = None
    model = Model([graph])
    quantize(model, options, toco=TocoOptions(default_ranges=(-6.0, 6.0)))
    return model


@pytest.mark.parametrize("border", ["int8", "int16"])
def test_a_constant_output_is_stored_like_the_others(data: str, border: str) -> None:
    graph = parse("""x: f32[1,8] -> y
        y = FULLY_CONNECTED(x, f32[4,8])""")
    graph.outputs.append(graph.constant("k", np.array([0.5, -1.0], np.float32)))
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="int8", calibration_data=data, output_type=border))
    stored = model.main.outputs[1]
    assert stored.dtype == np.dtype(border)
    assert stored.data is not None
    assert stored.quant is not None
    reals = (stored.data - stored.quant.zero_point) * stored.quant.scale
    np.testing.assert_allclose(reals, [0.5, -1.0], atol=0.01)


@pytest.mark.parametrize(("mode", "border"), [("uint8", "int16"), ("int16x8", "uint8")])
@pytest.mark.parametrize("delegate", DELEGATES)
def test_borders_between_types_without_a_conversion(
    run: Run, data: str, mode: str, border: str, delegate: bool
) -> None:
    text = """x: f32[1,8] -> z
        z = FULLY_CONNECTED(x, f32[4,8], f32[4])"""
    model = Model([parse(text)])
    options = QuantizeOptions(
        mode=mode, calibration_data=data, input_type=border, output_type=border
    )
    quantize(model, options)
    x, z = model.main.inputs[0], model.main.outputs[0]
    assert x.quant is not None
    assert z.quant is not None
    fed = np.round(SAMPLES[:1] / x.quant.scale + x.quant.zero_point)
    limits = np.iinfo(x.dtype)
    got = run(model, [np.clip(fed, limits.min, limits.max).astype(x.dtype)], delegate)[0]
    wanted = run(parse(text), [SAMPLES[:1]], delegate)[0]
    reals = (got.astype(np.float64) - z.quant.zero_point) * z.quant.scale
    assert difference(wanted, reals.astype(np.float32))[0] > 25


SOFTPLUS = """x: f32[1,8] -> z
    a = FULLY_CONNECTED(x, f32[8,8])
    w = MUL(a, 6.0)
    e = EXP(w)
    s = ADD(1.0, e)
    l = LOG(s)
    z = FULLY_CONNECTED(l, f32[4,8])"""


@pytest.mark.parametrize(("mode", "strict"), [("int16x8", False), ("int8", True)])
@pytest.mark.parametrize("delegate", DELEGATES)
def test_a_spelled_out_softplus_keeps_its_small_values(
    run: Run, data: str, mode: str, strict: bool, delegate: bool
) -> None:
    reals = {"input_type": "float32", "output_type": "float32"}
    model = converted(SOFTPLUS, data, mode, integer_only=strict, **reals)
    assert "EXP" not in types(model)
    assert quality(run, SOFTPLUS, model, delegate) > 28
