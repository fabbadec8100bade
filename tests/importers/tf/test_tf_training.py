"""Graphs of training runs: values, left-overs, variables from checkpoints, back edges."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from conftest import run_litert
from flow import flow
from graphs import DELEGATES, Message

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError, UsageError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tf.bundle import open_bundle, slice_key, variable_names
from tqconv.importers.values import parse_value
from tqconv.ir.graph import Model
from tqconv.schema import proto

X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

GRAPH = """
    x = Placeholder dtype=f32 shape=(2,2)
    training = Placeholder dtype=bool shape=()
    keep = PlaceholderWithDefault half dtype=f32 shape=()
    half = Const 0.5
    w = VariableV2 dtype=f32 shape=(2,3) container='' shared_name=''
    w/read = Identity w T=f32
    b = VarHandleOp dtype=f32 shape=(3,) shared_name='bias' container=''
    b/read = ReadVariableOp b dtype=f32
    product = MatMul x w/read T=f32
    sum = BiasAdd product b/read T=f32
    scaled = Mul sum keep T=f32
    to = Switch scaled training T=f32
    noise = NotAnOperator to:1
    out = Merge to noise N=2 T=f32
    initial = Const [[0.0,0,0],[0,0,0]]
    w/Assign = Assign w initial T=f32
    save/name = Const 0
    save/SaveV2 = SaveV2 save/name w
    loss = ScalarSummary save/name out
    step = ApplyGradientDescent w half initial T=f32
