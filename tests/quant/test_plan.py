"""Plans as text: who shares what, what is requantized, what stays float, and why."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse
from plans import DENSE, WHOLE, Ends, by_name, planned, stored

from tqconv.errors import QuantizationError, UsageError
from tqconv.ir.graph import Tensor, Use
from tqconv.quant.apply import apply
from tqconv.quant.plan import Borders
from tqconv.quant.refusals import MissingRangesError
from tqconv.quant.report import coarse_lines, describe
from tqconv.quant.schemes import INT8, INT16, UINT8
from tqconv.quant.select import Choice


def test_the_table_has_a_line_and_a_reason_for_every_tensor() -> None:
    graph = parse(DENSE)
    made = planned(graph, {"x": (-1, 1), "y": (-2, 4), "z": (0, 1)}, choice=WHOLE)
    assert describe(graph, made).splitlines() == [
        "int8: 2 operators on integers, 0 float",
        "y: int8 scale 0.0235294122 zero -43; [-2, 4] calibrated minmax",
        "z: int8 scale 0.00390625 zero -128; built into the kernel of SOFTMAX",
        "x: int8 scale 0.00784313772 zero -1; [-1, 1] calibrated minmax",
        "y/w: int8 2 scales 0.00551 … 0.00742; weights, a scale for each slice of axis 0",
        "y/b: int32 2 scales 4.33e-05 … 5.82e-05; bias, int32 at the product of the scales "
        "of 'x' and 'w'",
    ]


def test_missing_ranges_are_reported_all_at_once_with_the_ways_to_supply_them() -> None:
    graph = parse(DENSE)
    with pytest.raises(MissingRangesError) as caught:
        planned(graph, {})
    assert str(caught.value).splitlines() == [
        "2 tensors without a range of values",
        "  'x', an input",
        "  'y', made by FULLY_CONNECTED",
    ]
    hint = caught.value.hint or ""
    for way in ("--calibration_data", "--ranges FILE", "--write_ranges_template", "--default_"):
        assert way in hint


def test_ten_tensors_without_a_range_are_named_once_each() -> None:
    tensors = [Tensor(f"t{i}", (1,), np.dtype(np.float32)) for i in range(14)]
    lines = str(MissingRangesError([*tensors, tensors[0]])).splitlines()
    names = [f"  't{i}', an input" for i in range(10)]
    assert lines == ["14 tensors without a range of values", *names, "  … 4 more"]


CONCAT = """
x: f32[1,4] -> z
a = MUL(x, 2.0)
b = LOGISTIC(x)
z = CONCATENATION(a, b) {axis=1}
"""


def test_a_fixed_scale_is_requantized_where_its_neighbours_go_further() -> None:
    graph = parse(CONCAT)
    ends = {"x": (-2, 2), "a": (-4, 4), "b": (0, 1), "z": (-4, 4)}
    made = planned(graph, ends, borders=Borders(outputs=INT8))
    concat = graph.ops[-1]
    assert made.tensors[concat.inputs[0]].equals(made.tensors[concat.output])
    assert made.edges[Use(concat, 1)].equals(made.tensors[concat.output])
    assert stored(graph, made, "b") == (1 / 256, -128)


def test_a_fixed_scale_is_shared_where_it_covers_the_neighbours() -> None:
    graph = parse(CONCAT)
    made = planned(graph, {"x": (-2, 2), "a": (0, 0.9), "b": (0, 1), "z": (0, 1)})
    assert not [u for u in made.edges if u.op is graph.ops[-1]]
    assert stored(graph, made, "a") == stored(graph, made, "z") == (1 / 256, -128)


def test_uint8_concatenation_rescales_by_itself() -> None:
    graph = parse(CONCAT)
    ends = {"x": (-2, 2), "a": (-4, 4), "b": (0, 1), "z": (-4, 4)}
    made = planned(graph, ends, "uint8", borders=Borders(outputs=UINT8))
    assert not [u for u in made.edges if u.op is graph.ops[-1]]


def test_a_value_with_one_reader_takes_the_range_that_can_reach_the_output() -> None:
    graph = parse("x: f32[1,4] -> z\ny = MUL(x, 3.0)\nz = MAXIMUM(y, 0.0)")
    made = planned(graph, {"x": (-1, 1), "y": (-3, 3), "z": (0, 3)})
    assert stored(graph, made, "y") == (float(np.float32(3 / 255)), -128)


def test_an_average_keeps_the_range_of_what_it_averages() -> None:
    pool = "{filter_height=2, filter_width=2, stride_h=2, stride_w=2, padding=VALID}"
    graph = parse(f"x: f32[1,4,4,1] -> z\ny = MUL(x, 3.0)\nz = AVERAGE_POOL_2D(y) {pool}")
    made = planned(graph, {"x": (-1, 1), "y": (0, 3), "z": (0, 1)})
    assert stored(graph, made, "y") == stored(graph, made, "z")
    assert stored(graph, made, "y")[0] == float(np.float32(3 / 255))


def test_updates_that_are_added_keep_their_range() -> None:
    """0.9 and -0.8 at one place make 0.1."""
    graph = parse("x: f32[2,3] -> z\ny = MUL(x, 3.0)\nz = SCATTER_ND(i32[2,1], y, [4,3])")
    made = planned(graph, {"x": (-1, 1), "y": (-0.8, 0.9), "z": (-0.1, 0.1)})
    assert stored(graph, made, "y") == stored(graph, made, "z")
    assert stored(graph, made, "y")[0] == pytest.approx(0.9 / 127, rel=1e-6)


def test_an_average_keeps_the_range_of_an_input_that_others_read_as_reals() -> None:
    pool = "{filter_height=2, filter_width=2, stride_h=2, stride_w=2, padding=VALID}"
    graph = parse(
        f"""
        x: f32[1,4,4,1] -> u, w
        z = AVERAGE_POOL_2D(x) {pool}
        u = MUL(z, 2.0)
        w = SIN(x)
        """
    )
    made = planned(graph, {"x": (-2, 2), "z": (-0.5, 0.5), "u": (-1, 1), "w": (-1, 1)})
    assert stored(graph, made, "z")[0] == float(np.float32(4 / 255))


def test_a_value_that_others_read_is_requantized_rather_than_coarsened() -> None:
    text = """
    x: f32[1,4] -> z, w
    a = MUL(x, 2.0)
    b = MUL(x, 50.0)
    z = CONCATENATION(a, b) {axis=1}
    w = ADD(a, 1.0)
    """
    graph = parse(text)
    ranges = {"x": (-1, 1), "a": (-2, 2), "b": (-50, 50), "z": (-50, 50), "w": (-1, 3)}
    made = planned(graph, ranges, borders=Borders(outputs=INT8))
    assert stored(graph, made, "a")[0] == float(np.float32(4 / 255))
    edge = made.edges[Use(by_name(graph, "z").producer, 0)]
    assert edge.why == (
        "requantized for CONCATENATION 'z': shared steps would be 25 times as coarse"
    )


def test_operators_without_a_kernel_stay_float_with_the_reason() -> None:
    graph = parse(
        "x: f32[1,4] -> z\ny = FULLY_CONNECTED(x, f32[4,4])\ns = SIN(y)\n"
        "z = FULLY_CONNECTED(s, f32[4,4])"
    )
    made = planned(graph, {n: (-2, 2) for n in "xysz"})
    assert describe(graph, made).splitlines()[-1] == (
        "float: SIN 's': has no integer kernel that computes right"
    )
    assert made.edges[Use(by_name(graph, "s").producer, 0)] is None


def test_integer_only_lists_every_operator_that_cannot() -> None:
    graph = parse("x: f32[1,4] -> z\ny = SIN(x)\nz = COS(y)")
    with pytest.raises(QuantizationError) as caught:
        planned(graph, {n: (-2, 2) for n in "xyz"}, choice=Choice(integer_only=True))
    assert str(caught.value).splitlines() == [
        "2 operators cannot run on integers",
        "  SIN has no integer kernel that computes right: 'y'",
        "  COS has no integer kernel that computes right: 'z'",
    ]


def test_moves_between_float_operators_stay_float() -> None:
    graph = parse("x: f32[1,4] -> z\ny = SIN(x)\nr = RESHAPE(y, [2,2])\nz = COS(r)")
    made = planned(graph, {})
    assert made.types == {}


def test_keep_float_matches_source_nodes() -> None:
    graph = parse(DENSE)
    made = planned(graph, {n: (-2, 2) for n in "xyz"}, choice=Choice(keep_float=("^z$",)))
    assert list(made.floats.values()) == ["kept float by --keep_float"]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    graph = parse(DENSE)
    with pytest.raises(UsageError, match="matches no node"):
        planned(graph, {}, choice=Choice(keep_float=("nothing",)))


def test_an_int16_island_is_requantized_at_its_shores() -> None:
    graph = parse("x: f32[1,4] -> z\ny = MUL(x, 2.0)\ns = ADD(y, 1.0)\nz = MUL(s, 2.0)")
    ranges = {"x": (-1, 1), "y": (-2, 2), "s": (-1, 3), "z": (-2, 6)}
    made = planned(graph, ranges, choice=Choice(int16=("^s$",)))
    add, last = by_name(graph, "s").producer, by_name(graph, "z").producer
    assert made.types[add] == INT16
    assert made.tensors[by_name(graph, "s")].dtype == INT16
    assert made.edges[Use(add, 0)].dtype == INT16
    assert made.edges[Use(last, 0)].dtype == INT8


def test_no_per_channel_and_no_per_channel_dense() -> None:
    conv = "{padding=SAME, stride_h=1, stride_w=1}"
    text = f"""
    x: f32[1,2,2,2] -> z
    y = CONV_2D(x, f32[3,1,1,2], zeros[3]) {conv}
    z = FULLY_CONNECTED(y, f32[4,12], zeros[4])
    """

    def scales(choice: Choice) -> list[int]:
        graph = parse(text)
        made = planned(graph, {n: (-1, 1) for n in "xyz"}, choice=choice)
        return [made.edges[Use(op, 1)].scale.size for op in graph.ops]

    assert scales(Choice()) == [3, 4]
    assert scales(Choice(per_channel_dense=False)) == [3, 1]
    assert scales(Choice(per_channel=False)) == [1, 1]


def test_maxima_are_taken_of_the_lowest_integer_for_minus_infinity() -> None:
    """LiteRT's QUANTIZE makes 127 of -inf where the zero point is negative, as it is here."""
    graph = parse("""x: f32[1,4,4,1] -> z
        y = PADV2(x, [[0,0],[1,1],[1,1],[0,0]], -1e999)
        m = MAX_POOL_2D(y) {padding=VALID, filter_height=3, filter_width=3, stride_h=2, stride_w=2}
        z = MUL(m, 0.5)""")
    x = np.random.default_rng(4).uniform(-1, 4, (1, 4, 4, 1)).astype(np.float32)
    made = planned(graph, {"x": (-1, 4), "y": (-1, 4), "m": (-1, 4), "z": (-0.5, 2)})
    assert not made.floats
    rows = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)[0, :, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(rows, (3, 3))[::2, ::2]
    apply(graph, made)
    for delegate in (True, False):
        (got,) = run_litert(graph, [x], delegate)
        np.testing.assert_allclose(got[0, :, :, 0], windows.max((2, 3)) / 2, atol=0.02)


def test_padding_may_be_moved_before_maxima_are_taken_of_it() -> None:
    graph = parse("""x: f32[1,1,4,4] -> z
        y = PADV2(x, [[0,0],[0,0],[1,1],[1,1]], -1e999)
        t = TRANSPOSE(y, [0,2,3,1])
        m = MAX_POOL_2D(t) {padding=VALID, filter_height=3, filter_width=3, stride_h=1, stride_w=1}
        z = MUL(m, 0.5)""")
    ends = dict.fromkeys("xytm", (-1.0, 4.0))
    assert not planned(graph, {**ends, "z": (-0.5, 2)}).floats


@pytest.mark.parametrize("dtype", [INT8, UINT8, INT16])
def test_borders_hold_the_same_reals_as_the_inside(dtype: np.dtype) -> None:
    graph = parse(DENSE)
    ranges = {"x": (-1, 1), "y": (-2, 4), "z": (0, 1)}
    made = planned(graph, ranges, borders=Borders(dtype, dtype))
    border, inner = made.borders[graph.inputs[0]], made.tensors[graph.inputs[0]]
    assert border is not None
    assert border.dtype == dtype
    if dtype.itemsize == 1:
        assert border.covers() == pytest.approx(inner.covers(), abs=1e-9)
    else:
        assert border.covers()[1] == pytest.approx(max(map(abs, inner.covers())), rel=1e-3)


@pytest.mark.parametrize(("classes", "mode", "count"), [(200, "int8", 1), (100, "int8", 0)])
def test_a_softmax_over_many_classes_in_8_bits_says_what_it_costs(
    classes: int, mode: str, count: int
) -> None:
    """From the number of classes alone, where nothing was measured."""
    graph = parse(f"x: f32[1,{classes}] -> z\nz = SOFTMAX(x) {{beta=1.0}}")
    ranges = {"x": (-9.0, 9.0), "z": (0.0, 1.0)}
    lines = coarse_lines(graph, planned(graph, ranges, mode, WHOLE))
    assert len(lines) == count
    assert all("those below 0.002 become 0; --logits ends before it" in line for line in lines)
    assert coarse_lines(graph, planned(graph, ranges, mode)) == []


@pytest.mark.parametrize(("peak", "said"), [(3.0, True), (60.0, False)])
def test_what_steps_of_8_bits_cost_is_measured_where_samples_tell(peak: float, said: bool) -> None:
    """A confident answer keeps its signal, whatever becomes of the other 199."""
    graph = parse("x: f32[1,200] -> y\nz = SOFTMAX(x) {beta=1.0}\ny = RESHAPE(z, [200])")
    x = np.random.default_rng(1).normal(size=(20, 200))
    x[:, 7] += peak
    made = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    ranges = {"x": (-9.0, 69.0), "z": (0.0, 1.0), "y": (0.0, 1.0)}
    lines = coarse_lines(graph, planned(graph, ranges, "int8", WHOLE), {"y": list(made)})
    assert len(lines) == said
    assert all("of 20 rows" in line and "% keep less than 15 dB" in line for line in lines)


def test_inside_of_a_network_16_bits_are_the_remedy() -> None:
    graph = parse("x: f32[4,200] -> y\nz = SOFTMAX(x) {beta=1.0}\ny = MEAN(z, [0])")
    ranges = {"x": (-9.0, 9.0), "z": (0.0, 1.0), "y": (0.0, 1.0)}
    (line,) = coarse_lines(graph, planned(graph, ranges, "int8", WHOLE))
    assert line.endswith("--int16 '^z$' has steps of 1/32768")


JOINED = """
x: f32[1,4] -> y
a = FULLY_CONNECTED(x, f32[2,4], f32[2])
b = FULLY_CONNECTED(x, f32[3,4], f32[3])
c = CONCATENATION(a, b) {axis=1}
y = RESHAPE(c, [5])
"""


@pytest.mark.parametrize(
    ("small", "borders", "floats"),
    [
        ((-1.0, 1.0), Borders(), {"CONCATENATION", "RESHAPE"}),
        ((-2.5, 2.5), Borders(), set()),  # 3.2 times as coarse
        ((-1.0, 1.0), Borders(outputs=INT8), set()),  # one scale is what is asked for
    ],
)
def test_unlike_parts_of_a_real_output_keep_their_own_steps(
    small: Ends, borders: Borders, floats: set[str]
) -> None:
    graph = parse(JOINED)
    ends = {"x": (-1.0, 1.0), "a": small, "b": (-8.0, 8.0), "c": (-8.0, 8.0), "y": (-8.0, 8.0)}
    made = planned(graph, ends, borders=borders)
    assert {op.type for op in made.floats} == floats
    wide = 16 / 255
    own = (small[1] - small[0]) / 255 if floats else wide
    assert stored(graph, made, "a")[0] == pytest.approx(own)
    assert stored(graph, made, "b")[0] == pytest.approx(wide)


def test_unlike_parts_that_integers_read_share_their_steps() -> None:
    graph = parse(JOINED.replace("RESHAPE(c, [5])", "FULLY_CONNECTED(c, f32[2,5], f32[2])"))
    ends = {
        "x": (-1.0, 1.0),
        "a": (-1.0, 1.0),
        "b": (-8.0, 8.0),
        "c": (-8.0, 8.0),
        "y": (-8.0, 8.0),
    }
    assert not planned(graph, ends).floats
