"""What people meet who convert SavedModels: tags, signatures, tables, variables, states."""

from __future__ import annotations

import json
from pathlib import Path

import bundles
import numpy as np
import pytest
from cli.conftest import Tqconv
from conftest import run_litert
from flow import flow, function
from graphs import Message
from numpy.typing import NDArray

from tqconv.importers.tf.bundle import OBJECT_GRAPH
from tqconv.schema import proto

W = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def meta(text: str, *tags: str, **arrays: NDArray[np.generic]) -> Message:
    """Return a graph with the signature `serving_default` of x and y, where it has them."""
    message = proto.messages().MetaGraphDef(graph_def=flow(text, **arrays))
    message.meta_info_def.tags.extend(tags)
    sign(message, "serving_default", "x", "y")
    return message


def sign(message: Message, key: str, x: str, y: str) -> None:
    """Add a signature of one input and one output."""
    message.signature_def[key].inputs[x].name = f"{x}:0"
    message.signature_def[key].outputs[y].name = f"{y}:0"


def save(folder: Path, *metas: Message, **variables: NDArray[np.generic]) -> Path:
    """Write a SavedModel and its checkpoint."""
    message = proto.messages().SavedModel(saved_model_schema_version=1, meta_graphs=metas)
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    if variables:
        bundles.save(folder / "variables" / "variables", variables)
    return folder


NEGATED = "x = Placeholder dtype=f32 shape=(2,2)\ny = Neg x T=f32"
SQUARED = "x = Placeholder dtype=f32 shape=(2,2)\ny = Square x T=f32"


