"""What stays float in a plan of integers, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graph_text import parse
from plans import DENSE, WHOLE, by_name, planned, stored

from tqconv.errors import QuantizationError
from tqconv.ir.graph import Use
from tqconv.quant.plan import Borders
from tqconv.quant.schemes import INT8
from tqconv.quant.select import Choice


def test_values_that_would_be_lost_keep_their_operators_float() -> None:
    text = """
    x: f32[1,4] -> z
    a = MUL(x, 2.0)
    y = MINIMUM(a, 5.0)
    z = MUL(y, 2.0)
    """
    graph = parse(text)
    ranges = {"x": (0, 1e6), "a": (0, 2e6), "y": (0, 5), "z": (0, 10)}
    # Every reader of `a` clips it, so 8 bits suffice.
    assert planned(graph, ranges).floats == {}
    graph = parse(text.replace("-> z", "-> z, a"))
    made = planned(graph, ranges)
    assert "would lose its values" in made.floats[by_name(graph, "y").producer]


def test_sums_in_steps_that_exceed_the_output_stay_float() -> None:
    graph = parse(DENSE)
    ranges = {"x": (-100, 100), "y": (0, 1e-3), "z": (0, 1)}
    made = planned(graph, ranges)
    assert "would lose its values: it sums in steps of" in made.floats[graph.ops[0]]
    forced = planned(graph, ranges, choice=Choice(integer_only=True))
    step = stored(graph, forced, "x")[0] * float(forced.edges[Use(graph.ops[0], 1)].scale.max())
    assert step / stored(graph, forced, "y")[0] < 256


@pytest.mark.parametrize(
    ("end", "outputs", "mode", "stays"),
    [
        ("z = SOFTMAX(y) {beta=1.0}", None, "int8", True),
        ("a = LOGISTIC(y)\nz = RESHAPE(a, [2,1])", None, "int8", True),
        ("z = TANH(y)", None, "uint8", True),
        ("z = SOFTMAX(y) {beta=1.0}", INT8, "int8", False),  # asked for as integers
        ("z = SOFTMAX(y) {beta=1.0}", None, "int16x8", False),  # steps of 1 / 32768
        ("a = LOGISTIC(y)\nz = MUL(a, y)", None, "int8", False),  # integers read it
        ("z = RELU(y)", None, "int8", False),  # steps of its own
    ],
)
def test_what_ends_in_reals_does_not_take_the_coarse_steps_of_a_kernel(
    end: str, outputs: np.dtype | None, mode: str, stays: bool
) -> None:
    graph = parse(f"x: f32[1,4] -> z\ny = FULLY_CONNECTED(x, f32[2,4], [0.5,-0.5])\n{end}")
    ranges = dict.fromkeys("xyza" if "a = " in end else "xyz", (-1.0, 1.0))
    made = planned(graph, ranges, mode, borders=Borders(None, outputs))
    op = graph.ops[1]
    assert (op in made.floats) is stays
    if stays:
        assert made.floats[op].startswith("makes an output of reals")
        assert op not in planned(graph, ranges, mode, WHOLE).floats


def test_an_output_that_is_always_zero_has_nothing_to_lose() -> None:
    graph = parse(DENSE)
    made = planned(graph, {"x": (-100, 100), "y": (0, 0), "z": (0, 1)})
    assert list(made.floats) == [graph.ops[1]]


def test_a_softmax_behind_a_mask_stays_float() -> None:
    graph = parse("""x: f32[1,4] -> z
        y = ADD(x, [0.0,0.0,-1000000000.0,0.0])
        z = SOFTMAX(y) {beta=1.0}""")
    made = planned(graph, {"x": (-4, 4), "y": (-1e9, 4), "z": (0, 1)})
    assert set(made.floats) == set(graph.ops)


@pytest.mark.parametrize("mask", ["ADD(x, [0.0,0.0,-1e999,0.0])", "SELECT_V2(c, x, -1e999)"])
def test_a_softmax_behind_infinite_masks_stays_float(mask: str) -> None:
    graph = parse(f"""x: f32[1,4], c: bool[4] -> z
        y = {mask}
        r = RESHAPE(y, [4,1])
        t = TRANSPOSE(r, [1,0])
        z = SOFTMAX(t) {{beta=1.0}}""")
    ranges = {"x": (-4, 4), "y": (-4, 4), "r": (-4, 4), "t": (-4, 4), "z": (0, 1)}
    assert set(planned(graph, ranges).floats) == set(graph.ops)
    with pytest.raises(QuantizationError, match="not finite"):
        planned(graph, ranges, choice=WHOLE)


PEAKS = """x: f32[1,6,6,2] -> y{more}
    h = CONV_2D(x, f32[2,1,1,2], zeros[2]) {{padding=VALID, stride_h=1, stride_w=1}}
    s = LOGISTIC(h)
    m = MAX_POOL_2D(s) {{padding=SAME, filter_height=3, filter_width=3, stride_h=1, stride_w=1}}
    k = EQUAL(s, m)
    y = SELECT_V2(k, s, 0.0){use}"""
AROUND = {n: (0.0, 1.0) for n in "smy"} | {"x": (-4.0, 4.0), "h": (-8.0, 8.0)}


def test_decisions_between_probabilities_are_made_of_reals() -> None:
    """In steps of 1/256 neighbours of a peak are peaks, too."""
    graph = parse(PEAKS.format(more="", use=""))
    floats = planned(graph, AROUND).floats
    assert [op.type for op in floats] == ["LOGISTIC", "MAX_POOL_2D", "EQUAL", "SELECT_V2"]
    assert all("decides between results in steps of 0.00391" in why for why in floats.values())


@pytest.mark.parametrize(
    ("more", "use", "asked"),
    [
        (", z", "\n    z = MUL(s, s)", {}),  # another operator computes with them
        ("", "", {"borders": Borders(outputs=INT8)}),
        ("", "", {"choice": WHOLE}),
    ],
)
def test_decisions_stay_integers_where_the_results_do(
    more: str, use: str, asked: dict[str, Any]
) -> None:
    graph = parse(PEAKS.format(more=more, use=use))
    ranges = {**AROUND, "z": (0.0, 1.0)} if more else AROUND
    assert "MAX_POOL_2D" not in [o.type for o in planned(graph, ranges, **asked).floats]


def test_operators_with_constants_that_are_not_finite_stay_float() -> None:
    graph = parse("x: f32[1,2] -> z\nz = MUL(x, [1.0,2.0])")
    constant = graph.ops[0].input(1)
    assert constant.data is not None
    constant.data = np.array([1.0, np.inf], np.float32)
    made = planned(graph, {"x": (-1, 1), "z": (-2, 2)})
    (reason,) = made.floats.values()
    assert "not finite" in reason


def test_a_divisor_that_may_be_stored_as_zero_stays_float() -> None:
    graph = parse("x: f32[1,4], y: f32[1,4] -> z\nz = DIV(x, y)")
    made = planned(graph, {})
    assert list(made.floats.values()) == ["stops where 'y' is stored as zero"]
