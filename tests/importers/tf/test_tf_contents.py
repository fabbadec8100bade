"""Large constants are views of the file, whatever stands around them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tqconv.config import LoadOptions
from tqconv.errors import FormatError
from tqconv.importers.tf import contents, graphdef
from tqconv.importers.tf.contents import taken_out
from tqconv.importers.tf.node import graph_ref, nodes_of
from tqconv.schema import proto

FLOAT = 1


def graph(large: int = 20_000) -> object:
    """y = (x + big) * small."""
    message = proto.messages().GraphDef()
    message.node.add(name="x", op="Placeholder").attr["dtype"].type = FLOAT
    message.node[0].attr["shape"].shape.dim.add(size=1)
    for name, size in (("big", large), ("small", 2), ("other", large)):
        node = message.node.add(name=name, op="Const")
        node.attr["dtype"].type = FLOAT
        tensor = node.attr["value"].tensor
        tensor.dtype = FLOAT
        tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = np.arange(size, dtype=np.float32).tobytes()
    for name, op, inputs in (("s", "Add", ["x", "big"]), ("y", "Mul", ["s", "other"])):
        node = message.node.add(name=name, op=op, input=inputs)
        node.attr["T"].type = FLOAT
    message.versions.producer = 1987
    return message


def test_only_the_large_constants_are_taken_out() -> None:
    content = graph().SerializeToString()
    rest = taken_out(memoryview(content))
    assert set(rest.taken) == {"big", "other"}
    assert len(rest.graph) < 1000
    parsed = graphdef.parse(rest.graph, Path("g.pb"))
    assert [node.name for node in parsed.node] == ["x", "big", "small", "other", "s", "y"]
    assert parsed.versions.producer == 1987
    nodes = rest.returned(nodes_of(iter(parsed.node), graph_ref))
    value = nodes["big"].get("value")
    assert np.array_equal(value, np.arange(20_000, dtype=np.float32))
    assert np.shares_memory(value, np.frombuffer(content, np.uint8))
    assert nodes["big"].constant_shape() == (20_000,)
    assert nodes["big"].get("dtype") == FLOAT


def test_a_file_converts_to_the_same_with_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g.pb").write_bytes(graph().SerializeToString())
    constants = []
    for large in (contents.LARGE, 1 << 40):
        monkeypatch.setattr(contents, "LARGE", large)
        model = graphdef.load(tmp_path / "g.pb", LoadOptions())
        constants.append([t.data.tobytes() for t in model.main.tensors() if t.data is not None])
    assert constants[0] == constants[1]
    assert len(constants[0]) == 2


def test_content_that_does_not_fill_its_shape_names_the_node(tmp_path: Path) -> None:
    message = graph()
    message.node[1].attr["value"].tensor.tensor_shape.dim[0].size = 19_999
    (tmp_path / "g.pb").write_bytes(message.SerializeToString())
    with pytest.raises(FormatError, match="19999 elements has 80000 bytes") as caught:
        graphdef.load(tmp_path / "g.pb", LoadOptions())
    assert "big" in str(caught.value.where)


@pytest.mark.parametrize("spoil", ["twice", "list", "other key"])
def test_what_is_unusual_stays(spoil: str) -> None:
    message = graph()
    if spoil == "twice":
        message.node[3].name = "big"
    elif spoil == "list":
        message.node[1].attr["more"].s = bytes(contents.LARGE)
        message.node[3].attr["more"].s = bytes(contents.LARGE)
    else:
        for node in (message.node[1], message.node[3]):
            node.attr["weight"].CopyFrom(node.attr["value"])
            del node.attr["value"]
    content = message.SerializeToString()
    rest = taken_out(memoryview(content))
    assert (bytes(rest.graph), rest.taken) == (content, {})


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_damage_is_left_to_the_parser(data: st.DataObject) -> None:
    content = bytearray(graph(9000).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 300))
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 400))
    view = memoryview(bytes(content))[: len(content) - cut]
    rest = taken_out(view)
    assert len(rest.graph) <= len(view)
