"""Loop and Scan, against ONNX's own reference or numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node
from onnx import TensorProto, helper, numpy_helper

from tqconv.errors import UnsupportedError

F = np.float32
X = np.arange(12, dtype=F).reshape(3, 4)
INT64, BOOL, FLOAT = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT


def info(name: str, kind: int = FLOAT, shape: Any = ()) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def doubling(last: float) -> Any:
    """A body: v becomes 2 v, which is yielded, and goes on while that is below `last`."""
    return helper.make_graph(
        [
            node("Add", "v v", "w"),
            node("Identity", "w", "row"),
            node("ReduceMax", "w", "most", keepdims=0),
            node("Less", "most last", "more"),
        ],
        "body",
        [info("i", INT64), info("c", BOOL), info("v", shape=(4,))],
        [info("more", BOOL), info("w", shape=(4,)), info("row", shape=(4,))],
        [numpy_helper.from_array(np.array(last, F), "last")],
    )


@pytest.mark.parametrize("trips", [0, 1, 5, 9, None])
@pytest.mark.parametrize("known", [True, False])
def test_a_loop_stacks_as_many_rows_as_it_has_rounds(
    tmp_path: Path, trips: int | None, known: bool
) -> None:
    feeds: dict[str, Any] = {"v": X[0] + 1}
    given = {} if trips is None else {"n": np.array(trips)}
    constants = given if known else {}
    feeds |= {} if known else given
    nodes = [node("Loop", "_ _ v" if trips is None else "n _ v", "w rows", body=doubling(50.0))]
    want, rows = X[0] + 1, []
    for _ in range(99 if trips is None else trips):
        want = want * 2
        rows.append(want)
        if want.max() >= 50:
            break
    if trips is None:
        nodes = [node("Loop", "_ t v", "w rows", body=doubling(50.0))]
        constants = {"t": np.array(True)}
    model = network(nodes, feeds, ["w", "rows"], constants, opset=18)
    assert_like_reference(model, tmp_path, feeds, [want, np.reshape(rows, (-1, 4))])


@pytest.mark.parametrize("condition", [True, False])
def test_a_condition_that_is_computed(tmp_path: Path, condition: bool) -> None:
    feeds = {"v": X[0] + 1, "t": np.array(condition)}
    nodes = [node("Loop", "n t v", "w rows", body=doubling(1e9))]
    model = network(nodes, feeds, ["w", "rows"], {"n": np.array(3)}, opset=18)
    rows = [(X[0] + 1) * 2**k for k in (1, 2, 3)] if condition else []
    want = rows[-1] if rows else X[0] + 1
    assert_like_reference(model, tmp_path, feeds, [want, np.reshape(rows, (-1, 4))])


def summing() -> Any:
    """A body: the sum of all slices so far, which is yielded too."""
    return helper.make_graph(
        [node("Add", "s x", "t"), node("Identity", "t", "row")],
        "body",
        [info("s", shape=None), info("x", shape=None)],
        [info("t", shape=None), info("row", shape=None)],
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("backwards", [0, 1])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("open_size", [False, True])
def test_scan(
    tmp_path: Path, axis: int, backwards: int, place: int, turned: int, open_size: bool
) -> None:
    along = np.moveaxis(X, axis, 0)[:: -1 if backwards else 1]
    rows = np.cumsum(along, 0, dtype=F)
    feeds = {"s": np.zeros(along.shape[1], F), "x": X}
    told = {
        "body": summing(),
        "num_scan_inputs": 1,
        "scan_input_axes": [axis],
        "scan_input_directions": [backwards],
        "scan_output_axes": [place],
        "scan_output_directions": [turned],
    }
    shape: list[Any] = list(X.shape)
    shape[axis] = "time" if open_size else shape[axis]
    nodes = [node("Scan", "s x", "t rows", **told)]
    model = network(nodes, feeds, ["t", "rows"], opset=18, shapes={"x": shape})
    stack = np.moveaxis(rows[:: -1 if turned else 1], 0, place)
    assert_like_reference(model, tmp_path, feeds, [rows[-1], stack])


def test_scan_of_images(tmp_path: Path) -> None:
    images = np.stack([X, X + 5])
    feeds = {"s": np.zeros((2, 4), F), "x": images}
    nodes = [node("Scan", "_ s x", "t rows", body=summing(), num_scan_inputs=1)]
    model = network(nodes, feeds, ["t", "rows"], opset=8)
    rows = np.cumsum(images, 1, dtype=F)
    assert_like_reference(model, tmp_path, feeds, [rows[:, -1], rows])


def growing(bound: float) -> Any:
    """A body: element i of v goes into a sequence, as long as i + 1 is below the bound."""
    one = numpy_helper.from_array(np.array(1), "one")
    end = numpy_helper.from_array(np.array(bound, np.int64), "end")
    sequence = helper.make_tensor_sequence_value_info
    return helper.make_graph(
        [
            node("Gather", "v i", "part", axis=0),
            node("SequenceInsert", "s part", "t"),
            node("Add", "i one", "next"),
            node("Less", "next end", "more"),
        ],
        "body",
        [info("n", INT64), info("c", BOOL), sequence("s", FLOAT, None), info("i", INT64)],
        [info("more", BOOL), sequence("t", FLOAT, None), info("next", INT64)],
        [one, end],
    )


def sequence_loop(bound: int) -> Any:
    nodes = [
        node("SequenceEmpty", "", "none"),
        node("Loop", "_ go none start", "parts last", body=growing(bound)),
        node("ConcatFromSequence", "parts", "y", axis=0, new_axis=1),
    ]
    constants = {"go": np.array(True), "start": np.array(0)}
    return network(nodes, {"v": X}, ["y"], constants, opset=18)


def test_a_loop_whose_condition_counts_rounds_carries_a_sequence(tmp_path: Path) -> None:
    assert_like_reference(sequence_loop(3), tmp_path, {"v": X}, [X])


def test_a_loop_without_an_end_carries_no_sequence(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="a loop of 256 rounds and more carries a sequence"):
        load(sequence_loop(9999), tmp_path)


def appending(declared: Any) -> Any:
    """A body: round i adds i times v, plus what is carried, to a sequence."""
    sequence = helper.make_tensor_sequence_value_info
    return helper.make_graph(
        [
            node("Cast", "n", "time", to=FLOAT),
            node("Mul", "v time", "part"),
            node("Add", "part k", "sum"),
            node("SequenceInsert", "s sum", "t"),
            node("Neg", "k", "more"),
            node("Identity", "c", "on"),
        ],
        "body",
        [
            info("n", INT64, declared),
            info("c", BOOL, declared),
            sequence("s", FLOAT, None),
            info("k"),
        ],
        [info("on", BOOL, declared), sequence("t", FLOAT, None), info("more")],
    )


@pytest.mark.parametrize("rounds", [1, 3, 300])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("declared", [(), (1,)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_sequence_that_a_loop_grows(
    tmp_path: Path, rounds: int, known: bool, declared: Any, axis: int
) -> None:
    feeds: dict[str, Any] = {"v": X, "k": np.array(0.5, F)}
    count = {"m": np.array(rounds)}
    nodes = [
        node("SequenceEmpty", "", "none"),
        node("Loop", "m go none k", "parts last", body=appending(declared)),
        node("ConcatFromSequence", "parts", "apart", axis=axis, new_axis=1),
        node("ConcatFromSequence", "parts", "joined", axis=axis),
        node("SequenceAt", "parts end", "final"),
        node("SequenceLength", "parts", "length"),
    ]
    constants = {"go": np.array(True), "end": np.array(-1), **(count if known else {})}
    feeds |= {} if known else count
    made = ["apart", "joined", "final", "length"]
    model = network(nodes, feeds, made, constants, opset=18)
    parts = [X * i + F(0.5) * F(-1) ** i for i in range(rounds)]
    want = [np.stack(parts, axis), np.concatenate(parts, axis), parts[-1], np.array(rounds)]
    assert_like_reference(model, tmp_path, feeds, want)


def test_a_loop_of_unknown_length_that_reads_its_sequence(tmp_path: Path) -> None:
    body = appending(())
    body.node.insert(0, node("SequenceLength", "s", "others"))
    nodes = [
        node("SequenceEmpty", "", "none"),
        node("Loop", "m go none k", "parts last", body=body),
        node("ConcatFromSequence", "parts", "y", axis=0),
    ]
    feeds = {"v": X, "k": np.array(1, F), "m": np.array(3)}
    model = network(nodes, feeds, ["y"], {"go": np.array(True)}, opset=18)
    with pytest.raises(UnsupportedError, match="does more with a sequence than add to it"):
        load(model, tmp_path)
