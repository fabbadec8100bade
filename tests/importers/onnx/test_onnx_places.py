"""Reading and writing elements at places, against ONNX's own reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, network, node

F = np.float32
RNG = np.random.default_rng(11)
REDUCTIONS = ["none", "add", "mul", "max", "min"]


@pytest.mark.parametrize("dtype", [F, np.int32])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_elements(tmp_path: Path, reduction: str, dtype: Any) -> None:
    x = RNG.integers(-9, 9, (3, 4)).astype(dtype)
    updates = RNG.integers(-9, 9, (3, 3)).astype(dtype)
    places = np.array(
        [[0, 1, 2], [3, -1, 0], [1, 2, 3]] if reduction == "none" else [[0, 0, -1]] * 3
    )
    nodes = [node("ScatterElements", "x i u", "y", axis=1, reduction=reduction)]
    if reduction == "none":
        places[1, 1] = -2
    feeds = {"x": x, "u": updates}
    model = network(nodes, feeds, ["y"], {"i": places}, opset=18)
    want = x.copy()
    combine: Any = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
    for (row, column), place in np.ndenumerate(places):
        new, old = updates[row, column], want[row, place]
        want[row, place] = combine[reduction](old, new) if reduction != "none" else new
    assert_like_reference(model, tmp_path, feeds, [want])


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_nd(tmp_path: Path, reduction: str) -> None:
    feeds = {"x": RNG.normal(size=(4, 3)).astype(F), "u": RNG.normal(size=(3, 3)).astype(F)}
    places = np.array([[1], [-1], [1 if reduction != "none" else 0]])
    nodes = [node("ScatterND", "x i u", "y", reduction=reduction)]
    model = network(nodes, feeds, ["y"], {"i": places}, opset=18)
    assert_like_reference(model, tmp_path, feeds)


@pytest.mark.parametrize("batch_dims", [0, 1, 2])
def test_gather_nd_in_batches(tmp_path: Path, batch_dims: int) -> None:
    feeds = {"x": RNG.normal(size=(2, 2, 4, 3)).astype(F)}
    feeds["i"] = np.array([[[[0]], [[-1]]], [[[1]], [[-2]]]])
    nodes = [node("GatherND", "x i", "y", batch_dims=batch_dims)]
    assert_like_reference(network(nodes, feeds, ["y"], opset=13), tmp_path, feeds)


@pytest.mark.parametrize("given", ["constant", "computed"])
def test_one_hot(tmp_path: Path, given: str) -> None:
    feeds: dict[str, Any] = {"i": np.array([[0, -1], [2, 1]])}
    depth = {"d": np.array([4])}
    values = {"v": np.array([-1, 5], F)}
    constants = values | depth if given == "constant" else values
    feeds |= {} if given == "constant" else depth
    nodes = [node("OneHot", "i d v", "y", axis=1)]
    want = np.where(feeds["i"][:, None] % 4 == np.arange(4)[:, None], F(5), F(-1))
    assert_like_reference(network(nodes, feeds, ["y"], constants), tmp_path, feeds, [want])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("open_axes", [(0, 1, 2), (1,), (1, 2)])
def test_scatters_into_open_sizes(
    tmp_path: Path, reduction: str, open_axes: tuple[int, ...]
) -> None:
    x = RNG.integers(-9, 9, (3, 4, 5)).astype(F)
    places = {"none": [[[0, 1], [2, -1]], [[1, 0], [0, 3]]]}.get(reduction, [[[1, 2], [1, 2]]] * 2)
    coordinates = np.array(places)
    feeds = {"x": x, "i": coordinates, "u": RNG.integers(-9, 9, (2, 2, 5)).astype(F)}
    shapes = {"x": [f"x{a}" if a in open_axes else s for a, s in enumerate(x.shape)]}
    shapes |= {"i": ["a", "b", 2], "u": ["a", "b", shapes["x"][2]]}
    nodes = [node("ScatterND", "x i u", "y", reduction=reduction)]
    assert_like_reference(network(nodes, feeds, ["y"], opset=18, shapes=shapes), tmp_path, feeds)
    feeds = {"x": x, "i": np.array([[[0, 3, 1]], [[2, 1, 0]]]), "u": feeds["u"][:, :1, :3]}
    shapes = {"x": shapes["x"], "i": ["a", 1, "b"], "u": ["a", 1, "b"]}
    nodes = [node("ScatterElements", "x i u", "y", axis=1, reduction=reduction)]
    assert_like_reference(network(nodes, feeds, ["y"], opset=18, shapes=shapes), tmp_path, feeds)


@pytest.mark.parametrize("opset", [7, 9])
def test_the_largest_by_an_attribute(tmp_path: Path, opset: int) -> None:
    x = RNG.permutation(24).reshape(2, 4, 3).astype(F)
    model = network([node("TopK", "x", "v i", k=2, axis=1)], {"x": x}, ["v", "i"], opset=opset)
    order = np.argsort(-x, 1)[:, :2]
    assert_like_reference(model, tmp_path, {"x": x}, [np.take_along_axis(x, order, 1), order])
