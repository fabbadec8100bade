"""Functions, conditions and loops, in the functional form and in that of TF1."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from flow import flow, function
from graphs import DELEGATES, Array, Message, assert_close, model_of

from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.ir.graph import Model

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
F32 = np.float32


def check(message: Message, feeds: dict[str, Array], **expected: Array) -> Model:
    """Compare what LiteRT computes, with and without delegate, twice in a row."""
    model = model_of(message, expected, feeds)
    for body in model.all_graphs():
        body.check()
    for delegate in DELEGATES:
        for have, want in zip(run_litert(model, feeds, delegate), expected.values(), strict=True):
            assert_close(have, np.asarray(want), rtol=1e-6)
    return model


def types_of(model: Model) -> list[str]:
    return [op.type for op in model.main.ops]


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


TF1_LOOP = """
    x = Placeholder dtype=f32 shape=(2,3)
    n = Placeholder dtype=i32 shape=()
    zero = Const 0
    w/i = Enter zero frame_name='w' is_constant=False
    w/a = Enter x frame_name='w' is_constant=False
    w/n = Enter n frame_name='w' is_constant=True
    w/Merge = Merge w/i w/Next N=2 T=i32
    w/Merge_1 = Merge w/a w/Next_1 N=2 T=f32
    w/Less = Less w/Merge w/n T=i32
    w/LoopCond = LoopCond w/Less
    w/Switch = Switch w/Merge w/LoopCond T=i32
    w/Switch_1 = Switch w/Merge_1 w/LoopCond T=f32
    w/Identity = Identity w/Switch:1 T=i32
    w/Identity_1 = Identity w/Switch_1:1 T=f32
    w/one = Const 1 ^w/Identity
    w/add = Add w/Identity w/one T=i32
    {body}
    w/Next = NextIteration w/add T=i32
    w/Next_1 = NextIteration w/body T=f32
    w/Exit = Exit w/Switch T=i32
    w/Exit_1 = Exit w/Switch_1 T=f32
    y = Identity w/Exit_1 T=f32
"""


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_frame_becomes_a_loop(count: int) -> None:
    message = flow(TF1_LOOP.format(body="w/body = Neg w/Identity_1 T=f32"))
    model = check(message, {"x": X, "n": np.array(count, np.int32)}, y=X * (-1) ** count)
    assert types_of(model).count("WHILE") == 1


def test_variables_that_no_exit_needs_are_left_out() -> None:
    message = flow(TF1_LOOP.format(body="w/body = NotAnOperator w/Identity_1"))
    count = np.array(3, np.int32)
    model = check(message, {"n": count}, **{"w/Exit": count})
    assert [len(op.inputs) for op in model.main.ops if op.type == "WHILE"] == [2]


def test_frames_within_frames() -> None:
    """A = n times: for j from 0 while j < i: a = a + x."""
    inner = """
    v/j = Enter w/zero frame_name='v' is_constant=False
    v/a = Enter w/Identity_1 frame_name='v' is_constant=False
    v/i = Enter w/Identity frame_name='v' is_constant=True
    w/x = Enter x frame_name='w' is_constant=True
    v/x = Enter w/x frame_name='v' is_constant=True
    w/zero = Const 0 ^w/Identity
    v/Merge = Merge v/j v/Next N=2 T=i32
    v/Merge_1 = Merge v/a v/Next_1 N=2 T=f32
    v/Less = Less v/Merge v/i T=i32
    v/LoopCond = LoopCond v/Less
    v/Switch = Switch v/Merge v/LoopCond T=i32
    v/Switch_1 = Switch v/Merge_1 v/LoopCond T=f32
    v/one = Const 1 ^v/Identity
    v/Identity = Identity v/Switch:1 T=i32
    v/add = Add v/Identity v/one T=i32
    v/sum = Add v/Switch_1:1 v/x T=f32
    v/Next = NextIteration v/add T=i32
    v/Next_1 = NextIteration v/sum T=f32
    v/Exit_1 = Exit v/Switch_1 T=f32
    w/body = Identity v/Exit_1 T=f32
    """
    message = flow(TF1_LOOP.format(body=inner))
    check(message, {"x": X, "n": np.array(4, np.int32)}, y=X * (1 + 0 + 1 + 2 + 3))


def test_an_exit_without_a_loop_is_damage() -> None:
    message = flow("x = Placeholder dtype=f32 shape=(2,3)\ny = Exit x T=f32")
    with pytest.raises(FormatError, match="does not leave a loop"):
        model_of(message, ["y"], ["x"])


TF1_COND = """
    x = Placeholder dtype=f32 shape=(2,3)
    p = {p}
    c/pred_id = Identity p T=bool
    c/Switch = Switch p p T=bool
    c/switch_t = Identity c/Switch:1 T=bool
    c/switch_f = Identity c/Switch T=bool
    c/x = Switch x c/pred_id T=f32
    c/yes = Neg c/x:1 T=f32
    c/no = Const [[5.0,5,5],[6,6,6]] {control}
    c/Merge = Merge c/no c/yes N=2 T=f32
    y = Identity c/Merge T=f32
