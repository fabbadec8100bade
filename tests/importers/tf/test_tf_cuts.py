"""Graphs that are cut in their midst: inputs there have the type and shape that the graph says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from graphs import attr_value, const, node, placeholder, typed
from hypothesis import given, settings
from hypothesis import strategies as st

from tqconv.api import optimize
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.importers.tf.graphdef import import_graph
from tqconv.importers.tf.node import graph_ref, nodes_of
from tqconv.ir.graph import Model

F32, I32, I64 = np.float32, np.int32, np.int64
STRING = np.dtype(object)


def load(messages: list[Any], **options: Any) -> Model:
    nodes = nodes_of(iter(messages), graph_ref)
    return optimize(import_graph(nodes, {}, "net.pb", LoadOptions(**options)))


def inputs_of(model: Model) -> list[tuple[str, tuple[int | None, ...], str]]:
    return [(t.name, t.shape, t.dtype.name) for t in model.main.inputs]


def retrained() -> list[Any]:
    """A graph that decodes an image, makes it [1, 20, 20, 3], and convolves it."""
    return [
        placeholder("contents", STRING, ()),
        node("decoded", "DecodeJpeg", "contents", channels=3),
        node("cast", "Cast", "decoded", SrcT=np.uint8, DstT=F32),
        const("axis", np.array(0, I32)),
        node("batch", "ExpandDims", "cast", "axis", T=F32),
        const("size", np.array([20, 20], I32)),
        node("resized", "ResizeBilinear", "batch", "size", T=F32),
        const("scale", np.array(0.5, F32)),
        node("mul", "Mul", "resized", "scale", T=F32),
        const("w", np.ones((2, 2, 3, 4), F32)),
        node("y", "Conv2D", "mul", "w", T=F32, strides=[1, 2, 2, 1], padding=b"VALID"),
    ]


def test_the_shape_follows_from_operators_before_the_cut_that_have_no_translation() -> None:
    assert inputs_of(load(retrained(), inputs=("mul",))) == [("mul", (1, 20, 20, 3), "float32")]
    assert inputs_of(load(retrained(), inputs=("batch",))) == [
        ("batch", (1, None, None, 3), "float32")
    ]


def test_behind_an_image_decoder_stand_bytes() -> None:
    model = load(retrained(), inputs=("decoded",))
    assert inputs_of(model) == [("decoded", (None, None, 3), "uint8")]


MAKERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "a comparison": ("Less", {"T": F32}, "bool"),
    "an index": ("ArgMax", {"T": F32}, "int64"),
    "an index of a chosen type": ("ArgMax", {"T": F32, "output_type": I32}, "int32"),
    "a resized image of bytes": ("ResizeBilinear", {"T": np.uint8}, "float32"),
    "a test of all": ("All", {}, "bool"),
    "a shape": ("Shape", {"T": F32}, "int32"),
    "a shape of a chosen type": ("Shape", {"T": F32, "out_type": I64}, "int64"),
    "a cast": ("Cast", {"SrcT": F32, "DstT": np.uint8}, "uint8"),
    "a lookup": ("LookupTableFindV2", {"Tin": STRING, "Tout": I64}, "int64"),
    "a number out of text": ("StringToNumber", {}, "float32"),
    "a gather": ("GatherV2", {"Tparams": I32, "Tindices": I64, "Taxis": I32}, "int32"),
    "a spectrum": ("RFFT", {}, "complex64"),
    "a batch of a pipeline": ("IteratorGetNext", {"output_types": [I32, F32]}, "int32"),
}


@pytest.mark.parametrize("what", MAKERS)
def test_the_definition_of_an_operator_says_the_type_of_its_output(what: str) -> None:
    op, attributes, dtype = MAKERS[what]
    graph = [placeholder("x", F32, (2, 3)), node("made", op, "x", **attributes)]
    graph.append(node("y", "Identity", "made"))
    model = load(graph, inputs=("made",), shapes=((2, 3),), outputs=("y",))
    assert inputs_of(model) == [("made", (2, 3), dtype)]


def test_each_output_has_its_own_type() -> None:
    graph = [
        placeholder("x", F32, (2, 8)),
        const("k", np.array(3, I32)),
        node("top", "TopKV2", "x", "k", T=F32),
        node("a", "Neg", "top", T=F32),
        node("b", "Neg", "top:1", T=I32),
    ]
    model = load(graph, inputs=("top:1", "top"), outputs=("b", "a"))
    assert inputs_of(model) == [("top:1", (2, 3), "int32"), ("top", (2, 3), "float32")]


def test_readers_say_the_type_of_what_an_unknown_operator_makes() -> None:
    graph = [
        placeholder("x", F32, (4,)),
        node("own", "SomebodysOwn", "x"),
        const("table", np.arange(6, dtype=F32)),
        const("axis", np.array(0, I32)),
        node("y", "GatherV2", "table", "own", "axis", Tparams=F32, Tindices=I64, Taxis=I32),
    ]
    model = load(graph, inputs=("own",), shapes=((4,),))
    assert inputs_of(model) == [("own", (4,), "int64")]


def test_a_type_that_nothing_says_is_asked_for() -> None:
    graph = [placeholder("x", F32, (4,)), node("own", "SomebodysOwn", "x")]
    graph.append(node("y", "Identity", "own"))
    with pytest.raises(UsageError, match="does not say the type of input `own`") as caught:
        load(graph, inputs=("own",), shapes=((4,),))
    assert "--input_data_types" in str(caught.value.hint)
    model = load(graph, inputs=("own",), shapes=((4,),), dtypes=("int8",))
    assert inputs_of(model) == [("own", (4,), "int8")]


def test_the_shapes_that_tensorflow_left_at_a_node_count() -> None:
    graph = [placeholder("x", F32, None), node("own", "SomebodysOwn", "x", T=F32)]
    graph[1].attr["_output_shapes"].CopyFrom(attr_value([(None, 7)]))
    graph.append(node("y", "Neg", "own", T=F32))
    assert inputs_of(load(graph, inputs=("own",))) == [("own", (None, 7), "float32")]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_matrix_that_multiplies_an_input_says_its_shape(transposed: bool) -> None:
    w = np.arange(6, dtype=F32).reshape(3, 2)
    graph = [
        placeholder("x", F32, None),
        const("w", w.T if transposed else w),
        node("y", "MatMul", "x", "w", T=F32, transpose_b=transposed),
    ]
    model = load(graph)
    assert inputs_of(model) == [("x", (None, 3), "float32")]
    assert "input x is [?, 3], as MatMul 'y' reads it" in model.notes
    x = np.array([[1, 2, 3], [4, 5, 6]], F32)
    (got,) = run_litert(model, [x], True)
    np.testing.assert_array_equal(got, x @ w)


def test_what_is_known_of_a_shape_stands_in_the_question_for_it() -> None:
    graph = [
        placeholder("x", F32, None),
        const("w", np.ones((2, 2, 3, 4), F32)),
        node("r", "Relu", "x", T=F32),
        node("y", "Conv2D", "r", "w", T=F32, strides=[1, 1, 1, 1], padding=b"VALID"),
    ]
    with pytest.raises(UsageError, match=r"Conv2D 'y' reads it as \[\?, \?, \?, 3\]"):
        load(graph)


def test_half_is_half_at_a_cut() -> None:
    half = np.float16
    graph = [
        placeholder("x", half, (1, 4, 4, 3)),
        const("w", np.ones((2, 2, 3, 5), half)),
        node("c", "Conv2D", "x", "w", T=half, strides=[1, 1, 1, 1], padding=b"VALID"),
        node("y", "Neg", "c", T=half),
    ]
    assert inputs_of(load(graph, inputs=("c",))) == [("c", (1, 3, 3, 5), "float16")]


def test_a_variable_before_the_cut_has_its_own_shape() -> None:
    graph = [
        placeholder("x", F32, (5, 3)),
        node("v", "VariableV2", dtype=F32, shape=(3, 2)),
        node("m", "MatMul", "x", "v", T=F32),
        node("y", "Neg", "m", T=F32),
    ]
    assert inputs_of(load(graph, inputs=("m",))) == [("m", (5, 2), "float32")]


def parsed() -> list[Any]:
    """Two dense features and a sparse one of serialized examples."""
    features = {
        "sparse_types": [I64],
        "Tdense": [F32, I64],
        "dense_shapes": [(4,), ()],
        "Nsparse": 1,
        "Ndense": 2,
    }
    return [
        placeholder("examples", STRING, (None,)),
        node("parsed", "ParseExample", "examples", **features),
        node("a", "Neg", "parsed:3", T=F32),
        node("b", "Neg", "parsed:4", T=I64),
    ]


def test_features_of_examples_have_the_batch_in_front() -> None:
    model = load(parsed(), inputs=("parsed:3", "parsed:4"))
    assert inputs_of(model) == [("parsed:3", (None, 4), "float32"), ("parsed:4", (None,), "int64")]


def test_other_sizes_than_the_graph_says_are_told() -> None:
    graph = [placeholder("x", F32, (1, 6)), node("y", "Neg", "x", T=F32)]
    model = load(graph, shapes=((1, 8),))
    note = "--input_shapes gives [1, 8] for input x, which is [1, 6] in the graph"
    assert inputs_of(model) == [("x", (1, 8), "float32")]
    assert note in model.notes
    assert not [n for n in load(graph, shapes=((None, 6),)).notes if "--input_shapes" in n]
    graph += [const("w", np.ones((6, 2), F32)), node("z", "MatMul", "x", "w", T=F32)]
    with pytest.raises(UnsupportedError, match="z") as caught:
        load(graph, shapes=((1, 8),), outputs=("z",))
    assert str(caught.value.hint).startswith(note)


def test_a_value_takes_the_type_and_shape_of_the_inner_tensor_that_it_replaces() -> None:
    graph = [
        placeholder("x", F32, (2, 8)),
        const("k", np.array(3, I32)),
        node("top", "TopKV2", "x", "k", T=F32),
        node("best", "Neg", "top", T=F32),
        node("y", "Neg", "top:1", T=I32),
    ]
    model = load(graph, values={"top:1": "4"}, inputs=(), outputs=("y",))
    (got,) = run_litert(model, [], True)
    np.testing.assert_array_equal(got, np.full((2, 3), -4, I32))
    with pytest.raises(UsageError, match=r"has the shape \[2\], but `top:1` is \[2, 3\]"):
        load(graph, values={"top:1": "[4, 5]"})
    x = np.arange(16, dtype=F32).reshape(2, 8)
    model = load(graph, values={"top": "4"}, inputs=("x",), outputs=("best", "y"))
    best, indices = run_litert(model, [x], True)
    np.testing.assert_array_equal(best, np.full((2, 3), -4, F32))
    np.testing.assert_array_equal(indices, [[-7, -6, -5]] * 2)


def test_quantized_types_are_their_storage() -> None:
    graph = [placeholder("x", F32, (4,)), node("q", "QuantizeV2", "x", T=typed("quint8"))]
    graph.append(node("y", "Identity", "q", T=typed("quint8")))
    model = load(graph, inputs=("q",), outputs=("y",), shapes=((4,),))
    assert inputs_of(model) == [("q", (4,), "uint8")]


def advised(error: UnsupportedError) -> dict[str, tuple[str, ...]]:
    """Return the options that an advice names."""
    flags = {"--output_arrays": "outputs", "--input_arrays": "inputs"}
    found = re.search(r"`(--\w+) (\S+)`", str(error.hint))
    return {} if found is None else {flags[found[1]]: tuple(found[2].split(","))}


@st.composite
def with_mysteries(draw: st.DrawFn) -> list[Any]:
    """Graphs of sums and negations, some of whose nodes nobody knows."""
    graph = [placeholder("x", F32, (2,)), const("c", np.ones(2, F32))]
    for i in range(draw(st.integers(1, 9))):
        names = st.sampled_from([message.name for message in graph])
        kind = draw(st.sampled_from(["Neg", "Neg", "AddV2", "AddV2", "Mystery"]))
        inputs = [draw(names) for _ in range(2 if kind == "AddV2" else 1)]
        graph.append(node(f"n{i}", kind, *inputs, T=F32))
    return graph


@settings(max_examples=300, deadline=None)
@given(with_mysteries())
def test_an_advised_cut_works(graph: list[Any]) -> None:
    sound, fed = {"x", "c"}, {"x"}
    for message in graph[2:]:
        if message.op != "Mystery" and set(message.input) <= sound:
            sound.add(message.name)
            fed |= {message.name} if fed & set(message.input) else set()
    try:
        load(graph)
    except UnsupportedError as error:
        options = advised(error)
        read = {name for message in graph if message.name not in sound for name in message.input}
        assert options or not read & fed - {"x"}
        assert set(options.get("outputs", ())) <= sound
        if options:
            assert load(graph, **options).main.ops
    except UsageError:
        pass  # nothing but constants and placeholders


def test_what_lacks_a_translation_at_the_head_is_cut_off_there() -> None:
    graph = retrained()
    with pytest.raises(UnsupportedError) as caught:
        load(graph)
    assert advised(caught.value) == {"inputs": ("decoded",)}
    assert [t.name for t in load(graph, **advised(caught.value)).main.inputs] == ["decoded"]


def test_no_advised_output_depends_on_what_is_missing() -> None:
    graph = [
        placeholder("x", F32, (4,)),
        node("a", "Neg", "x", T=F32),
        node("m", "Mystery", "a", T=F32),
        node("b", "Neg", "m", T=F32),
        node("n", "Mystery", "b", T=F32),
        node("d", "Add", "n", "a", T=F32),
        node("e", "Neg", "a", T=F32),
    ]
    with pytest.raises(UnsupportedError) as caught:
        load(graph)
    assert advised(caught.value) == {"outputs": ("e", "a")}


def test_absent_nodes_are_all_named() -> None:
    graph = [
        placeholder("x", F32, (1, 6, 6, 3)),
        node("conv", "Conv2D", "x", "Const", T=F32, strides=[1, 1, 1, 1], padding=b"SAME"),
        node("y", "BiasAdd", "conv", "Const_1", T=F32),
    ]
    with pytest.raises(FormatError) as caught:
        load(graph)
    assert str(caught.value) == (
        "2 nodes not in the graph: 'Const', which 'conv' reads; 'Const_1', which 'y' reads"
    )
    assert "OpenCV" in str(caught.value.hint)


def test_of_many_absent_nodes_ten_are_named() -> None:
    names = [f"gone{i}" for i in range(14)]
    graph = [const("c", np.ones(2, F32)), node("y", "AddN", "c", *names, T=F32, N=15)]
    with pytest.raises(
        FormatError, match=r"^14 nodes not in the graph: .*; and 4 more\b"
    ) as caught:
        load(graph)
    assert str(caught.value).count("gone") == 10


SWITCHES = {
    "keep_prob": (F32, "1.0"),
    "net/dropout_rate": (F32, "0.0"),
    "is_training": (np.bool_, "false"),
    "is_inference": (np.bool_, "true"),
}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("dims", [(), None])
def test_what_tells_training_from_use_is_advised_to_be_set(name: str, dims: Any) -> None:
    dtype, value = SWITCHES[name]
    graph = [
        placeholder("x", F32, (4,)),
        placeholder(name, dtype, dims),
        node("c", "Cast", name, SrcT=dtype, DstT=F32),
        node("y", "Mul", "x", "c", T=F32),
    ]
    advice = f"--set_input {name}={value}"
    with pytest.raises(UsageError, match="no inputs") as caught:
        load(graph, inputs=("x",))
    assert advice in str(caught.value.hint)
    if dims is None:
        with pytest.raises(UsageError, match="shape of input") as caught:
            load(graph)
        assert advice in str(caught.value.hint)
    else:
        assert any(advice in note for note in load(graph).notes)
    assert [t.name for t in load(graph, values={name: value}).main.inputs] == ["x"]
