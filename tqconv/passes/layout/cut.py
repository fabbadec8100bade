"""A minimum cut: two sides for every node, and the sum of what disagreements cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

NEVER = 1 << 62
"""A capacity that no cut can pay."""


class Cut:
    """Nodes are on the side of True or of False; True and False themselves are nodes, too."""

    def __init__(self) -> None:
        self._capacity: dict[Hashable, dict[Hashable, int]] = {True: {}, False: {}}
        self._helpers = 0

    def differ(self, one: Hashable, others: Sequence[Hashable], cost: int) -> None:
        """Charge `cost` once if any of the others is on another side than `one`."""
        any_true, all_true = ("some", self._helpers), ("all", self._helpers)
        self._helpers += 1
        for other in others:
            self._edge(other, any_true, NEVER)
            self._edge(all_true, other, NEVER)
        self._edge(any_true, one, cost)
        self._edge(one, all_true, cost)

    def _edge(self, start: Hashable, end: Hashable, capacity: int) -> None:
        """Charge where `start` is on the side of True and `end` is not."""
        if start is end:
            return
        row = self._capacity.setdefault(start, {})
        row[end] = row.get(end, 0) + capacity
        self._capacity.setdefault(end, {}).setdefault(start, 0)

    def solve(self) -> tuple[int, set[Hashable]]:
        """Return the smallest sum, and the nodes on the side of True.

        Of several such sets it is the smallest one.
        """
        flow = 0
        while True:
            parents = self._reached()
            if False not in parents:
                return flow, set(parents)
            path: list[tuple[Hashable, Hashable]] = []
            node: Hashable = False
            while node is not True:
                path.append((parents[node], node))
                node = parents[node]
            room = min(self._capacity[a][b] for a, b in path)
            for a, b in path:
                self._capacity[a][b] -= room
                self._capacity[b][a] += room
            flow += room

    def _reached(self) -> dict[Hashable, Hashable]:
        """Return the nodes that capacity reaches from True, each with the one before it."""
        parents: dict[Hashable, Hashable] = {True: True}
        waiting: deque[Hashable] = deque([True])
        while waiting and False not in parents:
            node = waiting.popleft()
            for end, capacity in self._capacity[node].items():
                if capacity > 0 and end not in parents:
                    parents[end] = node
                    waiting.append(end)
        return parents