def test_convert_a_model_for_training_evaluation_and_serving(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """Of several graphs the one for serving is taken, others by their tags."""
    metas = [meta(SQUARED, "train"), meta(SQUARED, "eval"), meta(NEGATED, "serve")]
    folder = save(tmp_path / "m", *metas)
    target = tmp_path / "m.tflite"
    assert tqconv("convert", folder, "-o", target).code == 0
    assert "NEG " in tqconv("inspect", target).out
    assert tqconv("convert", folder, "-o", target, "--saved_model_tag_set", "eval").code == 0
    assert "SQUARE " in tqconv("inspect", target).out


def test_convert_a_model_whose_only_graph_has_other_tags(tqconv: Tqconv, tmp_path: Path) -> None:
    """The only graph is taken whatever its tags are, with a note."""
    folder = save(tmp_path / "m", meta(NEGATED, "train", "serve"))
    found = tqconv("convert", folder, "-o", tmp_path / "m.tflite")
    assert found.code == 0
    assert "note: tags: serve, train" in found.err


def test_convert_a_model_of_several_graphs_none_of_which_serves(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """Where none of several graphs serves, all sets of tags are listed."""
    folder = save(tmp_path / "m", meta(NEGATED, "train", "gpu"), meta(NEGATED, "eval"))
    found = tqconv("convert", folder, "-o", tmp_path / "m.tflite")
    assert found.code == 2
    assert "the SavedModel has no graph with the tags serve" in found.err
    assert "--saved_model_tag_set: gpu,train; eval" in found.err


THREE = NEGATED + "\ns = Square x T=f32\nc = Cos x T=f32"


def several(folder: Path) -> Path:
    """Write a model of the signatures serving_default, predict and classification."""
    message = meta(THREE, "serve")
    sign(message, "predict", "x", "s")
    sign(message, "classification", "x", "c")
    return save(folder, message)


def test_choose_a_signature(tqconv: Tqconv, tmp_path: Path) -> None:
    """One of several signatures is taken, others by name."""
    folder, target = several(tmp_path / "m"), tmp_path / "m.tflite"
    assert tqconv("convert", folder, "-o", target).code == 0
    assert "serving_default  (x) -> (y)" in tqconv("inspect", target).out
    found = tqconv("convert", folder, "-o", target, "--saved_model_signature_key", "predict")
    assert found.code == 0
    assert "predict  (x) -> (s)" in tqconv("inspect", target).out


def test_misspell_a_signature(tqconv: Tqconv, tmp_path: Path) -> None:
    """An unknown signature lists those that exist."""
    folder = several(tmp_path / "m")
    found = tqconv("convert", folder, "-o", tmp_path / "m.tflite", "--signature", "predcit")
    assert found.code == 2
    assert "no signature `predcit`; did you mean `predict`?" in found.err
    assert "hint: it has classification, predict, serving_default" in found.err


def test_convert_two_signatures_that_share_weights(tqconv: Tqconv, tmp_path: Path) -> None:
    """Two signatures become one file, whose weights are stored once."""
    text = """
    x = Placeholder dtype=f32 shape=(200,2)
    z = Placeholder dtype=f32 shape=(200,2)
    w = VariableV2 dtype=f32 shape=(2,300) container='' shared_name=''
    y = MatMul x w T=f32
    n = Neg z T=f32
    d = MatMul n w T=f32
    """
    message = meta(text, "serve")
    sign(message, "encode", "x", "y")
    sign(message, "decode", "z", "d")
    del message.signature_def["serving_default"]
    weights = np.arange(600, dtype=np.float32).reshape(2, 300)
    folder, target = save(tmp_path / "m", message, w=weights), tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target, "--signature", "encode,decode")
    assert found.code == 0, found.err
    shown = tqconv("inspect", target).out
    assert "encode  (x) -> (y)" in shown
    assert "decode  (z) -> (d)" in shown
    assert target.stat().st_size < 2 * weights.nbytes  # stored once


WORDS = """
    x = Placeholder dtype=string shape=(3,)
    layer/lower = StringLower x
    layer/table = HashTableV2 key_dtype=string value_dtype=i64 container='' shared_name=''
    layer/keys = Const
    layer/values = Const
    layer/fill = LookupTableImportV2 layer/table layer/keys layer/values
    layer/unknown = Const
    layer/find = LookupTableFindV2 layer/table layer/lower layer/unknown Tin=string Tout=i64
    weights = Const
    axis = Const 0
    y = GatherV2 weights layer/find axis
"""


def test_convert_a_model_that_reads_text(tqconv: Tqconv, tmp_path: Path) -> None:
    """Text is refused with the tensor behind which numbers begin."""
    arrays = {
        "layer/keys": np.array([b"a", b"b"], object),
        "layer/values": np.array([0, 1], np.int64),
        "layer/unknown": np.array(0, np.int64),
        "weights": W,
    }
    message = meta(WORDS, "serve", **arrays)
    folder, target = save(tmp_path / "m", message), tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 4
    assert "StringLower" in found.err
    assert "--input_arrays" in found.err
    assert tqconv("convert", folder, "-o", target, "--input_arrays", "layer/find").code == 0


def test_convert_a_graph_without_signatures(tqconv: Tqconv, tmp_path: Path) -> None:
    """Without signatures the error says how to name tensors."""
    message = meta(NEGATED, "serve")
    message.signature_def.clear()
    folder, target = save(tmp_path / "m", message), tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 2
    assert "has no signature, and no function that can be called" in found.err
    assert "name tensors with --input_arrays and --output_arrays" in found.err
    words = ["--input_arrays", "x", "--output_arrays", "y"]
    assert tqconv("convert", folder, "-o", target, *words).code == 0  # as the hint says


def structure(kind: str, **named: object) -> Message:
    """Return a tuple or a dict of tensors of the shape [?, 2]."""
    value = proto.messages().StructuredValue()
    held = getattr(value, f"{kind}_value")
    held.SetInParent()
    for name, item in named.items():
        inner = held.values.add() if kind == "tuple" else held.fields[name]
        if item is None:
            inner.tensor_spec_value.name, inner.tensor_spec_value.dtype = name, 1
            for size in (-1, 2):
                inner.tensor_spec_value.shape.dim.add(size=size)
        elif isinstance(item, bool):
            inner.bool_value = item
        else:
            inner.CopyFrom(item)
    return value


def callables(folder: Path, **functions: str) -> Path:
    """Write a TF2 model without signatures, whose functions y(x, training) scale by a variable."""
    graph = [
        function(f"f_{name}(x, v) -> y:z:0", f"k = ReadVariableOp v dtype=f32\n{body}")
        for name, body in functions.items()
    ]
    message = proto.messages().MetaGraphDef(graph_def=flow("", *graph))
    message.meta_info_def.tags.append("serve")
    objects = message.object_graph_def
    root, variable = objects.nodes.add(), objects.nodes.add()
    variable.variable.name, variable.variable.dtype = "v", 1
    variable.variable.shape.dim.add(size=2)
    for number, name in enumerate(functions):
        root.children.add(local_name=name, node_id=number + 2)
        held = objects.nodes.add().function
        held.concrete_functions.append(f"f_{name}")
        words = proto.messages().StructuredValue()
        for word in ("self", "x", "training"):
            words.list_value.values.add(string_value=word)
        spec = held.function_spec.fullargspec.named_tuple_value
        spec.values.add(key="args").value.CopyFrom(words)
        concrete = objects.concrete_functions[f"f_{name}"]
        concrete.bound_inputs.append(1)
        given = structure("tuple", x=None, training=name.startswith("train"))
        concrete.canonicalized_input_signature.CopyFrom(
            structure("tuple", args=given, kwargs=structure("dict"))
        )
        concrete.output_signature.CopyFrom(structure("dict", y=None))
    checkpoint = proto.messages().TrackableObjectGraph()
    checkpoint.nodes.add()
    checkpoint.nodes.add().attributes.add(name="VARIABLE_VALUE", checkpoint_key="v/value")
    stored = {"v/value": np.array([2, 3], np.float32)}
    text = np.array(checkpoint.SerializeToString(), object)
    return save(folder, message, **stored, **{OBJECT_GRAPH: text})


MULTIPLIED = "y = Mul x k:value:0 T=f32"
ADDED = "y = Add x k:value:0 T=f32"


def test_convert_the_only_function_of_a_model_without_signatures(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """The only function that can be called is taken, and said."""
    folder = callables(tmp_path / "m", __call__=MULTIPLIED, train=ADDED)
    target = tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 0, found.err
    assert "note: the model has no signature; its function `call` is taken" in found.err
    shown = tqconv("inspect", target).out
    assert "call  (x) -> (y)" in shown
    assert "MUL " in shown
    assert "call  (x) -> (y)" in tqconv("inspect", folder).out


def test_convert_one_of_the_functions_of_a_model_without_signatures(
    tqconv: Tqconv, tmp_path: Path
) -> None:
    """Several functions are listed, to choose from."""
    folder = callables(tmp_path / "m", encode=MULTIPLIED, decode=ADDED)
    target = tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 2
    assert "has no signature, and 2 functions that can be called" in found.err
    assert "--saved_model_signature_key: decode, encode" in found.err
    found = tqconv("convert", folder, "-o", target, "--saved_model_signature_key", "encode")
    assert found.code == 0, found.err
    assert "encode  (x) -> (y)" in tqconv("inspect", target).out


def test_convert_an_embedding_that_a_function_reads(tqconv: Tqconv, tmp_path: Path) -> None:
    """A table that is only read is a constant, through a function too."""
    text = """
    x = Placeholder dtype=i32 shape=(2,)
    v = VarHandleOp dtype=f32 shape=(2,3) shared_name='v' container=''
    y = StatefulPartitionedCall x v f=fn('serve')
    """
    serve = function(
        "serve(x, table) -> picked:output:0",
        "picked = ResourceGather table x dtype=f32 Tindices=i32",
    )
    message = meta(text, "serve")
    message.graph_def.CopyFrom(flow(text, serve))
    folder, target = save(tmp_path / "m", message, v=W), tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 0, found.err
    shown = tqconv("inspect", target).out
    assert "GATHER" in shown
    assert "VAR_HANDLE" not in shown


COUNTER = """
    x = Placeholder dtype=f32 shape=(1,2)
    v = VarHandleOp dtype=f32 shape=(1,2) shared_name='v' container=''
    add = AssignAddVariableOp v x dtype=f32
    y = ReadVariableOp v ^add dtype=f32
"""


def test_convert_a_model_that_keeps_a_state(tqconv: Tqconv, tmp_path: Path) -> None:
    """A variable that the signature assigns stays one, without a switch."""
    folder = save(tmp_path / "m", meta(COUNTER, "serve"), v=np.ones((1, 2), np.float32))
    target = tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 0, found.err
    shown = tqconv("inspect", target).out
    for op in ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"):
        assert op in shown


def test_quantize_a_model_that_keeps_a_state(tqconv: Tqconv, tmp_path: Path) -> None:
    """States without an integer kernel are named where none may be float."""
    folder = save(tmp_path / "m", meta(COUNTER, "serve"), v=np.ones((1, 2), np.float32))
    np.savez(tmp_path / "d.npz", x=np.ones((4, 1, 2), np.float32))
    words = ["--quantize", "int8", "--calibration_data", tmp_path / "d.npz"]
    found = tqconv("convert", folder, "-o", tmp_path / "m.tflite", *words, "--integer_only")
    assert found.code == 5
    assert "error: 3 operators cannot run on integers" in found.err
    assert "ASSIGN_VARIABLE has no integer kernel that computes right: 'add'" in found.err
    assert "hint: without --integer_only such operators stay float" in found.err
    found = tqconv("convert", folder, "-o", tmp_path / "m.tflite", *words)
    assert found.code == 0  # as the hint says
    assert "note: float: ASSIGN_VARIABLE 'add'" in found.err


LOOKED_UP = """
    x = Placeholder dtype=string shape=(3,)
    table = HashTableV2 key_dtype=string value_dtype=i64 container='' shared_name=''
    keys = Const
    values = Const
    fill = LookupTableImportV2 table keys values
    unknown = Const
    y = LookupTableFindV2 table x unknown Tin=string Tout=i64
"""


def test_run_a_model_that_looks_words_up(tqconv: Tqconv, tmp_path: Path) -> None:
    """A table brings what fills it: the file runs without anything done before."""
    arrays = {
        "keys": np.array([b"yes", b"no"], object),
        "values": np.array([7, 9], np.int64),
        "unknown": np.array(-1, np.int64),
    }
    folder, target = save(tmp_path / "m", meta(LOOKED_UP, "serve", **arrays)), tmp_path / "m.tflite"
    found = tqconv("convert", folder, "-o", target)
    assert found.code == 0, found.err
    assert "CALL_ONCE" in tqconv("inspect", target).out
    words = np.array([b"no", b"maybe", b"yes"], object)
    assert run_litert(target.read_bytes(), [words])[0].tolist() == [9, -1, 7]


TRAINED = """
    x = Placeholder dtype=f32 shape=(1,2)
    low = Const -1.0
    high = Const 3.0
    q = FakeQuantWithMinMaxVars x low high num_bits=8 narrow_range=False
    w = Const
    m = MatMul q w T=f32
    top = Const 6.0
    bottom = Const 0.0
    y = FakeQuantWithMinMaxVars m bottom top num_bits=8 narrow_range=False
"""


def test_trained_ranges_are_the_same_through_every_door(tqconv: Tqconv, tmp_path: Path) -> None:
    """One graph with FakeQuant as GraphDef and as SavedModel becomes the same integers."""
    message = meta(TRAINED, "serve", w=W)
    folder, graph = save(tmp_path / "m", message), tmp_path / "g.pb"
    graph.write_bytes(message.graph_def.SerializeToString())
    words = ["--quantize", "int8", "--integer_only"]
    rows = []
    for path in (folder, graph):
        found = tqconv("convert", path, "-o", tmp_path / "m.tflite", *words)
        assert found.code == 0, found.err
        tables = json.loads(tqconv("inspect", tmp_path / "m.tflite", "--quant", "--json").out)
        rows.append(tables["quant"])
    assert rows[0] == rows[1]
    scales = {row["name"]: (row["scale"], row["zero_point"]) for row in rows[0]}
    assert scales["x"] == (pytest.approx(4 / 255, rel=1e-6), -64)
    assert scales["y"] == (pytest.approx(6 / 255, rel=1e-6), -128)