"""


def load(
    tmp_path: Path,
    text: str | Message,
    *,
    meta: bool = False,
    as_text: bool = False,
    **options: Any,
) -> Model:
    message = flow(text) if isinstance(text, str) else text
    if meta:
        message = proto.messages().MetaGraphDef(graph_def=message)
        message.meta_info_def.tags.append("train")
        message.meta_info_def.tensorflow_version = "1.15.0"
    path = tmp_path / ("model.meta" if meta else "model.pb")
    path.write_bytes(str(message).encode() if as_text else message.SerializeToString())
    return api.optimize(api.load(path, LoadOptions(**options)))


def save(tmp_path: Path) -> str:
    bundles.save(tmp_path / "ckpt", {"w": W, "bias": np.array([1, 0, -1], np.float32)})
    return str(tmp_path / "ckpt")


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("as_text", [True, False])
def test_a_training_graph_is_frozen_and_cut(tmp_path: Path, meta: bool, as_text: bool) -> None:
    model = load(
        tmp_path,
        GRAPH,
        meta=meta,
        as_text=as_text,
        outputs=("out",),
        values={"training": "false"},
        checkpoint=save(tmp_path),
    )
    for delegate in DELEGATES:
        have = run_litert(model, {"x": X}, delegate)[0]
        np.testing.assert_allclose(have, (X @ W + np.array([1, 0, -1])) * 0.5, rtol=1e-6)
    assert [t.name for t in model.main.inputs] == ["x"]
    notes = " ".join(model.notes)
    assert "training = false" in notes
    assert "1 assignments, 1 savers, 1 summaries, 1 optimizer steps" in notes
    assert "2 variables read from" in notes


def test_a_default_can_be_replaced_and_an_input(tmp_path: Path) -> None:
    values = {"training": "False", "keep": "2", "x": "[[1, 0], [0, 1]]"}
    model = load(
        tmp_path, GRAPH, outputs=("out",), values=values, checkpoint=save(tmp_path), inputs=()
    )
    assert model.main.inputs == []
    np.testing.assert_allclose(run_litert(model, {}, True)[0], (W + np.array([1, 0, -1])) * 2)


def test_variables_that_are_not_frozen_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedError, match="2 variables of the graph are not frozen: b, w"
    ) as e:
        load(tmp_path, GRAPH, outputs=("out",), values={"training": "false"})
    assert "--checkpoint" in str(e.value.hint)


def test_variables_that_a_checkpoint_lacks_are_named(tmp_path: Path) -> None:
    bundles.save(tmp_path / "other", {"w": W})
    with pytest.raises(UsageError, match="lacks 1 variable: b"):
        load(
            tmp_path,
            GRAPH,
            outputs=("out",),
            values={"training": "0"},
            checkpoint=str(tmp_path / "other"),
        )


def test_a_variable_of_another_shape_is_refused(tmp_path: Path) -> None:
    bundles.save(tmp_path / "other", {"w": W.T, "bias": W[0]})
    with pytest.raises(UsageError, match=r"'w' is \[2, 3\] in the graph and \[3, 2\]"):
        load(
            tmp_path,
            GRAPH,
            outputs=("out",),
            values={"training": "0"},
            checkpoint=str(tmp_path / "other"),
        )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"values": {"trainin": "false"}}, "no tensor named `trainin`; did you mean `training`"),
        ({"values": {"training": "maybe"}}, "`maybe` is not a value"),
        ({"values": {"training": "0.5"}}, "not a value of type bool"),
        ({"values": {"x": "1"}, "inputs": ("x",)}, "is an input and has a value"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        load(tmp_path, GRAPH, outputs=("out",), **options)


@pytest.mark.parametrize(
    ("text", "dtype", "want"),
    [
        ("true", "bool", True),
        ("1", "bool", True),
        ("0.5", "float32", 0.5),
        ("3", "float32", 3.0),
        ("1e-3", "float32", np.float32(1e-3)),
        ("inf", "float32", np.inf),
        ("[1, 2]", "int32", [1, 2]),
        ("(1,2)", "int64", [1, 2]),
        ("[[true,False]]", "bool", [[True, False]]),
    ],
)
def test_values_are_read(text: str, dtype: str, want: Any) -> None:
    have = parse_value(text, np.dtype(dtype))
    assert have.dtype == dtype
    np.testing.assert_array_equal(have, np.array(want, dtype))


@pytest.mark.parametrize(("text", "dtype"), [("300", "uint8"), ("0.5", "int32"), ("[1,", "int32")])
def test_values_that_do_not_fit_are_refused(text: str, dtype: str) -> None:
    with pytest.raises(UsageError):
        parse_value(text, np.dtype(dtype))


def test_a_queue_is_named_as_the_place_to_cut(tmp_path: Path) -> None:
    text = """
        queue = FIFOQueueV2 component_types=[f32] shapes=[(2,)]
        n = Const 2
        batch = QueueDequeueManyV2 queue n component_types=[f32]
        y = Neg batch T=f32
    """
    with pytest.raises(UnsupportedError, match="QueueDequeueManyV2 `batch`") as error:
        load(tmp_path, text, outputs=("y",))
    assert "--input_arrays batch" in str(error.value.hint)
    model = load(tmp_path, text, outputs=("y",), inputs=("batch",), shapes=((2, 2),))
    np.testing.assert_array_equal(run_litert(model, {"batch": X}, True)[0], -X)


def test_an_iterator_that_says_its_shapes_is_an_input(tmp_path: Path) -> None:
    text = """
        it = OneShotIterator output_types=[f32,i32] output_shapes=[(2,2),()]
        next = IteratorGetNext it output_types=[f32,i32] output_shapes=[(2,2),()]
        as_float = Cast next:1 SrcT=i32 DstT=f32
        y = Mul next as_float T=f32
    """
    model = load(tmp_path, text, outputs=("y",))
    assert [repr(t) for t in model.main.inputs] == ["next: float32[2,2]", "next:1: int32[]"]


def test_a_result_that_needs_an_assignment_is_refused(tmp_path: Path) -> None:
    text = "w = VariableV2 dtype=f32 shape=(2,3)\nk = Const 1.0\na = AssignAdd w k T=f32\ny = Neg a"
    bundles.save(tmp_path / "ckpt", {"w": W})
    with pytest.raises(UnsupportedError, match="new value of variable 'w'"):
        load(tmp_path, text, outputs=("y",), checkpoint=str(tmp_path / "ckpt"))


STATE = """
    x = Placeholder dtype=f32 shape=(1,3)
    half = Const 0.5
    kept = Mul state half T=f32
    state = Placeholder dtype=f32 shape=(None,3)
    next = Add x kept T=f32
    y = Neg next T=f32
