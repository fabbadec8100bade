"""SavedModel folders, from the messages and the checkpoint format that TensorFlow writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flow import flow, function
from graphs import Message
from numpy.typing import NDArray

from tqconv import api
from tqconv.config import LoadOptions, QuantizeOptions
from tqconv.errors import FormatError, QuantizationError, TqconvError, UnsupportedError, UsageError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tf.bundle import OBJECT_GRAPH, open_bundle
from tqconv.importers.tf.saved_model import outline
from tqconv.importers.tf.stored import slice_of
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import quantize
from tqconv.schema import proto

Array = NDArray[Any]
X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[1, 2, 3], [4, 5, 6]], np.float32)

TF2 = """
    Variable = VarHandleOp dtype=f32 shape=(2,3) shared_name='Variable' container=''
    Variable_1 = VarHandleOp dtype=f32 shape=(3,) shared_name='Variable' container=''
    x_0 = Placeholder dtype=f32 shape=(2,2)
    StatefulPartitionedCall = StatefulPartitionedCall x_0 Variable_1 Variable f=fn('wrapper')
"""
"""Two variables of one name, captured in the order in which the function needs them."""

WRAPPER = function(
    "wrapper(x, unknown, unknown_0) -> StatefulPartitionedCall:output:0",
    "StatefulPartitionedCall = StatefulPartitionedCall x unknown unknown_0 f=fn('serve')",
)
SERVE = function(
    "serve(x, bias, kernel) -> sum:output:0",
    """
    k = ReadVariableOp kernel dtype=f32
    dense/MatMul = MatMul x k:value:0 T=f32
    b = ReadVariableOp bias dtype=f32
    sum = BiasAdd dense/MatMul:product:0 b:value:0 T=f32
    """,
)


def signature(
    meta: Message, key: str, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> None:
    for name, tensor in inputs.items():
        meta.signature_def[key].inputs[name].name = tensor
    for name, tensor in outputs.items():
        meta.signature_def[key].outputs[name].name = tensor


def meta_graph(
    text: str, *functions: Message, tags: Sequence[str] = ("serve",), **arrays: Any
) -> Message:
    meta = proto.messages().MetaGraphDef(graph_def=flow(text, *functions, **arrays))
    meta.meta_info_def.tags.extend(tags)
    return meta


def save(folder: Path, *metas: Message, **variables: NDArray[Any]) -> Path:
    message = proto.messages().SavedModel(saved_model_schema_version=1, meta_graphs=metas)
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    if variables:
        bundles.save(folder / "variables" / "variables", variables)
    return folder


def objects(**keys: int) -> NDArray[Any]:
    """Return the object graph of a checkpoint: object `number` is stored under `key`."""
    graph = proto.messages().TrackableObjectGraph()
    for _ in range(max(keys.values()) + 1):
        graph.nodes.add()
    for key, number in keys.items():
        graph.nodes[number].attributes.add(name="VARIABLE_VALUE", checkpoint_key=key)
    return np.array(graph.SerializeToString(), object)


def tf2(folder: Path, body: Message = SERVE, **more: NDArray[Any]) -> Path:
    meta = meta_graph(TF2, WRAPPER, body)
    signature(
        meta,
        "serving_default",
        {"x": "x_0:0"},
        {"y": "StatefulPartitionedCall:0"},
    )
    signature(meta, "__saved_model_init_op", {}, {"__saved_model_init_op": "NoOp"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": np.array([1, 2, 3], np.float32), "w/value": W, **more}
    stored[OBJECT_GRAPH] = objects(**{"b/value": 1, "w/value": 2})
    return save(folder, meta, **stored)


def runs(model: Model, *feeds: Mapping[str, NDArray[Any]], key: str | None = None) -> list[Any]:
    """Return what one interpreter computes from each feed in turn, by output name."""
    content = bytes(serialize(model))
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner = interpreter.get_signature_runner(key)
    return [{name: v.copy() for name, v in runner(**feed).items()} for feed in feeds]


def test_captured_variables_are_found_by_their_objects(tmp_path: Path) -> None:
    model = api.load(tf2(tmp_path / "m"))
    assert [t.name for t in model.main.inputs] == ["x"]
    assert [t.name for t in model.main.outputs] == ["y"]
    (found,) = runs(api.optimize(model), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ W + [1, 2, 3])


def test_the_file_itself_names_the_model(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    assert len(api.load(folder / "saved_model.pb").main.ops) == len(api.load(folder).main.ops)


def test_names_inside_functions_are_places_to_cut(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    model = api.load(folder, LoadOptions(outputs=("dense/MatMul",)))
    assert [t.name for t in model.main.outputs] == ["dense/MatMul"]
    (found,) = runs(api.optimize(model), {"x": X})
    np.testing.assert_array_equal(found["dense/MatMul"], X @ W)


@pytest.mark.parametrize("key", ["serve", "serving_default"])
def test_the_signature_that_is_asked_for_has_the_names(tmp_path: Path, key: str) -> None:
    """Keras 3 writes two that call one function, and each has copies of its nodes."""
    call = TF2.strip().splitlines()[-1].strip()
    again = call.replace("StatefulPartitionedCall", "StatefulPartitionedCall_1", 1)
    meta = meta_graph(f"{TF2}\n{again}", WRAPPER, SERVE)
    signature(meta, "serve", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall:0"})
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall_1:0"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": np.array([1, 2, 3], np.float32), "w/value": W}
    stored[OBJECT_GRAPH] = objects(**{"b/value": 1, "w/value": 2})
    model = api.load(save(tmp_path / "m", meta, **stored), LoadOptions(signature=key))
    assert [op.source.node for op in model.main.ops if op.type == "FULLY_CONNECTED"] == [
        "dense/MatMul"
    ]


def test_shapes_go_by_the_names_of_the_signature(tmp_path: Path) -> None:
    model = api.load(tf2(tmp_path / "m"), LoadOptions(named_shapes={"x": (5, 2)}))
    assert model.main.inputs[0].shape == (5, 2)
    assert model.main.outputs[0].shape == (5, 3)


def test_a_wrong_checksum_names_the_tensor(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    data = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[content.find(W.tobytes())] ^= 1
    data.write_bytes(bytes(content))
    with pytest.raises(FormatError, match=r"'w/value' in .* is damaged: its checksum is"):
        api.load(folder)


def test_a_damaged_block_of_the_index_is_found(tmp_path: Path) -> None:
    index = tf2(tmp_path / "m") / "variables" / "variables.index"
    content = bytearray(index.read_bytes())
    content[10] ^= 0x40
    index.write_bytes(bytes(content))
    with pytest.raises(FormatError, match="a block has another checksum"):
        open_bundle(index)


def test_a_model_without_its_variables_says_what_is_missing(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    (folder / "variables" / "variables.index").unlink()
    with pytest.raises(FormatError, match=r"lacks .*variables\.index") as caught:
        api.load(folder)
    assert caught.value.hint == "copy the whole folder, with `variables`"


COUNTING = function(
    "serve(x, count, kernel) -> y:z:0",
    """
    one = Const [1.0,1,1]
    add = AssignAddVariableOp count one:output:0 dtype=f32
    k = ReadVariableOp kernel dtype=f32
    product = MatMul x k:value:0 T=f32
    now = ReadVariableOp count ^add dtype=f32
    y = Add product:product:0 now:value:0 T=f32
    twice = AssignAddVariableOp count one:output:0 ^now dtype=f32
    """,
)
COUNTING.control_ret["twice"] = "twice"


def test_what_the_function_assigns_lasts_over_runs_in_the_order_of_control(tmp_path: Path) -> None:
    wrapper = function(
        "wrapper(x, unknown, unknown_0) -> StatefulPartitionedCall:output:0",
        "StatefulPartitionedCall = StatefulPartitionedCall x unknown unknown_0 f=fn('serve')",
    )
    wrapper.control_ret["call"] = "StatefulPartitionedCall"
    meta = meta_graph(TF2, wrapper, COUNTING)
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    meta.object_graph_def.concrete_functions["wrapper"].bound_inputs.extend([1, 2])
    stored = {"b/value": np.array([1, 2, 3], np.float32), "w/value": W}
    stored[OBJECT_GRAPH] = objects(**{"b/value": 1, "w/value": 2})
    model = api.optimize(api.load(save(tmp_path / "m", meta, **stored)))
    results = runs(model, {"x": X}, {"x": X}, {"x": X})
    for number, found in enumerate(results):
        np.testing.assert_array_equal(found["y"], X @ W + [1, 2, 3] + 2 * number + 1)


CHANGES: dict[str, Callable[[Array, Array], Array]] = {
    "Update": lambda old, new: new,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Max": np.maximum,
    "Min": np.minimum,
}


def after_storing(folder: Path, store: str, first: Array) -> list[Array]:
    """Return what a variable [3, 2] holds after two runs that store into it: row 0 of the input."""
    body = function(
        "serve(x, cells, kernel) -> now:value:0",
        f"""
        one = Const [0]
        none = Const 0
        picked = GatherV2 x one:output:0 none:output:0
        rows = Const [1]
        places = Const [[1]]
        begin = Const [1,0]
        end = Const [2,2]
        steps = Const [1,1]
        store = {store}
        now = ReadVariableOp cells ^store dtype=f32
        """,
    )
    meta = meta_graph(TF2, WRAPPER, body)
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": first, "w/value": W, OBJECT_GRAPH: objects(**{"b/value": 1, "w/value": 2})}
    model = api.optimize(api.load(save(folder / "m", meta, **stored)))
    return [found["y"] for found in runs(model, {"x": X}, {"x": X})]


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_parts_of_a_variable_are_stored(tmp_path: Path, change: str, by_rows: bool) -> None:
    if change == "Mul" and not by_rows:
        pytest.skip("TensorFlow has no such operator")
    name, rows = ("", "rows") if by_rows else ("Nd", "places")
    first = np.arange(1, 7, dtype=np.float32).reshape(3, 2)
    store = f"ResourceScatter{name}{change} cells {rows}:output:0 picked:output:0"
    expected = first.copy()
    for found in after_storing(tmp_path, store, first):
        expected[1] = CHANGES[change](expected[1], X[0])
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_slice_of_a_variable_is_stored(tmp_path: Path) -> None:
    first = np.arange(6, dtype=np.float32).reshape(3, 2)
    operands = " ".join(f"{name}:output:0" for name in ("begin", "end", "steps", "picked"))
    store = f"ResourceStridedSliceAssign cells {operands}"
    for found in after_storing(tmp_path, store, first):
        np.testing.assert_array_equal(found, [first[0], X[0], first[2]])


def keeping(folder: Path, first: Array, body: str, *functions: Message) -> Path:
    """Save `serve(x, kept, kernel)`; what is kept is `first` before the first run."""
    meta = meta_graph(TF2, WRAPPER, function(*body.split("\n", 1)), *functions)
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": first, "w/value": W, OBJECT_GRAPH: objects(**{"b/value": 1, "w/value": 2})}
    return save(folder / "m", meta, **stored)


def made(folder: Path, *feeds: Array) -> list[Array]:
    model = api.optimize(api.load(folder))
    return [found["y"] for found in runs(model, *({"x": x} for x in feeds))]


FIRST = np.array([[1, 2], [3, 4]], np.float32)
BRANCHED = """serve(x, kept, kernel) -> now:value:0
    axes = Const [0,1]
    none = Const 0.0
    total = Sum x axes:output:0 Tidx=i32
    p = Greater total:output:0 none:output:0
    if = If p:z:0 kept x then_branch=fn('larger') else_branch=fn('smaller') Tcond=bool
    now = ReadVariableOp kept ^if dtype=f32
