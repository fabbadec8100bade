"""tqconv inspect: the facts, as text and as JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from networks_keras import given, layer, sequential, write_h5

from tqconv.api import save
from tqconv.compose.builder import Builder
from tqconv.compose.conv import conv
from tqconv.compose.windows import Window
from tqconv.exporters.report import describe, peak_bytes
from tqconv.importers.source import SourceFile
from tqconv.ir.graph import Graph, Model, Op
from tqconv.ir.types import Quant, Source
from tqconv.jobs.look import as_stated
from tqconv.ops.emit import emit
from tqconv.ops.table import table
from tqconv.schema import proto

if TYPE_CHECKING:
    from .conftest import Tqconv


def dense(quantized: bool = False) -> Model:
    """Return x [2,3] -> y [2,4] through a dense layer with bias."""
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.float32))
    w, b = np.ones((4, 3), np.float32), np.zeros(4, np.float32)
    y = emit(graph, "FULLY_CONNECTED", x, w, b, name="y")
    graph.outputs.append(y)
    if quantized:
        for tensor in (x, y):
            tensor.dtype = np.dtype(np.uint8)
            tensor.quant = Quant.per_tensor(1 / 255, 0)
    return Model([graph], "dense")


def test_text_of_a_small_model(tqconv: Tqconv, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    size = save(dense(), path)
    packed = len(gzip.compress(path.read_bytes(), 9))
    assert tqconv("inspect", path, "--verbose").out == (
        f"{path}: a .tflite file, {size} B ({packed} B as gzip)\n"
        "\n"
        "  operators    1 of 1 kind\n"
        "  parameters   16\n"
        "  constants    64 B\n"
        "  activations  56 B at once\n"
        "  MACs         24\n"
        f"  description  {description()}\n"
        "\n"
        "inputs\n"
        "  x  float32  [2, 3]\n"
        "\n"
        "outputs\n"
        "  y  float32  [2, 4]\n"
        "\n"
        "operators\n"
        "  FULLY_CONNECTED  1  v1  64 B  24 MACs\n"
        "\n"
        "operator list\n"
        "  0  FULLY_CONNECTED  y  [2, 4]  24 MACs\n"
        "\n"
        "tensor list\n"
        "  x    float32  [2, 3]\n"
        "  y/w  float32  [4, 3]  const\n"
        "  y/b  float32  [4]     const  = 0, 0, 0, 0\n"
        "  y    float32  [2, 4]\n"
    )


def description() -> str:
    from tqconv import __version__

    return f"tqconv {__version__}"


def test_scales_are_shown_as_they_are_stored(tqconv: Tqconv, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    save(dense(quantized=True), path)
    text = tqconv("inspect", path).out
    assert "  x  uint8  [2, 3]  scale 0.003921568859368563, zero point 0\n" in text


def test_json_holds_the_same_facts(tqconv: Tqconv, tmp_path: Path) -> None:
    path = tmp_path / "dense.tflite"
    size = save(dense(), path)
    document = json.loads(tqconv("inspect", path, "--json").out)
    assert (document["format"], document["bytes"]) == ("tflite", size)
    assert (document["parameters"], document["macs"]) == (16, 24)
    [graph] = document["graphs"]
    assert graph["ops"][0]["inputs"] == ["x", "y/w", "y/b"]
    assert graph["inputs"] == [
        {
            **{"name": "x", "type": "float32", "shape": [2, 3], "bytes": 24, "constant": False},
            **{"scale": [], "zero_point": [], "axis": None, "block": None},
            **{"range": None, "values": None},
        }
    ]


def test_shared_constants_count_once() -> None:
    model = dense()
    graph = model.main
    w, b = graph.ops[0].inputs[1:3]
    graph.outputs.append(emit(graph, "FULLY_CONNECTED", graph.inputs[0], w, b, name="z"))
    assert describe(model).parameters == 16


def test_peak_is_the_largest_sum_of_living_tensors() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (100,), np.dtype(np.float32))
    a = emit(graph, "RELU", x, name="a")
    b = emit(graph, "RELU", a, name="b")
    graph.outputs.append(emit(graph, "ADD", a, b, name="c"))
    assert peak_bytes(graph) == 3 * 400


def test_what_reads_nothing_else_is_counted_in_bodies_too() -> None:
    body = Graph("body")
    x = body.add_input("x", (1,), np.dtype(np.float32))
    body.outputs.append(emit(body, "RELU", x, name="y"))
    main = Graph("main")
    x = main.add_input("x", (1,), np.dtype(np.float32))
    y = main.constant("y", np.zeros(1, np.float32))
    main.add(Op("IF", (x,), (), graphs=(body, body)))
    main.outputs.append(y)
    assert describe(Model([main])).op_counts == {"IF": 1, "RELU": 1}


def test_a_graph_without_translation_is_shown_by_its_nodes(tqconv: Tqconv, tmp_path: Path) -> None:
    graph = proto.messages().GraphDef()
    node = graph.node.add(name="photo", op="Placeholder")
    node.attr["dtype"].type = 7
    node.attr["shape"].shape.SetInParent()
    graph.node.add(name="pixels", op="NoSuchOperator", input=["photo"]).attr["dtype"].type = 1
    graph.versions.producer = 27
    path = tmp_path / "g.pb"
    path.write_bytes(graph.SerializeToString())
    result = tqconv("inspect", path, "--verbose")
    assert result.code == 0
    assert result.out == (
        f"{path}: a GraphDef, {path.stat().st_size} B\n"
        "\n"
        "  nodes     2 of 2 kinds\n"
        "  producer  27\n"
        "\n"
        "placeholders\n"
        "  photo  Placeholder  string  []\n"
        "\n"
        "possible outputs\n"
        "  pixels  NoSuchOperator  float32  [?…]\n"
        "\n"
        "operators\n"
        "  NoSuchOperator  1  no translation\n"
        "  Placeholder     1\n"
        "\n"
        "node list\n"
        "  Placeholder     photo\n"
        "  NoSuchOperator  pixels  photo\n"
    )
    assert result.err.startswith("note: 1 operator of g.pb has no TFLite translation")
    document = json.loads(tqconv("inspect", path, "--json").out)
    assert document["untranslated"] == {"NoSuchOperator": 1}


def test_nodes_shows_any_graph_that_way(tqconv: Tqconv, digits: Path) -> None:
    result = tqconv("inspect", digits, "--nodes")
    assert (result.code, result.err) == (0, "")
    assert "  Conv2D " in result.out
    assert "no translation" not in result.out


def test_the_table_of_operators_comes_from_the_rows(tqconv: Tqconv) -> None:
    lines = tqconv("inspect", "--supported_ops").out.splitlines()
    assert len(lines) == 1 + len(table())
    assert [line.split()[0] for line in lines[1:]] == sorted(table())
    rows = json.loads(tqconv("inspect", "--supported-ops", "--json").out)
    assert {row["name"] for row in rows} == set(table())


@pytest.mark.parametrize("words", [[], ["--verbose"], ["--json"]])
def test_every_sample_model_can_be_inspected(
    tqconv: Tqconv, digits: Path, words: list[str]
) -> None:
    for path in digits.parents[1].glob("*/graph.pb"):
        assert tqconv("inspect", path, *words).code == 0, path


def convolution() -> Model:
    """Return a convolution without a bias, as a GraphDef's importer makes it."""
    graph = Graph("main")
    x = graph.add_input("x", (1, 8, 8, 3), np.dtype(np.float32))
    b = Builder(graph, Source("t", "y", "Conv2D"), "y")
    w = b.const(np.ones((3, 3, 3, 5), np.float32), what="w")
    graph.outputs.append(conv(b, x, w, [Window(3), Window(3)]))
    return Model([graph], "conv")


