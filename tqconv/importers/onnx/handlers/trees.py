"""Ensembles of decision trees, as converters of forests and of gradient boosting write them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from tqconv.compose import trees
from tqconv.compose.sizes import reshaped
from tqconv.errors import FormatError, UnsupportedError, suggestion
from tqconv.importers.onnx.handlers.scores import labelled, opposed, rows_of, transformed
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.registry import Handler
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32
MODES = {
    "BRANCH_LEQ": "<=", "BRANCH_LT": "<", "BRANCH_GTE": ">=", "BRANCH_GT": ">", "BRANCH_EQ": "==",
    "BRANCH_NEQ": "!=", "LEAF": "leaf",
}  # fmt: skip
NUMBERED = ("<=", "<", ">=", ">", "==", "!=", "member")
"""Comparisons by the numbers that TreeEnsemble has for them; so the next two."""
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
TREES = np.array([1], np.int32)
"""The axis of trees in what they found: [n, trees, columns]."""
Keys = Sequence[object]


@dataclass(frozen=True)
class _Nodes:
    """The attributes of nodes, which ensembles of classes and of numbers name alike.

    Hit rates say how often a node was met: nothing is computed with them.
    """

    nodes_treeids: Sequence[int] = ()
    nodes_nodeids: Sequence[int] = ()
    nodes_featureids: Sequence[int] = ()
    nodes_modes: Sequence[str] = ()
    nodes_truenodeids: Sequence[int] = ()
    nodes_falsenodeids: Sequence[int] = ()
    nodes_values: Sequence[float] = ()
    nodes_values_as_tensor: ndarray | None = None
    nodes_missing_value_tracks_true: Sequence[int] = ()
    nodes_hitrates: Sequence[float] = ()
    nodes_hitrates_as_tensor: ndarray | None = None

    def forest(self, leaves: _Leaves) -> tuple[dict[object, trees.Node], Keys]:
        """Return nodes by tree and number, and the roots: the first node of each tree.

        A leaf of which no weights are said gets a row, too.
        """
        keys = _pairs(self.nodes_treeids, self.nodes_nodeids)
        columns = (
            keys,
            self.nodes_featureids,
            self.nodes_modes,
            _either(self.nodes_values, self.nodes_values_as_tensor).tolist(),
            self.nodes_truenodeids,
            self.nodes_falsenodeids,
            self.nodes_missing_value_tracks_true or [0] * len(keys),
        )
        _check_lengths(*columns)
        nodes: dict[object, trees.Node] = {}
        roots: dict[object, object] = {}
        for key, feature, mode, end, if_true, if_false, nan in zip(*columns, strict=True):
            tree, _ = key
            roots.setdefault(tree, key)
            kind = MODES.get(mode)
            if kind is None:
                raise UnsupportedError(f"a node of mode `{mode}`{suggestion(mode, MODES)}")
            if kind == "leaf":
                nodes[key] = trees.Leaf(leaves.rows.setdefault(key, len(leaves.rows)))
            else:
                children = (tree, if_true), (tree, if_false)
                nodes[key] = trees.Split(feature, kind, end, *children, bool(nan))
        return nodes, list(roots.values())


def _with_nodes(handler: Handler) -> Handler:
    """Let a handler have the attributes of nodes as one value, behind x."""
    named = inspect.signature(_Nodes).parameters

    def handle(b: ONNXBuilder, x: Tensor, **attributes: Any) -> Any:
        nodes = _Nodes(**{name: attributes.pop(name) for name in named.keys() & attributes.keys()})
        return handler(b, x, nodes, **attributes)

    signature = inspect.signature(handler)
    own = [p for p in signature.parameters.values() if p.name != "nodes"]
    of_nodes = [p.replace(kind=p.KEYWORD_ONLY) for p in named.values()]
    update_wrapper(handle, handler)
    vars(handle)["__signature__"] = signature.replace(parameters=[*own, *of_nodes])
    return handle


@handles("ai.onnx.ml:TreeEnsembleRegressor")
@_with_nodes
def regressor(
    b: ONNXBuilder,
    x: Tensor,
    nodes: _Nodes,
    *,
    target_treeids: Sequence[int] = (),
    target_nodeids: Sequence[int] = (),
    target_ids: Sequence[int] = (),
    target_weights: Sequence[float] = (),
    target_weights_as_tensor: ndarray | None = None,
    n_targets: int = 1,
    base_values: Sequence[float] = (),
    base_values_as_tensor: ndarray | None = None,
    aggregate_function: str = "SUM",
    post_transform: str = "NONE",
) -> Tensor:
    """Join what each tree says of each target: [n, features] to [n, targets]."""
    weights = _either(target_weights, target_weights_as_tensor)
    leaves = _Leaves(_pairs(target_treeids, target_nodeids), target_ids, weights, n_targets)
    scores = _scores(b, x, *nodes.forest(leaves), leaves, aggregate_function)
    base = _either(base_values, base_values_as_tensor).astype(F)
    return transformed(b, b("ADD", scores, base) if base.size else scores, post_transform)


@handles("ai.onnx.ml:TreeEnsembleClassifier")
@_with_nodes
def classifier(
    b: ONNXBuilder,
    x: Tensor,
    nodes: _Nodes,
    *,
    class_treeids: Sequence[int] = (),
    class_nodeids: Sequence[int] = (),
    class_ids: Sequence[int] = (),
    class_weights: Sequence[float] = (),
    class_weights_as_tensor: ndarray | None = None,
    classlabels_int64s: Sequence[int] = (),
    classlabels_strings: Sequence[str] = (),
    base_values: Sequence[float] = (),
    base_values_as_tensor: ndarray | None = None,
    post_transform: str = "NONE",
) -> tuple[Tensor | None, Tensor]:
    """Return the label of the class with the largest score, and the scores: [n], [n, classes]."""
    classes = len(classlabels_int64s) or len(classlabels_strings)
    alone = classes == 2 and len(set(class_ids)) == 1
    columns, count = ([0] * len(class_ids), 1) if alone else (class_ids, classes)
    weights = _either(class_weights, class_weights_as_tensor)
    leaves = _Leaves(_pairs(class_treeids, class_nodeids), columns, weights, count)
    scores = _scores(b, x, *nodes.forest(leaves), leaves, "SUM")
    base = _either(base_values, base_values_as_tensor).astype(F)
    base = base[class_ids[0] :][:1] if alone and base.size == classes else base
    scores = b("ADD", scores, base) if base.size else scores
    if alone:
        place, scores = _two(b, scores, class_ids[0], bool((weights >= 0).all()), post_transform)
    else:
        place = b("ARG_MAX", scores, np.array(1, np.int32), output_type="INT32")
        scores = transformed(b, scores, post_transform)
    label = labelled(b, place, classlabels_int64s, classlabels_strings) if b.wants(0) else None
    return label, scores


def _two(
    b: ONNXBuilder, score: Tensor, named: int, shares: bool, post_transform: str
) -> tuple[Tensor, Tensor]:
    """Return the place of the class and the scores of two, of which the weights name one alone.

    Its score is that of the second class; where it is the first that is named, the other's is the
    opposite. shares: as `opposed` has it.
    """
    above = b("GREATER", reshaped(b, score, [-1]), F(0.5) if shares else F(0))
    place = b.cast(above, np.int32)
    if named == 0:
        return place, opposed(b, score, post_transform, shares=shares)
    both = b("PAD", score, np.array([[0, 0], [1, 0]], np.int32))
    return place, transformed(b, both, post_transform)


@handles("ai.onnx.ml:TreeEnsemble")
def ensemble(
    b: ONNXBuilder,
    x: Tensor,
    *,
    tree_roots: Sequence[int],
    nodes_splits: ndarray,
    nodes_featureids: Sequence[int],
    nodes_modes: ndarray,
    nodes_truenodeids: Sequence[int],
    nodes_falsenodeids: Sequence[int],
    nodes_trueleafs: Sequence[int],
    nodes_falseleafs: Sequence[int],
    leaf_targetids: Sequence[int],
    leaf_weights: ndarray,
    nodes_missing_value_tracks_true: Sequence[int] = (),
    nodes_hitrates: ndarray | None = None,
    membership_values: ndarray | None = None,
    n_targets: int = 1,
    aggregate_function: int = 1,
    post_transform: int = 0,
) -> Tensor:
    """Join what each tree says of each target: [n, features] to [n, targets]."""
    leaves = _Leaves(range(len(leaf_targetids)), leaf_targetids, leaf_weights, n_targets)
    ends, modes = nodes_splits.reshape(-1).tolist(), nodes_modes.reshape(-1).tolist()
    nans = nodes_missing_value_tracks_true or [0] * len(ends)
    true = list(zip(nodes_trueleafs, nodes_truenodeids, strict=False))
    false = list(zip(nodes_falseleafs, nodes_falsenodeids, strict=False))
    columns = (nodes_featureids, modes, ends, true, false, nans)
    _check_lengths(*columns)
    sets = _sets(membership_values)
    # Nodes and leaves have numbers of their own: a key is whether it is a leaf, and its number.
    nodes: dict[object, trees.Node] = {(1, i): trees.Leaf(i) for i in leaves.rows.values()}
    for i, (feature, mode, end, *children, nan) in enumerate(zip(*columns, strict=True)):
        kind = _numbered(NUMBERED, mode)
        members, kind = (next(sets, []), "==") if kind == "member" else ([end], kind)
        _add_split(nodes, (0, i), feature, kind, members, children, bool(nan))
    roots = [(0, root) for root in tree_roots]
    scores = _scores(b, x, nodes, roots, leaves, _numbered(AGGREGATES, aggregate_function))
    return transformed(b, scores, _numbered(TRANSFORMS, post_transform))


class _Leaves:
    """Weights of leaves as a table: a row for each leaf, a column for each target."""

    def __init__(self, keys: Keys, columns: Sequence[int], weights: ndarray, targets: int) -> None:
        self.weights = weights.reshape(-1)
        self.keys = keys
        self.columns = columns
        self.targets = targets
        self.rows: dict[object, int] = {}
        _check_lengths(keys, columns, self.weights)
        if targets < 1 or any(not 0 <= column < targets for column in columns):
            raise FormatError(f"weights of targets that are none of {targets}")
        for key in keys:
            self.rows.setdefault(key, len(self.rows))

    def table(self, b: ONNXBuilder, missing: float) -> NDArray[np.float32]:
        """Return the table; what no weight is said of is `missing`."""
        b.pay(len(self.rows) * self.targets, "weights of leaves")
        table = np.zeros((len(self.rows), self.targets), F)
        rows = [self.rows[key] for key in self.keys]
        np.add.at(table, (rows, list(self.columns)), self.weights.astype(F))
        if missing:
            said = np.zeros(table.shape, np.bool_)
            said[rows, list(self.columns)] = True
            table[~said] = missing
        return table


def _scores(
    b: ONNXBuilder,
    x: Tensor,
    nodes: dict[object, trees.Node],
    roots: Keys,
    leaves: _Leaves,
    aggregate: str,
) -> Tensor:
    """Return what all trees together say: [n, features] to [n, targets]."""
    if not roots:
        raise FormatError("an ensemble without trees")
    x = rows_of(b, x)
    forest = trees.forest(nodes, roots)
    last = int(forest.features.max())
    if forest.features.min() < 0 or (x.shape[-1] is not None and last >= x.shape[-1]):
        raise FormatError(f"a tree compares feature {last} of {x.shape[-1]}")
    place = trees.walk(b, x, forest)
    if aggregate in ("SUM", "AVERAGE"):
        found = trees.found(b, place, forest, leaves.table(b, 0))
        total = b("SUM", found, TREES)
        return total if aggregate == "SUM" else b("DIV", total, F(len(roots)))
    if aggregate not in ("MIN", "MAX"):
        raise UnsupportedError(f"aggregate_function `{aggregate}`")
    found = trees.found(
        b, place, forest, leaves.table(b, np.inf if aggregate == "MIN" else -np.inf)
    )
    most = b(f"REDUCE_{aggregate}", found, TREES)
    return b("SELECT_V2", b("EQUAL", b("ABS", most), F(np.inf)), F(0), most)


def _add_split(
    nodes: dict[object, trees.Node],
    key: tuple[object, ...],
    feature: int,
    comparison: str,
    ends: Sequence[float],
    children: Keys,
    nan: bool,
) -> None:
    """Add a node that is true where a comparison with one of several numbers is."""
    true, false = children
    ends = ends or [np.nan]  # equal to nothing
    for i, end in enumerate(ends):
        own = (*key, i) if i else key
        following = (*key, i + 1) if i + 1 < len(ends) else false
        chosen = true
        if i:
            chosen = (*own, "true")
            nodes[chosen] = trees.Same(true)
        nodes[own] = trees.Split(feature, comparison, end, chosen, following, nan and not i)


def _sets(values: ndarray | None) -> Iterator[list[float]]:
    """Yield the sets of numbers, each of which ends with a NaN."""
    found: list[float] = []
    for value in [] if values is None else values.reshape(-1).tolist():
        if value != value:
            yield found
            found = []
        else:
            found.append(value)


def _either(numbers: Sequence[float], tensor: ndarray | None) -> ndarray:
    """Return numbers that are a list or a tensor."""
    return np.array(numbers, F) if tensor is None else tensor.reshape(-1)


def _pairs(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    _check_lengths(first, second)
    return list(zip(first, second, strict=True))


def _check_lengths(*columns: Any) -> None:
    lengths = sorted({len(column) for column in columns})
    if len(lengths) > 1:
        listed = " and ".join(map(str, lengths))
        raise FormatError(f"lists of nodes, or of their weights, have {listed} elements")


def _numbered(names: Sequence[str], number: int) -> str:
    if not 0 <= number < len(names):
        raise UnsupportedError(f"number {number} where {len(names)} are known: {', '.join(names)}")
    return names[number]