"""


@pytest.mark.parametrize("case", [False, True])
def test_what_a_branch_stores_lasts_over_runs(tmp_path: Path, case: bool) -> None:
    """Each branch reads what the run before has left; a function that it calls stores something."""
    larger = function(
        "larger(v, x) -> old:value:0",
        """
        old = ReadVariableOp v dtype=f32
        call = StatefulPartitionedCall v x ^old f=fn('raise')
        """,
    )
    raised = function("raise(v, x) -> x", "a = AssignAddVariableOp v x dtype=f32")
    smaller = function("smaller(v, x) -> x", "a = AssignVariableOp v x dtype=f32")
    body = BRANCHED
    if case:
        body = body.replace(
            "if = If p:z:0", "number = Cast p:z:0 DstT=i32\n    if = Case number:y:0"
        )
        body = body.replace(
            "then_branch=fn('larger') else_branch=fn('smaller') Tcond=bool",
            "branches=fns('smaller','larger')",
        )
    folder = keeping(tmp_path, FIRST, body, larger, smaller, raised)
    np.testing.assert_array_equal(made(folder, X, X, -X, X), [FIRST + X, FIRST + 2 * X, -X, 0 * X])


def test_what_a_loop_stores_lasts_over_runs(tmp_path: Path) -> None:
    """Each round reads what the round before has left, in the order of control edges."""
    body = """serve(x, kept, kernel) -> now:value:0
    none = Const 0
    loop = While none:output:0 kept x cond=fn('below') body=fn('step')
    now = ReadVariableOp kept ^loop dtype=f32
    """
    below = function("below(i, v, x) -> p:z:0", "end = Const 3\np = Less i end:output:0 T=i32")
    step = function(
        "step(i, v, x) -> next:z:0, v, x",
        """
        one = Const 1
        next = AddV2 i one:output:0 T=i32
        old = ReadVariableOp v dtype=f32
        twice = AddV2 old:value:0 old:value:0
        store = AssignVariableOp v twice:z:0 dtype=f32
        more = AssignAddVariableOp v x ^store dtype=f32
        """,
    )
    folder = keeping(tmp_path, FIRST, body, below, step)
    kept, expected = FIRST, []
    for _ in range(3):
        for _ in range(3):
            kept = 2 * kept + X
        expected.append(kept)
    np.testing.assert_array_equal(made(folder, X, X, X), expected)


def test_a_loop_reads_what_is_stored_behind_it(tmp_path: Path) -> None:
    body = """serve(x, kept, kernel) -> y:output:0
    none = Const 0
    loop = While none:output:0 kept x cond=fn('below') body=fn('step')
    store = AssignVariableOp kept loop:output:2 ^loop dtype=f32
    y = Identity loop:output:2 ^store
    """
    below = function("below(i, v, x) -> p:z:0", "end = Const 3\np = Less i end:output:0 T=i32")
    step = function(
        "step(i, v, x) -> next:z:0, v, sum:z:0",
        """
        one = Const 1
        next = AddV2 i one:output:0 T=i32
        old = ReadVariableOp v dtype=f32
        sum = AddV2 old:value:0 x
        """,
    )
    folder = keeping(tmp_path, FIRST, body, below, step)
    np.testing.assert_array_equal(made(folder, X, X), [X + 3 * FIRST, X + 3 * (X + 3 * FIRST)])


@pytest.mark.parametrize("keys", ["serving_default", "serving_default,other"])
def test_what_nobody_reads_is_not_stored(tmp_path: Path, keys: str) -> None:
    """Seeds of layers that are not in use: another signature might read them."""
    body = """serve(x, kept, kernel) -> y:output:0
    add = AssignAddVariableOp kept x dtype=f32
    y = Identity x ^add
    """
    folder = keeping(tmp_path, FIRST, body)
    file = folder / "saved_model.pb"
    message = proto.messages().SavedModel.FromString(file.read_bytes())
    signature(message.meta_graphs[0], "other", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    file.write_bytes(message.SerializeToString())
    model = api.load(folder, LoadOptions(signature=keys))
    types = {op.type for graph in model.graphs for op in graph.ops}
    assert ("ASSIGN_VARIABLE" in types) == ("other" in keys)


def test_a_variable_of_the_body_itself_is_refused(tmp_path: Path) -> None:
    own = function(
        "larger(v, x) -> x",
        "own = VarHandleOp dtype=f32 shape=(2,2)\na = AssignVariableOp own:resource:0 x dtype=f32",
    )
    smaller = function("smaller(v, x) -> x", "")
    with pytest.raises(UnsupportedError, match="assigns a variable within its body"):
        api.load(keeping(tmp_path, FIRST, BRANCHED, own, smaller))


SWITCHED = """
    v = {variable} dtype=f32 shape=(2,2) shared_name='v' container=''
    x = Placeholder dtype=f32 shape=(2,2)
    axes = Const [0,1]
    none = Const 0.0
    total = Sum x axes Tidx=i32
    p = {predicate}
    there = {switch} v p T={kind}
    data = Switch x p T=f32
    a = {store} there:1 data:1 {dtype}
    yes = Identity data:1 ^a
    no = Identity data
    c = Merge no yes N=2 T=f32
    y = {read} ^c
