"""tqconv dot: text that Graphviz draws."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from tqconv.exporters.drawing.colors import FAMILIES
from tqconv.exporters.drawing.picture import picture_text
from tqconv.ir.graph import Graph, Model, Op
from tqconv.ir.types import Quant, Source
from tqconv.ops.emit import emit
from tqconv.ops.table import table

if TYPE_CHECKING:
    from .conftest import Tqconv

TOKEN = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|<(?P<html><table.*</table>)>|(?P<word>[\w#.]+)'
    r"|(?P<mark>->|[{}\[\]=,;:]))"
)


def tokens(text: str) -> list[str]:
    """Read dot text; fail on anything that the language does not have."""
    found, position = [], 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        assert match, f"not the dot language: {text[position : position + 60]!r}"
        if match["html"]:
            ElementTree.fromstring(match["html"])
        found.append(match[0].strip())
        position = match.end()
    for left, right in ("{}", "[]"):
        assert found.count(left) == found.count(right)
    return found


def edges(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^ *(\w+)(?::\w+)? -> (\w+)(?::\w+)?(?:;| \[)", text, re.M))


def rows(text: str) -> dict[str, str]:
    """Return the facts of all boxes with their names."""
    row = r'<font color="#555555">(.*?)</font></td><td align="left" width="\d+">(.*?)</td>'
    return dict(re.findall(row, text))


def convolution(name: str = "c") -> Model:
    graph = Graph("main")
    x = graph.add_input("x", (None, 8, 8, 3), np.dtype(np.float32))
    w, b = np.ones((4, 3, 5, 3), np.float32), np.ones(4, np.float32)
    y = emit(
        graph, "CONV_2D", x, w, b, name=name,
        source=Source("n.pb", name, "Conv2D"), stride_h=2, stride_w=2, padding="VALID",
        fused_activation_function="RELU6",
    )  # fmt: skip
    graph.outputs.append(y)
    return Model([graph], "n.pb")


def test_a_convolution_shows_what_it_does() -> None:
    text = picture_text(convolution())
    tokens(text)
    assert edges(text) == {("g0_in0", "g0_op0"), ("g0_op0", "g0_out0")}
    assert "<b>CONV_2D + RELU6</b>" in text
    assert rows(text) == {
        "kernel": "3×5",
        "stride": "2×2",
        "padding": "VALID",
        "w": "f32[4×3×5×3] · 720 B",
        "b": "f32[4] · = [1, 1, 1, 1]",
    }
    assert ">f32[?×8×8×3] · 768 B<" in text
    assert ">→ f32[?×3×2×4] · 96 B<" in text
    assert "tooltip=\"Conv2D 'c' in n.pb\"" in text


@pytest.mark.parametrize("name", ['a"b', "a\\", "<b>&amp;</b>", "a\nb\x07", "]>;{", "größe"])
def test_names_cannot_break_the_picture(name: str) -> None:
    text = picture_text(convolution(name))
    assert tokens(text).count("->") == 2


def test_values_say_which_reals_they_can_hold() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2,), np.dtype(np.int8))
    y = emit(graph, "RELU", x, name="y")
    z = emit(graph, "RELU", y, name="z")
    x.quant = Quant.per_tensor(0.5, -3)
    y.quant = z.quant = Quant.per_tensor(0.25, 4)
    graph.outputs.append(z)
    text = picture_text(Model([graph]))
    assert ">i8[2] · -62.5 … 65 · 2 B<" in text
    assert text.count(">→ i8[2] · -33 … 30.75 · 2 B<") == 2


def test_bodies_are_clusters_that_their_operator_points_at() -> None:
    body = Graph("body of a loop")
    x = body.add_input("x", (1,), np.dtype(np.float32))
    body.outputs.append(emit(body, "RELU", x, name="y"))
    main = Graph("main")
    x = main.add_input("x", (1,), np.dtype(np.float32))
    main.add(Op("IF", (x, x), (), graphs=(body, body)))
    main.outputs.append(x)
    text = picture_text(Model([main]))
    tokens(text)
    assert text.count("subgraph cluster_") == 1
    assert ">then of IF · body of a loop</td>" in text
    assert [(a, b) for a, b in edges(text) if a == "g0_op0"] == [("g0_op0", "g1_in0")]
    assert "{ rank=same; g0_op0; g1_in0; }" in text
    assert ("g0_in0", "g0_out0") in edges(text)


def test_every_category_has_a_color() -> None:
    assert {row.category for row in table().values()} - {"other"} <= set(FAMILIES)


def test_the_text_is_the_same_every_time(tqconv: Tqconv, tflite: Path, tmp_path: Path) -> None:
    printed = tqconv("dot", tflite).out
    result = tqconv("dot", tflite, "-o", tmp_path / "g.dot")
    assert result.out == f"{tmp_path / 'g.dot'}: {len(printed.encode())} bytes\n"
    assert (tmp_path / "g.dot").read_text() == printed
    tokens(printed)


def test_optimize_draws_what_convert_writes(tqconv: Tqconv, digits: Path, tflite: Path) -> None:
    def boxes(text: str) -> list[str]:
        return re.findall(r"<b>([A-Z_0-9]+)(?: [+] \w+)?</b>", text)

    drawn = boxes(tqconv("dot", digits, "--optimize").out)
    assert drawn == boxes(tqconv("dot", tflite).out)
    assert len(drawn) < len(boxes(tqconv("dot", digits).out))


def test_sample_models_give_the_dot_language(tqconv: Tqconv, digits: Path) -> None:
    for path in digits.parents[1].glob("*/graph.pb"):
        tokens(tqconv("dot", path).out)


NODES = """
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: 2 } dim { size: -1 } } } } }
node { name: "axis" op: "Const" attr { key: "dtype" value { type: DT_INT32 } }
  attr { key: "value" value { tensor { dtype: DT_INT32 tensor_shape {} int_val: 0 } } } }
node { name: "odd" op: "NoSuch<Op" input: "x" input: "axis" input: "^x" }
node { name: "y" op: "Relu" input: "odd:1" }
"""


def test_a_graph_without_translation_is_drawn_node_by_node(tqconv: Tqconv, tmp_path: Path) -> None:
    source, target = tmp_path / "odd.pbtxt", tmp_path / "odd.dot"
    source.write_text(NODES)
    result = tqconv("dot", source, "-o", target)
    assert result.code == 0
    assert "note: 1 operator of odd.pbtxt has no TFLite translation" in result.err
    text = target.read_text()
    tokens(text)
    assert edges(text) == {("n0", "n2"), ("n2", "n3")}
    assert "NoSuch&lt;Op" in text
    assert rows(text) == {"op": "Placeholder", "axis": "int32[]"}
    assert text.count("<b>! no translation</b>") == 1
    assert "float32[2×?]" in text
    assert tqconv("dot", source).out == text


@pytest.mark.parametrize("words", [["--optimize"], ["--output_arrays", "y"]])
def test_what_was_asked_for_by_name_is_not_replaced_by_nodes(
    tqconv: Tqconv, tmp_path: Path, words: list[str]
) -> None:
    source = tmp_path / "odd.pbtxt"
    source.write_text(NODES)
    result = tqconv("dot", source, *words)
    assert (result.code, result.out) == (4, "")
    assert "--allow_custom_ops does not do here: 'odd:1' is read, but its node has no" in result.err