def test_the_bias_that_a_kernel_asks_for_is_no_fact_of_the_file() -> None:
    model = convolution()
    (op,) = model.main.ops
    assert op.inputs[2] is not None
    assert describe(model).parameters == 3 * 3 * 3 * 5 + 5
    with as_stated(model):
        facts = describe(model)
    assert facts.parameters == 3 * 3 * 3 * 5
    assert facts.main.ops[0].inputs[2] is None
    assert [t.name for t in facts.main.tensors if t.constant] == ["y/transpose"]
    assert op.inputs[2] is not None  # it is back, for what comes behind
    model.main.check()


def test_inspect_counts_what_a_graph_states(tqconv: Tqconv, digits: Path, tmp_path: Path) -> None:
    facts = json.loads(tqconv("inspect", digits, "--json").out)
    assert facts["parameters"] == 7490  # as the weights and biases of the file
    written = json.loads(tqconv("convert", digits, "--json", "-o", tmp_path / "m.tflite").out)
    assert written["parameters"] == 7490


def test_a_target_is_answered_from_one_reading(
    tqconv: Tqconv, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = SourceFile.load
    monkeypatch.setattr(SourceFile, "load", lambda file, o: read.append(file.path) or load(file, o))
    words = ("--target", "tflm", "--report", tmp_path / "r.html")
    result = tqconv("inspect", digits, *words)
    assert result.code == 0
    assert "all 6 operators run on it" in result.out
    assert "  operators    11 of 7 kinds" in result.out  # the facts are of the file, not optimized
    assert len(read) == 1


def test_bodies_of_loops_are_shown_where_all_is(tqconv: Tqconv, tmp_path: Path) -> None:
    config = {"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"}
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in ((2, 6), (2, 6), (2, 6))]
    path = write_h5(
        tmp_path / "m.h5",
        sequential(given("x", [1, 5, 2]), layer("GRU", "cell", **config, reset_after=True)),
        {"cell": [(f"cell/{i}:0", array) for i, array in enumerate(arrays)]},
    )
    shown = tqconv("inspect", path).out
    assert "graphs       3, 2 of them run by operators (--verbose)" in shown
    assert "inputs of graph" not in shown
    assert "inputs of graph 2 `" in tqconv("inspect", path, "-v").out
    graphs = json.loads(tqconv("inspect", path, "--json").out)["graphs"]
    assert [graph["is_body"] for graph in graphs] == [False, True, True]
