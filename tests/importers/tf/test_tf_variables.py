"""Variables of SavedModels that a run reads, stores and keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from flow import function
from saved_models import (
    FIRST,
    TF2,
    WRAPPER,
    Array,
    W,
    X,
    keeping,
    made,
    meta_graph,
    objects,
    runs,
    save,
    signature,
)

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.bundle import OBJECT_GRAPH
from tqconv.schema import proto

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


@pytest.mark.parametrize("kind", ["While", "If"])
def test_a_variable_at_two_places_is_one(tmp_path: Path, kind: str) -> None:
    """Stored by the name of one, read by that of the other."""
    loop = (
        "zero:output:0 kept kept x T=[i32,resource,resource,f32] cond=fn('below') body=fn('step')"
    )
    choice = (
        "always:output:0 zero:output:0 kept kept x then_branch=fn('step') else_branch=fn('step')"
    )
    body = f"""serve(x, kept, kernel) -> y:output:0
    zero = Const 0
    always = Const True
    done = {kind} {loop if kind == "While" else choice}
    y = Identity done:output:{3 if kind == "While" else 1}
    """
    below = function("below(i, v, w, x) -> p:z:0", "end = Const 3\np = Less i end:output:0 T=i32")
    places = "v, w, " if kind == "While" else ""
    step = function(
        f"step(i, v, w, x) -> next:z:0, {places}sum:z:0",
        """
        one = Const 1
        next = AddV2 i one:output:0 T=i32
        store = AssignAddVariableOp v x dtype=f32
        now = ReadVariableOp w ^store dtype=f32
        sum = AddV2 now:value:0 x
        """,
    )
    want, value = X, FIRST
    for _ in range(3 if kind == "While" else 1):
        value = value + want
        want = value + want
    (found,) = made(keeping(tmp_path, FIRST, body, below, step), X)
    np.testing.assert_array_equal(found, want)


def test_functions_within_functions_are_followed_without_end(tmp_path: Path) -> None:
    """Each in a branch of the one before; the message is that of calls, and none of Python's."""
    chosen = "r = If p x v then_branch=fn('{}') else_branch=fn('leaf')"
    chain = [
        function(f"f{i}(p, x, v) -> r:output:0", chosen.replace("x v", "p x v").format(f"f{i + 1}"))
        for i in range(600)
    ]
    leaf = "(p, x, v) -> o:output:0", "o = Identity x"
    ends = [function(name + leaf[0], leaf[1]) for name in ("leaf", "f600")]
    body = f"""serve(x, kept, kernel) -> r:output:0
    axes = Const [0,1]
    none = Const 0.0
    total = Sum x axes:output:0 Tidx=i32
    p = Greater total:output:0 none:output:0
    {chosen.replace("If p x v", "If p:z:0 p:z:0 x kept").format("f0")}
    """
    with pytest.raises(UnsupportedError, match="more than 48 deep"):
        api.load(keeping(tmp_path, FIRST, body, *chain, *ends))


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
@pytest.mark.parametrize("predicate", ["Greater total none T=f32", "Const True"])
def test_what_a_switch_of_tf1_decides_to_store_is_refused(
    tmp_path: Path, predicate: str, words: Mapping[str, str]
) -> None:
    with pytest.raises(UnsupportedError, match="stores a variable within a branch"):
        api.load(switched(tmp_path, predicate, words))


@pytest.mark.parametrize("fed", [True, False])
def test_a_default_decides_where_nobody_feeds_another(tmp_path: Path, fed: bool) -> None:
    text = SWITCHED.format(predicate="PlaceholderWithDefault off dtype=bool shape=()", **RESOURCE)
    meta = meta_graph(text.replace("    total =", "    off = Const False\n    total ="))
    inputs = {"x": "x:0", "training": "p:0"} if fed else {"x": "x:0"}
    signature(meta, "serving_default", inputs, {"y": "y:0"})
    folder = save(tmp_path / "m", meta, v=FIRST)
    if fed:
        with pytest.raises(UnsupportedError, match="stores a variable within a branch"):
            api.load(folder)
    else:
        np.testing.assert_array_equal(made(folder, X), [FIRST])


@pytest.mark.parametrize("words", [RESOURCE, REFERENCE], ids=["resource", "reference"])
def test_a_branch_that_a_constant_leaves_out_stores_nothing(
    tmp_path: Path, words: Mapping[str, str]
) -> None:
    """As updates of training do in a graph for both."""
    np.testing.assert_array_equal(made(switched(tmp_path, "Const False", words), X), [FIRST])


@pytest.mark.parametrize("store", ["AssignAdd v x", "ApplyGradientDescent v rate x"])
def test_a_variable_that_is_stored_by_reference_and_read_is_refused(
    tmp_path: Path, store: str
) -> None:
    text = """
        v = VariableV2 dtype=f32 shape=(2,2) shared_name='v' container=''
        x = Placeholder dtype=f32 shape=(2,2)
        rate = Const 0.5
        a = {} T=f32
        y = Identity {} ^a
    """
    for number, (read, refused) in enumerate((("v", True), ("x", False))):
        meta = meta_graph(text.format(store, read))
        signature(meta, "serving_default", {"x": "x:0"}, {"y": "y:0"})
        folder = save(tmp_path / f"m{number}", meta, v=FIRST)
        if refused:
            with pytest.raises(UnsupportedError, match="stores a variable by reference"):
                api.load(folder)
        else:
            np.testing.assert_array_equal(made(folder, X), [X])
