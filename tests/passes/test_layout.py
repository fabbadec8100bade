"""The layout passes: groups of a RESHAPE, and minimum cuts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from itertools import product

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Graph, Model, Op
from tqconv.passes.driver import run_stages
from tqconv.passes.layout.cut import Cut
from tqconv.passes.layout.groups import groups, parts, regrouped
from tqconv.passes.layout.settle import settle_layout
from tqconv.passes.pipeline import STAGES


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_costs_as_little_as_any_choice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    nodes: list[Hashable] = [f"n{i}" for i in range(int(rng.integers(1, 7)))]
    everyone: list[Hashable] = [*nodes, True, False]
    terms = []
    for _ in range(int(rng.integers(1, 9))):
        one, *others = (everyone[i] for i in rng.integers(0, len(everyone), rng.integers(2, 5)))
        terms.append((one, others, int(rng.integers(0, 20))))
    cut = Cut()
    for term in terms:
        cut.differ(*term)
    worth, chosen = cut.solve()

    def total(side: dict[Hashable, bool]) -> int:
        return sum(c for a, others, c in terms if any(side[a] != side[b] for b in others))

    ends: dict[Hashable, bool] = {True: True, False: False}
    sides = [
        dict(zip(nodes, choice, strict=True)) | ends
        for choice in product((True, False), repeat=len(nodes))
    ]
    assert worth == min(total(side) for side in sides)
    assert total({node: node in chosen for node in nodes} | ends) == worth


def test_groups_of_dimensions_have_equal_products() -> None:
    assert groups((1, 6, 4, 5), (2, 3, 20)) == [([1], [0, 1]), ([2, 3], [2])]
    assert groups((4, 3), (2, 6)) == [([0, 1], [0, 1])]
    assert groups((None, 6, 4), (None, 2, 3, 4)) == [([0], [0]), ([1], [1, 2]), ([2], [3])]
    assert groups((2, None, 4), (None, 4)) is None  # which product the size is, nobody says
    assert groups((2, None), (None, 2)) == [([0, 1], [0, 1])]
    assert groups((0, 3), (3, 0)) is None
    assert groups((None, 3), (3, 2)) is None


def test_a_group_stays_together_or_the_permutation_stays() -> None:
    assert regrouped((1, 10, 24), (1, 10, 1, 24), (0, 2, 1)) == ([1, 1, 24, 10], (0, 3, 1, 2))
    # [1,5,6,8] in NHWC; its channels as two groups of four, its places as one dimension.
    assert regrouped((1, 8, 5, 6), (2, 4, 30), (0, 3, 1, 2)) == ([30, 2, 4], (1, 2, 0))
    assert regrouped((1, 8, 5, 6), (40, 6), (0, 3, 1, 2)) is None


@pytest.mark.parametrize("seed", range(60))
def test_reshaping_behind_or_before_a_permutation_is_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(d) for d in rng.choice([1, 2, 3, 4], rng.integers(2, 5))]
    x = np.arange(np.prod(sizes)).reshape(sizes)
    perm = tuple(int(k) for k in rng.permutation(len(sizes)))
    before = x.transpose(perm)
    after = [int(d) for size in before.shape for d in ((2, size // 2) if size == 4 else (size,))]
    joins = rng.random() < 0.5
    if joins:
        after[:2] = [after[0] * after[1]]
    found = regrouped(before.shape, after, perm)
    if found is None:
        assert joins, "dimensions that are only taken apart stay in their order"
        return
    straight, out = found
    y = x.reshape([d or 0 for d in straight]).transpose(out)
    np.testing.assert_array_equal(y, before.reshape(after))


def test_parts_of_dimensions_lie_in_one_on_both_sides() -> None:
    def of(before: tuple[int | None, ...], after: tuple[int | None, ...]) -> object:
        found = parts(before, after)
        return found and [(part.size, part.old, part.new) for part in found]

    found = [(64, 1, 0), (4, 2, 0), (2, 2, 1), (4, 3, 2), (2, 3, 3)]
    assert of((1, 64, 8, 8), (256, 2, 4, 2)) == found
    assert of((None, 6, 4), (None, 2, 2)) == [(None, 0, 0), (6, 1, 0), (2, 2, 1), (2, 2, 2)]
    assert of((None, 4), (None, 2, 2)) == [(None, 0, 0), (2, 1, 1), (2, 1, 2)]
    assert of((4, 6), (6, 4)) is None
    assert of((3, None), (None, 3)) is None
    assert of((None, 4), (8,)) is None
    assert of((0, 4), (0, 2, 2)) is None


UNFOLD = """
    x: f32[1,4,6,5] -> y
    t = TRANSPOSE(x, [0,3,1,2])
    r = RESHAPE(t, [10,2,3,2])
    s = TRANSPOSE(r, [0,2,1,3])
    u = RESHAPE(s, [5,6,4])
    y = TRANSPOSE(u, [2,1,0])
