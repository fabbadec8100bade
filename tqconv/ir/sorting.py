"""One topological order for nodes, tensors and operators alike."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K", bound=Hashable)


def least_first(needs: Mapping[K, Collection[K]], rank: Mapping[K, Any]) -> Iterator[K]:
    """Yield every key after those it needs; of those that may come next the one of least rank.

    Keys on a cycle, and what needs them, are left out.
    """
    readers: dict[K, list[K]] = {key: [] for key in needs}
    missing = {}
    for key, before in needs.items():
        missing[key] = len(before)
        for other in before:
            readers[other].append(key)
    ready = [(rank[key], number, key) for number, key in enumerate(needs) if not missing[key]]
    heapq.heapify(ready)
    count = len(needs)
    while ready:
        key = heapq.heappop(ready)[-1]
        yield key
        for reader in readers[key]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, (rank[reader], count, reader))
                count += 1
