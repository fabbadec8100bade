"""Control flow of TensorFlow 1: frames, Switch and Merge."""

from __future__ import annotations

import numpy as np
import pytest
from flow import check, flow, types_of
from graphs import model_of

from tqconv.errors import FormatError, UsageError

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
F32 = np.float32


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


@pytest.mark.parametrize("p", ["Placeholder dtype=bool shape=()", "Const True", "Const False"])
@pytest.mark.parametrize("chosen", [True, False])
def test_a_control_edge_from_a_switch_says_nothing_about_the_branch(p: str, chosen: bool) -> None:
    text = f"""
        x = Placeholder dtype=f32 shape=(2,3)
        p = {p}
        c/Switch = Switch p p T=bool
        c/x = Switch x p T=f32
        c/two = Const 2.0 ^c/Switch
        c/four = Const 4.0 ^c/Switch
        c/yes = Mul c/x:1 c/two T=f32
        c/no = Mul c/x c/four T=f32
        y = Merge c/no c/yes N=2 T=f32
    """
    given = p.startswith("Const")
    feeds = {"x": X} if given else {"x": X, "p": np.array(chosen)}
    wanted = p.endswith("True") if given else chosen
    model = check(flow(text), feeds, y=X * (2 if wanted else 4))
    assert types_of(model) == (["MUL"] if given else ["IF"])


@pytest.mark.parametrize("chosen", [True, False])
def test_a_node_behind_a_switch_runs_whichever_way_the_data_go(chosen: bool) -> None:
    text = f"""
        x = Placeholder dtype=f32 shape=(2,3)
        p = Const {chosen}
        s = Switch p p T=bool
        after = Identity x ^s T=f32
        y = Neg after T=f32
    """
    check(flow(text), {"x": X}, y=-X)


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
