"""Weights of 4 bits with a scale for each block of a row, in dense layers beside floats."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import decibels, run_litert
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.exporters.drawing.words import stored_ends
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite.blocks import quant_of
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Model, Tensor
from tqconv.jobs.page import MOST_ELEMENTS
from tqconv.jobs.page import weights as distributions
from tqconv.jobs.quantize import quantize

RNG = np.random.default_rng(8)
X = RNG.normal(size=(3, 256)).astype(np.float32)
DENSE = """x: f32[3,256] -> y
y = FULLY_CONNECTED(x, w, b) {fused_activation_function=ACTIVATION}"""


def _model(weights: np.ndarray, activation: str = "NONE") -> Model:
    text = DENSE.replace("ACTIVATION", activation)
    rows = weights.shape[0]
    graph = parse(text.replace("w, b", f"f32[{rows},256], zeros[{rows}]"))
    graph.ops[0].input(1).data = weights
    return Model([graph])


def _blocks(model: Model) -> list[int]:
    quants = [t.quant for t in model.main.tensors() if t.quant is not None]
    return [quant.block for quant in quants]


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
@pytest.mark.parametrize(("block", "rows"), [(32, 8), (64, 4), (128, 5), (256, 33)])
def test_kernels_compute_with_blocks_what_they_stand_for(
    block: int, rows: int, activation: str
) -> None:
    """The activation is an operator of its own: the builtin kernel leaves a fused one out."""
    weights = RNG.normal(size=(rows, 256)).astype(np.float32)
    model = _model(weights, activation)
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=block))
    assert _blocks(model) == [block]
    (w,) = (t for t in model.main.tensors() if t.quant is not None)
    assert w.data is not None
    assert w.quant is not None
    real = _model(w.quant.decode(w.data).astype(np.float32), activation)
    (want,) = run_litert(real, {"x": X})
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": X}, delegate)
        assert decibels(want, got) > 38  # inputs are rounded to 8 bits


@pytest.mark.parametrize("rows", [16, 1024], ids=["all", "a selection"])
def test_a_report_shows_the_reals_of_blocks(rows: int) -> None:
    weights = RNG.normal(size=(rows, 256)).astype(np.float32) * np.geomspace(0.1, 1, 256)
    model = _model(weights.astype(np.float32))
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=32))
    (w,) = (t for t in model.main.tensors() if t.quant is not None)
    assert w.data is not None
    assert w.quant is not None
    reals = w.quant.decode(w.data)
    (shown,) = (d for d in distributions(model) if d.name == w.name)
    assert min(reals.size, MOST_ELEMENTS / 2) <= sum(shown.counts) <= MOST_ELEMENTS
    if reals.size <= MOST_ELEMENTS:
        assert (shown.low, shown.high) == (reals.min(), reals.max())
    assert stored_ends(w, w.quant) == (reals.min(), reals.max())


def test_blocks_lose_less_than_channels_where_rows_are_uneven() -> None:
    spread = np.repeat(RNG.uniform(0.1, 3, (16, 8)), 32, axis=1)
    weights = (RNG.normal(size=(16, 256)) * spread).astype(np.float32)
    (want,) = run_litert(_model(weights), {"x": X})
    kept = []
    for block in (0, 32):
        model = _model(weights)
        quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=block))
        (got,) = run_litert(model, {"x": X})
        kept.append(decibels(want, got))
    assert kept[1] > kept[0] + 4


def test_a_file_with_blocks_is_written_again_as_it_was() -> None:
    model = _model(RNG.normal(size=(8, 256)).astype(np.float32))
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=64))
    content = bytes(serialize(model))
    again = read(content, "m.tflite")
    assert _blocks(again) == [64]
    assert bytes(serialize(again)) == content
    np.testing.assert_array_equal(run_litert(again, {"x": X})[0], run_litert(model, {"x": X})[0])


def test_rows_that_are_no_whole_blocks_keep_channels_with_a_note() -> None:
    graph = parse("x: f32[3,48] -> y\ny = FULLY_CONNECTED(x, f32[32,48], zeros[32])")
    model = Model([graph])
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=32))
    assert _blocks(model) == [0]
    assert "rows are no multiples of 32" in "\n".join(model.notes)


@pytest.mark.parametrize("rows", [1, 3])
def test_few_outputs_keep_channels_as_the_builtin_kernel_makes_zeros_of_blocks(rows: int) -> None:
    weights = np.exp(RNG.normal(size=(rows, 256))).astype(np.float32)
    model = _model(weights)
    quantize(
        model, QuantizeOptions("dynamic", weight_bits=4, weight_block=32, min_weight_elements=1)
    )
    assert _blocks(model) == [0]
    assert "fewer than 4" in "\n".join(model.notes)
    x = np.abs(X)
    (want,) = run_litert(_model(weights), {"x": x})
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": x}, delegate)
        assert decibels(want, got) > 15


def test_weights_whose_scales_are_no_float16_keep_channels() -> None:
    model = _model(RNG.normal(size=(8, 256)).astype(np.float32) * 1e-5)
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=32))
    assert _blocks(model) == [0]


def test_blocks_of_zeros_are_zeros() -> None:
    weights = RNG.normal(size=(8, 256)).astype(np.float32)
    weights[:, :32] = 0
    model = _model(weights)
    quantize(model, QuantizeOptions("dynamic", weight_bits=4, weight_block=32))
    only = np.zeros_like(X)
    only[:, :32] = X[:, :32]
    for delegate in (True, False):
        (got,) = run_litert(model, {"x": only}, delegate)
        np.testing.assert_array_equal(got, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (QuantizeOptions("dynamic", weight_block=32), "weights of 4 bits"),
        (QuantizeOptions("weights", weight_bits=4, weight_block=32), "beside float activations"),
        (QuantizeOptions("dynamic", weight_bits=4, weight_block=33), "one of 32, 64, 128, 256"),
    ],
)
def test_blocks_that_no_kernel_takes_are_refused(options: QuantizeOptions, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        quantize(_model(RNG.normal(size=(8, 256)).astype(np.float32)), options)


@pytest.mark.parametrize(
    ("scales", "block", "said"),
    [
        (np.full(3, 0.1, np.float16), 32, "3 scales for blocks of 32"),
        (np.full(64, np.inf, np.float16), 32, "no lengths"),
        (np.full(64, -1, np.float16), 32, "no lengths"),
        (np.full(64, 0.1, np.float16), 31, "64 scales for blocks of 31"),
        (np.full(4, 0.1, np.float16), 512, "4 scales for blocks of 512"),
        (np.full(64, 1, np.int8), 32, "no tensor with its scales"),
    ],
)
def test_damaged_blocks_are_refused(scales: np.ndarray, block: int, said: str) -> None:
    w = Tensor("w", (8, 256), np.dtype(np.int8), np.zeros((8, 256), np.int8))
    other = Tensor("s", scales.shape, scales.dtype, scales)
    zeros = Tensor("z", (64,), np.dtype(np.int8), np.ones(64, np.int8))
    details = {"scales": 1, "block_size": block}
    with pytest.raises(FormatError, match=said):
        quant_of(w, "BlockwiseQuantization", details, [w, other])
    with pytest.raises(FormatError, match="no tensor with its scales"):
        quant_of(w, "BlockwiseQuantization", {"scales": 7, "block_size": 32}, [w, other])
    fair = Tensor("f", (64,), np.dtype(np.float16), np.full(64, 0.5, np.float16))
    details = {"scales": 1, "block_size": 32, "zero_points": 2}
    with pytest.raises(UnsupportedError, match="zero points"):
        quant_of(w, "BlockwiseQuantization", details, [w, fair, zeros])
    with pytest.raises(UnsupportedError, match="several axes"):
        quant_of(w, "MultiAxisQuantization", {}, [w, fair])
    assert quant_of(w, "CustomQuantization", {}, [w]) is None
