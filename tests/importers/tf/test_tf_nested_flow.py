"""Conditions and loops of TensorFlow 1 in each other, as its own functions nest them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from flow import check, flow, function
from graphs import model_of

from tqconv.errors import FormatError, UnsupportedError
from tqconv.ir.graph import Model

F32 = np.float32
X = np.array([1, -2, 4], F32)
NESTINGS = ["".join(kinds) for n in (1, 2, 3) for kinds in itertools.product("cw", repeat=n)]


class Writer:
    """Writes nodes as TensorFlow's `cond` and `while_loop` do.

    Levels of a nesting are `c`, cond(sum(x) < limit, inner, x -> -x), and `w`, two rounds of inner.
    In the middle stands x / 2 + 1 + start: a constant of the innermost level, and the model's
    input, which every level around hands on.
    """

    def __init__(self) -> None:
        self.lines = ["start = Placeholder dtype=f32 shape=(3,)"]
        self.around: list[Any] = []

    def add(self, name: str, *words: str) -> str:
        self.lines.append(f"{name} = {' '.join(words)}")
        return name

    def handed_on(self, scope: str) -> str:
        """Return the model's input as the innermost level sees it."""
        name = "start"
        for number, capture in enumerate(self.around):
            name = capture(f"{scope}/start{number}", name)
        return name

    def constant(self, name: str, value: float | int, pivot: str) -> str:
        return self.add(name, "Const", str(value), f"^{pivot}" if pivot else "")

    def level(self, kinds: str, scope: str, x: str, pivot: str) -> str:
        if kinds:
            write = self.cond if kinds[0] == "c" else self.loop
            return write(kinds[1:], f"{scope}/{kinds[0]}", x, pivot)
        half = self.constant(f"{scope}/half", 0.5, pivot)
        one = self.constant(f"{scope}/one", 1.0, pivot)
        product = self.add(f"{scope}/product", "Mul", x, half, "T=f32")
        total = self.add(f"{scope}/sum", "AddV2", product, one, "T=f32")
        return self.add(f"{scope}/y", "AddV2", total, self.handed_on(scope), "T=f32")

    def cond(self, inner: str, scope: str, x: str, pivot: str) -> str:
        axis = self.constant(f"{scope}/axis", 0, pivot)
        limit = self.constant(f"{scope}/limit", 3.0, pivot)
        total = self.add(f"{scope}/total", "Sum", x, axis, "T=f32")
        test = self.add(f"{scope}/Less", "Less", total, limit, "T=f32")
        self.add(f"{scope}/Switch", "Switch", test, test, "T=bool")
        yes = self.add(f"{scope}/switch_t", "Identity", f"{scope}/Switch:1", "T=bool")
        no = self.add(f"{scope}/switch_f", "Identity", f"{scope}/Switch", "T=bool")
        predicate = self.add(f"{scope}/pred_id", "Identity", test, "T=bool")
        data = self.add(f"{scope}/x", "Switch", x, predicate, "T=f32")

        def capture(name: str, outer: str) -> str:
            return self.add(name, "Switch", outer, predicate, "T=f32") + ":1"

        self.around.append(capture)
        made = self.level(inner, scope, f"{data}:1", yes)
        self.around.pop()
        self.constant(f"{scope}/unread", 1.0, no)
        negative = self.add(f"{scope}/Neg", "Neg", data, "T=f32")
        return self.add(f"{scope}/Merge", "Merge", negative, made, "N=2 T=f32")

    def loop(self, inner: str, scope: str, x: str, pivot: str) -> str:
        frame = f"frame_name='{scope}' is_constant="

        def capture(name: str, outer: str) -> str:
            return self.add(name, "Enter", outer, f"{frame}True T=f32")

        zero = self.constant(f"{scope}/zero", 0, pivot)
        for i, (first, type) in enumerate(((zero, "i32"), (x, "f32"))):
            enter = self.add(f"{scope}/Enter{i}", "Enter", first, f"{frame}False T={type}")
            merge = f"{scope}/Merge{i}"
            self.add(merge, "Merge", enter, f"{scope}/Next{i}", f"N=2 T={type}")
            test = f"{scope}/LoopCond"
            switch = self.add(f"{scope}/Switch{i}", "Switch", merge, test, f"T={type}")
            self.add(f"{scope}/Identity{i}", "Identity", f"{switch}:1", f"T={type}")
            self.add(f"{scope}/Exit{i}", "Exit", switch, f"T={type}")
        most = self.constant(f"{scope}/most", 2, f"{scope}/Merge0")
        self.add(f"{scope}/Less", "Less", f"{scope}/Merge0", most, "T=i32")
        self.add(f"{scope}/LoopCond", "LoopCond", f"{scope}/Less")
        inside = f"{scope}/Identity0"
        one = self.constant(f"{scope}/step", 1, inside)
        self.add(f"{scope}/add", "AddV2", inside, one, "T=i32")
        self.around.append(capture)
        made = self.level(inner, scope, f"{scope}/Identity1", inside)
        self.around.pop()
        self.add(f"{scope}/Next0", "NextIteration", f"{scope}/add", "T=i32")
        self.add(f"{scope}/Next1", "NextIteration", made, "T=f32")
        return f"{scope}/Exit1"


