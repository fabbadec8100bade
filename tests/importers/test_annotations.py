"""Attributes of a type that a handler does not expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graphs import const, node

from tqconv.config import LoadOptions
from tqconv.errors import FormatError
from tqconv.importers.annotations import misfit
from tqconv.importers.tf.graphdef import load
from tqconv.importers.tf.node import TypeNumber, graph_ref, nodes_of
from tqconv.schema import proto


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("int", 3),
        ("int", TypeNumber(1)),
        ("float", 3),
        ("float", 0.5),
        ("bool", True),
        ("str", "SAME"),
        ("str | None", None),
        ("list[int]", [1, 2]),
        ("Sequence[int] | None", []),
        ("Shape | None", (1, None)),
        ("TypeNumber", TypeNumber(1)),
        ("Any", object()),
        ("list[Shape | None]", [(1,), None]),
    ],
)
def test_values_that_fit(annotation: str, value: object) -> None:
    assert misfit(annotation, value) is None


@pytest.mark.parametrize(
    ("annotation", "value", "problem"),
    [
        ("int", "3", "is '3', not a whole number"),
        ("int", True, "is True, not a whole number"),
        ("int", 1.5, "is 1.5, not a whole number"),
        ("int", None, "is None, not a whole number"),
        ("str", b"\xff", r"is b'\xff', not text"),
        ("bool", 1, "is 1, not true or false"),
        ("list[int]", 2, "is 2, not a list, each item a whole number"),
        ("list[int]", ["a"], "is ['a'], not a list, each item a whole number"),
        ("Sequence[float] | None", "x", "is 'x', not a list, each item a number"),
        ("TypeNumber | None", 1, "is 1, not a type"),
        ("list[Shape | None]", [3], "is [3], not a list, each item a shape or nothing"),
        ("Shape", "A" * 90, "is '" + "A" * 38 + "…, not a shape"),
    ],
)
def test_values_that_do_not(annotation: str, value: object, problem: str) -> None:
    assert misfit(annotation, value) == problem


@pytest.mark.parametrize(
    ("op", "name", "field", "value", "words"),
    [
        ("MaxPool", "strides", "s", b"2", "the attribute `strides` is '2', not a list, each item"),
        ("MaxPool", "padding", "i", 3, "the attribute `padding` is 3, not text"),
        ("MaxPool", "padding", "s", b"\xff", "the attribute `padding` is b'\\xff', not text"),
        ("LeakyRelu", "alpha", "s", b"x", "the attribute `alpha` is 'x', not a number"),
    ],
)
def test_a_node_names_the_attribute(
    tmp_path: Path, op: str, name: str, field: str, value: Any, words: str
) -> None:
    graph = proto.messages().GraphDef()
    x = graph.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = 1
    for size in (1, 4, 4, 1):
        x.attr["shape"].shape.dim.add(size=size)
    y = graph.node.add(name="y", op=op, input=["x"])
    if op == "MaxPool":
        y.attr["ksize"].list.i.extend([1, 2, 2, 1])
        y.attr["strides"].list.i.extend([1, 2, 2, 1])
        y.attr["padding"].s = b"VALID"
    setattr(y.attr[name], field, value)
    path = tmp_path / "g.pb"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(FormatError) as caught:
        load(path, LoadOptions())
    assert f"{op} 'y' in g.pb" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("shape", "two"), ("dtype", 7), ("value", "x"), ("f", "g"), ("_output_shapes", ["x"])],
)
def test_attributes_that_are_read_outside_of_handlers(name: str, value: Any) -> None:
    made = next(iter(nodes_of(iter([node("y", "Odd", **{name: value})]), graph_ref).values()))
    with pytest.raises(FormatError, match=f"Odd 'y': the attribute `{name}` is .*, not"):
        made.get(name)


def test_the_shape_of_a_constant_is_known_without_its_values() -> None:
    messages = [const("c", np.zeros((2, 3), np.float32)), node("d", "Const", value="text")]
    made = nodes_of(iter(messages), graph_ref)
    assert made["c"].constant_shape() == (2, 3)
    assert made["d"].constant_shape() is None
