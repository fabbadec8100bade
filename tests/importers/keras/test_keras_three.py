"""What Keras 3 does otherwise than the versions before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks_keras import (
    Array,
    call3,
    computed,
    functional,
    given,
    layer,
    of_layer,
    operation3,
    ref3,
    write_h5,
    write_keras,
)

from tqconv import api
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.keras.load import dtype_of

R = np.random.default_rng(11)
F = np.float32
KERNEL = "layers/functional/layers/dense/vars/0"


def noise(*shape: int) -> Array:
    return R.normal(size=shape).astype(F)


def _twice(*outputs: list[Any]) -> dict[str, Any]:
    """A model that calls one with two outputs, x w and x + 1, on x, and on what the second made."""
    inner = functional(
        given("i", [None, 2]),
        call3(layer("Dense", "dense", units=2, use_bias=False), ref3("i")),
        call3(operation3("numpy", "Add", "add"), ref3("i"), 1.0),
        inputs=[["i", 0, 0]],
        outputs={"a": ["dense", 0, 0], "b": ["add", 0, 0]},
        name="inner",
    )
    inner = call3(call3(inner, ref3("x")), ref3("inner", 0, 1))
    return functional(given("x", [None, 2]), inner, inputs=["x", 0, 0], outputs=[*outputs])


def test_calls_of_a_model_inside_count_from_one_where_they_are_outputs(tmp_path: Path) -> None:
    w, x = noise(2, 2), noise(3, 2)
    config = _twice(["inner", 2, 0], ["inner", 1, 1])
    path = write_keras(tmp_path / "m.keras", config, {KERNEL: w})
    second, first = computed(path, x)
    np.testing.assert_allclose(second, (x + 1) @ w, atol=1e-5)
    np.testing.assert_allclose(first, x + 1, atol=1e-6)


@pytest.mark.parametrize("keys", [("q", "p"), ("a", "z")])
def test_a_model_called_with_a_dictionary_takes_each_tensor_by_its_key(
    tmp_path: Path, keys: tuple[str, str]
) -> None:
    """By the names of its inputs where these are a list: q, then p; else by keys of their own."""
    ends = [["q", 0, 0], ["p", 0, 0]]
    inner = functional(
        given("p", [None, 2]),
        given("q", [None, 2]),
        call3(operation3("numpy", "Subtract", "minus"), ref3("q"), ref3("p")),
        inputs=ends if keys == ("q", "p") else dict(zip(keys, ends, strict=True)),
        outputs=["minus", 0, 0],
        name="inner",
    )
    told = dict(zip(keys, (ref3("x"), ref3("y")), strict=True))
    backwards = dict(reversed(told.items()))
    model = functional(
        given("x", [None, 2]),
        given("y", [None, 2]),
        call3(call3(inner, told), backwards),
        inputs=[["x", 0, 0], ["y", 0, 0]],
        outputs=[["inner", 1, 0], ["inner", 2, 0]],
    )
    x, y = noise(3, 2), noise(3, 2)
    made = computed(write_keras(tmp_path / "m.keras", model, {}), x, y)
    np.testing.assert_allclose(made, [x - y, x - y], atol=1e-6)


def test_keras_2_names_what_it_hands_to_a_model_by_keys_of_a_dictionary(tmp_path: Path) -> None:
    """A tensor that the model does not ask for is not looked at."""
    inner = functional(
        given("p", [None, 2]),
        given("q", [None, 2]),
        {**layer("Subtract", "minus"), "inbound_nodes": [[["q", 0, 0, {}], ["p", 0, 0, {}]]]},
        inputs=[["q", 0, 0], ["p", 0, 0]],
        outputs=[["minus", 0, 0]],
        name="inner",
    )
    told = {"p": ["y", 0, 0, {}], "more": ["y", 0, 0, {}], "q": ["x", 0, 0, {}]}
    model = functional(
        given("x", [None, 2]),
        given("y", [None, 2]),
        {**inner, "inbound_nodes": [told]},
        inputs=[["x", 0, 0], ["y", 0, 0]],
        outputs=[["inner", 1, 0]],
    )
    x, y = noise(3, 2), noise(3, 2)
    (made,) = computed(write_h5(tmp_path / "m.h5", model, {}), x, y)
    np.testing.assert_allclose(made, x - y, atol=1e-6)


def test_the_first_argument_of_a_call_may_have_its_name(tmp_path: Path) -> None:
    w, x = noise(2, 2), noise(3, 2)
    model = functional(
        given("x", [None, 2]),
        call3(layer("Dense", "dense", units=2, use_bias=False), inputs=ref3("x")),
        inputs=["x", 0, 0],
        outputs=["dense", 0, 0],
    )
    found = computed(write_keras(tmp_path / "m.keras", model, {"layers/dense/vars/0": w}), x)[0]
    np.testing.assert_allclose(found, x @ w, atol=1e-5)


def test_an_output_of_a_call_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "m.keras", _twice(["inner", 9, 1]), {KERNEL: noise(2, 2)})
    with pytest.raises(FormatError, match="call 8 of 'inner', which does not exist"):
        api.load(path)


@pytest.mark.parametrize(("op", "value"), [("OnesLike", True), ("ZerosLike", False)])
def test_what_is_like_a_tensor_may_be_of_another_type(tmp_path: Path, op: str, value: bool) -> None:
    model = functional(
        given("x", [None, 3]),
        call3(operation3("numpy", op, "alike", dtype="bool"), ref3("x")),
        inputs=["x", 0, 0],
        outputs=["alike", 0, 0],
    )
    (y,) = computed(write_keras(tmp_path / "m.keras", model, {}), noise(2, 3))
    np.testing.assert_array_equal(y, np.full((2, 3), value))


def test_indices_below_zero_count_from_the_end(tmp_path: Path) -> None:
    table, ids = noise(5, 3), np.array([[0, -1, 4, -5]], np.int32)
    y = of_layer(tmp_path, "Embedding", ids, table, input_dim=5, output_dim=3)
    np.testing.assert_array_equal(y, table[ids])


@pytest.mark.parametrize(("major", "weight"), [(2, 1 / 3), (3, 0.0)])
def test_where_all_is_hidden_softmax_is_that_of_the_version(
    tmp_path: Path, major: int, weight: float
) -> None:
    softmax = layer("Softmax", "softmax", axis=-1)
    node = [[["x", 0, 0, {"mask": ["m", 0, 0]}]]]
    entry = call3(softmax, ref3("x"), mask=ref3("m"))
    entry = entry if major == 3 else {**softmax, "inbound_nodes": node}
    borders = given("x", [None, 3]), given("m", [None, 3], "bool")
    ends: dict[str, Any] = {"inputs": [["x", 0, 0], ["m", 0, 0]], "outputs": [["softmax", 0, 0]]}
    model = functional(*borders, entry, **ends)
    path = write_h5(tmp_path / "m.h5", model, {}, {2: "2.21.0", 3: "3.15.1"}[major])
    shown = np.array([[True, True, False], [False, False, False]])
    (y,) = computed(path, np.zeros((2, 3), F), shown)
    np.testing.assert_allclose(y, [[0.5, 0.5, 0], [weight] * 3], atol=1e-6)


@pytest.mark.parametrize(("dropout", "found"), [(0.0, "all"), (0.1, "nothing")])
def test_a_query_that_sees_nothing_finds_nothing_where_there_is_dropout(
    tmp_path: Path, dropout: float, found: str
) -> None:
    eye = np.eye(2, dtype=F)
    heads = {"num_heads": 1, "key_dim": 2, "use_bias": False, "dropout": dropout}
    entry = layer("MultiHeadAttention", "heads", **heads)
    model = functional(
        given("x", [None, 3, 2]),
        given("m", [None, 3, 3], "bool"),
        call3(entry, ref3("x"), ref3("x"), attention_mask=ref3("m"), query_mask=ref3("m")),
        inputs=[["x", 0, 0], ["m", 0, 0]],
        outputs=["heads", 0, 0],
    )
    kernels = [eye[:, None], eye[:, None], eye[:, None], eye[None]]
    named = [(str(i), kernel) for i, kernel in enumerate(kernels)]
    path = write_h5(tmp_path / "m.h5", model, {"heads": named}, "3.15.1")
    x, shown = noise(1, 3, 2), np.array([[[True] * 3, [False] * 3, [False, True, False]]])
    (y,) = computed(path, x, shown)
    np.testing.assert_allclose(y[0, 1], x.mean(1)[0] if found == "all" else [0, 0], atol=1e-5)
    np.testing.assert_allclose(y[0, 2], x[0, 1], atol=1e-5)


def test_an_activation_with_a_limit_is_no_operation(tmp_path: Path) -> None:
    options = {"negative_slope": 0.5, "max_value": 1.0, "threshold": 0.0}
    entry = {"class_name": "ReLU", "name": "limited", "config": {"name": "limited", **options}}
    model = functional(
        given("x", [None, 3]),
        call3(entry, ref3("x")),
        inputs=["x", 0, 0],
        outputs=["limited", 0, 0],
    )
    x = np.array([[-2.0, 0.5, 3.0]], F)
    (y,) = computed(write_h5(tmp_path / "m.h5", model, {}, "3.15.1"), x)
    np.testing.assert_array_equal(y, [[-1.0, 0.5, 1.0]])


@pytest.mark.parametrize("name", ["float33", "\udc80", "i4,i4", ""])
def test_a_type_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="which does not exist"):
        dtype_of(name)


@pytest.mark.parametrize(
    ("op", "reason"),
    [("SVD", "decomposes a matrix"), ("AssociativeScan", "is an operation without a translation")],
)
def test_an_operation_without_a_translation_is_named_as_one(
    tmp_path: Path, op: str, reason: str
) -> None:
    entry = call3(operation3("linalg", op, "made"), ref3("x"))
    model = functional(given("x", [2, 2]), entry, inputs=["x", 0, 0], outputs=["made", 0, 0])
    with pytest.raises(UnsupportedError, match=rf"ops\.{op} 'model/made' {reason}"):
        api.load(write_keras(tmp_path / "m.keras", model, {}))
