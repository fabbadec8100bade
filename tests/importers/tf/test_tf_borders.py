"""Where a graph begins and ends: names, cuts, shapes, types, and the errors about them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from graphs import const, node, placeholder

from tqconv.api import optimize
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.importers.tf.definitions import input_type
from tqconv.importers.tf.graphdef import import_graph
from tqconv.importers.tf.node import graph_ref, nodes_of
from tqconv.ir.graph import Model

F32 = np.float32
DELEGATES = pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])


def two_branches() -> list[Any]:
    """X -> Relu -> Exp; X -> Neg."""
    return [
        node("x", "Placeholder", dtype=F32, shape=(None, 3)),
        node("r", "Relu", "x", T=F32),
        node("e", "Exp", "r", T=F32),
        node("n", "Neg", "x", T=F32),
    ]


def load(messages: list[Any], **options: Any) -> Model:
    nodes = nodes_of(iter(messages), graph_ref)
    return optimize(import_graph(nodes, {}, "net.pb", LoadOptions(**options)))


def names(model: Model) -> tuple[list[str], list[str]]:
    return [t.name for t in model.main.inputs], [t.name for t in model.main.outputs]


def test_without_names_placeholders_and_unread_results_are_taken() -> None:
    model = load(two_branches())
    assert names(model) == (["x"], ["e", "n"])
    assert model.notes == ["output arrays: e, n", "input arrays: x"]


def test_a_placeholder_with_a_default_is_an_input_where_there_is_no_other() -> None:
    default = const("d", np.zeros((2, 3), F32))
    soft = node("x", "PlaceholderWithDefault", "d", dtype=F32, shape=(None, 3))
    model = load([default, soft, node("y", "Exp", "x", T=F32)])
    assert names(model) == (["x"], ["y"])
    assert model.main.inputs[0].shape == (None, 3)


def test_names_that_the_graph_lacks_may_be_left_out() -> None:
    asked = {"inputs": ("gone", "x"), "outputs": ("e", "lost"), "shapes": ((7,), (2, 3))}
    model = load(two_branches(), allow_nonexistent_arrays=True, **asked)
    assert names(model) == (["x"], ["e"])
    assert model.main.inputs[0].shape == (2, 3)
    assert "not in the graph, and left out: gone, lost" in model.notes
    with pytest.raises(UsageError, match="none of the tensors lost"):
        load(two_branches(), allow_nonexistent_arrays=True, outputs=("lost",))


def test_one_side_of_a_switch_is_no_output() -> None:
    nodes = [
        *two_branches(),
        placeholder("p", np.bool_, ()),
        node("s", "Switch", "p", "p", T=np.bool_),
        node("switch_t", "Identity", "s:1", T=np.bool_),
        node("switch_f", "Identity", "s", T=np.bool_),
    ]
    assert names(load(nodes))[1] == ["e", "n"]


@pytest.mark.parametrize("asked", [("n", "e"), ("n:0", "e:0"), ("^n", "e")])
def test_outputs_keep_the_order_that_was_asked_for(asked: tuple[str, ...]) -> None:
    assert names(load(two_branches(), outputs=asked)) == (["x"], ["n", "e"])


@DELEGATES
def test_a_graph_is_cut_at_any_tensor_and_knows_its_shape(delegate: bool) -> None:
    model = load(two_branches(), inputs=("r",), outputs=("e",))
    assert names(model) == (["r"], ["e"])
    assert model.main.inputs[0].shape == (None, 3)
    x = np.array([[-1, 0, 2]], F32)
    (got,) = run_litert(model, [x], delegate)
    np.testing.assert_allclose(got, np.exp(x), rtol=1e-6)


@DELEGATES
def test_a_dynamic_size_stays_dynamic(delegate: bool) -> None:
    model = load(two_branches(), outputs=("e",))
    for rows in (1, 5):
        x = np.linspace(-1, 1, rows * 3, dtype=F32).reshape(rows, 3)
        (got,) = run_litert(model, [x], delegate)
        np.testing.assert_allclose(got, np.exp(np.maximum(x, 0)), rtol=1e-6)


@DELEGATES
def test_an_output_may_be_an_input_and_stand_twice(delegate: bool) -> None:
    model = load(two_branches(), outputs=("x", "e", "r"))
    assert names(model)[1] != ["x", "x"]
    x = np.array([[-1, 0, 2]], F32)
    got = run_litert(model, [x], delegate)
    np.testing.assert_array_equal(got[0], x)
    np.testing.assert_array_equal(got[2], np.maximum(x, 0))


@DELEGATES
def test_half_stays_half_at_the_border(delegate: bool) -> None:
    half = np.float16
    model = load(
        [
            node("x", "Placeholder", dtype=half, shape=(4,)),
            node("y", "AddV2", "x", "x", T=half),
        ]
    )
    assert [t.dtype for t in (*model.main.inputs, *model.main.outputs)] == [half, half]
    x = np.array([0.1, 1.0 / 3, 1000.5, -7e-5], half)
    (got,) = run_litert(model, [x], delegate)
    np.testing.assert_array_equal(got, x + x)


def test_double_becomes_float_with_a_note() -> None:
    double = np.float64
    model = load(
        [
            node("x", "Placeholder", dtype=double, shape=(4,)),
            node("y", "Neg", "x", T=double),
        ]
    )
    assert [t.dtype for t in (*model.main.inputs, *model.main.outputs)] == [F32, F32]
    assert "input x: float64 in the source, float32 in the result" in model.notes


BAD = [
    ({"outputs": ("rr",)}, "no tensor named `rr`"),
    ({"inputs": ("y",)}, "no tensor named `y`"),
    ({"inputs": ("x", "x")}, "listed twice"),
    ({"shapes": ((1, 3), (2,))}, "2 entries for 1 input"),
    ({"shapes": ((3,),)}, r"rank 2 in the graph, --input_shapes gives \[3\]"),
    ({"named_shapes": {"xx": (1, 3)}}, "`xx`, which is no input; did you mean `x`"),
    ({"inputs": ("r",), "outputs": ("e", "n")}, "placeholders that are no inputs: x"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[m for _, m in BAD])
def test_wrong_names_and_shapes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(two_branches(), **options)


def test_all_missing_operators_are_reported_at_once() -> None:
    messages = [
        *two_branches(),
        node("d", "DecodeJpeg", "r"),
        node("m1", "Mystery", "d"),
        node("m2", "Mystery", "m1"),
    ]
    with pytest.raises(UnsupportedError) as caught:
        load(messages, outputs=("m2", "e"))
    assert str(caught.value).splitlines() == [
        "2 operators of net.pb have no TFLite translation",
        "  DecodeJpeg x1   d",
        "  Mystery    x2   m1, m2",
    ]
    assert "--allow_custom_ops" in (caught.value.hint or "")


def test_an_attribute_that_nobody_knows_is_an_error() -> None:
    messages = [
        node("x", "Placeholder", dtype=F32, shape=(1, 3)),
        node("y", "Relu", "x", T=F32, negative_slop=0.1),
    ]
    message = r"'y' in net.pb: Relu has an attribute `negative_slop`"
    with pytest.raises(UnsupportedError, match=message):
        load(messages)


DAMAGED = [
    node("y", "Conv2D", "x", "x", T=F32, strides=[1], padding="SAME"),
    node("y", "ConcatV2", "x", T=F32, N=1),
    node("y", "Relu", T=F32),
    node("y", "AddV2", "x", T=F32),
    node("y", "Softmax", "x", "x", T=F32),
    node("y", "Reshape", "x", "x", T=F32),
    node("y", "MaxPool", "x", T=F32, ksize="many", strides=[1, 1, 1, 1], padding="SAME"),
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=lambda message: message.op)
def test_a_node_that_does_not_fit_its_operator_is_named(damaged: Any) -> None:
    messages = [node("x", "Placeholder", dtype=F32, shape=(1, 4, 4, 1)), damaged]
    with pytest.raises((FormatError, UnsupportedError), match=f"{damaged.op} 'y' in net.pb"):
        load(messages)


@pytest.mark.parametrize("count", [-1, 2**40])
def test_a_count_of_tensors_that_is_damage_makes_no_list(count: int) -> None:
    message = node("y", "AddN", "x", N=count, T=np.dtype(np.float32))
    made = nodes_of(iter([message]), graph_ref)
    assert input_type(made["y"], 0) is None
