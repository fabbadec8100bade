"""The layout passes: groups of a RESHAPE, and minimum cuts."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import product

import numpy as np
import pytest

from tqconv.passes.layout.cut import Cut
from tqconv.passes.layout.groups import groups, regrouped


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
    if rng.random() < 0.5:
        after[:2] = [after[0] * after[1]]
    found = regrouped(before.shape, after, perm)
    if found is None:
        return
    straight, out = found
    y = x.reshape([d or 0 for d in straight]).transpose(out)
    np.testing.assert_array_equal(y, before.reshape(after))