"""
RESOURCE = {
    "variable": "VarHandleOp",
    "switch": "Switch",
    "kind": "resource",
    "store": "AssignVariableOp",
    "dtype": "dtype=f32",
    "read": "ReadVariableOp v dtype=f32",
}
REFERENCE = {
    "variable": "VariableV2",
    "switch": "RefSwitch",
    "kind": "f32",
    "store": "Assign",
    "dtype": "",
    "read": "Identity v T=f32",
}


def switched(folder: Path, predicate: str, words: Mapping[str, str]) -> Path:
    meta = meta_graph(SWITCHED.format(predicate=predicate, **words))
    signature(meta, "serving_default", {"x": "x:0"}, {"y": "y:0"})
    return save(folder / "m", meta, v=FIRST)


@pytest.mark.parametrize("words", [RESOURCE, REFERENCE], ids=["resource", "reference"])
def test_what_a_switch_of_tf1_decides_to_store_is_refused(
    tmp_path: Path, words: Mapping[str, str]
) -> None:
    folder = switched(tmp_path, "Greater total none T=f32", words)
    with pytest.raises(UnsupportedError, match="stores a variable within a branch"):
        api.load(folder)


@pytest.mark.parametrize("words", [RESOURCE, REFERENCE], ids=["resource", "reference"])
def test_a_branch_that_a_constant_leaves_out_stores_nothing(
    tmp_path: Path, words: Mapping[str, str]
) -> None:
    """As updates of training do in a graph for both."""
    np.testing.assert_array_equal(made(switched(tmp_path, "Const False", words), X), [FIRST])


def test_a_variable_that_is_stored_by_reference_and_read_is_refused(tmp_path: Path) -> None:
    text = """
        v = VariableV2 dtype=f32 shape=(2,2) shared_name='v' container=''
        x = Placeholder dtype=f32 shape=(2,2)
        a = AssignAdd v x T=f32
        y = Identity {} ^a
    """
    for number, (read, refused) in enumerate((("v", True), ("x", False))):
        meta = meta_graph(text.format(read))
        signature(meta, "serving_default", {"x": "x:0"}, {"y": "y:0"})
        folder = save(tmp_path / f"m{number}", meta, v=FIRST)
        if refused:
            with pytest.raises(UnsupportedError, match="stores a variable by reference"):
                api.load(folder)
        else:
            np.testing.assert_array_equal(made(folder, X), [X])


Slots = tuple[Array, Array, Array]
Step = Callable[[Array, Slots, Array], tuple[Array, Slots]]
"""The next variable and its slots from them and a gradient; the rate is 0.5."""


def momentum(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] + g
    return v - 0.5 * m, (m, *slots[1:])


def nesterov(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] + g
    return v - 0.5 * (g + 0.75 * m), (m, *slots[1:])


def keras_momentum(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] - 0.5 * g
    return v + m, (m, *slots[1:])


def keras_nesterov(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] - 0.5 * g
    return v + 0.75 * m - 0.5 * g, (m, *slots[1:])


def adam(v: Array, slots: Slots, g: Array, nesterov: bool = False) -> tuple[Array, Slots]:
    m, s = 0.75 * slots[0] + 0.25 * g, 0.5 * slots[1] + 0.5 * g * g
    seen = 0.75 * m + 0.25 * g if nesterov else m
    return v - 0.5 * np.sqrt(1 - 0.5) / (1 - 0.75) * seen / (np.sqrt(s) + 0.1), (m, s, slots[2])


def adagrad(v: Array, slots: Slots, g: Array, least: float = 0.0) -> tuple[Array, Slots]:
    s = slots[0] + g * g
    return v - 0.5 * g / (np.sqrt(s) + least), (s, *slots[1:])


def rms_prop(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    s = 0.75 * slots[0] + 0.25 * g * g
    m = 0.5 * slots[1] + 0.5 * g / np.sqrt(s + 0.1)
    return v - m, (s, m, slots[2])


def centered(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    mean, s = 0.75 * slots[0] + 0.25 * g, 0.75 * slots[1] + 0.25 * g * g
    m = 0.5 * slots[2] + 0.5 * g / np.sqrt(s - mean * mean + 0.1)
    return v - m, (mean, s, m)


NUMBERS = {"rate": 0.5, "keep": 0.75, "half": 0.5, "least": 0.1}
STEPS: dict[str, tuple[str, Step]] = {
    "GradientDescent": ("rate x", lambda v, slots, g: (v - 0.5 * g, slots)),
    "Momentum": ("one rate x keep", momentum),
    "Momentum use_nesterov=True": ("one rate x keep", nesterov),
    "KerasMomentum": ("one rate x keep", keras_momentum),
    "KerasMomentum use_nesterov=True": ("one rate x keep", keras_nesterov),
    "Adam": ("one two keep half rate keep half least x", adam),
    "Adam use_nesterov=True": (
        "one two keep half rate keep half least x",
        lambda v, slots, g: adam(v, slots, g, nesterov=True),
    ),
    "Adagrad": ("one rate x", adagrad),
    "AdagradV2": ("one rate least x", lambda v, slots, g: adagrad(v, slots, g, 0.1)),
    "RMSProp": ("one two rate keep half least x", rms_prop),
    "CenteredRMSProp": ("nil two three rate keep half least x", centered),
}


def learning(folder: Path, op: str, operands: str) -> Path:
    """Save a model that takes a step from each input, a gradient, and returns its variable."""
    name, _, option = op.partition(" ")
    words = [f"{w}:output:0" if w in NUMBERS else w for w in operands.split()]
    constants = "\n".join(f"{name} = Const {value}" for name, value in NUMBERS.items())
    body = function(
        "serve(x, kept, one, two, three, nil) -> now:value:0",
        f"""
        {constants}
        step = ResourceApply{name} kept {" ".join(words)} {option}
        now = ReadVariableOp kept ^step dtype=f32
        """,
    )
    variables = "\n".join(f"V{i} = VarHandleOp dtype=f32 shape=(2,2)" for i in range(5))
    meta = meta_graph(
        f"{variables}\nx_0 = Placeholder dtype=f32 shape=(2,2)\n"
        "StatefulPartitionedCall = StatefulPartitionedCall x_0 V0 V1 V2 V3 V4 f=fn('serve')",
        body,
    )
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    meta.object_graph_def.concrete_functions["serve"].bound_inputs.extend(range(1, 6))
    ones = np.ones((2, 2), np.float32)
    stored = {"v": FIRST, "one": ones, "two": ones, "three": ones, "nil": 0 * ones}
    graph = objects(**{name: number for number, name in enumerate(stored, 1)})
    return save(folder / "m", meta, **{**stored, OBJECT_GRAPH: graph})


@pytest.mark.parametrize("op", STEPS)
def test_a_model_learns_over_runs(tmp_path: Path, op: str) -> None:
    operands, step = STEPS[op]
    found = made(learning(tmp_path, op, operands), X, -2 * X, X)
    value: Array = FIRST
    one, nil = np.ones((2, 2)), np.zeros((2, 2))
    slots = (nil if "nil" in operands else one, one, one)
    for y, gradient in zip(found, (X, -2 * X, X), strict=True):
        value, slots = step(value, slots, gradient)
        np.testing.assert_allclose(y, value, rtol=1e-5, atol=1e-5)


def test_a_step_without_a_translation_is_no_step_left_out(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="ResourceApplyAddSign"):
        api.load(learning(tmp_path, "AddSign", "one rate keep half least x"))


TF1 = """
    x = Placeholder dtype=f32 shape=(2,2)
    w = VariableV2 dtype=f32 shape=(2,3) container='' shared_name=''
    w/read = Identity w T=f32
    y = MatMul x w/read T=f32
    n = Neg y T=f32
    file = Const 0
    slices = Const
    names = Const
    restore = RestoreV2 file names slices
    assign = Assign w restore T=f32
