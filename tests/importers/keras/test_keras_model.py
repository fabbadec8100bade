"""Files, graphs, weights and borders of Keras models."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from chain_keras import BARE, DENSE, H5, RELU, B, V, W, X, chain
from networks_keras import computed, functional, given, layer, sequential, write_h5, write_keras

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError


@pytest.mark.parametrize("version", ["2.2.4-tf", "2.21.0", "3.15.1"])
def test_hdf5_of_every_version(tmp_path: Path, version: str) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5, version)
    model = api.load(path)
    assert [(t.name, t.shape) for t in model.main.inputs] == [("x", (None, 2))]
    assert [t.name for t in model.main.outputs] == ["second"]
    np.testing.assert_allclose(computed(path, X)[0], RELU @ V, rtol=1e-6)


def test_groups_of_an_archive_are_named_after_classes(tmp_path: Path) -> None:
    weights = {"layers/dense/vars/0": W, "layers/dense/vars/1": B, "layers/dense_1/vars/0": V}
    path = write_keras(tmp_path / "m.keras", chain(), weights)
    np.testing.assert_allclose(computed(path, X)[0], RELU @ V, rtol=1e-6)


def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    weights = {"layers/dense/vars/0": W, "layers/dense/vars/1": B, "layers/dense_1/vars/0": V}
    path = write_keras(tmp_path / "m.keras", chain(), weights)
    with (
        zipfile.ZipFile(path) as old,
        zipfile.ZipFile(tmp_path / "c.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    np.testing.assert_allclose(computed(tmp_path / "c.keras", X)[0], RELU @ V, rtol=1e-6)


def test_the_frozen_weights_of_a_nested_model_stand_at_the_end(tmp_path: Path) -> None:
    norm = {"axis": [1], "epsilon": 0.0, "scale": True, "center": False}
    inner = sequential(
        given("inner", [None, 2]),
        layer("BatchNormalization", "norm", **norm),
        layer("Dense", "dense", **BARE),
        name="nested",
    )
    gamma, mean, variance = (np.array(v, np.float32) for v in ([2, 3], [1, -1], [4, 0.25]))
    kernel = np.array([[1, 2], [3, 4]], np.float32)
    arrays = [("g", gamma), ("k", kernel), ("m", mean), ("v", variance)]
    model = sequential(given("x", [None, 2]), {"name": "nested", **inner})
    path = write_h5(tmp_path / "m.h5", model, {"nested": arrays})
    expected = ((X - mean) / np.sqrt(variance) * gamma) @ kernel
    np.testing.assert_allclose(computed(path, X)[0], expected, rtol=1e-5)


def test_calls_of_a_shared_model_count_from_one_up_to_keras_2(tmp_path: Path) -> None:
    inner = sequential(given("i", [None, 2]), layer("Dense", "dense", **BARE), name="tower")
    tower = {"name": "tower", **inner, "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]}
    ends = [["tower", 1, 0, {}], ["tower", 2, 0, {}]]
    model = functional(
        given("a", [None, 2]),
        given("b", [None, 2]),
        tower,
        {**layer("Subtract", "difference"), "inbound_nodes": [ends]},
        inputs=[["a", 0, 0], ["b", 0, 0]],
        outputs=[["difference", 0, 0]],
    )
    kernel = np.array([[1, 2], [3, 4]], np.float32)
    path = write_h5(tmp_path / "m.h5", model, {"tower": [("dense/kernel:0", kernel)]})
    expected = (X - X[::-1]) @ kernel
    np.testing.assert_allclose(computed(path, X, X[::-1].copy())[0], expected, rtol=1e-6)


def test_layers_are_places_to_cut(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", chain(), H5)
    y = computed(path, X, options=LoadOptions(outputs=("first",)))[0]
    np.testing.assert_allclose(y, RELU, rtol=1e-6)
    y = computed(path, RELU, options=LoadOptions(inputs=("first",)))[0]
    np.testing.assert_allclose(y, RELU @ V, rtol=1e-6)
    with pytest.raises(UsageError, match="did you mean `first`"):
        api.load(path, LoadOptions(outputs=("fist",)))


def test_an_input_may_be_an_output_as_well(tmp_path: Path) -> None:
    model = functional(
        given("x", [None, 2]),
        {**layer("ReLU", "r"), "inbound_nodes": [[["x", 0, 0, {}]]]},
        inputs=[["x", 0, 0]],
        outputs=[["x", 0, 0], ["r", 0, 0], ["r", 0, 0]],
    )
    found = computed(write_h5(tmp_path / "m.h5", model, {}), X)
    for y, expected in zip(found, [X, np.maximum(X, 0), np.maximum(X, 0)], strict=True):
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_a_class_of_its_own_is_the_functional_model_that_it_describes(
    tmp_path: Path, kind: str
) -> None:
    """As of tutorials that write `train_step` themselves; also inside of another model."""
    calls = {"inbound_nodes": [[["y", 0, 0, {}]]]}
    ends = {"inputs": [["y", 0, 0]], "outputs": [["first", 0, 0]]}
    inner = functional(given("y", [None, 2]), {**layer("Dense", "first", **DENSE), **calls}, **ends)
    own = {"class_name": "TrainStep", "registered_name": "mine>TrainStep"}
    called = {**inner, **own, "name": "own", "inbound_nodes": [[["x", 0, 0, {}]]]}
    second = {**layer("Dense", "second", **BARE), "inbound_nodes": [[["own", 1, 0, {}]]]}
    ends = {"inputs": [["x", 0, 0]], "outputs": [["second", 0, 0]]}
    whole = {**functional(given("x", [None, 2]), called, second, **ends), **own}
    if kind == "h5":
        stored = {"own": [("first/kernel:0", W), ("first/bias:0", B)], "second": H5["second"]}
        path = write_h5(tmp_path / "m.h5", whole, stored, "2.21.0")
    else:
        groups = {"layers/train_step/layers/dense/vars/0": W, "layers/dense/vars/0": V}
        groups["layers/train_step/layers/dense/vars/1"] = B
        path = write_keras(tmp_path / "m.keras", whole, groups, "2.21.0")
    np.testing.assert_allclose(computed(path, X)[0], RELU @ V, rtol=1e-6)
    assert [n for n in api.load(path).notes if "`mine>TrainStep` is taken for" in n]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"class_name": 5}, "a layer of 'model' has the class 5"),
        ({"inbound_nodes": [[["x", 0, [], {}]]]}, r"'x', 0, \[\] names no tensor"),
        ({"inbound_nodes": [[[{}, 0, 0, {}]]]}, "0 names no tensor"),
    ],
)
def test_damaged_layers_are_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    entry = {**layer("ReLU", "r"), "inbound_nodes": [[["x", 0, 0, {}]]], **changes}
    ends = {"inputs": [["x", 0, 0]], "outputs": [["r", 0, 0]]}
    with pytest.raises(FormatError, match=words):
        api.load(write_h5(tmp_path / "m.h5", functional(given("x", [2]), entry, **ends), {}))


@pytest.mark.parametrize("shape", [5, ["x"], [None, [2]], "text"])
def test_damaged_shapes_of_inputs_are_named(tmp_path: Path, shape: Any) -> None:
    entry = given("x", [2])
    entry["config"]["batch_input_shape"] = shape
    path = write_h5(tmp_path / "m.h5", sequential(entry, layer("ReLU", "r")), {})
    with pytest.raises(FormatError, match="the shape of the input 'x' is damaged"):
        api.load(path)
    with pytest.raises(FormatError, match="the shape of the input 'x' is damaged"):
        api.inspect(path)


@pytest.mark.parametrize(("name", "words"), [("r", "is a ReLU"), ("s", "is no layer")])
def test_inputs_are_input_layers(tmp_path: Path, name: str, words: str) -> None:
    model = functional(
        given("x", [None, 2]),
        {**layer("ReLU", "r"), "inbound_nodes": [[["x", 0, 0, {}]]]},
        inputs=[[name, 0, 0]],
        outputs=[["r", 0, 0]],
    )
    with pytest.raises(FormatError, match=f"the input '{name}' of 'model' {words}"):
        api.load(write_h5(tmp_path / "m.h5", model, {}))


def test_all_foreign_layers_are_reported_at_once(tmp_path: Path) -> None:
    model = sequential(
        given("x", [None, 2]),
        layer("Lambda", "code", function=["4wEAAAA", None, None]),
        {**layer("Mine", "own"), "registered_name": "package>Mine"},
    )
    with pytest.raises(UnsupportedError) as caught:
        api.load(write_h5(tmp_path / "m.h5", model, {}))
    message = str(caught.value)
    assert "2 layers" in message
    assert "Lambda 'model/code' runs Python code" in message
    assert "package>Mine 'model/own' is no layer of Keras" in message


def test_a_weight_too_few_is_named(tmp_path: Path) -> None:
    weights = {"first": [("first/kernel:0", W)], "second": [("second/kernel:0", V)]}
    with pytest.raises(FormatError, match=r"'model/first' \(Dense\) has 1 weights in the file, 2"):
        api.load(write_h5(tmp_path / "m.h5", chain(), weights))


def test_weights_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    weights = {"first": [("first/kernel", W), ("first/bias", W[0])], "second": [("kernel", V)]}
    path = write_h5(tmp_path / "m.h5", chain(), weights)
    with h5py.File(path, "a") as file:
        file["model_weights/first"].attrs["weight_names"] = [b"first/kernel", b"first/kernel"]
    with pytest.raises(
        FormatError, match=r"'model/first' \(Dense\) names 'kernel' twice"
    ) as caught:
        api.load(path)
    assert ".keras" in str(caught.value.hint)


@pytest.mark.parametrize(("name", "operator"), [("softmax", "SOFTMAX"), ("relu", "RELU")])
def test_functions_of_tensorflow_are_activations_by_their_inner_names(
    name: str, operator: str, tmp_path: Path
) -> None:
    model = sequential(given("x", [None, 2]), layer("Activation", "a", activation=f"{name}_v2"))
    loaded = api.load(write_h5(tmp_path / "m.h5", model, {}))
    assert [op.type for op in loaded.main.ops] == [operator]


def test_an_output_that_is_no_layer_is_named(tmp_path: Path) -> None:
    entry = {**layer("Dense", "first", **BARE), "inbound_nodes": [[["x", 0, 0, {}]]]}
    model = functional(given("x", [None, 2]), entry, inputs=[["x", 0, 0]], outputs=[["last", 0, 0]])
    path = write_h5(tmp_path / "m.h5", model, {"first": [("first/kernel:0", V)]})
    with pytest.raises(FormatError, match="the output 'last' is no layer of the model"):
        api.load(path)


@pytest.mark.parametrize(
    "policy", ["mixed_float16", {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}]
)
def test_mixed_precision_is_computed_in_float32(tmp_path: Path, policy: object) -> None:
    model = sequential(given("x", [None, 2]), layer("Dense", "first", **DENSE, dtype=policy))
    path = write_h5(tmp_path / "m.h5", model, {"first": H5["first"]})
    assert api.load(path).notes == ["layers of the precision mixed_float16 compute in float32"]
    np.testing.assert_allclose(computed(path, X)[0], RELU, rtol=1e-6)
    assert api.load(write_h5(path, chain(), H5)).notes == []


def test_in_use_keras_3_tells_calls_that_they_are_no_training(tmp_path: Path) -> None:
    entry = {
        **layer("Dropout", "drop", rate=0.5),
        "inbound_nodes": [[["x", 0, 0, {"training": True}]]],
    }
    model = functional(given("x", [None, 2]), entry, inputs=[["x", 0, 0]], outputs=[["drop", 0, 0]])
    np.testing.assert_array_equal(
        computed(write_h5(tmp_path / "m.h5", model, {}, "3.15.1"), X)[0], X
    )
    with pytest.raises(UnsupportedError, match="is random"):
        api.load(write_h5(tmp_path / "m.h5", model, {}, "2.21.0"))


def test_statistics_that_a_file_lacks_are_an_error(tmp_path: Path) -> None:
    model = sequential(given("x", [None, 2]), layer("Normalization", "norm", axis=-1))
    with pytest.raises(FormatError, match=r"Normalization\) has 0 weights in the file, 3 by its"):
        api.load(write_h5(tmp_path / "m.h5", model, {"norm": []}))


def test_operations_get_masks_and_types_that_they_ask_for(tmp_path: Path) -> None:
    def tensor(name: str) -> dict[str, object]:
        return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}

    def operation(op: str, args: list[object], **config: object) -> dict[str, object]:
        call = {"args": args, "kwargs": {}}
        named = {"module": "keras.src.ops.numpy", "class_name": op, "name": "y"}
        return {**named, "config": {"name": "y", **config}, "inbound_nodes": [call]}

    ids = np.array([[1, 0]], np.int32)
    for entry, expected in (
        (operation("OneHot", [tensor("x")], num_classes=2, dtype="int32"), np.eye(2)[ids]),
        (operation("Select", [[tensor("x")], [5], 7]), np.where(ids != 0, 5, 7)),
        (operation("LogicalXor", [tensor("x"), True]), ids == 0),
    ):
        model = functional(
            given("x", [None, 2], "int32"), entry, inputs=[["x", 0, 0]], outputs=[["y", 0, 0]]
        )
        y = computed(write_keras(tmp_path / "m.keras", model, {}), ids)[0]
        assert y.dtype.kind in "ib"
        np.testing.assert_array_equal(y, expected)
    refused = operation("Negative", [tensor("x")], dtype="int8")
    model = functional(
        given("x", [None, 2], "int32"), refused, inputs=[["x", 0, 0]], outputs=[["y", 0, 0]]
    )
    with pytest.raises(UnsupportedError, match="results of the type int8"):
        api.load(write_keras(tmp_path / "m.keras", model, {}))


def test_a_model_inside_that_is_told_to_train_is_refused(tmp_path: Path) -> None:
    inner = sequential(given("i", [None, 2]), layer("Dropout", "drop", rate=0.5), name="inner")
    call = [[["x", 0, 0, {"training": True}]]]
    model = functional(
        given("x", [None, 2]),
        {"name": "inner", **inner, "inbound_nodes": call},
        inputs=[["x", 0, 0]],
        outputs=[["inner", 1, 0]],
    )
    with pytest.raises(UnsupportedError, match="'model/inner' is called with `training=True`"):
        api.load(write_h5(tmp_path / "m.h5", model, {}, "2.21.0"))
