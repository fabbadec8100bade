"""Decision trees: tables of nodes, and a walk that takes all rows through all trees at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import inserted
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ops.emit import Operand
from tqconv.records import dataclass

NEVER = np.float32(np.nan)
"""A threshold that nothing is below or at: what waits there goes to the node of the table."""
LEVELS = 500
"""Steps of a walk, each of which is seven operators; trees that are trained have tens."""


class Split(NamedTuple):
    """A node that compares a feature: keys of the children, and where a NaN goes.

    comparison: "<=", "<", ">=", ">", "==" or "!="; threshold: rounded to float32 as a feature is,
    so that equal doubles stay equal.
    """

    feature: int
    comparison: str
    threshold: float
    true: object
    false: object
    nan_is_true: bool = False


class Leaf(NamedTuple):
    """A node where a walk ends: the row of the table of values."""

    row: int


class Same(NamedTuple):
    """A node from which a walk goes on at another one, which some comparison leads to."""

    key: object


Node = Split | Leaf | Same


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees in one table, the children of each next to each other.

    features, thresholds, after: for each node what is compared, and the place of the child for what
    is above the threshold; the other child follows it. nans: whether a NaN goes to the other one.
    rows: of the values that belong to a node, where it is a leaf. trees: how many; the first places
    are their roots. levels: steps to the farthest leaf, at least one.
    """

    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    after: NDArray[np.int32]
    nans: NDArray[np.bool_]
    rows: NDArray[np.int32]
    trees: int
    levels: int


class _Growing:
    """The table while it grows: a place for each node, filled when its turn comes."""

    def __init__(self) -> None:
        self.features: list[int] = []
        self.thresholds: list[np.float32] = []
        self.after: list[int] = []
        self.nans: list[bool] = []
        self.rows: list[int] = []

    def room(self, count: int) -> int:
        """Return the first of so many new places; a walk that comes there stays."""
        place = len(self.after)
        self.after += range(place, place + count)
        self.features += [0] * count
        self.thresholds += [NEVER] * count
        self.nans += [False] * count
        self.rows += [0] * count
        return place

    def split(self, place: int, node: Split) -> tuple[int, int]:
        """Compare at a place as a node does; return the places of what is true and what is not."""
        feature, nan = node.feature, node.nan_is_true
        most = np.float32(node.threshold)
        below = _below(most)
        if node.comparison in ("<=", "<"):
            above = self._compare(place, feature, most if "=" in node.comparison else below, nan)
            return above + 1, above
        if node.comparison in (">=", ">"):
            end = below if "=" in node.comparison else most
            above = self._compare(place, feature, end, not nan)
            return above, above + 1
        if node.comparison not in ("==", "!="):
            raise UnsupportedError(f"a comparison by `{node.comparison}`")
        # What is above the number is unequal, and so is what is below it, which goes there, too.
        above = self._compare(place, feature, most, nan and node.comparison == "==")
        equal = self._compare(above + 1, feature, below, False)
        self.after[equal + 1] = above
        return (equal, above) if node.comparison == "==" else (above, equal)

    def _compare(self, place: int, feature: int, end: np.float32, nan_follows: bool) -> int:
        """Return the place of what is above the end; what is at most the end follows."""
        self.features[place], self.thresholds[place] = feature, end
        self.nans[place] = nan_follows
        self.after[place] = self.room(2)
        return self.after[place]

    def finished(self, trees: int) -> Forest:
        """Return the table, whose first places are the roots."""
        after = np.array(self.after, np.int32)
        thresholds = np.array(self.thresholds, np.float32)
        return Forest(
            np.array(self.features, np.int32),
            thresholds,
            after,
            np.array(self.nans, np.bool_),
            np.array(self.rows, np.int32),
            trees,
            _levels(after, thresholds, trees),
        )


def _below(number: np.float32) -> np.float32:
    """Return the largest float32 below another; NEVER where there is none."""
    return np.nextafter(number, np.float32(-np.inf)) if number > -np.inf else NEVER


def _levels(after: NDArray[np.int32], thresholds: NDArray[np.float32], trees: int) -> int:
    """Return how many steps it takes until every walk has ended, at least one."""
    levels, reached = 0, np.arange(trees)
    while True:
        moving = reached[after[reached] != reached]
        if not moving.size:
            return max(levels, 1)
        compared = moving[~np.isnan(thresholds[moving])]
        reached = np.unique(np.concatenate([after[moving], after[compared] + 1]))
        levels += 1
        if levels > LEVELS:
            raise UnsupportedError(f"a tree of more than {LEVELS} levels")


def forest(nodes: Mapping[object, Node], roots: Sequence[object]) -> Forest:
    """Return the table of trees.

    Every comparison becomes one of "<=": what is below a number is at most the one before it.
    Raises UnsupportedError where a node is missing or has two parents.
    """
    table = _Growing()
    table.room(len(roots))
    places: dict[object, int] = {}
    waiting = list(enumerate(roots))
    others: list[tuple[int, object]] = []
    for place, key in waiting:
        node = nodes.get(key)
        if node is None:
            raise UnsupportedError(f"node {key} of a tree is missing")
        first = places.setdefault(key, place)
        if isinstance(node, Leaf):
            table.rows[place] = node.row
        elif isinstance(node, Same):
            others.append((place, node.key))
        elif first != place:
            raise UnsupportedError(f"node {key} of a tree has two parents")
        else:
            true, false = table.split(place, node)
            waiting += [(true, node.true), (false, node.false)]
    for place, key in others:
        if key not in places:
            raise UnsupportedError(f"node {key} of a tree is missing")
        table.after[place] = places[key]
    return table.finished(len(roots))


def walk(b: Builder, x: Tensor, trees: Forest) -> Tensor:
    """Return the place where each row of x: [n, features] ends in each tree: [n, trees]."""
    watched = bool(trees.nans.any())
    begin = slice(trees.trees)
    value = b("GATHER", x, trees.features[begin], axis=1)
    nans = trees.nans[begin] if watched else None
    place = _next(b, value, trees.thresholds[begin], trees.after[begin], nans)
    for _ in range(trees.levels - 1):
        value = b("GATHER", x, b("GATHER", trees.features, place), axis=1, batch_dims=1)
        ends, after = (b("GATHER", table, place) for table in (trees.thresholds, trees.after))
        place = _next(b, value, ends, after, b("GATHER", trees.nans, place) if watched else None)
    return place


def _next(b: Builder, value: Tensor, ends: Operand, after: Operand, nans: Operand | None) -> Tensor:
    """Return the places of the children: one further for what is at most the threshold."""
    follows = b("LESS_EQUAL", value, ends)
    if nans is not None:
        unknown = b("LOGICAL_AND", b("NOT_EQUAL", value, value), nans)
        follows = b("LOGICAL_OR", follows, unknown)
    return b("ADD", b.cast(follows, np.int32), after)


def found(b: Builder, place: Tensor, trees: Forest, values: NDArray[np.float32]) -> Tensor:
    """Return the values where walks ended, from one row a leaf: [n, trees, columns]."""
    if values.shape[1] == 1:
        return inserted(b, b("GATHER", values[trees.rows, 0], place), 2)
    return b("GATHER", values, b("GATHER", trees.rows, place))
