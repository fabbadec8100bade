"""Choosing elements and bits, against ONNX's own reference or numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, load, network, node

from tqconv.errors import UnsupportedError

F = np.float32
RNG = np.random.default_rng(6)
ROWS = RNG.integers(0, 2, (7, 3)).astype(F)


@pytest.mark.parametrize("in_order", [0, 1])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("dtype", [F, np.int64, np.int8])
def test_unique(tmp_path: Path, in_order: int, axis: int | None, dtype: Any) -> None:
    x = (ROWS * 7 - 3).astype(dtype)
    told = {} if axis is None else {"axis": axis}
    nodes = [node("Unique", "x", "y first places counts", sorted=in_order, **told)]
    model = network(nodes, {"x": x}, ["y", "first", "places", "counts"], opset=11)
    found = np.unique(x, True, True, True, axis=axis)
    values, first, places, counts = (np.asarray(a) for a in found)
    places = places.reshape(-1)
    if not in_order:
        order = np.argsort(first)
        values = np.take(values, order, axis=axis or 0)
        first, counts, places = first[order], counts[order], np.argsort(order)[places]
    assert_like_reference(model, tmp_path, {"x": x}, [values, first, places, counts])


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("known", [False, True])
def test_compress(tmp_path: Path, axis: int | None, known: bool) -> None:
    marks = np.array([True, False, True])
    feeds: dict[str, Any] = {"x": ROWS[:3], **({} if known else {"c": marks})}
    told = {} if axis is None else {"axis": axis}
    nodes = [node("Compress", "x c", "y", **told)]
    model = network(nodes, feeds, ["y"], {"c": marks} if known else {}, opset=11)
    want = np.compress(marks, ROWS[:3], axis=axis)
    assert_like_reference(model, tmp_path, feeds, [want])


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
@pytest.mark.parametrize("known", [False, True])
def test_shifts(tmp_path: Path, direction: str, kind: str, known: bool) -> None:
    limits, bits = np.iinfo(kind), np.dtype(kind).itemsize * 8
    x = np.array([limits.min, limits.max, 1, 5, 77, 100], kind)
    count = np.array([0, 1, bits - 1, bits, 100, 3], kind)
    if limits.min < 0:
        count[4] = -1
    feeds = {"x": x} if known else {"x": x, "n": count}
    nodes = [node("BitShift", "x n", "y", direction=direction)]
    model = network(nodes, feeds, ["y"], {"n": count} if known else {}, opset=18)
    inside = (count >= 0) & (count < bits)
    some = np.where(inside, count, 0).astype(kind)
    shifted = np.left_shift(x, some) if direction == "LEFT" else np.right_shift(x, some)
    beyond = np.where(x < 0, -1, 0) if direction == "RIGHT" else 0
    want = np.where(inside, shifted, beyond).astype(kind)
    assert_like_reference(model, tmp_path, feeds, [want], rtol=0)


def test_bits_of_double_are_refused(tmp_path: Path) -> None:
    feeds = {"x": np.zeros(2, np.int64)}
    model = network([node("BitCast", "x", "y", to=11)], feeds, ["y"], opset=26)
    with pytest.raises(UnsupportedError, match="half and double are float32"):
        load(model, tmp_path)


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -2, 3])
def test_tensor_scatter(tmp_path: Path, mode: str, axis: int) -> None:
    x = RNG.normal(size=(2, 5, 6, 7)).astype(F)
    shape = list(x.shape)
    shape[axis] = 3
    start = np.array([1, 2]) if mode == "linear" else np.array([4, 0])
    feeds = {"x": x, "u": RNG.normal(size=shape).astype(F), "s": start}
    nodes = [node("TensorScatter", "x u s", "y", axis=axis, mode=mode)]
    assert_like_reference(network(nodes, feeds, ["y"], opset=24), tmp_path, feeds)


@pytest.mark.parametrize("ranks", [(1, 1), (1, 2), (2, 1), (1, 3), (4, 1), (3, 2)])
@pytest.mark.parametrize("known", [False, True])
def test_products_with_vectors(tmp_path: Path, ranks: tuple[int, int], known: bool) -> None:
    left, right = ((2, 3, 4, 5)[-ranks[0] :], (2, 3, 5, 6)[-ranks[1] :])
    right = (5,) if ranks[1] == 1 else right
    x, w = (RNG.normal(size=shape).astype(F) for shape in (left, right))
    feeds = {"x": x} if known else {"x": x, "w": w}
    nodes = [node("MatMul", "x w", "y")]
    model = network(nodes, feeds, ["y"], {"w": w} if known else {})
    assert_like_reference(model, tmp_path, feeds, [np.matmul(x, w)])


@pytest.mark.parametrize("equation", ["i,i", "ij,jk", "...i,...i", "ii", "ba"])
def test_sums_without_an_arrow(tmp_path: Path, equation: str) -> None:
    sizes = {"i": 3, "j": 3, "k": 4, "a": 2, "b": 3}
    shapes = [[sizes[c] for c in t.replace("...", "")] for t in equation.split(",")]
    shapes = [[2, *s] if "..." in equation else s for s in shapes]
    feeds = {f"x{i}": RNG.normal(size=s).astype(F) for i, s in enumerate(shapes)}
    nodes = [node("Einsum", " ".join(feeds), "y", equation=equation)]
    want = np.asarray(np.einsum(equation, *feeds.values()))
    assert_like_reference(network(nodes, feeds, ["y"], opset=12), tmp_path, feeds, [want])


def test_distinct_elements_as_the_optimizer_names_them(tmp_path: Path) -> None:
    x = np.array([1, 4, 3, 2, 3, 4, 0, 0, 4], np.float32)
    nodes = [node("Unique", "x", "y i n", "com.microsoft")]
    want = [np.array([1, 4, 3, 2, 0], np.float32), [0, 1, 2, 3, 2, 1, 4, 4, 1], [1, 3, 2, 1, 2]]
    model = network(nodes, {"x": x}, ["y", "i", "n"])
    assert_like_reference(model, tmp_path, {"x": x}, [np.array(a) for a in want])


@pytest.mark.parametrize("signs", [(1, 1), (1, 0), (0, 1), (0, 0)])
@pytest.mark.parametrize("behind", ["", "Reshape"])
def test_infinity_is_known_behind_kernels_that_clamp(
    tmp_path: Path, signs: tuple[int, int], behind: str
) -> None:
    x, z = np.array([1, -1, 2, -2], F), np.array([0, 0, 1, 2], F)
    nodes = [node("Div", "x z", "q")]
    nodes += [node("Reshape", "q s", "r")] if behind else []
    told = dict(zip(("detect_positive", "detect_negative"), signs, strict=True))
    nodes.append(node("IsInf", "r" if behind else "q", "y", **told))
    model = network(nodes, {"x": x, "z": z}, ["y"], {"s": np.array([2, 2])}, opset=20)
    want = np.array([signs[0], signs[1], 0, 0], bool)
    want = want.reshape(2, 2) if behind else want
    assert_like_reference(model, tmp_path, {"x": x, "z": z}, [want])
