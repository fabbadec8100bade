"""Our .proto text against the wire format and the converter's own messages."""

import struct

import pytest
from google.protobuf import descriptor_pool, text_format

from tqconv.errors import FormatError
from tqconv.schema import proto

MESSAGES = proto.messages()


def field(number, wire, content):
    """One field on the wire: tag, then a varint below 128, a fixed32, or a short string."""
    tag = number << 3 | wire
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    if wire == 0:
        return head + bytes([content])
    return head + (content if wire == 5 else bytes([len(content)]) + content)


def text(number, content):
    return field(number, 2, content)


def entry(key, value):
    return text(1, key) + text(2, value)


def test_a_graph_from_bytes():
    shape = text(2, field(1, 0, 3) + text(2, b"rows")) + text(2, b"")
    tensor = field(1, 0, 19) + text(2, shape) + text(13, b"\x80\x78") + text(4, b"\1\2")
    node = (
        text(1, b"c")
        + text(2, b"Const")
        + text(3, b"^before")
        + text(4, b"/cpu:0")
        + text(5, entry(b"value", text(8, tensor)))
        + text(5, entry(b"dtype", field(6, 0, 101)))
        + text(6, text(1, b"original"))
    )
    function = text(1, text(1, b"f") + text(2, text(1, b"x") + field(3, 0, 1))) + text(
        4, entry(b"y", b"n:out:0")
    )
    data = text(1, node) + text(2, text(1, function)) + text(4, field(1, 0, 27))
    graph = proto.parse_binary(MESSAGES.GraphDef, data, "net.pb")

    (found,) = graph.node
    assert (found.name, found.op, found.input[0], found.device) == (
        *("c", "Const", "^before", "/cpu:0"),
    )
    assert found.experimental_debug_info.original_node_names == ["original"]
    value = found.attr["value"].tensor
    assert value.dtype == MESSAGES.DataType["DT_HALF"]
    assert [(dim.size, dim.name) for dim in value.tensor_shape.dim] == [(3, "rows"), (0, "")]
    assert list(value.half_val) == [0x3C00]
    assert value.tensor_content == b"\1\2"
    assert found.attr["dtype"].type == MESSAGES.DataType["DT_FLOAT_REF"]
    assert found.attr["dtype"].WhichOneof("value") == "type"
    (body,) = graph.library.function
    assert body.signature.input_arg[0].type == 1
    assert dict(body.ret) == {"y": "n:out:0"}
    assert graph.versions.producer == 27
    assert graph.SerializeToString() != b""


def test_a_saved_model_from_bytes():
    info = text(1, b"x:0") + field(2, 0, 1) + text(3, field(3, 0, 1))
    signature = text(1, entry(b"x", info)) + text(3, b"predict")
    variable = text(7, field(1, 0, 1) + text(6, b"w")) + text(1, field(1, 0, 2) + text(2, b"child"))
    concrete = text(2, b"\2\3")
    objects = text(1, variable) + text(2, entry(b"f", concrete))
    meta = (
        text(1, text(4, b"serve"))
        + text(5, entry(b"main", signature))
        + text(6, text(2, b"vocab.txt"))
        + text(7, objects)
    )
    data = field(1, 0, 1) + text(2, meta)
    (found,) = proto.parse_binary(MESSAGES.SavedModel, data, "saved_model.pb").meta_graphs
    assert found.meta_info_def.tags == ["serve"]
    assert found.signature_def["main"].inputs["x"].name == "x:0"
    assert found.signature_def["main"].inputs["x"].tensor_shape.unknown_rank
    assert found.signature_def["main"].method_name == "predict"
    assert found.asset_file_def[0].filename == "vocab.txt"
    node = found.object_graph_def.nodes[0]
    assert node.WhichOneof("kind") == "variable"
    assert node.variable.name == "w"
    assert (node.children[0].node_id, node.children[0].local_name) == (2, "child")
    assert found.object_graph_def.concrete_functions["f"].bound_inputs == [2, 3]


def test_a_checkpoint_entry_from_bytes():
    data = (
        field(1, 0, 1)
        + text(2, text(2, field(1, 0, 4)))
        + field(3, 0, 1)
        + field(4, 0, 64)
        + field(5, 0, 16)
        + field(6, 5, struct.pack("<I", 0xDEADBEEF))
        + text(7, text(1, field(1, 0, 2) + field(2, 0, 3)) + text(1, b""))
    )
    found = proto.parse_binary(MESSAGES.BundleEntryProto, data, "variables.index")
    assert (found.dtype, found.shard_id, found.offset, found.size) == (1, 1, 64, 16)
    assert found.crc32c == 0xDEADBEEF
    (part,) = found.slices
    assert (part.extent[0].start, part.extent[0].length) == (2, 3)
    assert not part.extent[1].HasField("length")


