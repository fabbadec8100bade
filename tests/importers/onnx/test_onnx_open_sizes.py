"""Operators on tensors of which sizes are open until a model runs, against numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node
from onnx import helper

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

F = np.float32
RNG = np.random.default_rng(12)
X = RNG.normal(size=(4, 6)).astype(F)
OPEN = {"x": ["n", "m"]}


@pytest.mark.parametrize("shapes", [{}, OPEN])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("start", "end", "step", "places"),
    [
        (-9, -99, -1, [0]),
        (9, -99, -2, [5, 3, 1]),
        (-2, -99, -3, [4, 1]),
        (7, 99, 2, []),
        (-9, 3, 2, [0, 2]),
        (-2, 99, 1, [4, 5]),
    ],
)
def test_slices(
    tmp_path: Path, shapes: Any, known: bool, start: int, end: int, step: int, places: list[int]
) -> None:
    bounds = {"s": np.array([start]), "e": np.array([end])}
    constants = {"a": np.array([1]), "p": np.array([step]), **(bounds if known else {})}
    feeds: dict[str, Any] = {"x": X, **({} if known else bounds)}
    nodes = [node("Slice", "x s e a p", "y")]
    model = network(nodes, feeds, ["y"], constants, shapes=shapes)
    assert_like_reference(model, tmp_path, feeds, [X[:, places]])


@pytest.mark.parametrize("axis", [1, 2])
def test_rows_without_elements_are_flattened(tmp_path: Path, axis: int) -> None:
    """A size that is left open does not follow from no elements."""
    feeds = {"x": np.zeros((3, 2, 0, 4), F)}
    shapes = {"x": ["n", 2, 0, 4]}
    model = network([node("Flatten", "x", "y", axis=axis)], feeds, ["y"], shapes=shapes)
    want = np.zeros((3, 0) if axis == 1 else (6, 0), F)
    assert_like_reference(model, tmp_path, feeds, [want])


def test_a_computed_slice_of_one_element_may_be_empty(tmp_path: Path) -> None:
    feeds = {"x": X[:, :1], "s": np.array([7]), "e": np.array([9])}
    constants = {"a": np.array([1]), "p": np.array([2])}
    model = network([node("Slice", "x s e a p", "y")], feeds, ["y"], constants)
    assert_like_reference(model, tmp_path, feeds, [X[:, :0]])


@pytest.mark.parametrize("shapes", [{}, OPEN, {"x": ["n", 6], "i": ["k", 2]}])
@pytest.mark.parametrize("axis", [0, 1])
def test_fewer_indices_than_elements(tmp_path: Path, shapes: Any, axis: int) -> None:
    indices = RNG.integers(-4, 4, (3, 2))
    feeds = {"x": X, "i": indices}
    nodes = [node("GatherElements", "x i", "y", axis=axis)]
    part = X[:, :2] if axis == 0 else X[:3]
    want = np.take_along_axis(part, indices % X.shape[axis], axis)
    assert_like_reference(network(nodes, feeds, ["y"], shapes=shapes), tmp_path, feeds, [want])


def test_coordinates_from_the_end_of_open_sizes(tmp_path: Path) -> None:
    places = np.array([[-1, -6], [0, -1], [-3, 2]])
    feeds = {"x": X, "i": places}
    model = network([node("GatherND", "x i", "y")], feeds, ["y"], shapes=OPEN)
    assert_like_reference(model, tmp_path, feeds, [X[places[:, 0], places[:, 1]]])


@pytest.mark.parametrize("op", ["GatherND", "ScatterND"])
def test_coordinates_of_open_length_are_refused(tmp_path: Path, op: str) -> None:
    feeds: dict[str, Any] = {"x": X, "i": np.zeros((3, 1), np.int64), "u": X[:3]}
    reads = "x i" if op == "GatherND" else "x i u"
    used = {name: feeds[name] for name in reads.split()}
    model = network([node(op, reads, "y")], used, ["y"], shapes={"i": [3, "k"]})
    with pytest.raises(UnsupportedError, match="dimension 1 of 'i' is unknown"):
        load(model, tmp_path)


@pytest.mark.parametrize("axis", [0, 1])
def test_hardmax(tmp_path: Path, axis: int) -> None:
    model = network([node("Hardmax", "x", "y", axis=axis)], {"x": X}, ["y"], shapes=OPEN)
    want = (X.max(axis, keepdims=True) == X).astype(F)
    assert_like_reference(model, tmp_path, {"x": X}, [want])


def test_the_last_of_the_largest(tmp_path: Path) -> None:
    x = np.array([[1, 3, 3, 0], [2, 2, 0, 1]], F)
    nodes = [node("ArgMax", "x", "y", axis=1, select_last_index=1)]
    model = network(nodes, {"x": x}, ["y"], shapes=OPEN)
    assert_like_reference(model, tmp_path, {"x": x}, [np.array([[2], [1]])])


@pytest.mark.parametrize("padding", ["SAME_UPPER", "SAME_LOWER"])
def test_padding_that_is_named_counts_in_a_mean(tmp_path: Path, padding: str) -> None:
    x = RNG.normal(size=(1, 2, 4, 5)).astype(F)
    told = {"kernel_shape": [2, 2], "auto_pad": padding, "count_include_pad": 1}
    around = (1, 0) if padding == "SAME_LOWER" else (0, 1)
    wide = np.pad(x, [(0, 0), (0, 0), around, around])
    want = np.lib.stride_tricks.sliding_window_view(wide, (2, 2), (2, 3)).mean((-1, -2))
    model = network([node("AveragePool", "x", "y", **told)], {"x": x}, ["y"])
    assert_like_reference(model, tmp_path, {"x": x}, [want])


CHANNELS: dict[str, tuple[str, dict[str, int], tuple[int, ...], int]] = {
    "one group": ("Conv", {}, (8, 4, 3, 3), 4),
    "two groups": ("Conv", {"group": 2}, (8, 4, 3, 3), 8),
    "two groups over three axes": ("Conv", {"group": 2}, (4, 2, 3, 3, 3), 4),
    "a group for each channel": ("Conv", {"group": 4}, (8, 1, 3, 3), 4),
    "transposed": ("ConvTranspose", {}, (4, 8, 3, 3), 4),
}


def _sized(model: Any, folder: Path) -> tuple[int | None, ...]:
    """Return the shape of the input of a converted model."""
    converted = load(model, folder)
    run_stages(converted, FLOAT_STAGES, check=True)
    return converted.main.inputs[0].shape


@pytest.mark.parametrize("name", CHANNELS)
def test_a_filter_says_how_many_channels_there_are(tmp_path: Path, name: str) -> None:
    op, attributes, filter, channels = CHANNELS[name]
    sizes = [1, channels, *[5] * (len(filter) - 2)]
    feeds = {"x": RNG.normal(size=sizes).astype(F)}
    constants = {"w": RNG.normal(size=filter).astype(F)}
    nodes = [node("Relu", "x", "r"), node(op, "r w", "y", **attributes)]
    shapes = {"x": [1, "c", *sizes[2:]]}
    model = network(nodes, feeds, ["y"], constants, shapes=shapes)
    assert load(model, tmp_path).main.inputs[0].shape[1] is None
    assert _sized(model, tmp_path) == tuple(sizes)
    assert_like_reference(model, tmp_path, feeds)


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_weights_say_how_many_features_there_are(tmp_path: Path, op: str, gates: int) -> None:
    x = RNG.normal(size=(3, 2, 4)).astype(F)
    constants = {n: RNG.normal(size=(1, gates * 5, k)).astype(F) for n, k in (("w", 4), ("r", 5))}
    nodes = [node(op, "x w r", "y", hidden_size=5)]
    model = network(nodes, {"x": x}, ["y"], constants, shapes={"x": [3, 2, "c"]})
    assert _sized(model, tmp_path) == (3, 2, 4)
    assert_like_reference(model, tmp_path, {"x": x})


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_triangles(tmp_path: Path, dtype: Any, upper: int, known: bool) -> None:
    x, k = RNG.integers(-4, 4, (2, 3, 4)).astype(dtype), {"k": np.array(-1 if upper else 1)}
    feeds = {"x": x, **({} if known else k)}
    nodes = [node("Trilu", "x k", "y", upper=upper)]
    for shape in (["n", 3, "m"], ["n", "h", "m"], [2, 3, 4]):
        model = network(nodes, feeds, ["y"], k if known else {}, shapes={"x": shape})
        assert_like_reference(model, tmp_path, feeds)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("shape", [["n", 8, 2, 3], ["n", 8, "h", "w"], [2, 8, 2, 3]])
def test_pixels_of_channels(tmp_path: Path, mode: str, shape: list[Any]) -> None:
    feeds = {"x": RNG.normal(size=(2, 8, 2, 3)).astype(F)}
    nodes = [node("DepthToSpace", "x", "y", blocksize=2, mode=mode)]
    assert_like_reference(network(nodes, feeds, ["y"], shapes={"x": shape}), tmp_path, feeds)


def squeezing() -> Any:
    """Return a network as PyTorch writes `x.squeeze(1)` of a size that it does not know."""

    def branch(made: Any, name: str) -> Any:
        result = helper.make_empty_tensor_value_info(name)
        return helper.make_graph([made], name, [], [result])

    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape place", "size", axis=0),
        node("Equal", "size one", "alone"),
        node(
            "If",
            "alone",
            "y",
            then_branch=branch(node("Squeeze", "x axes", "z"), "z"),
            else_branch=branch(node("Identity", "x", "w"), "w"),
        ),
    ]
    constants = {"place": np.array(1), "one": np.array(1), "axes": np.array([1])}
    return network(nodes, {"x": X}, ["y"], constants, shapes=OPEN)


def test_a_size_that_decides_about_ranks_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="a size that is not known chooses") as caught:
        load(squeezing(), tmp_path)
    assert "--input_shapes" in (caught.value.hint or "")
    for shape, rank in (((4, 6), 2), ((4, 1), 1)):
        given = load(squeezing(), tmp_path, LoadOptions(shapes=(shape,)))
        assert given.main.outputs[0].rank == rank


def size(place: int) -> list[Any]:
    """The nodes that compute one size as a number, as PyTorch's exporter writes them."""
    return [
        node("Shape", "x", f"v{place}", start=place, end=place + 1),
        node("Squeeze", f"v{place}", f"d{place}"),
    ]


