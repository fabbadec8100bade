"""A `Model` becomes a scene: each operator a box, each value a line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import field

import numpy as np

from tqconv.exporters.drawing import words
from tqconv.exporters.drawing.marks import Marks, kind_of, numbers_of
from tqconv.exporters.drawing.scene import Body, Box, Line, Path, Scene, Value
from tqconv.exporters.report import macs_of, op_name, peak_bytes, tensor_bytes
from tqconv.ir.arrays import checksum
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.options import ROLES
from tqconv.ops.table import known, spec
from tqconv.records import dataclass

DEEPEST = 32
"""Scopes that are told apart; names and bodies of real models nest some ten deep."""


@dataclass(frozen=True)
class Known:
    """What was found out about a model elsewhere, by the names of its tensors.

    errors: signal-to-noise ratios in dB. floats: why operators stay float, by their first output.
    unranged: values without a range, of a model whose other values have one. untranslated: nodes
    without a translation. size: bytes of the file, None where there is none. digests: whether to
    tell constants apart by their values.
    """

    errors: Mapping[str, float] = field(default_factory=dict)
    floats: Mapping[str, str] = field(default_factory=dict)
    unranged: frozenset[str] = frozenset()
    size: int | None = None
    digests: bool = False


def gather(model: Model, known: Known | None = None) -> Scene:
    """Return everything that can be drawn of a model."""
    gatherer = _Gatherer(model, Known() if known is None else known)
    scene = gatherer.scene
    entries = len(model.graphs)
    for index, graph in enumerate(model.graphs):
        path = (graph.name or f"graph {index}",) if entries > 1 else ()
        gatherer.run(graph, path)
    scene.title = os.path.basename(model.origin) or "model"
    scene.total = sum(1 for _ in scene.ops())
    scene.facts = title_facts(model, scene, gatherer.known)
    return scene


def title_facts(model: Model, scene: Scene, known: Known) -> list[tuple[str, str]]:
    """Return what the title block says below the file's name."""
    macs = sum(box.macs for box in scene.boxes.values())
    facts = [
        ("size", "" if known.size is None else words.readable(known.size)),
        ("computes with", mode_of(scene)),
        ("operators", str(scene.total)),
        ("MACs", words.readable(macs, "") if macs else ""),
        ("activations", f"{words.readable(peak_bytes(model.main))} at most"),
    ]
    return [(name, text) for name, text in facts if text]


def mode_of(scene: Scene) -> str:
    """Return what a model computes with, in words."""
    found = {box.numbers for box in scene.ops()} - {""}
    if len(found) == 1:
        return found.pop()
    if not found:
        return ""
    names = [name for name in ("int8", "int16", "uint8") if name in found]
    if "float" not in found and names:
        return " and ".join(names)
    return f"{' and '.join(names)} in part" if names else "float, weights of integers"


_Inner = tuple[Graph, Path, str, Path]
"""A graph inside another, its scope, what it is to its operator, and that one's own scopes."""