"""
FIVES = np.array([[5, 5, 5], [6, 6, 6]], F32)


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("control", ["^c/switch_f", "^c/group", ""])
def test_switch_and_merge_become_if(chosen: bool, control: str) -> None:
    text = TF1_COND.format(p="Placeholder dtype=bool shape=()", control=control)
    message = flow(text + "\nc/group = NoOp ^c/switch_f")
    feeds = {"x": X, "p": np.array(chosen)}
    model = check(message, feeds, y=-X if chosen else FIVES, **{"c/Merge:1": np.int32(chosen)})
    assert types_of(model).count("IF") == 1


def test_a_constant_predicate_of_tf1_leaves_no_if() -> None:
    model = check(flow(TF1_COND.format(p="Const True", control="^c/switch_f")), {"x": X}, y=-X)
    assert types_of(model) == ["NEG"]


@pytest.mark.parametrize("p", [True, False])
@pytest.mark.parametrize("q", [True, False])
def test_conditions_within_and_behind_conditions(p: bool, q: bool) -> None:
    text = """
        x = Placeholder dtype=f32 shape=(2,3)
        p = Placeholder dtype=bool shape=()
        q = Placeholder dtype=bool shape=()
        x_p = Switch x p T=f32
        q_p = Switch q p T=bool
        x_pq = Switch x_p:1 q_p:1 T=f32
        a = Neg x_pq:1 T=f32
        b = Abs x_pq T=f32
        inner = Merge b a N=2 T=f32
        c = Square x_p T=f32
        outer = Merge c inner N=2 T=f32
        again_p = Switch outer p T=f32
        d = Exp again_p:1 T=f32
        y = Merge again_p d N=2 T=f32
    """
    inner = (-X if q else abs(X)) if p else X * X
    feeds = {"x": X, "p": np.array(p), "q": np.array(q)}
    model = check(flow(text), feeds, outer=inner, y=np.exp(inner) if p else inner)
    assert types_of(model).count("IF") == 2


def test_a_numbered_switch_becomes_one_if_per_branch() -> None:
    text = """
        x = Placeholder dtype=f32 shape=(2,3)
        k = Placeholder dtype=i32 shape=()
        s = _SwitchN x k num_outs=3 T=f32
        a = Neg s T=f32
        b = Abs s:1 T=f32
        c = Square s:2 T=f32
        y = Merge b a c N=3 T=f32
    """
    for k, want in enumerate([-X, abs(X), X * X]):
        check(flow(text), {"x": X, "k": np.array(k, np.int32)}, y=want)


def test_a_switch_without_merge_says_that_its_branch_is_off() -> None:
    text = (
        "x = Placeholder dtype=f32 shape=(2,3)\np = Const False\ns = Switch x p T=f32\ny = Neg s:1"
    )
    with pytest.raises(UsageError, match="switched off"):
        model_of(flow(text), ["y"], ["x"])


def test_a_condition_in_a_frame() -> None:
    body = """
    w/two = Const 2 ^w/Identity
    w/rest = FloorMod w/Identity w/two T=i32
    w/zero = Const 0 ^w/Identity
    w/even = Equal w/rest w/zero T=i32
    w/c = Switch w/Identity_1 w/even T=f32
    w/yes = Neg w/c:1 T=f32
    w/no = Add w/c w/c T=f32
    w/body = Merge w/no w/yes N=2 T=f32
    """
    message = flow(TF1_LOOP.format(body=body))
    check(message, {"x": X, "n": np.array(3, np.int32)}, y=2 * X)


ARRAY_LOOP = """
    x = Placeholder dtype=f32 shape=(4,3)
    zero = Const 0
    n = Const 3
    size = Const 3
    array = TensorArrayV3 size dtype=f32 {attrs}
    w/handle = Enter array frame_name='w' is_constant=True
    w/i = Enter zero frame_name='w' is_constant=False
    w/f = Enter array:1 frame_name='w' is_constant=False
    w/n = Enter n frame_name='w' is_constant=True
    w/x = Enter x frame_name='w' is_constant=True
    w/Merge = Merge w/i w/Next N=2 T=i32
    w/Merge_1 = Merge w/f w/Next_1 N=2 T=f32
    w/Less = Less w/Merge w/n T=i32
    w/LoopCond = LoopCond w/Less
    w/Switch = Switch w/Merge w/LoopCond T=i32
    w/Switch_1 = Switch w/Merge_1 w/LoopCond T=f32
    w/Identity = Identity w/Switch:1 T=i32
    w/one = Const 1 ^w/Identity
    w/add = Add w/Identity w/one T=i32
    w/axis = Const 0 ^w/Identity
    {element}
    w/write = TensorArrayWriteV3 w/handle w/at w/element w/Switch_1:1 T=f32
    w/Next = NextIteration w/add T=i32
    w/Next_1 = NextIteration w/write T=f32
    w/Exit_1 = Exit w/Switch_1 T=f32
    {read}
