"""Functions, If, Case and While of TensorFlow 2."""

from __future__ import annotations

import numpy as np
import pytest
from flow import check, flow, function, types_of
from graphs import Message, model_of

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.called import spell_out_calls

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
F32 = np.float32


def test_a_call_is_replaced_by_the_body() -> None:
    inner = function("inner(a) -> m:z:0", "m = Mul a a T=f32")
    outer = function(
        "outer(a, b) -> s:z:0, c:output:0",
        """
        c = PartitionedCall a f=fn('inner') Tin=[f32] Tout=[f32]
        s = Sub c:output:0 b T=f32
        """,
    )
    message = flow(
        """
        x = Placeholder dtype=f32 shape=(2,3)
        y = StatefulPartitionedCall x x f=fn('outer') Tin=[f32,f32] Tout=[f32,f32]
        z = Add y:1 y:0 T=f32
        """,
        inner,
        outer,
    )
    model = check(message, {"x": X}, z=2 * X * X - X)
    assert "WHILE" not in types_of(model)
    assert all(not op.graphs for op in model.main.ops)


def test_a_function_is_called_by_its_name_as_an_operator() -> None:
    halves = function("halves(a) -> m:z:0, n:y:0", "m = Mul a a T=f32\nn = Neg a T=f32")
    inner = function("inner(a) -> h:result1:0, s:z:0", "h = halves a\ns = Add h:result0:0 a T=f32")
    message = flow("x = Placeholder dtype=f32 shape=(2,3)\ny = inner x", halves, inner)
    spell_out_calls(message)
    check(message, {"x": X}, **{"y": -X, "y:1": X * X + X})


def test_a_function_called_by_name_has_many_results() -> None:
    many = ", ".join(["m:z:0"] * 9)
    given = ", ".join(f"h:result{i}:0" for i in range(9))
    inner = function(f"inner(a) -> {many}", "m = Mul a a T=f32")
    outer = function(f"outer(a) -> {given}", "h = inner a")
    message = flow("x = Placeholder dtype=f32 shape=(2,3)\ny = outer x", inner, outer)
    spell_out_calls(message)
    check(message, {"x": X}, **{f"y:{i}" if i else "y": X * X for i in range(9)})


def test_a_function_that_is_called_by_its_name_may_have_any_attribute() -> None:
    """One of the name that a call gives the function in ended the process: it was its own part."""
    function_ = function("double(a) -> m:z:0", "m = Add a a T=f32")
    nodes = "x = Placeholder dtype=f32 shape=(2,3)\ny = double x f=fn('double') T=f32"
    message = flow(nodes, function_)
    spell_out_calls(message)
    (call,) = (n for n in message.node if n.name == "y")
    assert call.attr["f"].func.attr["f"].func.name == "double"
    check(message, {"x": X}, y=2 * X)


def test_a_loop_calls_functions_by_their_names() -> None:
    step = function(
        "step(i, a) -> j:z:0, m:z:0",
        "one = Const 1\nj = Add i one:output:0 T=i32\nm = Add a a T=f32",
    )
    less = function("less(i, a) -> l:z:0", "n = Const 3\nl = Less i n:output:0 T=i32")
    body = function("body(i, a) -> c:result0:0, c:result1:0", "c = step i a")
    condition = function("condition(i, a) -> c:result0:0", "c = less i a")
    message = flow(
        """
        zero = Const 0
        x = Placeholder dtype=f32 shape=(2,3)
        w = While zero x T=[i32,f32] cond=fn('condition') body=fn('body')
        y = Identity w:1 T=f32
        """,
        *(step, less, body, condition),
    )
    spell_out_calls(message)
    check(message, {"x": X}, y=8 * X)


def test_ports_of_functions_name_outputs_and_elements_of_lists() -> None:
    body = function(
        "pick(a) -> best:indices:0, parts:output:2",
        """
        two = Const 2
        best = TopKV2 a two:output:0 T=f32
        axis = Const 1
        parts = Split axis:output:0 a num_split=3 T=f32
        """,
    )
    message = flow(
        """
        x = Placeholder dtype=f32 shape=(2,3)
        y = PartitionedCall x f=fn('pick') Tin=[f32] Tout=[i32,f32]
        """,
        body,
    )
    check(message, {"x": X}, **{"y": np.array([[2, 0], [1, 0]], np.int32), "y:1": X[:, 2:]})


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (function("f(a) -> m:w:0", "m = TopKV2 a a T=f32"), UnsupportedError, "no output `w`"),
        (function("f(a, b) -> a", ""), FormatError, "takes 2 arguments, got 1"),
        (function("g(a) -> a", ""), FormatError, "no function `f`"),
        (
            function("f(a) -> c:output:0", "c = PartitionedCall a f=fn('f')"),
            UnsupportedError,
            "calls itself",
        ),
    ],
)
def test_a_call_that_cannot_be_made_says_why(
    body: Message, error: type[Exception], text: str
) -> None:
    message = flow("x = Placeholder dtype=f32 shape=(2,3)\ny = PartitionedCall x f=fn('f')", body)
    with pytest.raises(error, match=text):
        model_of(message, ["y"], ["x"])


