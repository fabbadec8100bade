"""Constants that LiteRT's kernels beside float activations read wrong as they stand."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Model
from tqconv.quant.weights import quantize
from tqconv.runtime.compare import difference

RNG = np.random.default_rng(11)
DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])


def dynamic(text: str) -> Model:
    model = Model([parse(text)])
    quantize(model, QuantizeOptions(mode="dynamic", min_weight_elements=1))
    model.main.check()
    return model


def types(model: Model) -> list[str]:
    return [op.type for op in model.main.ops]


def has_float_constants(model: Model) -> bool:
    return any(t.is_constant and t.dtype == np.float32 for t in model.main.tensors())


def test_products_of_open_size_without_elements_stay_as_they_are() -> None:
    model = dynamic("x: f32[?,2,0,8] -> y\ny = BATCH_MATMUL(x, f32[1,1,8,4])")
    assert "RESHAPE" not in types(model)


PRODUCTS = {
    "one batch axis": ("2,16,64", "2,64,32", ""),
    "a matrix for all": ("2,3,16,64", "64,32", ""),
    "a matrix for all, transposed": ("2,3,16,64", "32,64", " {adj_y=True}"),
    "one for each": ("2,3,16,64", "2,3,64,32", ""),
    "one for each, the left one transposed": ("2,3,64,16", "2,3,64,32", " {adj_x=True}"),
    "three batch axes": ("2,1,3,2,4", "2,1,3,4,5", ""),
    "one for each of the inner axis": ("2,3,16,64", "3,64,32", ""),
    "one for each of the outer axis": ("2,3,16,64", "2,1,64,32", ""),
    "more batches on the right": ("1,3,16,64", "2,3,64,32", ""),
}


@DELEGATES
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_over_batch_axes_are_close(run: Run, name: str, delegate: bool) -> None:
    left, right, option = PRODUCTS[name]
    text = f"x: f32[{left}] -> z\nz = BATCH_MATMUL(x, f32[{right}]){option}"
    model = dynamic(text)
    x = RNG.normal(size=[int(d) for d in left.split(",")]).astype(np.float32)
    assert difference(run(parse(text), [x])[0], run(model, [x], delegate)[0])[0] > 40
    assert not has_float_constants(model)


@DELEGATES
def test_a_product_over_an_unknown_batch_axis_is_close(run: Run, delegate: bool) -> None:
    text = "x: f32[?,3,16,64] -> z\nz = BATCH_MATMUL(x, f32[64,32])"
    x = RNG.normal(size=(2, 3, 16, 64)).astype(np.float32)
    wanted = run(parse(text), [x])[0]
    assert difference(wanted, run(dynamic(text), [x], delegate)[0])[0] > 40


TABLES = {
    "narrow rows": ("2,3", "GATHER(f32[50,16], i)", 40),
    "wide rows": ("2,3", "GATHER(f32[50,256], i)", 43),
    "wide rows in a row": ("3", "GATHER(f32[50,256], i)", 43),
    "columns": ("2,3", "GATHER(f32[16,50], i) {axis=1}", 40),
    "rows looked up": ("3", "EMBEDDING_LOOKUP(i, f32[50,16])", 43),
    "a vector": ("2,3", "GATHER(f32[64], i)", 40),
    "coordinates": ("4,1", "GATHER_ND(f32[50,16], i)", 40),
}


@DELEGATES
@pytest.mark.parametrize("name", TABLES)
def test_what_is_taken_from_a_table_is_close(run: Run, name: str, delegate: bool) -> None:
    shape, taken, least = TABLES[name]
    text = f"i: i32[{shape}] -> z\nz = {taken}"
    model = dynamic(text)
    assert not has_float_constants(model)
    i = RNG.integers(0, 16, [int(d) for d in shape.split(",")], np.int32)
    made = run(model, [i], delegate)[0]
    assert difference(run(parse(text), [i])[0], made)[0] > least
    again = serialize(read(serialize(model), "n"))
    assert np.array_equal(made, run(again, [i], delegate)[0])


def test_a_table_that_is_also_a_matrix_is_stored_once(run: Run) -> None:
    text = """i: i32[2,3] -> z
        w = GATHER(f32[50,64], i)
        z = FULLY_CONNECTED(w, f32[50,64]) {keep_num_dims=True}"""
    graph = parse(text)
    graph.set_input(graph.ops[1], 1, graph.ops[0].input(0))
    reference = serialize(Model([graph]))
    i = RNG.integers(0, 50, (2, 3), np.int32)
    wanted = run(reference, [i])[0]
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="dynamic", min_weight_elements=1))
    assert sum(t.dtype == np.int8 for t in model.main.tensors()) == 1
    assert difference(wanted, run(model, [i])[0])[0] > 35


def test_a_large_table_is_a_quarter_of_its_size() -> None:
    text = "i: i32[1,8] -> z\nz = GATHER(f32[4000,128], i)"
    whole = len(serialize(Model([parse(text)])))
    assert len(serialize(dynamic(text))) < 0.26 * whole
    wide = text.replace("4000,128", "1000,512")
    assert len(serialize(dynamic(wide))) < 0.26 * whole


def test_a_table_of_infinities_stays_float() -> None:
    graph = parse("i: i32[2] -> z\nz = GATHER(f32[50,16], i)")
    data = graph.ops[0].input(0).data
    assert data is not None
    data[3, 4] = np.inf
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="dynamic", min_weight_elements=1))
    assert types(model) == ["GATHER"]
    assert "not finite" in model.notes[0]