"""


def tf1(slices: str, name: str = "other/name") -> Message:
    texts = {
        "names": np.array([name.encode()], object),
        "slices": np.array([slices.encode()], object),
    }
    meta = meta_graph(TF1, **texts)
    signature(meta, "predict", {"x": "x:0"}, {"y": "y:0"})
    signature(meta, "negate", {"x": "x:0"}, {"n": "n:0"})
    return meta


def test_a_renamed_variable_is_found_behind_its_restore_operator(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", tf1(""), **{"other/name": W})
    (found,) = runs(api.load(folder, LoadOptions(signature="predict")), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ W)


def test_a_part_of_a_variable_is_cut_from_the_whole(tmp_path: Path) -> None:
    whole = np.concatenate([W, W + 10])
    folder = save(tmp_path / "m", tf1("4 3 2,2:0,3"), **{"other/name": whole})
    (found,) = runs(api.load(folder, LoadOptions(signature="predict")), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ (W + 10))


@pytest.mark.parametrize(
    ("spec", "extents"),
    [("", []), ("4 3 2,2:0,3", [(2, 2), (0, 3)]), ("4 3 0,2:-", [(0, 2), (0, -1)])],
)
def test_slices_are_read(spec: str, extents: list[tuple[int, int]]) -> None:
    assert slice_of(spec) == extents


def test_all_signatures_are_converted_where_none_is_the_default(tmp_path: Path) -> None:
    model = api.load(save(tmp_path / "m", tf1(""), **{"other/name": W}))
    assert [s.key for s in model.signatures] == ["negate", "predict"]
    assert "signatures: negate, predict" in model.notes
    (found,) = runs(model, {"x": X}, key="negate")
    np.testing.assert_array_equal(found["n"], -(X @ W))
    (found,) = runs(model, {"x": X}, key="predict")
    np.testing.assert_array_equal(found["y"], X @ W)


@pytest.mark.parametrize(
    ("options", "kind", "message", "hint"),
    [
        (
            LoadOptions(signature="predcit"),
            UsageError,
            "no signature `predcit`; did you mean",
            "negate",
        ),
        (LoadOptions(tags=("gpu",)), UsageError, "no graph with the tags gpu", "set: serve"),
        (LoadOptions(outputs=("y",)), UsageError, "for one signature only", "negate"),
    ],
)
def test_what_is_not_there_is_listed(
    tmp_path: Path, options: LoadOptions, kind: type[TqconvError], message: str, hint: str
) -> None:
    folder = save(tmp_path / "m", tf1(""), **{"other/name": W})
    with pytest.raises(kind, match=message) as caught:
        api.load(folder, options)
    assert hint in str(caught.value.hint)


def test_integers_are_refused_for_several_signatures(tmp_path: Path) -> None:
    model = api.optimize(api.load(save(tmp_path / "m", tf1(""), **{"other/name": W})))
    with pytest.raises(QuantizationError, match=r"2 signatures \(negate, predict\)"):
        quantize(model, QuantizeOptions(mode="int8", random=2))


def test_tags_choose_the_graph_as_a_set(tmp_path: Path) -> None:
    train, serve = tf1(""), tf1("")
    train.meta_info_def.tags[:] = ["train"]
    serve.meta_info_def.tags[:] = ["serve", "gpu"]
    folder = save(tmp_path / "m", train, serve, **{"other/name": W})
    model = api.load(folder, LoadOptions(tags=("gpu", "serve"), signature="negate"))
    assert [t.name for t in model.main.outputs] == ["n"]


def lookup(folder: Path, file: str, **columns: int) -> Path:
    wanted = " ".join(f"{k}={v}" for k, v in columns.items())
    meta = meta_graph(
        f"""
        word = Placeholder dtype=i64 shape=(3,)
        path = Placeholder dtype=None shape=()
        t = HashTableV2 key_dtype=i64 value_dtype=i64 container='' shared_name=''
        fill = InitializeTableFromTextFileV2 t path {wanted} vocab_size=-1 delimiter=','
        none = Const
        id = LookupTableFindV2 t word none
        """.replace("dtype=None shape=()", "shape=()"),
        none=np.array(-1, np.int64),
    )
    asset = meta.asset_file_def.add(filename=file)
    asset.tensor_info.name = "path:0"
    signature(meta, "serving_default", {"word": "word"}, {"id": "id"})
    save(folder, meta)
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("7,1\n8,2\n9,3\n")
    return folder


@pytest.mark.parametrize(("value_index", "expected"), [(1, [3, -1, 1]), (-1, [2, -1, 0])])
def test_a_table_is_filled_from_an_asset(
    tmp_path: Path, value_index: int, expected: list[int]
) -> None:
    folder = lookup(tmp_path / "m", "words.txt", key_index=0, value_index=value_index)
    (found,) = runs(api.load(folder), {"word": np.array([9, 5, 7], np.int64)})
    np.testing.assert_array_equal(found["id"], expected)


@pytest.mark.parametrize(
    ("file", "column", "message"),
    [
        ("../../secret.txt", 0, "lies outside of the model's folder"),
        ("missing.txt", 0, "cannot be read"),
        ("words.txt", 2, "has lines without column 2"),
        ("words.txt", -2, "holds something else than int64 numbers"),
    ],
)
def test_assets_that_do_not_fit_are_refused(
    tmp_path: Path, file: str, column: int, message: str
) -> None:
    (tmp_path / "secret.txt").write_text("1,1\n")
    folder = lookup(tmp_path / "m", file, key_index=column, value_index=-1)
    with pytest.raises(FormatError, match=message):
        api.load(folder)


def test_an_outline_shows_signatures_where_something_has_no_translation(tmp_path: Path) -> None:
    body = function("serve(x, b, k) -> n:y:0", "n = NotAnOperator x")
    found = outline(tf2(tmp_path / "m", body), LoadOptions())
    assert found.signatures == {"serving_default": {"inputs": ("x",), "outputs": ("y",)}}
    assert found.untranslated == {"NotAnOperator": 1}


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    body = function("serve(x, b, k) -> c:output:0", "c = PartitionedCall x b k f=fn('serve')")
    with pytest.raises(UnsupportedError, match="function `serve` calls itself"):
        api.load(tf2(tmp_path / "m", body))


@pytest.mark.parametrize("key", [None, "quiet"])
def test_a_signature_without_outputs_computes_nothing(tmp_path: Path, key: str | None) -> None:
    meta = tf1("")
    for name in list(meta.signature_def):
        del meta.signature_def[name]
    signature(meta, "quiet", {"x": "x:0"}, {})
    save(tmp_path / "m", meta, **{"other/name": W})
    with pytest.raises(UsageError, match=r"no outputs|no signature"):
        api.load(tmp_path / "m", LoadOptions(signature=key))