"""
UNFOLD_OF_ROWS = """
    x: f32[?,4,6,5] -> y
    t = TRANSPOSE(x, [0,3,1,2])
    r = RESHAPE(t, [-1,2,3,2])
    y = TRANSPOSE(r, [0,2,1,3])
"""


def _run(text: str, *feeds: np.ndarray) -> tuple[Graph, list[str]]:
    """Return the graph after the stages that settle layouts, which computes the same."""
    graph, before = parse(text), parse(text)
    run_stages(Model([graph]), STAGES[:2], check=True)
    for got, want in zip(run_litert(graph, feeds), run_litert(before, feeds), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    return graph, [op.type for op in graph.ops]


@pytest.mark.parametrize("text", [UNFOLD, UNFOLD_OF_ROWS])
def test_parts_are_moved_once(text: str) -> None:
    x = np.random.default_rng(2).normal(size=(1, 4, 6, 5)).astype(np.float32)
    _, types = _run(text, x)
    assert types.count("TRANSPOSE") == 1


def test_what_others_read_is_permuted_in_any_case() -> None:
    text = UNFOLD_OF_ROWS.replace("?", "2").replace("-> y", "-> y, t").replace("[-1,", "[20,")
    x = np.random.default_rng(2).normal(size=(2, 4, 6, 5)).astype(np.float32)
    _, types = _run(text, x)
    assert types == ["TRANSPOSE", "RESHAPE", "TRANSPOSE"]


def test_two_permutations_in_a_row_are_not_counted_as_two() -> None:
    """Separable attention: layouts that are settled stay so."""
    text = """
        x: f32[1,4,16,33] -> y
        a = CONV_2D(x, f32[33,1,1,33], zeros[33]) {padding=VALID, stride_h=1, stride_w=1}
        n = TRANSPOSE(a, [0,3,1,2])
        q, k, v = SPLIT_V(n, [1,16,16], 1) {num_splits=3}
        s = SOFTMAX(q) {beta=1.0}
        w = RELU(v)
        m = MUL(k, s)
        u = SUM(m, [3]) {keep_dims=True}
        b = BROADCAST_TO(u, [1,16,4,16])
        z = MUL(w, b)
        t = TRANSPOSE(z, [0,2,3,1])
        y = CONV_2D(t, f32[8,1,1,16], zeros[8]) {padding=VALID, stride_h=1, stride_w=1}
    """
    x = np.random.default_rng(2).normal(size=(1, 4, 16, 33)).astype(np.float32)
    _, types = _run(text, x)
    assert "TRANSPOSE" not in types
    assert "BROADCAST_TO" not in types


def test_what_was_unfolded_is_normalized_as_it_stands() -> None:
    """GroupNorm of one group, which is spelled InstanceNormalization of one long row."""
    text = """
        x: f32[1,4,6,5] -> y
        t = TRANSPOSE(x, [0,3,1,2])
        r = RESHAPE(t, [1,5,2,2,3,2])
        p = TRANSPOSE(r, [0,1,3,5,2,4])
        f = RESHAPE(p, [1,1,120])
        m = MEAN(f, [2]) {keep_dims=True}
        d = SUB(f, m)
        q = SQUARE(d)
        v = MEAN(q, [2]) {keep_dims=True}
        e = ADD(v, 0.001)
        o = RSQRT(e)
        n = MUL(d, o)
        g = RESHAPE(n, [1,5,4,6])
        h = TRANSPOSE(g, [0,2,3,1])
        y = CONV_2D(h, f32[8,1,1,5], zeros[8]) {padding=VALID, stride_h=1, stride_w=1}
    """
    x = np.random.default_rng(2).normal(size=(1, 4, 6, 5)).astype(np.float32)
    _, types = _run(text, x)
    assert types.count("TRANSPOSE") == 1


class Looked(list):  # type: ignore[type-arg]
    """Operators that count how often all of them are gone through."""

    times = 0

    def __iter__(self) -> Iterator[Op]:
        self.times += 1
        return super().__iter__()


def test_a_permutation_looks_at_its_region_alone() -> None:
    """Each of 6,667 convolutions of ONNX went through all the operators of the graph, twice."""
    turns = "\n".join(f"a{i} = TRANSPOSE(x, [0,2,1])\nb{i} = CUMSUM(a{i}, 1)" for i in range(20))
    graph = parse(f"x: f32[1,3,4] -> {', '.join(f'b{i}' for i in range(20))}\n{turns}")
    graph.ops = Looked(graph.ops)
    settle_layout(graph)
    assert graph.ops.times < 5


def test_what_two_maps_weigh_is_computed_as_they_are() -> None:
    """Selective fusion: a * s[:, 0:1] + b * s[:, 1:2], of pictures channels first."""
    text = """
        x: f32[1,6,5,4] -> y
        p = CONV_2D(x, f32[8,1,1,4], zeros[8]) {padding=VALID, stride_h=1, stride_w=1}
        q = CONV_2D(x, f32[8,1,1,4], zeros[8]) {padding=VALID, stride_h=1, stride_w=1}
        s = CONV_2D(x, f32[2,1,1,4], zeros[2]) {padding=VALID, stride_h=1, stride_w=1}
        a = TRANSPOSE(p, [0,3,1,2])
        b = TRANSPOSE(q, [0,3,1,2])
        t = TRANSPOSE(s, [0,3,1,2])
        g = GATHER(t, 0) {axis=1}
        h = GATHER(t, 1) {axis=1}
        m = RESHAPE(g, [1,1,6,5])
        n = RESHAPE(h, [1,1,6,5])
        v = MUL(a, m)
        w = MUL(b, n)
        z = ADD(v, w)
        c = TRANSPOSE(z, [0,2,3,1])
        y = CONV_2D(c, f32[3,1,1,8], zeros[3]) {padding=VALID, stride_h=1, stride_w=1}
    """
    x = np.random.default_rng(2).normal(size=(1, 6, 5, 4)).astype(np.float32)
    _, types = _run(text, x)
    assert "TRANSPOSE" not in types


@pytest.mark.parametrize("shape", ["[2,9,1,6]", "[?,9,1,6]"])
def test_a_product_reads_across_what_needs_no_more_than_a_reshape(shape: str) -> None:
    """Keys that all heads share: as onnxruntime's optimizer leaves them, with transA."""
    text = f"""
        q: f32[2,4,5,6], k: f32{shape} -> y
        t = TRANSPOSE(k, [0,2,3,1])
        y = BATCH_MATMUL(q, t)
    """
    rng = np.random.default_rng(2)
    feeds = [rng.normal(size=s).astype(np.float32) for s in ((2, 4, 5, 6), (2, 9, 1, 6))]
    _, types = _run(text, *feeds)
    assert types == ["RESHAPE", "BATCH_MATMUL"]
