"""Every form in which a trained graph says a range: integers take it and nothing of it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from graphs import const, graph, node, placeholder, typed

from tqconv.api import convert
from tqconv.config import ConvertOptions, LoadOptions, QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError
from tqconv.importers.tflite.reader import parse
from tqconv.ir.graph import Model

F = np.float32
RNG = np.random.default_rng(17)
SAMPLES = RNG.uniform(-1, 1, (16, 8)).astype(F)
W = RNG.uniform(-1, 1, (8, 4)).astype(F)
INT8 = {"mode": "int8", "integer_only": True}


def converted(folder: Path, *nodes: Any, samples: Any = SAMPLES, **asked: Any) -> Model:
    """Convert the graph from `x` to `y` and return what was written."""
    source, target = folder / "net.pb", folder / "m.tflite"
    source.write_bytes(graph(*nodes).SerializeToString())
    np.savez(folder / "samples.npz", x=samples)
    like = TocoOptions(inference_type="uint8") if asked["mode"] == "uint8" else TocoOptions()
    options = QuantizeOptions(calibration_data=str(folder / "samples.npz"), **asked)
    load = LoadOptions(inputs=("x",), outputs=("y",))
    convert(source, target, ConvertOptions(load=load, quantize=options, toco=like))
    return parse(target.read_bytes(), "m.tflite")


def types(model: Model) -> list[str]:
    return [op.type for op in model.main.ops]


def stored(model: Model, index: int = 0) -> tuple[float, int]:
    """Return scale and zero point of what the first operator reads."""
    quant = model.main.ops[0].input(index).quant
    assert quant is not None
    return pytest.approx(quant.scale[0], rel=1e-6), int(quant.zero_point[0])  # type: ignore[return-value]


def dense(of: str) -> list[Any]:
    return [const("w", W), node("y", "MatMul", of, "w")]


def fake_quant(name: str, of: str, low: float, high: float, bits: int = 8) -> Any:
    return node(name, "FakeQuantWithMinMaxArgs", of, min=low, max=high, num_bits=bits)


@pytest.mark.parametrize("mode", ["int8", "uint8"])
@pytest.mark.parametrize(
    ("low", "high", "zero"), [(0.0, 10.0, -128), (-1.0, 127 / 128, 0), (-0.3, 2.0, -95)]
)
def test_behind_an_input_it_is_the_input(
    tmp_path: Path, mode: str, low: float, high: float, zero: int
) -> None:
    x = placeholder("x", F, (1, 8))
    nodes = [x, fake_quant("q", "x", low, high), *dense("q")]
    model = converted(tmp_path, *nodes, mode=mode, integer_only=True, samples=SAMPLES * 4)
    assert types(model) == ["FULLY_CONNECTED"]
    assert stored(model) == ((high - low) / 255, zero + (128 if mode == "uint8" else 0))


def test_an_input_that_others_read_too_keeps_its_own_range(tmp_path: Path) -> None:
    nodes = [placeholder("x", F, (1, 8)), fake_quant("q", "x", 0.0, 0.5)]
    model = converted(tmp_path, *nodes, node("y", "AddV2", "x", "q"), **INT8)
    (outer,) = model.main.inputs
    assert outer.quant is not None
    assert outer.quant.scale[0] == pytest.approx(2 / 255, rel=0.05)


def qdq(version: str, **attrs: Any) -> list[Any]:
    operands = ["x", "low", "high"] + (["bits"] if version == "V3" else [])
    more = {} if version == "V3" else {"num_bits": 8}
    attrs = {"range_given": True, "signed_input": True, **more, **attrs}
    return [
        placeholder("x", F, (1, 8)),
        const("low", F(-0.5)),
        const("high", F(0.75)),
        const("bits", np.int32(8)),
        node("q", f"QuantizeAndDequantize{version}", *operands, **attrs),
        *dense("q"),
    ]


@pytest.mark.parametrize("version", ["V2", "V3", "V4"])
@pytest.mark.parametrize("narrow", [False, True])
def test_quantize_and_dequantize_is_evidence(tmp_path: Path, version: str, narrow: bool) -> None:
    model = converted(tmp_path, *qdq(version, narrow_range=narrow), **INT8)
    assert types(model) == ["FULLY_CONNECTED"]
    assert stored(model) == (0.75 / 127, 0)


def test_a_range_of_whatever_passes_is_measured(tmp_path: Path) -> None:
    model = converted(tmp_path, *qdq("V2", range_given=False), **INT8)
    assert types(model) == ["FULLY_CONNECTED"]
    assert stored(model)[0] == pytest.approx(2 / 255, rel=0.05)


@pytest.mark.parametrize("mode", ["MIN_FIRST", "SCALED", "MIN_COMBINED"])
@pytest.mark.parametrize("kind", ["quint8", "qint8"])
def test_quantize_then_dequantize_is_evidence(tmp_path: Path, kind: str, mode: str) -> None:
    low, high = (-0.5, 0.75) if kind == "qint8" or mode != "SCALED" else (0.0, 0.75)
    nodes = [
        placeholder("x", F, (1, 8)),
        const("low", F(low)),
        const("high", F(high)),
        node("s", "QuantizeV2", "x", "low", "high", T=typed(kind), mode=mode),
        node("q", "Dequantize", "s", "s:1", "s:2", T=typed(kind), mode=mode),
        *dense("q"),
    ]
    model = converted(tmp_path, *nodes, **INT8)
    assert types(model) == ["FULLY_CONNECTED"]
    scale = 0.75 / np.iinfo(np.uint8 if kind == "quint8" else np.int8).max
    wanted = scale if mode == "SCALED" else (high - low) / 255
    assert stored(model)[0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", ["FakeQuantWithMinMaxVarsPerChannel", "QuantizeAndDequantizeV2"])
def test_a_grid_for_each_channel_clamps_activations(tmp_path: Path, kind: str) -> None:
    low, high = np.linspace(-0.9, -0.2, 8).astype(F), np.linspace(0.9, 0.3, 8).astype(F)
    attrs: dict[str, Any] = {"num_bits": 8}
    if kind.startswith("Quantize"):
        attrs |= {"range_given": True, "signed_input": True, "axis": 1}
    nodes = [placeholder("x", F, (1, 8)), const("low", low), const("high", high)]
    nodes += [node("q", kind, "x", "low", "high", **attrs), *dense("q")]
    model = converted(tmp_path, *nodes, **INT8)
    assert set(types(model)) <= {"MAXIMUM", "MINIMUM", "FULLY_CONNECTED", "QUANTIZE"}


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_weights_are_stored_exactly(tmp_path: Path, bits: int) -> None:
    nodes = [placeholder("x", F, (1, 8)), const("k", W), fake_quant("w", "k", -1.0, 1.0, bits)]
    model = converted(tmp_path, *nodes, node("y", "MatMul", "x", "w"), **INT8, improve=False)
    weights = model.main.ops[0].input(1)
    assert weights.data is not None
    assert weights.quant is not None
    reals = weights.data * weights.quant.scale.reshape(-1, 1)
    scale = 2 / (2**bits - 1)
    zero = np.floor(1 / scale + 0.5)
    grid = np.clip(np.floor(W.T / scale + zero + 0.5), 0, 2**bits - 1) - zero
    np.testing.assert_allclose(reals, grid * scale, atol=1e-6)


@pytest.mark.parametrize("of", ["x", "k"])
@pytest.mark.parametrize("mode", ["int8", "int16x8", "uint8"])
def test_an_empty_range_is_explained(tmp_path: Path, mode: str, of: str) -> None:
    nodes = [placeholder("x", F, (1, 8)), const("k", W), fake_quant("q", of, 0.0, 0.0)]
    operands = ("q", "k") if of == "x" else ("x", "q")
    with pytest.raises(QuantizationError, match=r"\[0, 0\] is empty") as raised:
        converted(tmp_path, *nodes, node("y", "MatMul", *operands), mode=mode)
    assert "never trained" in str(raised.value.hint)


@pytest.mark.parametrize("mode", ["int8", "int16x8", "uint8"])
def test_pixels_that_are_cast_are_read_as_they_are(tmp_path: Path, mode: str) -> None:
    pixels = RNG.integers(0, 256, (16, 8)).astype(np.uint8)
    nodes = [
        placeholder("x", np.uint8, (1, 8)),
        node("r", "Cast", "x", SrcT=np.uint8, DstT=F),
        const("half", F(127.5)),
        node("s", "Sub", "r", "half"),
        node("n", "RealDiv", "s", "half"),
        *dense("n"),
    ]
    model = converted(tmp_path, *nodes, mode=mode, samples=pixels)
    (x,) = model.main.inputs
    assert (x.name, x.dtype) == ("x", np.uint8)
    assert x.quant is not None
    assert (x.quant.scale[0], x.quant.zero_point[0]) == (1.0, 0)
    wanted = (pixels[0] / 127.5 - 1) @ W
    for kernels in (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        runner = Interpreter(str(tmp_path / "m.tflite"), experimental_op_resolver_type=kernels)
        runner.allocate_tensors()
        runner.set_tensor(runner.get_input_details()[0]["index"], pixels[:1])
        runner.invoke()
        detail = runner.get_output_details()[0]
        got = runner.get_tensor(detail["index"])[0].astype(np.float64)
        scale, zero = detail["quantization"]
        got = (got - zero) * scale if scale else got
        step = 1e-4 if mode == "int16x8" else 0.02
        np.testing.assert_allclose(got, wanted, atol=step * np.abs(wanted).max() + 0.02)
