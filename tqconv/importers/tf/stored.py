"""The values that a SavedModel's checkpoint holds for the variables of its graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, counted
from tqconv.importers.tf.bundle import Bundle, object_keys, open_bundle
from tqconv.importers.tf.flow.primitives import reached
from tqconv.importers.tf.inline import CALLS
from tqconv.importers.tf.kept import Kept
from tqconv.importers.tf.leftovers import VARIABLES
from tqconv.importers.tf.node import Node, Ref, graph_ref
from tqconv.importers.tf.training import constant_node, listed, stored_value
from tqconv.records import dataclass

VARIABLES_PREFIX = Path("variables", "variables")
BEHIND = 8
"""Most Identity nodes between what is restored and the variable that gets it."""


@dataclass
class Stored:
    """A checkpoint, and which of its keys each variable node has.

    keys: by object, as TF2 saves them. restored: by what the graph's own restore operator assigns,
    key and `shape_and_slices`, as TF1 does; names help where neither says anything.
    """

    prefix: Path
    keys: Mapping[str, str]
    restored: Mapping[str, tuple[str, str]]
    _bundle: Bundle | None = None
    _values: dict[str, NDArray[Any] | None] = field(default_factory=dict)

    @staticmethod
    def of(meta: Any, nodes: Mapping[str, Node], folder: Path) -> Stored:
        """Return what a SavedModel folder stores; files are opened when a value is asked for."""
        prefix = folder / VARIABLES_PREFIX
        stored = Stored(prefix, {}, restored_by(nodes))
        objects = bound_objects(meta)
        if objects and prefix.with_name(f"{prefix.name}.index").is_file():
            by_object = object_keys(stored.bundle)
            keys = {n: by_object[i] for n, i in objects.items() if i in by_object}
            return replace(stored, keys=keys)
        return stored

    @property
    def bundle(self) -> Bundle:
        """The checkpoint; FormatError when there is none or it is damaged."""
        if self._bundle is None:
            index = self.prefix.with_name(f"{self.prefix.name}.index")
            if not index.is_file():
                raise FormatError(
                    f"the SavedModel lacks {index}, which holds its variables",
                    hint="copy the whole folder, with `variables`",
                )
            self._bundle = open_bundle(self.prefix)
        return self._bundle

    def value(self, node: Node) -> NDArray[Any]:
        """Return the value of a variable; FormatError when the checkpoint lacks it."""
        found = self._find(node)
        if found is None:
            raise FormatError(f"{self.prefix} has no value for variable '{node.name}'")
        return found

    def _find(self, node: Node) -> NDArray[Any] | None:
        if node.name not in self._values:
            self._values[node.name] = self._read(node)
        return self._values[node.name]

    def _read(self, node: Node) -> NDArray[Any] | None:
        if node.name in self.keys:
            return self.bundle.read(self.keys[node.name])
        if node.name in self.restored:
            key, spec = self.restored[node.name]
            if key in self.bundle:
                extents = slice_of(spec)
                return self.bundle.read(key) if not extents else self.bundle.part(key, extents)
        return stored_value(self.bundle, {}, node)

    def freeze(
        self,
        nodes: Mapping[str, Node],
        fetches: Sequence[Ref],
        feeds: Collection[Ref],
        kept: Kept,
        notes: list[str],
    ) -> dict[str, Node]:
        """Return the nodes with the variables that the fetches need as constants, but for `kept`.

        Raises FormatError naming all variables that the checkpoint lacks.
        """
        targets = [*fetches, *map(Ref, kept.writes)]
        names = sorted(reached(nodes, targets, feeds))
        variables = [nodes[n] for n in names if n in nodes and nodes[n].op in VARIABLES]
        result = dict(nodes)
        missing = []
        for node in variables:
            if node.name in kept.variables:
                continue
            array = self._find(node)
            if array is None:
                missing.append(node.name)
            else:
                result[node.name] = constant_node(node.name, array, int(node.get("dtype", 1)) % 100)
        if missing:
            raise FormatError(
                f"{self.prefix} lacks {counted(len(missing), 'variable')}: {listed(missing)}",
                hint="was the whole folder copied, with `variables`?",
            )
        count = len(variables) - len(kept.variables)
        if count:
            notes.append(f"{counted(count, 'variable')} read from {self.prefix}")
        return result


def bound_objects(meta: Any) -> dict[str, int]:
    """Return the objects of a TF2 model that variable nodes stand for: node -> index.

    The last inputs of a call are what its function captured, in the order of `bound_inputs`.
    """
    functions = meta.object_graph_def.concrete_functions
    found: dict[str, int] = {}
    for node in meta.graph_def.node:
        if node.op not in CALLS or "f" not in node.attr:
            continue
        name = node.attr["f"].func.name
        bound = list(functions[name].bound_inputs) if name in functions else []
        inputs = [i for i in node.input if not i.startswith("^")]
        captured = inputs[len(inputs) - len(bound) :] if bound else []
        if len(captured) == len(bound):
            pairs = zip(captured, bound, strict=True)
            found |= {graph_ref(text).node: index for text, index in pairs}
    return found


def restored_by(nodes: Mapping[str, Node]) -> dict[str, tuple[str, str]]:
    """Return what the graph's RestoreV2 nodes assign: variable -> key, and which slice of it."""
    found: dict[str, tuple[str, str]] = {}
    texts: dict[Ref, list[str]] = {}  # one RestoreV2 is read by as many nodes as it has names
    for node in nodes.values():
        if node.op not in ("Assign", "AssignVariableOp") or len(node.inputs) != 2:
            continue
        source = _behind(node.inputs[1], nodes)
        restore = nodes.get(source.node)
        if restore is None or restore.op != "RestoreV2" or len(restore.inputs) != 3:
            continue
        for ref in restore.inputs[1:]:
            if ref not in texts:
                texts[ref] = _texts(ref, nodes)
        names, slices = (texts[ref] for ref in restore.inputs[1:])
        if source.index < len(names):
            spec = slices[source.index] if source.index < len(slices) else ""
            found.setdefault(node.inputs[0].node, (names[source.index], spec))
    return found


def _behind(ref: Ref, nodes: Mapping[str, Node]) -> Ref:
    for _ in range(BEHIND):
        node = nodes.get(ref.node)
        if node is None or node.op != "Identity" or not node.inputs:
            break
        ref = node.inputs[0]
    return ref


def _texts(ref: Ref, nodes: Mapping[str, Node]) -> list[str]:
    node = nodes.get(ref.node)
    if node is None or node.op != "Const":
        return []
    return [_text(v) for v in np.asarray(node.get("value")).reshape(-1).tolist()]


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def slice_of(spec: str) -> list[tuple[int, int]]:
    """Return the extents in a `shape_and_slices` entry such as "12 7 0,4:0,7", [] for a whole.

    An extent is (start, length), length -1 for all of a dimension. FormatError when it is none.
    """
    if not spec:
        return []
    try:
        return [_extent(part) for part in spec.split(" ")[-1].split(":")]
    except ValueError as error:
        raise FormatError(f"`{spec}` is no slice of a variable") from error


def _extent(text: str) -> tuple[int, int]:
    if text == "-":
        return 0, -1
    start, length = text.split(",")
    return int(start), int(length)