class _Gatherer:
    """Builds a scene; a graph lies in the scope of the first operator that runs it."""

    def __init__(self, model: Model, known: Known) -> None:
        self.scene = Scene()
        self.known = known
        self.marks = Marks(model, known.floats, known.unranged)
        self.numbers = {id(graph): i for i, graph in enumerate(model.all_graphs())}
        self.drawn: dict[int, Path] = {}

    def run(self, graph: Graph, path: Path) -> None:
        """Add a graph and all that it runs; a stack of its own, for files nest them deeply."""
        stack = [self.graph(graph, path, "", ())]
        while stack:
            inner = next(stack[-1], None)
            if inner is None:
                stack.pop()
            else:
                stack.append(self.graph(*inner))

    def graph(self, graph: Graph, path: Path, role: str, around: Path) -> Iterator[_Inner]:
        """Add a graph; yield, behind the operator that runs it, each graph to add there.

        `around`: the scopes of that operator's name, which those inside need not repeat.
        """
        self.drawn[id(graph)] = path
        prefix = self._prefix(graph)
        taken = graph.name in self.scene.graphs.values() or not graph.name
        self.scene.graphs[prefix] = f"{graph.name} {prefix[:-1]}".strip() if taken else graph.name
        places: dict[int, tuple[str, int]] = {}
        for index, tensor in enumerate(graph.inputs):
            places[id(tensor)] = (f"{prefix}in{index}", 0)
            title = f"{index}: {tensor.name}" if role else tensor.name
            self._border(f"{prefix}in{index}", "input", tensor, path, title)
        self._loose(graph, path, prefix, places)
        for index, op in enumerate(graph.ops):
            id_ = f"{prefix}op{index}"
            yield from self._op(id_, op, path, around)
            for port, made in enumerate(op.outputs):
                places[id(made)] = (id_, port)
            self._lines(id_, op, places)
        for index, tensor in enumerate(graph.outputs):
            id_ = f"{prefix}out{index}"
            title = f"{index}: {tensor.name}" if role else tensor.name
            self._border(id_, "output", tensor, path, title)
            if id(tensor) in places:
                source, value = places[id(tensor)]
                self.scene.lines.append(Line(source, id_, value))

    def _loose(
        self, graph: Graph, path: Path, prefix: str, places: dict[int, tuple[str, int]]
    ) -> None:
        """Add what no operator makes and no box has as a row: state, and outputs that are fixed."""
        outputs = {id(t) for t in graph.outputs}
        for index, tensor in enumerate(t for t in graph.tensors() if t.producer is None):
            if id(tensor) in places or (tensor.is_constant and id(tensor) not in outputs):
                continue
            kind = "variable" if tensor.variable else "constant"
            places[id(tensor)] = (f"{prefix}value{index}", 0)
            self._border(f"{prefix}value{index}", kind, tensor, path, tensor.name)

    def _border(self, id_: str, kind: str, tensor: Tensor, path: Path, title: str) -> None:
        box = Box(id_, kind, title, tensor.name, path, values=[self._value(tensor)])
        box.numbers = kind_of(tensor)
        box.key = f"{kind} {words.typed(tensor)}" if path else id_
        box.error = self.known.errors.get(tensor.name) if kind == "output" else None
        if kind == "input":
            box.marks = self.marks.of_value(tensor)
        self.scene.add(box)

    def _value(self, tensor: Tensor) -> Value:
        error = self.known.errors.get(tensor.name)
        size = tensor_bytes(tensor)
        return Value(
            tensor.name, words.typed(tensor), words.reals(tensor), size, error, words.span(tensor)
        )

    def _op(self, id_: str, op: Op, path: Path, around: Path) -> Iterator[_Inner]:
        values = [self._value(t) for t in op.outputs]
        name = op.outputs[0].name if op.outputs else ""
        scopes = scopes_of(name)
        inner = (*path, *_without(scopes, around))[:DEEPEST]
        activation = words.fused(op)
        errors = [v.error for v in values if v.error is not None]
        weights = [t for t in op.inputs if t is not None and t.is_constant]
        self.scene.add(
            Box(
                id_,
                "op",
                f"{op_name(op)} + {activation}" if activation else op_name(op),
                name,
                inner,
                rows=[*words.option_rows(op), *([] if op.graphs else words.constant_rows(op))],
                values=values,
                ports=list(_ports(op)),
                family=spec(op.type).category if known(op.type) else "",
                numbers=numbers_of(op),
                marks=self.marks.of_op(op),
                bytes=sum(map(tensor_bytes, weights)),
                macs=macs_of(op),
                error=min(errors) if errors else None,
                source=str(op.source) if op.source.node else "",
                options=repr(sorted(words.option_rows(op))),
                key=_key(op),
                digest=_digest(weights) if self.known.digests else "",
            )
        )
        yield from self._bodies(id_, op, inner, scopes)

    def _bodies(self, id_: str, op: Op, path: Path, scopes: Path) -> Iterator[_Inner]:
        roles = ROLES.get(op.type, ())
        box = self.scene.boxes[id_]
        for index, graph in enumerate(op.graphs):
            role = roles[index] if index < len(roles) else f"graph {index}"
            if id(graph) not in self.drawn:
                inner = (*path, f"{role} of {op.type} {words.short(box.name)}")[:DEEPEST]
                yield graph, inner, role, scopes
                self.scene.scopes.setdefault(inner, f"{role} of {op.type} · {graph.name}")
            box.bodies.append(Body(role, self.drawn[id(graph)], self._prefix(graph)))

    def _prefix(self, graph: Graph) -> str:
        return f"g{self.numbers[id(graph)]}_"

    def _lines(self, id_: str, op: Op, places: Mapping[int, tuple[str, int]]) -> None:
        for port, tensor in enumerate(op.inputs):
            if tensor is not None and id(tensor) in places:
                source, value = places[id(tensor)]
                self.scene.lines.append(Line(source, id_, value, port))


def scopes_of(name: str) -> Path:
    """Return the scopes that a tensor's name spells; of joined names, those of the first."""
    return tuple(part for part in name.split(";")[0].split("/")[:-1] if part)


def _without(scopes: Path, around: Path) -> Path:
    """Return scopes without those at the beginning that are also around."""
    count = 0
    while count < min(len(scopes), len(around)) and scopes[count] == around[count]:
        count += 1
    return scopes[count:]


def _ports(op: Op) -> Iterator[str]:
    """Yield what an operator with bodies hands to them, one line for each of its inputs."""
    if not op.graphs:
        return
    decides = op.type == "IF"
    for index, tensor in enumerate(op.inputs):
        name = "nothing" if tensor is None else words.short(tensor.name)
        value = f" {words.content(tensor)}" if tensor is not None and tensor.is_constant else ""
        number = index - decides
        yield f"condition: {name}{value}" if number < 0 else f"in {number}: {name}{value}"


def _key(op: Op) -> str:
    types = ["" if t is None else words.typed(t) for t in (*op.inputs, *op.outputs)]
    constant = [t is not None and t.is_constant for t in op.inputs]
    return repr((op_name(op), sorted(op.options.items(), key=str), types, constant))


def _digest(tensors: list[Tensor]) -> str:
    sums = [checksum(t.data) if t.data is not None and t.data.dtype != object else 0
            for t in tensors]  # fmt: skip
    return " ".join(map(str, np.asarray(sums, np.int64)))