@pytest.mark.parametrize("shape", [(4, 6), (1, 1), (3, 9)])
def test_sizes_are_divided_in_32_bits(tmp_path: Path, shape: tuple[int, int]) -> None:
    x = RNG.normal(size=shape).astype(F)
    constants = {"two": np.array(2), "one": np.array(1), "less": np.array(-3), "r": np.array([1])}
    nodes = [
        *size(1),
        node("Add", "d1 less", "a"),
        node("Div", "a two", "b"),
        node("Add", "b one", "c"),
        node("Reshape", "c r", "y"),
    ]
    model = network(nodes, {"x": x}, ["y"], constants, shapes=OPEN)
    assert_like_reference(model, tmp_path, {"x": x}, [np.array([int((shape[1] - 3) / 2) + 1])])
    text = load(model, tmp_path).main
    assert [op.type for op in text.ops if op.type in ("DIV", "ROUND")] == ["DIV"]
    assert next(op for op in text.ops if op.type == "DIV").input(0).dtype == np.int32


def test_products_of_sizes_keep_64_bits(tmp_path: Path) -> None:
    many = np.array(2**33 + 7)
    nodes = [*size(0), *size(1), node("Mul", "d0 many", "p"), node("Div", "p d1", "y")]
    model = network(nodes, {"x": X}, ["y"], {"many": many}, shapes=OPEN)
    assert_like_reference(model, tmp_path, {"x": X}, [4 * many // 6])


@pytest.mark.parametrize("open_sizes", [["n", "m", 2], ["n", 6, 2], ["n", "m", "k"]])
def test_what_is_divided_out_for_a_shape_is_left_to_the_kernel(
    tmp_path: Path, open_sizes: list[Any]
) -> None:
    x = RNG.normal(size=(4, 6, 2)).astype(F)
    constants = {"three": np.array(3), "last": np.array([3]), "r": np.array([-1])}
    nodes = [
        *size(0),
        *size(1),
        *size(2),
        node("Mul", "d0 d1", "p"),
        node("Mul", "p d2", "all"),
        node("Mul", "d0 three", "part"),
        node("Div", "all part", "q"),
        node("Reshape", "q r", "rest"),
        node("Concat", "v0 rest last", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]
    model = network(nodes, {"x": x}, ["y"], constants, shapes={"x": open_sizes}, opset=18)
    assert_like_reference(model, tmp_path, {"x": x}, [x.reshape(4, 4, 3)])
    made = load(model, tmp_path).main
    assert made.outputs[0].shape[2] == 3
    assert "DIV" not in [op.type for op in made.ops]


def test_a_quotient_by_something_else_stays(tmp_path: Path) -> None:
    constants = {"two": np.array(2), "last": np.array([2]), "r": np.array([-1])}
    nodes = [
        *size(1),
        node("Shape", "x", "v0", start=0, end=1),
        node("Div", "d1 two", "q"),
        node("Reshape", "q r", "rest"),
        node("Concat", "v0 rest last", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]
    model = network(nodes, {"x": X}, ["y"], constants, shapes=OPEN, opset=18)
    assert "DIV" in [op.type for op in load(model, tmp_path).main.ops]
    none = X[:0]
    assert_like_reference(model, tmp_path, {"x": none}, [none.reshape(0, 3, 2)])


def test_a_condition_may_be_a_vector_of_an_open_size(tmp_path: Path) -> None:
    info = helper.make_tensor_value_info("b", 1, X.shape)
    graphs = [helper.make_graph([node(op, "x", "b")], op, [], [info]) for op in ("Neg", "Relu")]
    nodes = [node("If", "c", "y", then_branch=graphs[0], else_branch=graphs[1])]
    for flag in (True, False):
        feeds = {"x": X, "c": np.array([flag])}
        model = network(nodes, feeds, ["y"], shapes={"c": ["k"]})
        assert_like_reference(model, tmp_path, feeds, [-X if flag else np.maximum(X, 0)])


def test_bounds_of_an_open_length_cut_a_vector_but_no_unnamed_axes(tmp_path: Path) -> None:
    feeds = {"x": X, "s": np.array([1]), "e": np.array([3])}
    vector = [node("Reshape", "x r", "v"), node("Slice", "v s e", "y")]
    open_bounds = {"s": ["k"], "e": ["l"]}
    model = network(vector, feeds, ["y"], {"r": np.array([-1])}, shapes=open_bounds)
    assert_like_reference(model, tmp_path, feeds, [X.reshape(-1)[1:3]])
    matrix = [node("Slice", "x s e", "y")]
    model = network(matrix, feeds, ["y"], shapes={"e": ["l"]})
    assert_like_reference(model, tmp_path, feeds, [X[1:3]])
    with pytest.raises(UnsupportedError, match="how many axes 's' and 'e' cut is unknown"):
        load(network(matrix, feeds, ["y"], shapes=open_bounds), tmp_path)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_rows_of_an_open_number_are_taken_apart(tmp_path: Path, axis: int, keepdims: int) -> None:
    nodes = [
        node("SplitToSequence", "x", "s", axis=axis, keepdims=keepdims),
        node("SequenceAt", "s first", "a"),
        node("SequenceAt", "s last", "z"),
        node("SequenceLength", "s", "n"),
        node("ConcatFromSequence", "s", "whole", axis=0, new_axis=1),
    ]
    constants = {"first": np.array(1), "last": np.array(-1)}
    model = network(nodes, {"x": X}, ["a", "z", "n", "whole"], constants, shapes=OPEN)
    rows = [np.take(X, [i] if keepdims else i, axis) for i in range(X.shape[axis])]
    want = [rows[1], rows[-1], np.array(len(rows)), np.stack(rows)]
    assert_like_reference(model, tmp_path, {"x": X}, want)


def test_parts_of_told_sizes_need_no_size_of_the_whole(tmp_path: Path) -> None:
    nodes = [node("SplitToSequence", "x k", "s", axis=1), node("SequenceAt", "s one", "y")]
    constants = {"k": np.array([2, 4]), "one": np.array(1)}
    model = network(nodes, {"x": X}, ["y"], constants, shapes=OPEN)
    assert_like_reference(model, tmp_path, {"x": X}, [X[:, 2:]])


def test_a_shape_of_several_open_sizes_says_what_minus_one_stands_for(tmp_path: Path) -> None:
    x = RNG.normal(size=(2, 6, 5)).astype(F)
    nodes = [
        *(node("Shape", "x", f"v{i}", start=i, end=i + 1) for i in (0, 2)),
        node("Concat", "v0 rest two v2", "shape", axis=0),
        node("Reshape", "x shape", "y"),
    ]
    constants = {"rest": np.array([-1]), "two": np.array([2])}
    model = network(nodes, {"x": x}, ["y"], constants, shapes={"x": ["n", 6, "t"]})
    assert_like_reference(model, tmp_path, {"x": x}, [x.reshape(2, 3, 2, 5)])
    assert load(model, tmp_path).main.outputs[0].shape == (None, 3, 2, None)
