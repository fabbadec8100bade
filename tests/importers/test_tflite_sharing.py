"""What tensors of a file share stays shared: memory and the written file are those of one."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from graph_text import parse as parse_text

from tqconv.errors import FormatError
from tqconv.exporters.tflite import encode_strings, serialize
from tqconv.importers.tflite.reader import parse
from tqconv.ir.graph import Model
from tqconv.runtime.litert import run
from tqconv.schema.flatbuf import read, write

INT8, STRING, FLOAT32 = 9, 5, 0
CHANNELS, TENSORS = 50_000, 400
MOST = 40 * CHANNELS
"""Bytes: several copies of a vector of scales and zero points (12 bytes each), never hundreds."""


def file_of(tensors: list[dict[str, Any]], *buffers: bytes) -> bytes:
    graph = {"tensors": tensors, "inputs": [0], "outputs": [0], "operators": []}
    held = [{}, *({"data": b} for b in buffers)]
    content = {"version": 3, "subgraphs": [graph], "buffers": held, "operator_codes": []}
    return bytes(write(content))


def scales(count: int) -> dict[str, Any]:
    return {"scale": np.full(count, 0.5, np.float32), "zero_point": np.zeros(count, np.int64)}


def test_scales_that_tensors_share_are_held_and_written_once() -> None:
    one = scales(CHANNELS)
    shape = np.array([CHANNELS], np.int32)
    tensors = [
        {"name": f"t{i}", "type": INT8, "shape": shape, "quantization": one} for i in range(TENSORS)
    ]
    content = file_of(tensors)
    assert len(content) < MOST
    tracemalloc.start()
    model = parse(content, "shared.tflite")
    model.main.outputs[:] = model.main.inputs
    again = bytes(serialize(model))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST + 4 * len(content) + 2000 * TENSORS
    assert len(again) < MOST


def test_strings_that_tensors_share_are_read_once() -> None:
    data = encode_strings(np.array([b"word"] * 5, object))
    shape = np.array([5], np.int32)
    tensors = [{"name": f"t{i}", "type": STRING, "shape": shape, "buffer": 1} for i in range(3)]
    graph = {"tensors": tensors, "inputs": [], "outputs": [0, 1, 2], "operators": []}
    held = [{}, {"data": data}]
    content = {"version": 3, "subgraphs": [graph], "buffers": held, "operator_codes": []}
    main = parse(bytes(write(content)), "strings.tflite").main
    assert np.shares_memory(main.outputs[0].data, main.outputs[2].data)
    assert list(main.outputs[1].data) == [b"word"] * 5


@pytest.mark.parametrize(
    ("shape", "axis"), [((4,), 0), ((3, 4), 2), ((), 0)], ids=["too few", "no such axis", "scalar"]
)
def test_a_count_of_scales_that_fits_no_axis_is_refused(shape: tuple[int, ...], axis: int) -> None:
    """LiteRT refuses such a file, too."""
    said = {**scales(3), "quantized_dimension": axis}
    entry = {"name": "t", "type": INT8, "shape": np.array(shape, np.int32), "quantization": said}
    with pytest.raises(FormatError, match="has 3 scales"):
        parse(file_of([entry]), "scales.tflite")


def test_a_scale_on_reals_says_nothing() -> None:
    entry = {"name": "t", "type": FLOAT32, "shape": np.array([3], np.int32)}
    model = parse(file_of([{**entry, "quantization": scales(1)}]), "reals.tflite")
    assert model.main.inputs[0].quant is None


def test_results_without_elements_have_buffers_of_their_own() -> None:
    """TensorFlow's converter gives each tensor a buffer, also those of a GRU that split off 0."""
    graph = parse_text("""x: f32[1,6] -> y
        a, b, c = SPLIT_V(x, [4,2,0], 1) {num_splits=3}
        y = NEG(a)""")
    content = read(serialize(Model([graph])))
    for tensor in content["subgraphs"][0]["tensors"]:
        if not tensor.get("buffer"):
            tensor["buffer"] = len(content["buffers"])
            content["buffers"].append({})
    theirs = bytes(write(content))
    model = parse(theirs, "split.tflite")
    assert not any(t.is_constant for op in model.main.ops for t in op.outputs)
    x = {"x": np.arange(6, dtype=np.float32)[None]}
    np.testing.assert_array_equal(run(serialize(model), [x])[0][0], run(theirs, [x])[0][0])