IF = """
    x = Placeholder dtype=f32 shape=(2,3)
    p = Placeholder dtype=bool shape=()
    y = If p x then_branch=fn('yes') else_branch=fn('no') Tcond=bool Tin=[f32] Tout=[f32,f32]
"""


@pytest.mark.parametrize("chosen", [True, False])
def test_if_runs_one_branch(chosen: bool) -> None:
    yes = function("yes(a) -> m:z:0, m:z:0", "m = Mul a a T=f32")
    no = function("no(a) -> a, k:output:0", "k = Const [[7.0,7,7],[8,8,8]]")
    feeds = {"x": X, "p": np.array(chosen)}
    other = np.array([[7, 7, 7], [8, 8, 8]], F32)
    model = check(
        flow(IF, yes, no),
        feeds,
        **{"y": X * X if chosen else X, "y:1": X * X if chosen else other},
    )
    assert "IF" in types_of(model)


@pytest.mark.parametrize("chosen", [True, False])
def test_branches_may_return_different_sizes(chosen: bool) -> None:
    yes = function(
        "yes(a) -> s:output:0",
        """
        begin = Const [0,0]
        size = Const [1,3]
        s = Slice a begin:output:0 size:output:0 T=f32 Index=i32
        """,
    )
    no = function("no(a) -> n:y:0", "n = Neg a T=f32")
    message = flow(IF.replace("Tout=[f32,f32]", "Tout=[f32]"), yes, no)
    model = check(message, {"x": X, "p": np.array(chosen)}, y=X[:1] if chosen else -X)
    assert model.main.outputs[0].shape == (None, 3)


def test_a_constant_predicate_leaves_no_if() -> None:
    yes = function("yes(a) -> n:y:0, a", "n = Neg a T=f32")
    no = function("no(a) -> n:y:0, a", "n = NotAnOperator a")
    text = IF.replace("p = Placeholder dtype=bool shape=()", "p = Const True")
    model = check(flow(text, yes, no), {"x": X}, y=-X)
    assert types_of(model) == ["NEG"]


def test_a_result_that_nobody_reads_may_have_no_translation() -> None:
    yes = function("yes(a) -> n:y:0, w:y:0", "n = Neg a T=f32\nw = NotAnOperator a")
    no = function("no(a) -> a, a", "")
    check(flow(IF, yes, no), {"x": X, "p": np.array(True)}, y=-X)
    with pytest.raises(UnsupportedError, match="NotAnOperator"):
        model_of(flow(IF, yes, no), ["y:1"], ["x", "p"])


@pytest.mark.parametrize("index", [-1, 0, 1, 2, 5])
def test_case_runs_the_numbered_branch_or_the_last(index: int) -> None:
    branches = [
        function(f"f{i}(a) -> n:z:0", f"k = Const {i}.5\nn = Add a k:output:0") for i in range(3)
    ]
    message = flow(
        """
        x = Placeholder dtype=f32 shape=(2,3)
        k = Placeholder dtype=i32 shape=()
        y = Case k x branches=fns('f0','f1','f2') Tin=[f32] Tout=[f32]
        """,
        *branches,
    )
    chosen = index if 0 <= index < 3 else 2
    check(message, {"x": X, "k": np.array(index, np.int32)}, y=X + F32(chosen + 0.5))