"""
ROW = """
    w/at = Identity w/Identity T=i32
    w/element = GatherV2 w/x w/Identity w/axis Tparams=f32 Tindices=i32 Taxis=i32
"""
HEAD = """
    w/at = Identity w/{at} T=i32
    w/begin = Const [0,0]
    w/rest = Const 3
    w/size = Pack w/add w/rest N=2 axis=0 T=i32
    w/element = Slice w/x w/begin w/size T=f32 Index=i32
"""
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize("attrs", ["element_shape=(3,)", "element_shape=()"])
@pytest.mark.parametrize(
    ("read", "want"),
    [
        (
            "c = TensorArraySizeV3 array w/Exit_1\none = Const 1\nr = Range zero c one Tidx=i32\n"
            "y = TensorArrayGatherV3 array r w/Exit_1 dtype=f32 element_shape=(3,)",
            ROWS[:3],
        ),
        ("two = Const 2\ny = TensorArrayReadV3 array two w/Exit_1 dtype=f32", ROWS[2]),
        (
            "r = Const [2,0]\n"
            "y = TensorArrayGatherV3 array r w/Exit_1 dtype=f32 element_shape=(3,)",
            ROWS[[2, 0]],
        ),
        ("y = TensorArrayConcatV3 array w/Exit_1 dtype=f32", ROWS[:3].reshape(-1)),
    ],
)
def test_an_array_is_written_in_a_loop(attrs: str, read: str, want: Array) -> None:
    message = flow(ARRAY_LOOP.format(attrs=attrs, element=ROW, read=read))
    check(message, {"x": ROWS}, y=want)


def test_an_array_of_unequal_pieces_is_their_concatenation() -> None:
    read = "y = TensorArrayConcatV3 array w/Exit_1 dtype=f32 element_shape_except0=(3,)"
    text = ARRAY_LOOP.format(
        attrs="element_shape=(None,3)", element=HEAD.format(at="Identity"), read=read
    )
    check(flow(text), {"x": ROWS}, y=np.concatenate([ROWS[:1], ROWS[:2], ROWS[:3]]))


def test_unequal_pieces_must_be_written_in_order() -> None:
    read = "y = TensorArrayConcatV3 array w/Exit_1 dtype=f32"
    text = ARRAY_LOOP.format(
        attrs="element_shape=(None,3)", element=HEAD.format(at="axis"), read=read
    )
    with pytest.raises(UnsupportedError, match="not one behind another"):
        model_of(flow(text), ["y"], ["x"])


def test_an_array_grows_when_it_may() -> None:
    read = (
        "y = TensorArraySizeV3 array w/Exit_1\nz = TensorArrayReadV3 array zero w/Exit_1 dtype=f32"
    )
    text = ARRAY_LOOP.format(
        attrs="element_shape=(3,) dynamic_size=True", element=ROW, read=read
    ).replace("size = Const 3", "size = Const 0")
    check(flow(text), {"x": ROWS}, y=np.int32(3), z=ROWS[0])


def test_elements_of_a_size_known_only_at_run_time() -> None:
    read = "r = Const [0,2]\ny = TensorArrayGatherV3 array r w/Exit_1 dtype=f32"
    text = ARRAY_LOOP.format(attrs="element_shape=(None,)", element=ROW, read=read)
    text = text.replace("shape=(4,3)", "shape=(None,None)")
    check(flow(text), {"x": ROWS}, y=ROWS[[0, 2]])


LISTS = """
    x = Placeholder dtype=f32 shape=(4,3)
    shape = Const [3]
    none = Const 0
    three = Const 3
    one = Const 1
    far = Const 5
    row = GatherV2 x one none Tparams=f32 Tindices=i32 Taxis=i32
    empty = EmptyTensorList shape none element_dtype=f32 shape_type=i32
    reserved = TensorListReserve shape three element_dtype=f32 shape_type=i32
    given = TensorListFromTensor x shape element_dtype=f32 shape_type=i32
    pushed = TensorListPushBack empty row element_dtype=f32
    set = TensorListSetItem reserved one row element_dtype=f32
    popped = TensorListPopBack given shape element_dtype=f32
