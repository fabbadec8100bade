"""Files, borders and the walk of ONNX models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import assert_like_reference, computed, load, network, node

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError, UsageError
from tqconv.exporters.tflite import serialize

X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def two_layers(**options: Any) -> Any:
    nodes = [node("MatMul", "x w", "h"), node("Relu", "h", "y")]
    return network(nodes, {"x": X}, ["y"], {"w": W}, **options)


def test_names_and_results_are_those_of_the_file(tmp_path: Path) -> None:
    model = load(two_layers(), tmp_path)
    assert [t.name for t in model.main.inputs] == ["x"]
    assert [t.name for t in model.main.outputs] == ["y"]
    assert_like_reference(two_layers(), tmp_path, {"x": X})


def test_named_dimensions_stay_open(tmp_path: Path) -> None:
    model = load(two_layers(shapes={"x": ("batch", 2)}), tmp_path)
    assert model.main.inputs[0].shape == (None, 2)
    assert model.main.outputs[0].shape == (None, 3)


def test_nodes_may_stand_in_any_order(tmp_path: Path) -> None:
    model = two_layers()
    model.graph.node.reverse()
    np.testing.assert_array_equal(computed(model, tmp_path, {"x": X})[0][0], np.maximum(X @ W, 0))


def test_constants_that_are_inputs_as_well_stay_constants(tmp_path: Path) -> None:
    model = two_layers()
    info = onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, W.shape)
    model.graph.input.append(info)
    assert [t.name for t in load(model, tmp_path).main.inputs] == ["x"]


def test_a_node_may_be_called_what_another_node_makes(tmp_path: Path) -> None:
    x = np.ones((1, 2), np.float32)
    nodes = [node("Add", "x x", "t"), node("Neg", "t", "y")]
    nodes[1].name = "t"
    assert_like_reference(network(nodes, {"x": x}, ["y"]), tmp_path, {"x": x}, [-2 * x])


def test_two_nodes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a", name="n"), node("Sigmoid", "a", "y", name="n")]
    assert_like_reference(network(nodes, {"x": X}, ["y"]), tmp_path, {"x": X})


@pytest.mark.parametrize("name", ["h", "first"])
def test_a_model_is_cut_at_tensors_and_nodes(tmp_path: Path, name: str) -> None:
    model = two_layers()
    model.graph.node[0].name = "first"
    made = load(model, tmp_path, LoadOptions(outputs=(name,)))
    assert [op.type for op in made.main.ops] == ["FULLY_CONNECTED"]
    made = load(model, tmp_path, LoadOptions(inputs=("h",)))
    assert made.main.inputs[0].shape == (2, 3)
    assert [op.type for op in made.main.ops] == ["RELU"]


def test_a_tensor_gets_a_value(tmp_path: Path) -> None:
    model = network([node("Add", "x k", "y")], {"x": X, "k": X}, ["y"])
    made = load(model, tmp_path, LoadOptions(values={"k": "2"}))
    assert [t.name for t in made.main.inputs] == ["x"]


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    body = [node("Mul", "a a", "s"), node("Add", "s a", "r")]
    function = onnx.helper.make_function(
        "own", "Poly", ["a"], ["r"], body, [onnx.helper.make_opsetid("", 17)]
    )
    model = network([node("Poly", "x", "y", domain="own")], {"x": X}, ["y"])
    model.functions.append(function)
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    np.testing.assert_array_equal(computed(model, tmp_path, {"x": X})[0][0], X * X + X)


def external(folder: Path, location: str, offset: int = 0) -> Any:
    model = two_layers()
    tensor = model.graph.initializer[0]
    (folder / "w.bin").write_bytes(b"\0" * 8 + W.tobytes())
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", W.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_large_tensors_lie_in_a_file_beside_the_model(tmp_path: Path) -> None:
    model = external(tmp_path, "w.bin", offset=8)
    np.testing.assert_array_equal(computed(model, tmp_path, {"x": X})[0][0], np.maximum(X @ W, 0))


@pytest.mark.parametrize(
    ("location", "offset", "message"),
    [
        ("../w.bin", 0, "outside of the model's folder"),
        ("/etc/passwd", 0, "outside of the model's folder"),
        ("link.bin", 0, "outside of the model's folder"),
        ("missing.bin", 0, "which is not there"),
        ("w.bin", 16, "lies outside of w.bin, which has 32 bytes"),
        ("w.bin", -4, "lies outside of w.bin"),
    ],
)
def test_files_outside_are_not_read(
    tmp_path: Path, location: str, offset: int, message: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(FormatError, match=message):
        load(external(folder, location, offset), folder)


def damaged(change: str) -> Any:
    model = two_layers()
    tensor = model.graph.initializer[0]
    if change == "short":
        tensor.raw_data = tensor.raw_data[:-4]
    elif change == "huge":
        tensor.dims[:] = [1 << 40, 1 << 20]
    elif change == "unmade":
        model.graph.node[1].input[0] = "nothing"
    elif change == "twice":
        model.graph.node[0].output[0] = "y"
    elif change == "cycle":
        model.graph.node[0].input[0] = "y"
    elif change == "nothing":
        model.graph.node[0].input[0] = ""
    elif change == "untyped":
        model.graph.input[0].type.tensor_type.elem_type = -1
    elif change == "opset":
        model.opset_import[0].version = 6
    elif change == "operator":
        model.graph.node[1].op_type = "NotAnOperator"
    elif change == "attribute":
        model.graph.node[0].attribute.append(onnx.helper.make_attribute("unknown", 1))
    return model


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ("short", FormatError, "has 20 bytes of float32"),
        ("huge", FormatError, "has 24 bytes of float32"),
        ("unmade", FormatError, "reads 'nothing', which nothing makes"),
        ("twice", FormatError, "both make 'y'"),
        ("cycle", UnsupportedError, "has a cycle through"),
        ("nothing", UnsupportedError, r"the input `\w+` of MatMul is missing"),
        ("untyped", FormatError, "input 'x' has no type"),
        ("opset", UnsupportedError, "uses opset 6; tqconv reads 7 and later"),
        ("operator", UnsupportedError, "NotAnOperator x1"),
        ("attribute", UnsupportedError, "has an attribute `unknown`"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: str, kind: type[TqconvError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        load(damaged(change), tmp_path)


@pytest.mark.parametrize("place", ["input", "operator", "domain", "attribute", "opset", "size"])
def test_a_name_that_is_no_text_is_named(tmp_path: Path, place: str) -> None:
    model = two_layers(shapes={"x": ("rows", 2)})
    node = model.graph.node[0]
    node.attribute.append(onnx.helper.make_attribute("name", 1))
    name = {
        "input": "w",
        "operator": "MatMul",
        "domain": "elsewhere",
        "attribute": "name",
        "opset": "com.microsoft",
        "size": "rows",
    }[place]
    node.domain = "elsewhere" if place == "domain" else ""
    old = bytes([len(name)]) + name.encode()
    content = model.SerializeToString()
    assert old in content
    path = tmp_path / "net.onnx"
    path.write_bytes(content.replace(old, bytes([len(name)]) + b"\xff" * len(name)))
    with pytest.raises(FormatError, match=r"the name .* is not UTF-8"):
        api.load(path)


def test_a_truncated_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(two_layers().SerializeToString()[:-10])
    with pytest.raises(FormatError, match="looks like an ONNX model"):
        api.load(path)


def test_an_unknown_name_has_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tensor named `yy`; did you mean `y`"):
        load(two_layers(), tmp_path, LoadOptions(outputs=("yy",)))


def test_operators_without_translation_are_what_their_schema_says(tmp_path: Path) -> None:
    scores = np.array([[1, 2, 3], [3, 1, 2]], np.float32)
    labels = np.array([2, 1], np.int64)
    model = network(
        [node("SoftmaxCrossEntropyLoss", "x k", "y")], {"x": scores, "k": labels}, ["y"]
    )
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    want = -np.log(shares[[0, 1], labels]).mean()
    inputs = {"x": scores, "k": labels}
    assert_like_reference(model, tmp_path, inputs, [np.float32(want)])


def test_functions_of_the_standard_may_read_constants(tmp_path: Path) -> None:
    scores = np.array([[-1, -2, -3], [-3, -1, -2]], np.float32)
    labels = np.array([2, 1], np.int64)
    weights = np.array([1, 2, 4], np.float32)
    model = network(
        [node("NegativeLogLikelihoodLoss", "x k w", "y")],
        {"x": scores, "k": labels},
        ["y"],
        {"w": weights},
    )
    want = np.float32((4 * 3 + 2 * 1) / (4 + 2))
    assert_like_reference(model, tmp_path, {"x": scores, "k": labels}, [want])


def test_rows_of_negative_infinity_are_found_by_their_maximum(tmp_path: Path) -> None:
    x = np.array([[-np.inf, -np.inf], [-np.inf, 1]], np.float32)
    nodes = [node("ReduceMax", "x", "m", axes=[1]), node("Equal", "m low", "y")]
    model = network(nodes, {"x": x}, ["y"], {"low": np.array(-np.inf, np.float32)})
    for found in computed(model, tmp_path, {"x": x}):
        np.testing.assert_array_equal(found[0], [[True], [False]])


def test_a_condition_of_text_asks_whether_it_is_empty(tmp_path: Path) -> None:
    branches = {}
    for name, op in (("then_branch", "Neg"), ("else_branch", "Relu")):
        output = onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, X.shape)
        branches[name] = onnx.helper.make_graph([node(op, "x", "b")], name, [], [output])
    model = network([node("If", "flag", "y", **branches)], {"x": X, "flag": np.array(True)}, ["y"])
    model.graph.input[1].type.tensor_type.elem_type = onnx.TensorProto.STRING
    text = load(model, tmp_path).main
    constants = [t for op in text.ops for t in op.inputs if t is not None and t.is_constant]
    assert [t.data.tolist() for t in constants if t.dtype == np.dtype(object)] == [b""]


def test_a_resize_that_no_image_needs_is_refused(tmp_path: Path) -> None:
    x = np.zeros((1, 1, 2, 2), np.float32)
    nodes = [node("Resize", "x _ scales", "y", mode="linear")]
    scales = np.array([1, 1, 1e9, 1], np.float32)
    with pytest.raises(UnsupportedError, match="an axis is resized from 2 to 2000000000 places"):
        load(network(nodes, {"x": x}, ["y"], {"scales": scales}), tmp_path)


def foreign(declared: bool) -> Any:
    """A convolution, an operator of another domain, and a Softmax behind it."""
    nodes = [
        node("Conv", "x w", "c"),
        node("Blur", "c _", "d s", domain="my.own", radius=2, kinds=["a"], edge="wrap"),
        node("Softmax", "d", "y", axis=1),
    ]
    x, w = np.ones((1, 3, 4, 4), np.float32), np.ones((2, 3, 1, 1), np.float32)
    model = network(nodes, {"x": x}, ["y", "s"], {"w": w})
    model.opset_import.append(onnx.helper.make_opsetid("my.own", 1))
    if declared:
        number = onnx.TensorProto.FLOAT
        info = onnx.helper.make_tensor_value_info("d", number, [1, 2, "rows", 4])
        model.graph.value_info.append(info)
        model.graph.output[1].CopyFrom(
            onnx.helper.make_tensor_value_info("s", onnx.TensorProto.INT32, [2])
        )
    return model


def test_an_operator_of_another_domain_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    model = load(foreign(True), tmp_path, LoadOptions(allow_custom_ops=True))
    api.optimize(model)
    (custom,) = (op for op in model.main.ops if op.type == "CUSTOM")
    assert custom.options["custom_code"] == "Blur"
    assert [(t.dtype.name, t.shape) for t in custom.outputs] == [
        ("float32", (1, 2, None, 4)),
        ("int32", (2,)),
    ]
    assert len(serialize(model)) > 0


def test_what_reads_a_tensor_of_unknown_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the shape of 'd' is not known"):
        load(foreign(False), tmp_path, LoadOptions(allow_custom_ops=True))


def test_an_output_without_a_name_is_damage(tmp_path: Path) -> None:
    model = two_layers()
    model.graph.output[0].name = ""
    with pytest.raises(FormatError, match="output 0 of the graph has no name"):
        load(model, tmp_path)
