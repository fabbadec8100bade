"""Ensembles of trees, against a walk through each tree with numpy."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import assert_like_reference, computed, load, network, node
from onnx import numpy_helper

from tqconv.compose import trees
from tqconv.errors import FormatError, UnsupportedError

ML = "ai.onnx.ml"
FEATURES, ROWS = 4, 24
COMPARE = {
    "BRANCH_LEQ": operator.le,
    "BRANCH_LT": operator.lt,
    "BRANCH_GTE": operator.ge,
    "BRANCH_GT": operator.gt,
    "BRANCH_EQ": operator.eq,
    "BRANCH_NEQ": operator.ne,
}
MODES = list(COMPARE)


class Grown:
    """Random trees, as lists of attributes and as what a row finds in them."""

    def __init__(self, seed: int, modes: list[str], trees: int = 3, targets: int = 2) -> None:
        self.rng = np.random.default_rng(seed)
        self.modes, self.targets = modes, targets
        self.nodes: dict[tuple[int, int], tuple[Any, ...]] = {}
        self.weights: dict[tuple[int, int], np.ndarray] = {}
        self.depths = [int(self.rng.integers(1, 4)) for _ in range(trees)]
        for tree, depth in enumerate(self.depths):
            self._grow(tree, depth)

    def _grow(self, tree: int, depth: int) -> int:
        number = sum(t == tree for t, _ in self.nodes)
        self.nodes[tree, number] = ()
        if depth == 0 or (number and self.rng.random() < 0.2):
            self.nodes[tree, number] = ("LEAF", 0, 0.0, 0, 0, 0)
            self.weights[tree, number] = self.rng.normal(size=self.targets).astype(np.float32)
            return number
        mode = self.modes[self.rng.integers(len(self.modes))]
        true, false = self._grow(tree, depth - 1), self._grow(tree, depth - 1)
        feature = int(self.rng.integers(FEATURES))
        # Halves, so that many rows lie on a threshold.
        end = float(self.rng.integers(-3, 4)) / 2
        self.nodes[tree, number] = (mode, feature, end, true, false, int(self.rng.random() < 0.5))
        return number

    def attributes(self, word: str) -> dict[str, Any]:
        modes, features, ends, true, false, nans = zip(*self.nodes.values(), strict=True)
        keys = [key for key in self.weights for _ in range(self.targets)]
        return {
            "nodes_treeids": [tree for tree, _ in self.nodes],
            "nodes_nodeids": [number for _, number in self.nodes],
            "nodes_modes": modes,
            "nodes_featureids": features,
            "nodes_values": ends,
            "nodes_truenodeids": true,
            "nodes_falsenodeids": false,
            "nodes_missing_value_tracks_true": nans,
            f"{word}_treeids": [tree for tree, _ in keys],
            f"{word}_nodeids": [number for _, number in keys],
            f"{word}_ids": [*range(self.targets)] * len(self.weights),
            f"{word}_weights": np.concatenate(list(self.weights.values())).tolist(),
        }

    def found(self, x: np.ndarray) -> np.ndarray:
        """Return what each row finds in each tree: [rows, trees, targets]."""
        return np.array([[self._walk(row, t) for t in range(len(self.depths))] for row in x])

    def _walk(self, row: np.ndarray, tree: int) -> np.ndarray:
        number = 0
        while self.nodes[tree, number][0] != "LEAF":
            mode, feature, end, true, false, nan = self.nodes[tree, number]
            value = row[feature]
            holds = COMPARE[mode](value, np.float32(end)) or (nan and np.isnan(value))
            number = true if holds else false
        return self.weights[tree, number]


def rows(seed: int, unknown: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = (rng.integers(-4, 5, (ROWS, FEATURES)) / 2).astype(np.float32)
    x[rng.random(x.shape) < unknown] = np.nan
    return x


def regressor(grown: Grown, x: np.ndarray, **more: Any) -> Any:
    attributes = grown.attributes("target") | {"n_targets": grown.targets} | more
    return network([node("TreeEnsembleRegressor", "x", "y", ML, **attributes)], {"x": x}, ["y"])


@pytest.mark.parametrize("modes", [MODES[:1], MODES[:2], MODES[2:4], MODES[4:], MODES], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_comparison_leads_where_numpy_goes(
    tmp_path: Path, seed: int, modes: list[str]
) -> None:
    grown, x = Grown(seed, modes), rows(seed + 10)
    want = grown.found(x).sum(1)
    assert_like_reference(regressor(grown, x), tmp_path, {"x": x}, [want])


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_trees_are_joined(tmp_path: Path, aggregate: str) -> None:
    grown, x = Grown(7, MODES[:1], targets=3), rows(1, unknown=0)
    base = np.array([0.5, -1, 2], np.float32)
    model = regressor(
        grown, x, aggregate_function=aggregate, base_values=base, post_transform="SOFTMAX"
    )
    how = {"SUM": np.sum, "AVERAGE": np.mean, "MIN": np.min, "MAX": np.max}[aggregate]
    scores = np.exp(how(grown.found(x), axis=1) + base)
    want = scores / scores.sum(1, keepdims=True)
    assert_like_reference(model, tmp_path, {"x": x}, [want])


def test_a_threshold_of_doubles_is_rounded_as_the_features_are(tmp_path: Path) -> None:
    """The double next to 0.1 lies below the float32 0.1, and both stand for the same feature."""
    x = np.full((1, FEATURES), 0.1, np.float32)
    grown = Grown(0, MODES[:1], trees=1, targets=1)
    grown.nodes = {
        (0, 0): ("BRANCH_LEQ", 0, 0.0, 1, 2, 0),
        (0, 1): ("LEAF", 0, 0.0, 0, 0, 0),
        (0, 2): ("LEAF", 0, 0.0, 0, 0, 0),
    }
    grown.weights = {(0, 1): np.array([1.0]), (0, 2): np.array([2.0])}
    ends = numpy_helper.from_array(np.array([0.1, 0, 0]), "ends")
    attributes = grown.attributes("target")
    del attributes["nodes_values"]
    made = node("TreeEnsembleRegressor", "x", "y", ML, **attributes, nodes_values_as_tensor=ends)
    model = network([made], {"x": x}, ["y"])
    assert_like_reference(model, tmp_path, {"x": x}, [np.array([[1.0]])])


LABELS = {"classlabels_int64s": [3, 7, 5]}


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_the_largest_score_names_the_class(tmp_path: Path, transform: str) -> None:
    grown, x = Grown(4, MODES[:1], targets=3), rows(2, unknown=0)
    attributes = grown.attributes("class") | LABELS | {"post_transform": transform}
    model = network(
        [node("TreeEnsembleClassifier", "x", "label scores", ML, **attributes)],
        {"x": x},
        ["label", "scores"],
    )
    scores = grown.found(x).sum(1)
    labels = np.array(LABELS["classlabels_int64s"])[scores.argmax(1)]
    e = np.exp(scores)
    want = {"NONE": scores, "SOFTMAX": e / e.sum(1, keepdims=True), "LOGISTIC": e / (1 + e)}
    assert_like_reference(model, tmp_path, {"x": x}, [labels, want[transform]])


def alone(tmp_path: Path, shift: float, transform: str, labels: dict[str, Any]) -> Any:
    """Return a score of the second of two classes, and what is computed of it."""
    grown, x = Grown(5, MODES[:1], targets=1), rows(3, unknown=0)
    for weights in grown.weights.values():
        weights[:] = np.abs(weights) / 3 + shift
    attributes = grown.attributes("class") | labels | {"post_transform": transform}
    model = network(
        [node("TreeEnsembleClassifier", "x", "label scores", ML, **attributes)],
        {"x": x},
        ["label", "scores"],
    )
    return grown.found(x).sum(1), computed(model, tmp_path, {"x": x})


def test_one_score_of_two_classes_is_a_share(tmp_path: Path) -> None:
    score, found = alone(tmp_path, 0, "NONE", {"classlabels_int64s": [4, 9]})
    for labels, scores in found:
        np.testing.assert_array_equal(labels, np.where(score[:, 0] > 0.5, 9, 4))
        np.testing.assert_allclose(scores, np.hstack([1 - score, score]), atol=1e-6)


def test_one_score_of_two_classes_is_on_a_side(tmp_path: Path) -> None:
    words = {"classlabels_strings": ["no", "yes"]}
    score, found = alone(tmp_path, -0.3, "LOGISTIC", words)
    assert (score > 0).any()
    assert (score < 0).any()
    for labels, scores in found:
        assert labels.tolist() == [b"yes" if s > 0 else b"no" for s in score[:, 0]]
        want = 1 / (1 + np.exp(np.hstack([score, -score])))
        np.testing.assert_allclose(scores, want, atol=1e-6)


def test_members_of_a_set_go_the_same_way(tmp_path: Path) -> None:
    """X[0] in {1, 3} -> 10; else x[1] > 0 -> 20, else 30; a set of nothing holds nothing."""

    def tensor(values: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.array(values, dtype))

    made = node(
        "TreeEnsemble",
        "x",
        "y",
        ML,
        tree_roots=[2],
        nodes_splits=tensor([0, 0, 0], np.float32),
        nodes_modes=tensor([6, 3, 6], np.uint8),
        nodes_featureids=[0, 1, 0],
        nodes_truenodeids=[0, 1, 0],
        nodes_falsenodeids=[1, 2, 0],
        nodes_trueleafs=[1, 1, 1],
        nodes_falseleafs=[0, 1, 0],
        membership_values=tensor([1, 3, np.nan, np.nan], np.float32),
        leaf_targetids=[0, 0, 0],
        leaf_weights=tensor([10, 20, 30], np.float32),
    )
    x = np.array([[1, 0], [3, 5], [2, 1], [2, 0], [np.nan, 1]], np.float32)
    want = np.array([[10], [10], [20], [30], [20]], np.float32)
    assert_like_reference(network([made], {"x": x}, ["y"]), tmp_path, {"x": x}, [want])


def test_a_table_holds_each_node_once_and_the_deepest_walk() -> None:
    nodes: dict[object, trees.Node] = {
        "a": trees.Split(0, "<=", 1.0, "b", "c"),
        "b": trees.Leaf(0),
        "c": trees.Split(1, ">", 2.0, "d", "e"),
        "d": trees.Leaf(1),
        "e": trees.Same("b"),
    }
    table = trees.forest(nodes, ["a"])
    assert (table.trees, table.levels, len(table.after)) == (1, 3, 5)


TWO_PARENTS = {
    "nodes_modes": ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"],
    "nodes_truenodeids": [1, 2, 0],
    "nodes_falsenodeids": [1, 2, 0],
}
DAMAGED = {
    "a node of two parents": (TWO_PARENTS, "two parents"),
    "a circle": ({"nodes_truenodeids": [0, 0, 0]}, "two parents"),
    "a child that is missing": ({"nodes_truenodeids": [9, 0, 0]}, "missing"),
    "a list too short": ({"nodes_modes": ["BRANCH_LEQ"]}, "elements"),
    "a feature too far": ({"nodes_featureids": [99, 0, 0]}, "feature 99 of 4"),
    "a comparison of none": ({"nodes_modes": ["BRANCH_LEG", "LEAF", "LEAF"]}, "did you mean"),
    "a target too far": ({"target_ids": [0, 5]}, "targets"),
    "targets beyond counting": ({"n_targets": 1 << 60}, "weights of leaves"),
    "an attribute of no node": ({"nodes_hitrate": [1.0]}, "did you mean `?nodes_hitrates"),
    "an attribute of another type": ({"nodes_modes": 1.0}, "nodes_modes"),
    "a way to join of none": ({"aggregate_function": "SUN"}, "SUN"),
}


@pytest.mark.parametrize(("change", "word"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_trees_are_refused(tmp_path: Path, change: dict[str, Any], word: str) -> None:
    attributes = {
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.0, 0, 0],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "target_treeids": [0, 0],
        "target_nodeids": [1, 2],
        "target_ids": [0, 0],
        "target_weights": [1.0, 2],
    }
    x = np.zeros((1, FEATURES), np.float32)
    made = node("TreeEnsembleRegressor", "x", "y", ML, **(attributes | change))
    with pytest.raises((FormatError, UnsupportedError), match=word):
        load(network([made], {"x": x}, ["y"]), tmp_path)
