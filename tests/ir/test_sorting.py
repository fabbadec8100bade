"""The topological order that importers and passes share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tqconv.ir.sorting import least_first


@given(st.lists(st.sets(st.integers(0, 9)), min_size=10, max_size=10), st.permutations(range(10)))
def test_each_comes_after_what_it_needs_and_the_least_first(
    drawn: list[set[int]], rank: list[int]
) -> None:
    needs = {key: {other for other in drawn[key] if other < key} for key in range(10)}
    order = list(least_first(needs, dict(enumerate(rank))))
    assert sorted(order) == list(range(10))
    for place, key in enumerate(order):
        done = set(order[:place])
        ready = [k for k in range(10) if k not in done and needs[k] <= done]
        assert key == min(ready, key=lambda k: rank[k])


def test_what_needs_a_cycle_is_left_out() -> None:
    needs = {"a": (), "b": ("c",), "c": ("b",), "d": ("b",), "e": ("a",)}
    assert list(least_first(needs, dict.fromkeys(needs, 0))) == ["a", "e"]
