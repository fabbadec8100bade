"""Weights of 4 bits: which kernels compute them right, what they cost, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Graph, Model
from tqconv.jobs.quantize import quantize
from tqconv.ops.table import table
from tqconv.quant.clipping import nearest_peaks
from tqconv.quant.params import decode, encode, weights
from tqconv.runtime.compare import difference
from tqconv.targets.devices import device

DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
WINDOW = "{padding=SAME, stride_h=1, stride_w=1}"
LAYERS = {
    "FULLY_CONNECTED": ("1,16", "FULLY_CONNECTED(x, f32[6,16], f32[6])"),
    "FULLY_CONNECTED of odd sizes": ("3,15", "FULLY_CONNECTED(x, f32[7,15], f32[7])"),
    "FULLY_CONNECTED without bias": ("2,16", "FULLY_CONNECTED(x, f32[6,16])"),
    "CONV_2D": ("1,6,6,4", f"CONV_2D(x, f32[5,3,3,4], f32[5]) {WINDOW}"),
    "CONV_2D of odd sizes": ("2,5,5,3", f"CONV_2D(x, f32[5,1,3,3], f32[5]) {WINDOW}"),
    "CONV_2D, pointwise": ("1,5,5,8", f"CONV_2D(x, f32[7,1,1,8], f32[7]) {WINDOW}"),
    "CONV_2D in groups": ("1,6,6,4", f"CONV_2D(x, f32[6,3,3,2], f32[6]) {WINDOW}"),
    "DEPTHWISE_CONV_2D": ("1,6,6,5", f"DEPTHWISE_CONV_2D(x, f32[1,3,3,5], f32[5]) {WINDOW}"),
}
SIZES = {"per channel": {}, "one scale": {"per_channel": False}}


def graph_of(name: str) -> Graph:
    """A layer whose weights are whole steps of -7 to 7, so that 4 bits lose nothing of them."""
    shape, layer = LAYERS[name]
    graph = parse(f"x: f32[{shape}] -> y\ny = {layer}")
    w = graph.ops[0].input(1)
    whole = np.random.default_rng(5).integers(-7, 8, size=w.shape)
    whole[..., :1] = 7  # each slice has the largest
    whole[:1] = 7
    w.data = (whole * np.float32(0.03)).astype(np.float32)
    return graph


def samples(name: str, count: int) -> np.ndarray:
    shape = [int(size) for size in LAYERS[name][0].split(",")]
    return np.random.default_rng(6).normal(size=(count, *shape)).astype(np.float32)


def made(graph: Graph, path: Path, mode: str, **more: object) -> Model:
    model = Model([graph])
    if mode == "int8":
        more = {"calibration_data": str(path / "s.npz"), "improve": False, **more}
    else:
        more = {"min_weight_elements": 1, **more}
    quantize(model, QuantizeOptions(mode=mode, **more))  # type: ignore[arg-type]
    return model


def stored(model: Model) -> set[str]:
    found = [t for t in model.main.tensors() if t.is_constant and t.quant is not None]
    return {t.dtype.name for t in found if t.dtype.name in ("int4", "int8")}


@DELEGATES
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["int8", "dynamic", "weights"])
@pytest.mark.parametrize("name", LAYERS)
def test_kernels_read_them_right(
    run: Run, tmp_path: Path, name: str, mode: str, size: str, delegate: bool
) -> None:
    xs = samples(name, 20)
    np.savez(tmp_path / "s.npz", x=xs)
    more = SIZES[size]
    small = made(graph_of(name), tmp_path, mode, weight_bits=4, **more)
    usual = made(graph_of(name), tmp_path, mode, **more)
    hybrid_depth = mode == "dynamic" and name == "DEPTHWISE_CONV_2D"
    assert stored(small) == ({"int8"} if hybrid_depth else {"int4"})
    assert len(serialize(small)) <= len(serialize(usual))
    for op, other in zip(small.main.ops, usual.main.ops, strict=True):
        other.options = op.options  # beside 4 bits no kernel gives inputs a zero point if asked
    got, wanted = run(small, [xs[0]], delegate)[0], run(usual, [xs[0]], delegate)[0]
    assert difference(wanted, got)[0] > 40  # one rounds up where the other rounds down
    assert difference(run(graph_of(name), [xs[0]])[0], got)[0] > 32


@DELEGATES
@pytest.mark.parametrize("name", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"])
def test_a_bias_far_beyond_the_weights_is_kept(
    run: Run, tmp_path: Path, name: str, delegate: bool
) -> None:
    """Dead channels: of weights of nothing the bias is all that is left."""
    xs = samples(name, 20)
    np.savez(tmp_path / "s.npz", x=xs)

    def faint() -> Graph:
        graph = graph_of(name)
        w = graph.ops[0].input(1)
        assert w.data is not None
        w.data = w.data * np.float32(1e-9)
        return graph

    small = made(faint(), tmp_path, "int8", weight_bits=4)
    assert difference(run(faint(), [xs[0]])[0], run(small, [xs[0]], delegate)[0])[0] > 40


def test_the_rows_say_where(tmp_path: Path) -> None:
    rules = {row.name: row.quant for row in table().values() if row.quant is not None}
    assert {name: set(rule.nibbles) for name, rule in rules.items() if rule.nibbles} == {
        "FULLY_CONNECTED": {"FLOAT32", "INT8"},
        "CONV_2D": {"FLOAT32", "INT8"},
        "DEPTHWISE_CONV_2D": {"INT8"},
    }


def test_a_table_that_is_also_multiplied_with_is_stored_in_both_forms(run: Run) -> None:
    def tied() -> Graph:
        graph = parse(
            """i: i32[3] -> y
            rows = GATHER(f32[20,8], i)
            y = FULLY_CONNECTED(rows, f32[20,8])"""
        )
        table = graph.ops[0].input(0)
        table.data = np.random.default_rng(3).normal(size=(20, 8)).astype(np.float32)
        graph.set_input(graph.ops[1], 1, table)
        graph.prune()
        return graph

    plain, model = tied(), made(tied(), Path(), "dynamic", weight_bits=4)
    assert stored(model) == {"int4", "int8"}
    places = np.array([3, 0, 19], np.int32)
    for delegate in (True, False):
        found = difference(run(plain, [places])[0], run(model, [places], delegate)[0])[0]
        assert found > 18  # what 15 steps keep of normal weights


def test_a_file_of_them_is_read_and_written_again(run: Run, tmp_path: Path) -> None:
    xs = samples("CONV_2D", 20)
    np.savez(tmp_path / "s.npz", x=xs)
    content = serialize(made(graph_of("CONV_2D"), tmp_path, "int8", weight_bits=4))
    again = serialize(read(content, "n"))
    assert np.array_equal(run(content, [xs[0]])[0], run(again, [xs[0]])[0])


def test_clipping_the_largest_weights_loses_less() -> None:
    data = np.random.default_rng(4).normal(size=(8, 400))
    params = weights(data, 0, np.dtype("int4"))
    peaks = np.abs(data).max(axis=1)
    assert np.all(params.scale * 7 < peaks)

    def lost(scale: np.ndarray) -> float:
        whole = np.clip(np.rint(data / scale[:, None]), -7, 7) * scale[:, None]
        return float(np.square(data - whole).sum())

    assert lost(params.scale) < 0.8 * lost(peaks / 7)
    assert np.square(data - decode(encode(data, params), params)).sum() == pytest.approx(
        lost(params.scale), rel=1e-3
    )


def test_what_lies_on_the_grid_is_not_clipped() -> None:
    rows = np.random.default_rng(4).integers(-7, 8, size=(5, 50)) * 0.1
    rows[:, 0] = 0.7
    assert np.array_equal(nearest_peaks(rows, np.full(5, 0.7), 7), np.full(5, 0.7))


def test_older_runtimes_are_told_apart(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", x=samples("CONV_2D", 20))
    model = made(graph_of("CONV_2D"), tmp_path, "int8", weight_bits=4)
    op = next(op for op in model.main.ops if op.type == "CONV_2D")
    assert device("tflite-2.11").refuses(op) is None
    refusal = device("tflite-2.10").refuses(op)
    assert refusal is not None
    assert refusal.remedy == "--weight_bits 8"


@pytest.mark.parametrize("mode", ["float16", "int16x8", "uint8"])
def test_other_modes_refuse_them(mode: str) -> None:
    with pytest.raises(UsageError, match=f"weights of 4 bits do not go with {mode}"):
        quantize(Model([graph_of("CONV_2D")]), QuantizeOptions(mode=mode, weight_bits=4))


def test_other_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="weight_bits is 4 or 8, not 5"):
        quantize(Model([graph_of("CONV_2D")]), QuantizeOptions(mode="int8", weight_bits=5))
