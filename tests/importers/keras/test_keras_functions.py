"""Functions and operators of TensorFlow that Keras models hold as layers, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_keras import (
    Array,
    called,
    computed,
    functional,
    given,
    layer,
    of_function,
    write_h5,
)

from tqconv import api
from tqconv.errors import UnsupportedError
from tqconv.importers.keras import functions  # noqa: F401  (fills the registry)
from tqconv.importers.keras.nodes import FUNCTIONS
from tqconv.importers.tf.definitions import definition
from tqconv.importers.tf.registry import TF

X = np.array([[[0.5, -1.5, 2.0], [-0.25, 3.0, 1.0]]], np.float32)
Y = np.array([[[2.0, 0.5, -1.0], [1.0, -3.0, 4.0]]], np.float32)
I = np.array([[2, 0, 1]], np.int32)  # noqa: E741
OTHER = ["x1", 0, 0]
Case = tuple[str, list[Array], dict[str, Any], Any]
CASES: list[Case] = [
    ("math.abs", [X], {}, np.abs(X)),
    ("math.add", [X, Y], {"y": OTHER, "name": None}, X + Y),
    ("__operators__.add", [X], {"y": 1}, X + 1),
    ("math.pow", [np.abs(X)], {"y": 0.5, "name": None}, np.sqrt(np.abs(X))),
    ("compat.v1.floor_div", [I], {"y": 2}, I // 2),
    ("math.truediv", [I], {"y": 2}, (I / 2).astype(np.float32)),
    ("math.greater", [X], {"y": 0.5}, X > 0.5),
    ("cast", [X > 0.5], {"dtype": "float32"}, (X > 0.5).astype(np.float32)),
    ("where", [X > 0.5, X], {"x": OTHER, "y": 0.0}, np.where(X > 0.5, X, 0)),
    ("clip_by_value", [X], {"clip_value_min": -1, "clip_value_max": 1}, np.clip(X, -1, 1)),
    ("math.reduce_mean", [X], {"axis": -1}, X.mean(-1)),
    ("math.reduce_sum", [X], {"axis": [1, 2], "keepdims": True}, X.sum((1, 2), keepdims=True)),
    ("math.reduce_max", [X], {}, X.max()),
    ("math.reduce_std", [X], {"axis": 1}, X.std(1)),
    ("math.argmax", [X], {"axis": -1, "output_type": "int32"}, X.argmax(-1).astype(np.int32)),
    ("math.cumsum", [X], {"axis": 2, "exclusive": True}, X.cumsum(2) - X),
    ("linalg.matmul", [X, Y], {"b": OTHER, "transpose_b": True}, X @ Y.transpose(0, 2, 1)),
    ("tensordot", [X], {"b": Y[0].T.tolist(), "axes": [[2], [0]]}, X @ Y[0].T),
    ("reshape", [X], {"shape": [-1, 6]}, X.reshape(1, 6)),
    ("compat.v1.transpose", [X], {"perm": [0, 2, 1], "name": "t"}, X.transpose(0, 2, 1)),
    ("expand_dims", [X], {"axis": -1}, X[..., None]),
    ("tile", [X], {"multiples": [1, 2, 1]}, np.tile(X, (1, 2, 1))),
    ("repeat", [X], {"repeats": [1, 2], "axis": 1}, np.repeat(X, [1, 2], 1)),
    ("compat.v1.gather", [X], {"indices": [1, 0], "axis": 2, "batch_dims": 0}, X[..., [1, 0]]),
    ("one_hot", [I], {"depth": 4, "off_value": -1}, np.where(np.eye(4)[I] == 1, 1, -1)),
    (
        "compat.v1.pad",
        [X],
        {"paddings": [[0, 0], [1, 0], [0, 0]]},
        np.pad(X, [(0, 0), (1, 0), (0, 0)]),
    ),
    ("compat.v1.shape", [X], {"out_type": "int32"}, np.array(X.shape, np.int32)),
    ("sort", [X], {"axis": -1}, np.sort(X, -1)),
    ("sequence_mask", [I], {"maxlen": 3}, np.arange(3) < I[..., None]),
    ("nn.relu", [X], {"name": None}, np.maximum(X, 0)),
    ("nn.leaky_relu", [X], {"alpha": 0.25}, np.where(X > 0, X, X / 4)),
    ("math.l2_normalize", [X], {"axis": -1}, X / np.linalg.norm(X, axis=-1, keepdims=True)),
    ("image.flip_left_right", [X[..., None]], {}, X[..., None][:, :, ::-1]),
    (
        "image.central_crop",
        [np.ones((1, 4, 6, 1), np.float32)],
        {"central_fraction": 0.5},
        np.ones((1, 2, 4, 1)),
    ),
    ("image.grayscale_to_rgb", [X[..., None]], {}, np.repeat(X[..., None], 3, 3)),
    (
        "tensor_scatter_nd_update",
        [X],
        {"indices": [[0, 1]], "updates": [[9.0, 9.0, 9.0]]},
        np.where([[[False], [True]]], 9, X),
    ),
]


@pytest.mark.parametrize(("name", "xs", "named", "expected"), CASES, ids=[c[0] for c in CASES])
def test_functions(
    tmp_path: Path, name: str, xs: list[Array], named: dict[str, Any], expected: Array
) -> None:
    y = of_function(tmp_path, name, xs, **named)[0]
    assert y.dtype.kind == np.asarray(expected).dtype.kind or y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=1e-5)


EDGES = [{"start": None, "stop": None, "step": None}]
SLICES: list[tuple[Any, Callable[[Array], Array]]] = [
    ([*EDGES, {"start": 1, "stop": None, "step": None}], lambda x: x[:, 1:]),
    ([*EDGES, -1], lambda x: x[:, -1]),
    (
        [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}],
        lambda x: x[..., ::-1],
    ),
    ([*EDGES, None, 0], lambda x: x[:, None, 0]),
]


@pytest.mark.parametrize(("spec", "expected"), SLICES)
def test_slices(tmp_path: Path, spec: Any, expected: Callable[[Array], Array]) -> None:
    y = of_function(tmp_path, "__operators__.getitem", [X], slice_spec=spec)[0]
    np.testing.assert_array_equal(y, expected(X))


def test_what_a_function_is_called_with_first_keeps_its_structure(tmp_path: Path) -> None:
    y = of_function(tmp_path, "concat", [X, Y], ["x0", "x1"], axis=1)[0]
    np.testing.assert_array_equal(y, np.concatenate([X, Y], 1))
    y = of_function(tmp_path, "stack", [X], ["x0"], axis=1)[0]
    np.testing.assert_array_equal(y, X[:, None])
    y = of_function(tmp_path, "math.subtract", [X], 2.0, y=["x0", 0, 0])[0]
    np.testing.assert_array_equal(y, 2 - X)


def test_sizes_are_computed_where_they_are_not_known(tmp_path: Path) -> None:
    model = functional(
        given("x", [None, 2, 3]),
        called("compat.v1.shape", "x", out_type="int32"),
        called("__operators__.getitem", "compat.v1.shape", slice_spec=0),
        called("reshape", "x", shape=[["__operators__.getitem", 0, 0], 6]),
        inputs=[["x", 0, 0]],
        outputs=[["reshape", 0, 0]],
    )
    x = np.concatenate([X, Y])
    y = computed(write_h5(tmp_path / "m.h5", model, {}), x)[0]
    np.testing.assert_array_equal(y, x.reshape(2, 6))


def test_convolution_with_constants(tmp_path: Path) -> None:
    x = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    w = np.ones((2, 2, 2, 1), np.float32)
    named = {"filter": w.tolist(), "strides": [1, 2, 2, 1], "padding": "VALID"}
    y = of_function(tmp_path, "compat.v1.nn.conv2d", [x], **named)[0]
    np.testing.assert_allclose(y, x.reshape(1, 2, 2, 2, 2, 2).sum((2, 4, 5))[..., None])


def operator(name: str, op: str, inputs: list[str], constants: dict[str, Any], **attr: Any) -> Any:
    """Return the entry of an operator as tf.keras before 2.4 writes it."""
    node = {"name": name, "op": op, "input": inputs, "attr": {"T": {"type": "DT_FLOAT"}, **attr}}
    entry = layer("TensorFlowOpLayer", name, node_def=node, constants=constants)
    return {**entry, "name": name, "inbound_nodes": [[[i, 0, 0, {}] for i in inputs if i == "x"]]}


def test_operators_and_their_constants(tmp_path: Path) -> None:
    axes = {"Tidx": {"type": "DT_INT32"}, "keep_dims": {"b": True}}
    for entry, expected in (
        (operator("diff", "Sub", ["diff/x", "x"], {"0": 1.5}), 1.5 - X),
        (
            operator("mean", "Mean", ["x", "mean/axes"], {"1": [1]}, **axes),
            X.mean(1, keepdims=True),
        ),
        (operator("s", "Softmax", ["x"], {}), np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
    ):
        ends = [[entry["name"], 0, 0]]
        model = functional(given("x", [None, 2, 3]), entry, inputs=[["x", 0, 0]], outputs=ends)
        path = write_h5(tmp_path / "m.h5", model, {}, "2.2.4-tf")
        np.testing.assert_allclose(computed(path, X)[0], expected, atol=1e-6)


def test_all_that_has_no_translation_is_named_at_once(tmp_path: Path) -> None:
    model = functional(
        given("x", [None, 2, 3]),
        called("signal.mdct", "x"),
        called("nn.dropout", "signal.mdct", rate=0.5),
        {**operator("svd", "Svd", ["x"], {}), "inbound_nodes": [[["nn.dropout", 0, 0, {}]]]},
        inputs=[["x", 0, 0]],
        outputs=[["svd", 0, 0]],
    )
    with pytest.raises(UnsupportedError) as caught:
        api.load(write_h5(tmp_path / "m.h5", model, {}))
    text = str(caught.value)
    for part in ("tf.signal.mdct", "tf.nn.dropout", "random numbers", "TensorFlow's Svd"):
        assert part in text


def test_an_argument_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="an attribute `scales`"):
        of_function(tmp_path, "math.reduce_sum", [X], axis=1, scales=2)


TABLES = [(name, argument) for name, found in FUNCTIONS.handlers.items() for _, argument in found]


def test_every_operator_of_the_tables_has_a_translation() -> None:
    told = [getattr(handler, "argument", None) for _, handler in TABLES]
    ops = {n if isinstance(n, str) else n[0] for n in told if isinstance(n, str | tuple)}
    assert len(ops) > 100
    assert [op for op in sorted(ops) if definition(op) is None or TF.find(op) is None] == []


def test_tensors_that_tf_keras_leaves_out_of_its_files_are_named(tmp_path: Path) -> None:
    einsum = layer("TFOpLambda", "tf.einsum", function="einsum")
    nodes = [["_CONSTANT_VALUE", -1, "bi,bj->bij", {}]]
    model = functional(
        given("x", [None, 3]),
        {**einsum, "inbound_nodes": nodes},
        inputs=[["x", 0, 0]],
        outputs=[["tf.einsum", 0, 0]],
    )
    with pytest.raises(UnsupportedError, match="reads any number of tensors"):
        api.load(write_h5(tmp_path / "m.h5", model, {}))