"""


@pytest.mark.parametrize(
    ("read", "want"),
    [
        ("y = TensorListStack pushed shape element_dtype=f32", ROWS[1:2]),
        ("y = TensorListStack set shape element_dtype=f32", [[0, 0, 0], [3, 4, 5], [0, 0, 0]]),
        ("y = TensorListStack popped shape element_dtype=f32", ROWS[:3]),
        ("y = Identity popped:1 T=f32", ROWS[3]),
        ("y = TensorListLength popped", np.int32(3)),
        ("y = TensorListGetItem given three shape element_dtype=f32", ROWS[3]),
        ("y = TensorListElementShape given shape_type=i32", np.array([3], np.int32)),
        ("g = Const [3,1]\ny = TensorListGather given g shape element_dtype=f32", ROWS[[3, 1]]),
        (
            "r = TensorListResize given far\ny = TensorListStack r shape element_dtype=f32",
            [*ROWS, [0, 0, 0]],
        ),
        (
            "r = TensorListResize given one\ny = TensorListStack r shape element_dtype=f32",
            ROWS[:1],
        ),
        (
            "p = Const [2,0,1,3]\ns = TensorListScatterV2 x p shape far element_dtype=f32\n"
            "y = TensorListStack s shape element_dtype=f32",
            [ROWS[1], ROWS[2], ROWS[0], ROWS[3], [0, 0, 0]],
        ),
        (
            "p = Const [2]\nh = GatherV2 x p none Tparams=f32 Tindices=i32 Taxis=i32\n"
            "s = TensorListScatterIntoExistingList given h p element_dtype=f32\n"
            "y = TensorListStack s shape element_dtype=f32",
            ROWS,
        ),
        ("y = TensorListConcatV2 given shape shape element_dtype=f32", ROWS.reshape(-1)),
        (
            "l = Const [2,2]\ns = TensorListSplit x shape l element_dtype=f32\n"
            "y = TensorListGetItem s one shape element_dtype=f32",
            ROWS[2:],
        ),
    ],
)
def test_lists_are_rows(read: str, want: Array) -> None:
    array = np.asarray(want, None if isinstance(want, np.generic | np.ndarray) else np.float32)
    check(flow(LISTS + read), {"x": ROWS}, y=array)


def test_a_list_without_elements_or_shape_is_refused() -> None:
    text = LISTS.replace("shape = Const [3]", "shape = Const [-1]")
    with pytest.raises(UnsupportedError, match="shape is not known"):
        model_of(flow(text + "y = TensorListStack reserved shape element_dtype=f32"), ["y"], ["x"])
