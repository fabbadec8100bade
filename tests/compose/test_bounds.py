"""Between which numbers arithmetic of sizes lies."""

from __future__ import annotations

import pytest
from graph_text import parse

from tqconv.compose.bounds import Ends, ends_of

MOST = 2**31 - 1
ENDS: dict[str, Ends] = {
    "y = SHAPE(x) {out_type=INT64}": (0, MOST),
    "s = SHAPE(x) {out_type=INT32}\nn = GATHER(s, [1]) {axis=0}\ny = SUB(n, [1])": (-1, MOST - 1),
    "s = SHAPE(x) {out_type=INT64}\ny = CAST(s) {in_data_type=INT64, out_data_type=INT32}": (
        0,
        MOST,
    ),
    "s = SHAPE(x) {out_type=INT32}\ny = MUL(s, s)": (-(2**31), MOST),  # it may wrap around
    "s = SHAPE(x) {out_type=INT32}\nd = FLOOR_DIV(s, [4])\ny = ADD(d, [1])": (1, 2**29 + 1),
    "s = SHAPE(x) {out_type=INT32}\ny = MINIMUM(s, [7])": (0, 7),
    "y = CAST(x) {in_data_type=FLOAT32, out_data_type=INT32}": (-(2**31), MOST),
}


@pytest.mark.parametrize("text", ENDS)
def test_ends(text: str) -> None:
    graph = parse(f"x: f32[?,?] -> y\n{text}")
    assert ends_of(graph.outputs[0]) == ENDS[text]


def test_what_takes_long_to_follow_is_not_followed() -> None:
    steps = "\n".join(f"s{i + 1} = ADD(s{i}, s{i})" for i in range(60))
    graph = parse(f"x: f32[?] -> s60\ns0 = SHAPE(x) {{out_type=INT32}}\n{steps}")
    assert ends_of(graph.outputs[0]) == (-(2**31), MOST)