def nested(kinds: str) -> Any:
    writer = Writer()
    writer.add("x", "Placeholder", "dtype=f32", "shape=(3,)")
    writer.add("y", "Identity", writer.level(kinds, "n", "x", ""), "T=f32")
    return flow("\n".join(writer.lines))


def expected(kinds: str, x: Any, start: Any) -> Any:
    if not kinds:
        return x * F32(0.5) + F32(1) + start
    if kinds[0] == "c":
        return expected(kinds[1:], x, start) if x.sum() < 3 else -x
    return expected(kinds[1:], expected(kinds[1:], x, start), start)


@pytest.mark.parametrize("x", [X, -X, X / 4], ids=["sum_3", "sum_-3", "sum_.75"])
@pytest.mark.parametrize("kinds", NESTINGS)
def test_conditions_and_loops_nest(kinds: str, x: Any) -> None:
    start = np.array([0.25, -0.5, 1], F32)
    check(nested(kinds), {"x": x, "start": start}, y=expected(kinds, x, start))


@pytest.mark.parametrize("kinds", NESTINGS)
def test_what_lies_in_a_loop_or_a_branch_is_no_output(kinds: str) -> None:
    """Of the graph as TensorFlow makes it, with its unread loop counters."""
    model: Model = model_of(nested(kinds))
    assert [t.name for t in model.main.outputs] == ["y"]


def test_an_output_in_a_branch_has_advice() -> None:
    with pytest.raises(UnsupportedError, match="Merge") as caught:
        model_of(nested("cw"), ["n/c/w/Exit1"])
    assert "--set_input" in str(caught.value.hint)


def test_a_loop_that_leaves_only_counts_has_outputs() -> None:
    text = """
        n = Placeholder dtype=i32 shape=()
        zero = Const 0
        w/i = Enter zero frame_name='w' is_constant=False T=i32
        w/n = Enter n frame_name='w' is_constant=True T=i32
        w/Merge = Merge w/i w/Next N=2 T=i32
        w/Less = Less w/Merge w/n T=i32
        w/LoopCond = LoopCond w/Less
        w/Switch = Switch w/Merge w/LoopCond T=i32
        w/Identity = Identity w/Switch:1 T=i32
        w/two = Const 2 ^w/Identity
        w/add = Add w/Identity w/two T=i32
        w/Next = NextIteration w/add T=i32
        w/Exit = Exit w/Switch T=i32
    """
    check(flow(text), {"n": np.array(3, np.int32)}, **{"w/Exit": np.array(4, np.int32)})
    assert [t.name for t in model_of(flow(text)).main.outputs] == ["w/Exit"]


BODIES = (
    function("test(i, most, a, w) -> less:z:0", "less = Less i most T=i32"),
    function(
        "step(i, most, a, w) -> add:z:0, same:output:0, mul:z:0, w",
        """
        one = Const 1
        add = AddV2 i one:output:0 T=i32
        same = Identity most T=i32
        mul = Mul a w T=f32
        """,
    ),
)


def test_a_body_with_fewer_parameters_than_results_is_refused_by_name() -> None:
    most = "most = Const 3\n less = Less i most:output:0 T=i32"
    test = function("test(i, x) -> less:z:0", most)
    step = function("step(i) -> i, i", "one = Const 1")
    text = """
        x = Placeholder dtype=f32 shape=(3,)
        zero = Const 0
        while = StatelessWhile zero x cond=fn('test') body=fn('step')
        while/Identity_1 = Identity while:1 T=f32
    """
    with pytest.raises(FormatError, match="`step` takes 1 argument, got 2"):
        model_of(flow(text, test, step))


def test_of_a_functional_loop_only_what_changes_is_an_output() -> None:
    text = """
        x = Placeholder dtype=f32 shape=(3,)
        w = Const [2.0,3,4]
        zero = Const 0
        most = Const 3
        while = StatelessWhile zero most x w cond=fn('test') body=fn('step')
        while/Identity = Identity while T=i32
        while/Identity_1 = Identity while:1 T=i32
        while/Identity_2 = Identity while:2 T=f32
        while/Identity_3 = Identity while:3 T=f32
        {reader}
    """
    weights = np.array([2, 3, 4], F32)
    for reader, name in (("", "while/Identity_2"), ("y = Neg while/Identity_2 T=f32", "y")):
        message = flow(text.format(reader=reader), *BODIES)
        assert [t.name for t in model_of(message).main.outputs] == [name]
        made = X * weights**3
        check(message, {"x": X}, **{name: -made if reader else made})
