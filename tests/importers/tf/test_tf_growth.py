"""What a graph costs grows with its nodes, also where each asks what lies before it."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
from flow import flow
from graphs import Message, model_of

FEW, MANY = 200, 1600
"""Eight times the nodes take less than three times the time of each (8 x 8 / 24)."""


def reshapes(count: int) -> Message:
    """Reshapes to the batch of the network's input, and the rest."""
    lines = [
        "n0 = Placeholder dtype=f32 shape=(None,2,4)",
        "shape = Shape n0 T=f32 out_type=i32",
        "zero = Const [0]",
        "one = Const [1]",
        "rest = Const -1",
        "two = Const 2",
        "batch = StridedSlice shape zero one one shrink_axis_mask=1 T=i32 Index=i32",
        "flat = Pack batch rest N=2 axis=0 T=i32",
        "images = Pack batch two rest N=3 axis=0 T=i32",
    ]
    for i in range(count):
        lines.append(f"r{i} = Reshape n{i} {('flat', 'images')[i % 2]} T=f32 Tshape=i32")
        lines.append(f"n{i + 1} = Tanh r{i} T=f32")
    return flow("\n".join(lines))


def conditions(count: int) -> Message:
    """Switches and Merges, one pair behind the other."""
    lines = ["n0 = Placeholder dtype=f32 shape=(2,)", "p = Placeholder dtype=bool shape=()"]
    for i in range(count):
        lines.append(f"s{i} = Switch n{i} p T=f32")
        lines.append(f"yes{i} = Tanh s{i}:1 T=f32")
        lines.append(f"no{i} = Sin s{i} T=f32")
        lines.append(f"n{i + 1} = Merge no{i} yes{i} N=2 T=f32")
    return flow("\n".join(lines))


@pytest.mark.parametrize("made", [reshapes, conditions])
def test_time_grows_with_the_number_of_nodes(made: Callable[[int], Message]) -> None:
    times = []
    for count in (FEW, MANY):
        graph = made(count)
        start = process_time()
        model_of(graph, [f"n{count}"]).all_graphs()
        times.append(process_time() - start)
    assert times[1] < 24 * max(times[0], 0.05)
