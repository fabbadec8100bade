"""Taps that only ever see padding."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph
from tqconv.ops.emit import emit
from tqconv.passes.taps import cut_taps_in_padding, cut_windows_in_padding, shorten_steps

F = np.dtype(np.float32)
CUT = [  # size, kernel, stride, rate: taps that are left
    (1, 3, 1, 1, 1),
    (2, 7, 1, 1, 3),
    (3, 7, 2, 1, 5),
    (4, 3, 1, 4, 1),
    (5, 3, 1, 4, 3),
    (5, 5, 5, 1, 5),
    (2, 5, 2, 1, 2),
    (2, 4, 1, 1, 3),
    (8, 3, 1, 1, 3),
]


def convolved(type: str, size: int, kernel: int, stride: int, rate: int) -> Graph:
    """Convolve something that is long along its second axis alone, so that this one is cut."""
    rng, graph = np.random.default_rng(3), Graph("main")
    if type == "CONV_3D":
        x, shape, names = (1, size, 9, 9, 2), (kernel, 1, 1, 2, 3), "dhw"
    else:
        x, shape, names = (1, size, 9, 2), (3, kernel, 1, 2), "hw"
    shape = (1, kernel, 1, 4) if type == "DEPTHWISE_CONV_2D" else shape
    options = {f"stride_{a}": 1 for a in names} | {f"dilation_{a}_factor": 1 for a in names}
    options |= {f"stride_{names[0]}": stride, f"dilation_{names[0]}_factor": rate}
    w = rng.normal(size=shape).astype(np.float32)
    bias = np.zeros(4 if type == "DEPTHWISE_CONV_2D" else 3, np.float32)
    more = {"depth_multiplier": 2} if type == "DEPTHWISE_CONV_2D" else {}
    given = graph.add_input("x", x, F)
    graph.outputs[:] = [
        emit(graph, type, given, w, bias, name="y", padding="SAME", **options, **more)
    ]
    return graph


@pytest.mark.parametrize(("size", "kernel", "stride", "rate", "left"), CUT)
@pytest.mark.parametrize("type", ["CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D"])
def test_only_taps_that_see_something_are_left(
    type: str, size: int, kernel: int, stride: int, rate: int, left: int
) -> None:
    if type == "CONV_3D" and rate > 1:
        pytest.skip("no kernel")
    graph = convolved(type, size, kernel, stride, rate)
    x = np.random.default_rng(4).normal(size=graph.inputs[0].shape).astype(np.float32)
    want = run_litert(graph, [x], delegate=False)[0]
    assert cut_taps_in_padding(graph) == (left < kernel)
    assert graph.ops[0].input(1).shape[0 if type == "CONV_3D" else 1] == left
    graph.check()
    for delegate in (False, True):
        np.testing.assert_allclose(run_litert(graph, [x], delegate)[0], want, rtol=0, atol=1e-6)


def test_taps_that_hold_the_window_in_its_place_are_zero() -> None:
    """Of taps at -1, 1 and 3 of two elements one sees something, and SAME has no window of one."""
    graph = convolved("CONV_2D", 2, 3, 3, 2)
    x = np.random.default_rng(4).normal(size=graph.inputs[0].shape).astype(np.float32)
    want = run_litert(graph, [x], delegate=False)[0]
    assert cut_taps_in_padding(graph) == 1
    assert cut_taps_in_padding(graph) == 0
    weights = graph.ops[0].input(1).data
    assert weights is not None
    assert [bool(part.any()) for part in np.moveaxis(weights, 1, 0)] == [False, True, False]
    np.testing.assert_allclose(run_litert(graph, [x], delegate=False)[0], want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("count", range(1, 7))
def test_any_window_stays_where_it_was(count: int) -> None:
    for kernel, stride, rate in np.ndindex(8, 4, 3):
        graph = convolved("CONV_2D", count, kernel + 1, stride + 1, rate + 1)
        x = np.random.default_rng(4).normal(size=graph.inputs[0].shape).astype(np.float32)
        want = run_litert(graph, [x], delegate=False)[0]
        cut_taps_in_padding(graph)
        got = run_litert(graph, [x], delegate=False)[0]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


def test_what_is_not_known_or_infinite_stays() -> None:
    window = "{padding=SAME, stride_h=1, stride_w=1}"
    graph = parse(f"x: f32[1,?,1,2] -> y\ny = CONV_2D(x, f32[3,5,1,2], f32[3]) {window}")
    assert cut_taps_in_padding(graph) == 0
    graph = convolved("CONV_2D", 1, 3, 1, 1)
    data = graph.ops[0].input(1).data
    assert data is not None
    data[0, 0, 0, 0] = np.inf
    assert cut_taps_in_padding(graph) == 0


POOLS = ["AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"]


@pytest.mark.parametrize("type", POOLS)
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (4, 1), (5, 2), (5, 9)])
@pytest.mark.parametrize("longer", [0, 1, 2, 31])
def test_windows_of_pools_end_where_all_is_seen(
    type: str, size: int, stride: int, longer: int
) -> None:
    steps = -(-size // stride) - 1
    length = size + steps * stride + longer
    graph, options = Graph("main"), {"filter_width": 3, "stride_w": 1, "padding": "SAME"}
    x = graph.add_input("x", (1, size, 9, 2), F)
    sides = {"filter_height": length, "stride_h": stride}
    graph.outputs[:] = [emit(graph, type, x, name="y", **sides, **options)]
    data = np.random.default_rng(4).normal(size=x.shape).astype(np.float32)
    want = run_litert(graph, [data], delegate=False)[0]
    assert cut_windows_in_padding(graph) == (longer > 0)
    assert graph.ops[0].options["filter_height"] == length - longer
    for delegate in (True, False):
        (got,) = run_litert(graph, [data], delegate)
        np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("type", POOLS)
def test_windows_over_a_size_that_is_not_known_stay(type: str) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (1, None, None, 2), F)
    options = {"filter_width": 900, "filter_height": 900, "stride_h": 1, "stride_w": 1}
    graph.outputs[:] = [emit(graph, type, x, name="y", padding="SAME", **options)]
    assert not cut_windows_in_padding(graph)


@pytest.mark.parametrize("type", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "rate"), [(4, 3, 2**31 - 1, 1), (4, 3, 1, 1 << 16)]
)
def test_steps_beyond_all_that_is_there_are_short(
    type: str, size: int, kernel: int, stride: int, rate: int
) -> None:
    """The delegate takes them as they are, and the kernels of LiteRT itself do not."""
    graph = convolved(type, size, kernel, stride, rate)
    x = np.random.default_rng(4).normal(size=graph.inputs[0].shape).astype(np.float32)
    want = run_litert(graph, [x], delegate=True)[0]
    cut_taps_in_padding(graph)
    assert shorten_steps(graph) == 1
    np.testing.assert_allclose(run_litert(graph, [x], delegate=False)[0], want, rtol=1e-5)