WHILE = """
    x = Placeholder dtype=f32 shape=(2,3)
    n = Placeholder dtype=i32 shape=()
    w = Const [[2.0,0,0],[0,1,1],[1,0,0]]
    zero = Const 0
    y = While zero n x w cond=fn('less') body=fn('step') T=[i32,i32,f32,f32]
"""
LESS = function("less(i, n, a, w) -> l:z:0", "l = Less i n T=i32")
STEP = function(
    "step(i, n, a, w) -> j:z:0, n, m:product:0, w",
    """
    one = Const 1
    j = AddV2 i one:output:0 T=i32
    m = MatMul a w T=f32
    """,
)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_while_repeats_its_body(count: int) -> None:
    w = np.array([[2, 0, 0], [0, 1, 1], [1, 0, 0]], F32)
    want = X @ np.linalg.matrix_power(w, count)
    feeds = {"x": X, "n": np.array(count, np.int32)}
    model = check(flow(WHILE, LESS, STEP), feeds, **{"y": np.int32(count), "y:2": want})
    loop = next(op for op in model.main.ops if op.type == "WHILE")
    assert len(loop.inputs) == 3  # the constant weights are inside


def test_a_loop_that_never_runs_returns_what_it_was_given() -> None:
    text = WHILE.replace("n = Placeholder dtype=i32 shape=()", "n = Const 0")
    model = check(flow(text, LESS, STEP), {"x": X}, **{"y:2": X})
    assert "WHILE" not in types_of(model)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_variables_may_change_places(count: int) -> None:
    swap = function(
        "step(i, n, a, b) -> j:z:0, n, b, a", "one = Const 1\nj = AddV2 i one:output:0 T=i32"
    )
    text = WHILE.replace("w = Const [[2.0,0,0],[0,1,1],[1,0,0]]", "w = Neg x T=f32")
    feeds = {"x": X, "n": np.array(count, np.int32)}
    sign = -1 if count % 2 else 1
    check(flow(text, LESS, swap), feeds, **{"y:2": sign * X, "y:3": -sign * X})


@pytest.mark.parametrize("count", [1, 4])
def test_a_variable_may_grow(count: int) -> None:
    grow = function(
        "step(i, n, a, w) -> j:z:0, n, c:output:0, w",
        """
        one = Const 1
        axis = Const 0
        j = AddV2 i one:output:0 T=i32
        c = ConcatV2 a w axis:output:0 N=2 T=f32 Tidx=i32
        """,
    )
    feeds = {"x": X, "n": np.array(count, np.int32)}
    w = np.array([[2, 0, 0], [0, 1, 1], [1, 0, 0]], F32)
    model = check(flow(WHILE, LESS, grow), feeds, **{"y:2": np.concatenate([X] + [w] * count)})
    assert model.main.outputs[0].shape == (None, 3)


def test_a_variable_may_not_change_its_rank() -> None:
    grow = function(
        "step(i, n, a, w) -> j:z:0, n, c:output:0, w",
        """
        one = Const 1
        axis = Const 0
        j = AddV2 i one:output:0 T=i32
        c = ExpandDims a axis:output:0 T=f32
        """,
    )
    with pytest.raises(UnsupportedError, match="a loop turns x"):
        model_of(flow(WHILE, LESS, grow), ["y:2"], ["x", "n"])


def test_a_loop_in_a_loop_and_a_condition_in_it() -> None:
    """i, a from 0: for each i < n: while sum(a) < 100: a = a + |x| if i is even else 2 a."""
    less = function("less(i, n, a, w) -> l:z:0", "l = Less i n T=i32")
    small = function(
        "small(b, x, even) -> l:z:0",
        """
        axes = Const [0,1]
        limit = Const 100.0
        s = Sum b axes:output:0
        l = Less s:output:0 limit:output:0
        """,
    )
    add = function("add(b, x) -> s:z:0", "s = AddV2 b x T=f32")
    double = function("double(b, x) -> s:z:0", "s = AddV2 b b T=f32")
    inner = function(
        "inner(b, x, even) -> c:output:0, x, even",
        "c = If even b x then_branch=fn('add') else_branch=fn('double')",
    )
    step = function(
        "step(i, n, a, w) -> j:z:0, n, h:z:0, w",
        """
        one = Const 1
        two = Const 2
        zero = Const 0
        half = Const 0.5
        r = FloorMod i two:output:0 T=i32
        even = Equal r:z:0 zero:output:0 T=i32
        k = While a w even:z:0 cond=fn('small') body=fn('inner')
        h = Mul k:output:0 half:output:0 T=f32
        j = AddV2 i one:output:0 T=i32
        """,
    )
    text = WHILE.replace("w = Const [[2.0,0,0],[0,1,1],[1,0,0]]", "w = Abs x T=f32")
    a = X
    for i in range(3):
        while a.sum() < 100:
            a = a + abs(X) if i % 2 == 0 else a + a
        a = a * F32(0.5)
    message = flow(text, less, small, add, double, inner, step)
    check(message, {"x": X, "n": np.array(3, np.int32)}, **{"y:2": a})