def test_toco_messages_are_those_of_the_converter():
    """Every field that we have: same number, type and label in LiteRT's converter."""
    flags = pytest.importorskip("ai_edge_litert.tflite.converter.model_flags_pb2")
    types = pytest.importorskip("ai_edge_litert.tflite.converter.types_pb2")
    pairs = [
        (MESSAGES.ArraysExtraInfo.Entry, flags.ArraysExtraInfo.Entry),
        (MESSAGES.ArraysExtraInfo, flags.ArraysExtraInfo),
        (MESSAGES.InputArrayShape, flags.InputArrayShape),
        (MESSAGES.InputArray, flags.InputArray),
        (MESSAGES.RnnState, flags.RnnState),
        (MESSAGES.ModelFlags, flags.ModelFlags),
        (MESSAGES.ModelFlags.ModelCheck, flags.ModelFlags.ModelCheck),
    ]
    for ours, theirs in pairs:
        assert len(ours.DESCRIPTOR.fields) > 0
        for mine in ours.DESCRIPTOR.fields:
            their = theirs.DESCRIPTOR.fields_by_name[mine.name]
            assert (mine.number, mine.type, mine.is_repeated) == (
                *(their.number, their.type, their.is_repeated),
            ), mine.full_name
    assert MESSAGES.IODataType == dict(types.IODataType.items())


def test_text_and_presence():
    source = 'entries { name_regexp: "conv.*" min: 0 data_type: QUANTIZED_UINT8 shape { dims: 3 } }'
    (found,) = proto.parse_text(MESSAGES.ArraysExtraInfo, source, "ranges.txt").entries
    assert found.HasField("min")
    assert not found.HasField("max")
    assert found.data_type == 2
    assert found.shape.dims == [3]


def test_unused_fields_in_text_are_skipped():
    source = 'node { name: "a" experimental_type { type_id: TFT_TENSOR args { } } }'
    assert proto.parse_text(MESSAGES.GraphDef, source, "net.pbtxt").node[0].name == "a"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("node { name: 3 }", "net.pbtxt is not a GraphDef as text: 1:1"),
        ('node {\n name: "a"', 'net.pbtxt is not a GraphDef as text: 2:8 : Expected "}"'),
        ("node {" * 10_000, "net.pbtxt is not a GraphDef as text"),
        ("versions { producer: 99999999999999999999 }", "net.pbtxt is not a .* out of range"),
        ("\0\x7f", "net.pbtxt is not a GraphDef as text"),
        ("entries { min: 1 }", "net.pbtxt has none of the fields of a GraphDef"),
    ],
)
def test_text_of_another_kind_is_refused(source, message):
    with pytest.raises(FormatError, match=message):
        proto.parse_text(MESSAGES.GraphDef, source, "net.pbtxt")


def test_truncated_bytes_are_refused():
    graph = MESSAGES.GraphDef()
    graph.node.add(name="a", op="Const").attr["value"].tensor.tensor_content = bytes(50)
    data = graph.SerializeToString()
    for end in range(1, len(data)):
        with pytest.raises(FormatError, match=r"net\.pb is not a binary GraphDef"):
            proto.parse_binary(MESSAGES.GraphDef, data[:end], "net.pb")


def test_the_global_pool_is_left_alone():
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("tensorflow.BundleEntryProto")


def test_text_is_printed_as_it_was_read():
    source = 'node {\n  name: "a"\n  op: "Relu"\n}\n'
    graph = proto.parse_text(MESSAGES.GraphDef, source, "net.pbtxt")
    assert text_format.MessageToString(graph) == source


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("message M { int32 a = 1 }", "expected ';', found '}'"),
        ("message M { int32 a = 1;", "found 'the end of the text'"),
        ("service S {}", "expected a message or enum in sample.proto, found 'service'"),
        ("message M { int32 a = 1 [packed = true]; }", "unexpected character"),
        ('syntax = "proto2";', "expected '\"proto3\"', found '\"proto2\"'"),
    ],
)
def test_a_schema_that_is_not_understood_is_an_error(source, message):
    with pytest.raises(ValueError, match=message):
        proto.parse(source, "sample.proto")
