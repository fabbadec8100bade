"""Formats are found by content, whatever the file is called."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest

from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UsageError
from tqconv.importers.detect import format_of
from tqconv.importers.source import source_of
from tqconv.importers.tf.graphdef import parse
from tqconv.importers.tflite import reader
from tqconv.schema import proto


def graph(nodes: int = 1, *, library: bool = False, versions: bool = False) -> Any:
    message = proto.messages().GraphDef()
    for index in range(nodes):
        node = message.node.add(name=f"n{index}", op="Placeholder")
        node.attr["dtype"].type = 1
    if library:
        message.library.function.add().signature.name = "f"
    if versions:
        message.versions.producer = 21
    return message


def meta_graph(tags: tuple[str, ...] = ("serve",)) -> Any:
    message = proto.messages().MetaGraphDef()
    message.meta_info_def.tags.extend(tags)
    message.meta_info_def.tensorflow_version = "1.15.0"
    message.graph_def.CopyFrom(graph(3))
    return message


def saved_model() -> Any:
    message = proto.messages().SavedModel(saved_model_schema_version=1)
    message.meta_graphs.add().CopyFrom(meta_graph())
    return message


def onnx_model(**fields: Any) -> bytes:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    value = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [node], "g", [value("x", onnx.TensorProto.FLOAT, [1])],
        [value("y", onnx.TensorProto.FLOAT, [1])],
    )  # fmt: skip
    return bytes(onnx.helper.make_model(body, **fields).SerializeToString())


BINARY = {
    "a graph": (graph().SerializeToString(), "graphdef"),
    "a graph with versions": (graph(5, versions=True).SerializeToString(), "graphdef"),
    "a graph with one node and a library": (
        graph(1, library=True, versions=True).SerializeToString(),
        "graphdef",
    ),
    "a meta graph": (meta_graph().SerializeToString(), "meta_graph"),
    "a meta graph without tags": (meta_graph(()).SerializeToString(), "meta_graph"),
    "a saved model": (saved_model().SerializeToString(), "saved_model"),
    "an onnx model": (onnx_model(), "onnx"),
    "an onnx model with a producer": (onnx_model(producer_name="a" * 300), "onnx"),
    "an hdf5 file": (b"\x89HDF\r\n\x1a\n" + bytes(100), "keras"),
    "a flatbuffer": (b"\x18\x00\x00\x00TFL3" + bytes(100), "tflite"),
}


@pytest.mark.parametrize("what", BINARY)
def test_binary_files(tmp_path: Path, what: str) -> None:
    content, expected = BINARY[what]
    path = tmp_path / "model"
    path.write_bytes(content)
    assert format_of(path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('node {\n  name: "x"\n}', "graphdef"),
        ('# a comment\n\n  node: { name: "x" }', "graphdef"),
        ("versions { producer: 21 }", "graphdef"),
        ("meta_info_def { }", "meta_graph"),
        ("saved_model_schema_version: 1", "saved_model"),
        ("ir_version: 8", "onnx"),
    ],
)
def test_text_files(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "model"
    path.write_text(text)
    assert format_of(path) == expected


def test_a_folder_with_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(saved_model().SerializeToString())
    assert format_of(tmp_path) == "saved_model"


def test_a_keras_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    assert format_of(tmp_path / "m.keras") == "keras"


def test_a_truncated_file_is_told_from_a_foreign_one(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(graph(9).SerializeToString()[:-3])
    with pytest.raises(FormatError, match="looks like a GraphDef, but it ends after"):
        format_of(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(FormatError, match="is no model in a known format"):
        format_of(path)


def test_the_given_format_counts_where_the_content_does_not_tell(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"\x00\x01\x02\x03")
    assert source_of(path, LoadOptions(format="tflite")).format is reader.FORMAT


@pytest.mark.parametrize("given", ["tflite", "onnx"])
def test_a_given_format_that_the_content_contradicts_is_refused(tmp_path: Path, given: str) -> None:
    path = tmp_path / "model"
    path.write_bytes(graph(1).SerializeToString())
    with pytest.raises(FormatError, match="is a GraphDef; --input_format says it is"):
        source_of(path, LoadOptions(format=given))


def test_tags_and_signatures_belong_to_saved_models(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(graph(1).SerializeToString())
    for options in (LoadOptions(signature="s"), LoadOptions(tags=("train",))):
        with pytest.raises(UsageError, match="is no SavedModel"):
            source_of(path, options)


@pytest.mark.parametrize("start", ["", "\ufeff", "\ufeff# a comment\n"])
def test_text_may_start_with_a_mark(tmp_path: Path, start: str) -> None:
    path = tmp_path / "g.pbtxt"
    node = 'node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }\n'
    path.write_text(start + node, encoding="utf-8")
    assert format_of(path) == "graphdef"
    assert parse(path.read_bytes(), path).node[0].name == "x"


def test_text_in_utf_16_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "g.pbtxt"
    path.write_text('node { name: "x" }', encoding="utf-16")
    with pytest.raises(FormatError, match="is text in UTF-16") as caught:
        format_of(path)
    assert caught.value.hint == "save it as UTF-8"


def test_a_loop_of_links_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(UsageError, match="a cannot be read: Too many levels of symbolic links"):
        format_of(tmp_path / "a")