"""
EDGE = {"state_array": "state", "back_edge_source_array": "next", "size": "3"}


@pytest.mark.parametrize("delegate", DELEGATES)
@pytest.mark.parametrize(
    "text", [STATE, STATE.replace("state = Placeholder", "other = Placeholder")]
)
def test_a_state_is_kept_from_run_to_run(tmp_path: Path, delegate: bool, text: str) -> None:
    model = load(tmp_path, text, outputs=("y",), rnn_states=(EDGE,))
    kind = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=bytes(serialize(model)), experimental_op_resolver_type=kind
    )
    interpreter.allocate_tensors()
    state = np.zeros((1, 3), np.float32)
    for x in np.arange(9, dtype=np.float32).reshape(3, 1, 3):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
        interpreter.invoke()
        state = x + state / 2
        have = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_array_equal(have, -state)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"back_edge_source_array": "half"}, r"state `state` is float32 \[1, 3\]"),
        ({"size": "many"}, "is not a number"),
        ({"back_edge_source_array": "nex"}, "did you mean `next`"),
        ({"state_array": "x"}, "`x` is an input or a state already"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, str], text: str
) -> None:
    edge = {**EDGE, **change}
    with pytest.raises(UsageError, match=text):
        load(tmp_path, STATE, outputs=("y",), inputs=("x",), rnn_states=(edge,))


TENSORS = {
    "a": np.arange(6, dtype=np.int64).reshape(2, 3),
    "model/layer/bias": np.array(1.5, np.float32),
    "model/layer/kernel": W,
    "model/names": np.array([b"one", b"", b"three"], object),
    "model/half": np.array([0.5, -2], np.float16),
}


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_checkpoint_is_read_back(tmp_path: Path, big_endian: bool) -> None:
    bundles.save(tmp_path / "ckpt", TENSORS, big_endian)
    bundle = open_bundle(tmp_path / "ckpt")
    assert set(bundle.entries) == set(TENSORS)
    for name, want in TENSORS.items():
        have = bundle.read(name)
        assert have.dtype == want.dtype
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize(
    "name", ["ckpt", "ckpt.index", "ckpt.meta", "ckpt.data-00000-of-00001", ""]
)
def test_a_checkpoint_is_found_by_any_of_its_names(tmp_path: Path, name: str) -> None:
    bundles.save(tmp_path / "ckpt", TENSORS)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/ckpt"\n')
    assert open_bundle(tmp_path / name).prefix == tmp_path / "ckpt"


def test_names_of_a_tf2_checkpoint_lead_to_keys(tmp_path: Path) -> None:
    objects = proto.messages().TrackableObjectGraph()
    key = "layer/kernel/.ATTRIBUTES/VARIABLE_VALUE"
    objects.nodes.add().attributes.add(full_name="w", checkpoint_key=key)
    graph = np.array(objects.SerializeToString(), object)
    bundles.save(tmp_path / "ckpt", {key: W, "_CHECKPOINTABLE_OBJECT_GRAPH": graph})
    assert variable_names(open_bundle(tmp_path / "ckpt")) == {"w": key}
    text = """
        w = VarHandleOp dtype=f32 shape=(2,3)
        r = ReadVariableOp w dtype=f32
        x = Placeholder dtype=f32 shape=(2,2)
        y = MatMul x r T=f32
    """
    model = load(tmp_path, text, outputs=("y",), checkpoint=str(tmp_path / "ckpt"))
    np.testing.assert_array_equal(run_litert(model, {"x": X}, True)[0], X @ W)


# The keys that TensorFlow writes for the rows 0-3 and 3-5 of a matrix `net/w`.
FIRST = b"\x00net/w\x00\x01\x01\x02\x80\x83\x80\x7f"
SECOND = b"\x00net/w\x00\x01\x01\x02\x83\x82\x80\x7f"


def test_a_partitioned_variable_is_joined(tmp_path: Path) -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    bundles.save_slices(tmp_path / "ckpt", "net/w", [(FIRST, rows[:3]), (SECOND, rows[3:])])
    bundle = open_bundle(tmp_path / "ckpt")
    np.testing.assert_array_equal(bundle.read("net/w"), rows)
    text = """
        net/w/part_0 = VariableV2 dtype=f32 shape=(3,2)
        net/w/part_1 = VariableV2 dtype=f32 shape=(2,2)
        axis = Const 0
        y = ConcatV2 net/w/part_0 net/w/part_1 axis N=2 T=f32
    """
    model = load(tmp_path, text, outputs=("y",), checkpoint=str(tmp_path / "ckpt"))
    np.testing.assert_array_equal(model.main.outputs[0].data, rows)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0, b"\x80"),
        (63, b"\xbf"),
        (64, b"\xc0\x40"),
        (-1, b"\x7f"),
        (-64, b"\x40"),
        (-65, b"\x3f\xbf"),
        (8191, b"\xdf\xff"),
        (8192, b"\xe0\x20\x00"),
    ],
)
def test_numbers_of_slices_are_ordered_codes(number: int, code: bytes) -> None:
    key = slice_key("w", [(number, 1)]).encode("utf-8", "surrogateescape")
    assert key == b"\x00w\x00\x01\x01\x01" + code + b"\x81"


@pytest.mark.parametrize(
    "content", [b"", b"short", bytes(48), b"\0" * 40 + b"\x57\xfb\x80\x8b" * 2]
)
def test_what_is_no_index_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ckpt.index").write_bytes(content)
    with pytest.raises(FormatError):
        open_bundle(tmp_path / "ckpt")


def test_a_missing_checkpoint_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no checkpoint"):
        open_bundle(tmp_path / "nothing")


def test_damaged_checkpoints_are_refused_not_crashed_on(tmp_path: Path) -> None:
    bundles.save(tmp_path / "ckpt", TENSORS)
    index = tmp_path / "ckpt.index"
    whole = index.read_bytes()
    chance = random.Random(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 6))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        index.write_bytes(damaged[: chance.choice((len(damaged), chance.randrange(len(damaged))))])
        try:
            bundle = open_bundle(tmp_path / "ckpt")
            for name in bundle.entries:
                bundle.read(name)
        except TqconvError:
            refused += 1
    assert refused > 200
