"""Damaged .tflite files end in FormatError with the file's name; nothing else gets out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tqconv import api
from tqconv.config import LoadOptions, parse_shapes
from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.exporters.drawing.picture import picture_text
from tqconv.exporters.report import describe
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.emit import emit
from tqconv.schema.flatbuf import write

FLOAT = np.dtype(np.float32)
SEED = 20


def network() -> bytes:
    """Return a file with convolution, pooling, permutation and a dense layer."""
    graph = Graph("main")
    x = graph.add_input("x", (1, 8, 8, 3), FLOAT)
    y = emit(graph, "CONV_2D", x, np.ones((4, 3, 3, 3), np.float32), np.ones(4, np.float32),
             name="c", stride_h=1, stride_w=1, padding="SAME")  # fmt: skip
    y = emit(graph, "MAX_POOL_2D", y, name="p", stride_h=2, stride_w=2, filter_height=2,
             filter_width=2, padding="VALID")  # fmt: skip
    y = emit(graph, "TRANSPOSE", y, np.array([0, 3, 1, 2], np.int32), name="t")
    y = emit(graph, "RESHAPE", y, np.array([1, 64], np.int32), name="r")
    y = emit(graph, "FULLY_CONNECTED", y, np.ones((5, 64), np.float32), None, name="d")
    graph.outputs.append(emit(graph, "SOFTMAX", y, name="s", beta=1.0))

    return bytes(serialize(Model([graph], "n")))


def damaged(content: bytes, generator: np.random.Generator) -> bytes:
    """Return the file with a few bytes or words changed."""
    result = bytearray(content)
    for _ in range(int(generator.choice([1, 1, 2, 5, 20]))):
        at = int(generator.integers(len(result) - 4))
        if generator.random() < 0.7:
            result[at] ^= 1 << int(generator.integers(8))
        else:
            word = generator.choice([0, 1, 2, 100, 0x7FFFFFFF, 0xFFFFFFFF, len(result)])
            struct.pack_into("<I", result, at & ~3, int(word))
    return bytes(result)


def read_all(path: Path) -> FormatError | None:
    """Read, describe, draw and convert a file; return why it is refused as damaged."""
    try:
        model = reader.load(path, LoadOptions())
        describe(model)
        picture_text(model)
        api.convert(path, path.with_name("out.tflite"))
    except FormatError as error:
        return error
    except (UnsupportedError, UsageError):
        return None
    return None


def test_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    generator = np.random.default_rng(SEED)
    content, path = network(), tmp_path / "n.tflite"
    refused = []
    for _ in range(400):
        path.write_bytes(damaged(content, generator))
        refused.append(read_all(path))
    errors = [str(error) for error in refused if error is not None]
    assert 20 < len(errors) < 400
    assert [text for text in errors if "n.tflite" not in text] == []


def file(
    operators: Sequence[dict], tensors: Sequence[dict] = (), codes: Sequence[int] = (0,)
) -> bytes:
    """Return a file of one graph with these operators and tensors."""
    shaped = [{"shape": [1, 2], "name": "a"}, {"shape": [1, 2], "name": "b"}]
    graph = {"tensors": tensors or shaped, "inputs": [0], "outputs": [1], "operators": operators}
    return bytes(
        write(
            {
                "version": 3,
                "operator_codes": [{"builtin_code": code} for code in codes],
                "subgraphs": [graph],
                "buffers": [{}, {"data": bytes(4)}],
            }
        )
    )


ADD, POOL, CONV = 0, 17, 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (file([{"inputs": [0], "outputs": [1]}]), "the operand `b` is missing"),
        (file([{"inputs": [0, 0, 0], "outputs": [1]}]), "there are 3 operands, ADD takes 2"),
        (file([{"inputs": [0, 0]}]), "it makes no tensor"),
        (file([{"inputs": [0, 0], "outputs": [1], "builtin_options": ("Pool2DOptions", {})}]),
         "f.tflite: ADD has the options of another operator, Pool2DOptions"),
        (file([{"inputs": [0, 0], "outputs": [1], "builtin_options":
                ("AddOptions", {"fused_activation_function": 77})}]),
         "f.tflite: `fused_activation_function` of ADD is 77, which stands for nothing"),
        (file([{"inputs": [0], "outputs": [1]}], codes=[250]),
         "f.tflite: operator code 250 is not in the schema"),
        (file([], [{"shape": [1, -3], "name": "a"}, {"name": "b"}]),
         "f.tflite: tensor 'a' has the shape [1, -3]"),
        (file([{"inputs": [0], "outputs": [1]}], codes=[32]),
         "f.tflite: a custom operator has no name"),
        (file([], [{"shape": [1], "name": "a", "is_variable": True, "buffer": 1}, {"name": "b"}]),
         "f.tflite: tensor 'a' is a state, and stands in the file with its values"),
        (file([], [{"shape": [1], "name": "a", "type": 50}, {"name": "b"}]),
         "f.tflite: tensor 'a' has type 50, which is unknown"),
        (file([], [{"shape": [1], "name": "a", "buffer": 9}, {"name": "b"}]),
         "f.tflite: tensor 'a' names buffer 9 of 2"),
        (b"\x08\0\0\0TFL3" + bytes(40), "f.tflite: byte 8 of 48 is not a table"),
    ],
)  # fmt: skip
def test_what_no_converter_writes_is_named(content: bytes, says: str) -> None:
    with pytest.raises(FormatError) as caught:
        reader.parse(content, "f.tflite")
    assert says in str(caught.value)
    assert "f.tflite" in str(caught.value)


def test_options_of_the_command_line_that_name_no_input(tmp_path: Path) -> None:
    path = tmp_path / "n.tflite"
    path.write_bytes(network())
    _, named = parse_shapes("y=1,8,8,3")
    with pytest.raises(UsageError, match="a shape is given for `y`, which is no input"):
        reader.load(path, LoadOptions(named_shapes=named))
    assert reader.load(path, LoadOptions(dtypes=("float32",))).main.inputs[0].dtype == FLOAT
    with pytest.raises(UsageError, match="--input_data_types gives UINT8"):
        reader.load(path, LoadOptions(dtypes=("uint8",)))


def test_custom_operators_are_not_held_against_a_row() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2,), FLOAT)
    y = Tensor("y", (2,), FLOAT)
    graph.add(Op("CUSTOM", (x, x, None), (y,), {"custom_code": "Mine", "custom_options": b"1"}))
    graph.outputs.append(y)

    model = reader.parse(bytes(serialize(Model([graph], "n"))), "n")
    assert [op.type for op in model.main.ops] == ["CUSTOM"]


def edited(change: Callable[[Op], None]) -> bytes:
    """Return a file that joins two inputs and splits the result, after a change of both."""
    graph = Graph("main")
    xs = [graph.add_input(name, (1, 4), FLOAT) for name in "ab"]
    y = emit(graph, "CONCATENATION", *xs, name="c", axis=0)
    graph.outputs[:] = emit(graph, "SPLIT", np.array(0, np.int32), y, name="s", num_splits=2)
    for op in graph.ops:
        change(op)
    return bytes(serialize(Model([graph], "n")))


def nothing_read(op: Op) -> None:
    op.inputs = () if op.type == "CONCATENATION" else op.inputs


def hole_read(op: Op) -> None:
    op.inputs = (None, *op.inputs[1:]) if op.type == "CONCATENATION" else op.inputs


def nothing_made(op: Op) -> None:
    op.outputs = () if op.type == "SPLIT" else op.outputs


def three_parts(op: Op) -> None:
    op.options |= {"num_splits": 3} if op.type == "SPLIT" else {}


def other_axis(op: Op) -> None:
    op.options |= {"axis": 7} if op.type == "CONCATENATION" else {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nothing_read, "CONCATENATION 'c' in n.tflite: the operand `xs0` is missing"),
        (hole_read, "CONCATENATION 'c' in n.tflite: the operand `xs0` is missing"),
        (nothing_made, "it makes no tensor"),
        (three_parts, "operands or options do not fit SPLIT"),
        (other_axis, "operands or options do not fit CONCATENATION"),
    ],
)
def test_operators_that_cannot_be_what_they_say(change: Callable[[Op], None], words: str) -> None:
    with pytest.raises(FormatError) as caught:
        reader.parse(edited(change), "n.tflite")
    assert words in str(caught.value)


@pytest.mark.parametrize("shape", [(), (2, 1, 4), (2, 40), (2, None)])
def test_results_have_the_shapes_that_operators_make(shape: tuple[int | None, ...]) -> None:
    """LiteRT looks at none of the shapes that a file gives to results."""

    def misshapen(op: Op) -> None:
        if op.type == "CONCATENATION":
            op.output.shape = shape

    read = reader.parse(edited(misshapen), "n.tflite").main
    assert [op.outputs[0].shape for op in read.ops] == [(2, 4), (1, 4)]


def test_operands_that_the_kernel_refuses_are_damage() -> None:
    graph = Graph("main")
    xs = [graph.add_input(name, (3, 4), FLOAT) for name in "ab"]
    graph.outputs.append(emit(graph, "ADD", *xs, name="c"))
    xs[1].shape = (3, 5)
    with pytest.raises(FormatError, match=r"ADD 'c' in n\.tflite.*sizes 4 and 5 do not broadcast"):
        reader.parse(bytes(serialize(Model([graph], "n"))), "n.tflite")


def loop() -> tuple[Graph, Op]:
    """Return a graph with a loop, and its operator."""
    graph, bodies = Graph("main"), [Graph(name) for name in ("cond", "body")]
    for body in bodies:
        x = body.add_input("x", (1,), FLOAT)
        less = np.float32(3)
        made = emit(body, "LESS", x, less, name="y") if body is bodies[0] else x
        body.outputs.append(made)
    y = Tensor("y", (1,), FLOAT)
    op = Op("WHILE", (graph.add_input("x", (1,), FLOAT),), (y,), graphs=tuple(bodies))
    graph.add(op)
    graph.outputs.append(y)
    return graph, op


def one_more(op: Op) -> None:
    op.graphs[1].add_input("more", (1,), FLOAT)


def other_type(op: Op) -> None:
    op.graphs[1].inputs[0].dtype = np.dtype(np.int32)


def of_nothing(op: Op) -> None:
    op.graphs[1].inputs[0].shape = (0,)


def itself(op: Op) -> None:
    body = op.graphs[1]
    y = Tensor("again", (1,), FLOAT)
    body.add(Op("WHILE", (body.inputs[0],), (y,), graphs=op.graphs))
    body.outputs[:] = [y]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_more, "its graphs do not take 1 and return 1 tensor"),
        (other_type, "is INT32, it is given FLOAT32"),
        (of_nothing, r"'x' is \[0\], it is given \[1\]"),
        (itself, "the graph 'body' calls itself"),
    ],
)
def test_bodies_take_and_return_what_their_operator_does(
    change: Callable[[Op], None], words: str
) -> None:
    graph, op = loop()
    reader.parse(bytes(serialize(Model([graph], "n"))), "n.tflite")
    change(op)
    with pytest.raises(FormatError, match=words):
        reader.parse(bytes(serialize(Model([graph], "n"))), "n.tflite")


def test_a_branch_may_return_nothing_where_the_size_is_open() -> None:
    graph, bodies = Graph("main"), [Graph(name) for name in ("then", "else")]
    nothing = bodies[0].constant("nothing", np.zeros(0, np.float32))
    for body in bodies:
        x = body.add_input("x", (None,), FLOAT)
        body.outputs.append(nothing if body is bodies[0] else x)
    y = Tensor("y", (None,), FLOAT)
    taken = graph.add_input("taken", (), np.dtype(np.bool_)), graph.add_input("x", (None,), FLOAT)
    graph.add(Op("IF", taken, (y,), graphs=tuple(bodies)))
    graph.outputs.append(y)
    model = reader.parse(bytes(serialize(Model([graph], "n"))), "n.tflite")
    assert model.main.outputs[0].shape == (None,)


def test_a_condition_returns_one_tensor() -> None:
    graph, bodies = Graph("main"), [Graph(name) for name in ("cond", "body")]
    for body in bodies:
        body.add_input("x", (1,), FLOAT)
    bodies[1].outputs.append(bodies[1].inputs[0])
    y = Tensor("y", (1,), FLOAT)
    graph.add(Op("WHILE", (graph.add_input("x", (1,), FLOAT),), (y,), graphs=tuple(bodies)))
    graph.outputs.append(y)
    content = bytes(serialize(Model([graph], "n")))
    with pytest.raises(FormatError, match="its condition returns 0 tensors, not one"):
        reader.parse(content, "n.tflite")
