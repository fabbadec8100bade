"""A .tflite file becomes a `Model`; operators without a row are kept as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.config import LoadOptions
from tqconv.errors import FormatError, UsageError
from tqconv.importers.source import Format
from tqconv.importers.tflite.blocks import quant_of
from tqconv.importers.tflite.borders import check_types, cut, reshape_inputs
from tqconv.importers.tflite.buffers import Buffers
from tqconv.importers.tflite.loops import open_states
from tqconv.importers.tflite.operators import (
    check_bodies,
    check_calls,
    check_members,
    check_operator,
    check_options,
    flatten_bias,
)
from tqconv.ir.graph import Graph, Model, Op, Signature, Tensor
from tqconv.ir.types import Shape, Source, dtype_of
from tqconv.ops.options import SUBGRAPHS, decode
from tqconv.schema.flatbuf import enum_name, read, tflite
from tqconv.untrusted import Budget, check_sizes, read_file

MIN_RUNTIME = "min_runtime_version"
"""Written anew by the exporter, from the operators that are in the file then."""


def load(path: Path, options: LoadOptions) -> Model:
    """Import a file. Raises FormatError when it is damaged, UsageError for unknown names."""
    for flag, value in (
        ("--set_input", options.values),
        ("--rnn_states", options.rnn_states),
        ("--checkpoint", options.checkpoint),
    ):
        if value:
            raise UsageError(f"{flag} is for graphs of TensorFlow, not for .tflite files")
    model = parse(read_file(path), path.name, shown=options.shown)
    for tensor in model.main.tensors():
        said = [entry.range for entry in options.array_ranges if entry.matches(tensor.name)]
        tensor.range = said[0] if said else tensor.range
    if options.inputs is not None or options.outputs is not None:
        cut(model, options)
    if options.shapes is not None or options.named_shapes:
        reshape_inputs(model, options)
    if options.dtypes is not None:
        check_types(model.main.inputs, options.dtypes)
    return model


def parse(content: bytes | memoryview, file: str, *, shown: bool = False) -> Model:
    """Return the model that the bytes of a .tflite file hold.

    Raises FormatError where it is damaged, UnsupportedError where LiteRT has no kernel for what is
    in it, unless it is only `shown`.
    """
    try:
        return _Reader(read(content), file, Budget.of(len(content)), shown=shown).model()
    except FormatError as error:
        error.where = file if error.where is None else error.where
        raise


class _Reader:
    """One decoded file, turned into graphs."""

    def __init__(self, root: Mapping[str, Any], file: str, budget: Budget, *, shown: bool) -> None:
        self.root = root
        self.shown = shown
        self.file = file
        self.budget = budget
        self.decoded = Buffers(budget)
        self.schema = tflite()
        self.buffers = [b.get("data") for b in root.get("buffers", [])]
        self.codes = [self._code(c) for c in root.get("operator_codes", [])]
        self.subgraphs = root.get("subgraphs", [])
        if not self.subgraphs:
            raise FormatError("the file has no graph")

    def model(self) -> Model:
        names = [s.get("name") or f"graph_{i}" for i, s in enumerate(self.subgraphs)]
        graphs = [Graph(name, budget=self.budget) for name in names]
        tensors = [self._tensors(g, s) for g, s in zip(graphs, self.subgraphs, strict=True)]
        for graph, subgraph, made in zip(graphs, self.subgraphs, tensors, strict=True):
            self._fill(graph, subgraph, made, graphs)
        check_calls(graphs)
        for op in (op for graph in graphs for op in graph.ops):
            check_bodies(op)
        if not self.shown:
            open_states(graphs)
        called = {id(g) for graph in graphs for op in graph.ops for g in op.graphs}
        entries = [g for i, g in enumerate(graphs) if i == 0 or id(g) not in called]
        model = Model(entries, self.file, self.root.get("description", ""))
        model.metadata = self._metadata()
        model.signatures = self._signatures(graphs, entries, tensors)
        return model

    def _code(self, code: Mapping[str, Any]) -> tuple[str, str, int]:
        number = max(code.get("builtin_code", 0), code.get("deprecated_builtin_code", 0))
        try:
            name = enum_name(self.schema, "BuiltinOperator", number)
        except ValueError as error:
            raise FormatError(f"operator code {number} is not in the schema") from error
        return name, code.get("custom_code", ""), code.get("version", 1)

    def _tensors(self, graph: Graph, subgraph: Mapping[str, Any]) -> list[Tensor]:
        entries = subgraph.get("tensors", [])
        made = {i for op in subgraph.get("operators", []) for i in op.get("outputs", ())}
        made.update(subgraph.get("inputs", ()))
        tensors = [self._tensor(graph, entry, i, i in made) for i, entry in enumerate(entries)]
        for tensor, entry in zip(tensors, entries, strict=True):
            details = entry.get("quantization", {}).get("details")
            if details is not None and tensor.dtype.kind in "iuV":
                kind, parts = details
                tensor.quant = quant_of(tensor, kind, parts, tensors) or tensor.quant
        return tensors

    def _tensor(self, graph: Graph, entry: Mapping[str, Any], index: int, made: bool) -> Tensor:
        name = entry.get("name") or f"tensor_{index}"
        dtype = self._dtype(entry.get("type", 0), name)
        sizes = entry.get("shape", ())
        signature = entry.get("shape_signature", sizes)
        if len(signature) != len(sizes):
            signature = sizes
        if min(sizes, default=0) < 0 or min(signature, default=0) < -1:
            raise FormatError(f"tensor '{name}' has the shape {[*map(int, sizes)]}")
        shape: Shape = tuple(None if d < 0 else int(d) for d in signature)
        check_sizes(shape, f"tensor '{name}'")
        try:
            data = self._data(entry, dtype, tuple(int(d) for d in sizes), name)
        except ValueError as error:
            raise FormatError(f"tensor '{name}' cannot be read: {error}") from error
        if made and data is not None and not data.size:
            data = None  # results have a buffer, too, which says nothing of those without elements
        if data is not None:
            tensor = graph.constant(name, data)
        else:
            tensor = Tensor(graph.unique(name), shape, dtype)
        if dtype.kind in "iuV":
            tensor.quant = self.decoded.quant(entry.get("quantization", {}), shape, dtype, name)
        tensor.variable = entry.get("is_variable", False)
        if tensor.variable and data is not None:
            raise FormatError(f"tensor '{name}' is a state, and stands in the file with its values")
        tensor.sparsity = entry.get("sparsity")
        return tensor

    def _dtype(self, number: int, name: str) -> np.dtype:
        try:
            return dtype_of(enum_name(self.schema, "TensorType", number))
        except (ValueError, KeyError) as error:
            raise FormatError(f"tensor '{name}' has type {number}, which is unknown") from error

    def _data(
        self, entry: Mapping[str, Any], dtype: np.dtype, shape: tuple[int, ...], name: str
    ) -> NDArray[Any] | None:
        index = entry.get("buffer", 0)
        if index >= len(self.buffers):
            raise FormatError(f"tensor '{name}' names buffer {index} of {len(self.buffers)}")
        raw = self.buffers[index]
        if raw is None or len(raw) == 0:
            empty = 0 in shape and index != 0
            return np.zeros(shape, dtype) if empty else None
        if entry.get("sparsity"):
            return np.asarray(raw)
        return self.decoded.array(np.asarray(raw), shape, dtype, name)

    def _fill(
        self,
        graph: Graph,
        subgraph: Mapping[str, Any],
        tensors: Sequence[Tensor],
        graphs: Sequence[Graph],
    ) -> None:
        def at(indices: Any) -> list[Tensor | None]:
            found = []
            for i in indices:
                if not -1 <= i < len(tensors):
                    raise FormatError(f"graph '{graph.name}' names tensor {i} of {len(tensors)}")
                found.append(None if i < 0 else tensors[i])
            return found

        graph.inputs[:] = [t for t in at(subgraph.get("inputs", ())) if t is not None]
        for entry in subgraph.get("operators", []):
            code = entry.get("opcode_index", 0)
            if code >= len(self.codes):
                raise FormatError(
                    f"graph '{graph.name}' names operator code {code} of {len(self.codes)}"
                )
            op = self._operator(entry, self.codes[code], at, graphs)
            flatten_bias(graph, op)
            check_operator(graph.add(op), shown=self.shown)
        graph.outputs[:] = [t for t in at(subgraph.get("outputs", ())) if t is not None]
        self._check_order(graph)

    def _check_order(self, graph: Graph) -> None:
        made = {id(t) for t in graph.inputs}
        for op in graph.ops:
            for tensor in op.inputs:
                if (
                    tensor is not None
                    and not tensor.is_constant
                    and not tensor.variable
                    and id(tensor) not in made
                ):
                    raise FormatError(
                        f"'{tensor.name}' is read before any operator makes it", where=op.source
                    )
            for tensor in op.outputs:
                if id(tensor) in made or tensor.is_constant:
                    raise FormatError(f"'{tensor.name}' is made twice", where=op.source)
                made.add(id(tensor))

    def _operator(
        self, entry: Mapping[str, Any], code: tuple[str, str, int], at: Any, graphs: Sequence[Graph]
    ) -> Op:
        type, custom, version = code
        outputs = tuple(t for t in at(entry.get("outputs", ())) if t is not None)
        options, bodies = self._options(entry, type, graphs)
        if type == "CUSTOM":
            if not custom:
                raise FormatError("a custom operator has no name")
            options = {
                "custom_code": custom,
                "custom_options": bytes(entry.get("custom_options", b"")),
            }
        source = Source(self.file, outputs[0].name if outputs else type, type)
        intermediates = tuple(t for t in at(entry.get("intermediates", ())) if t is not None)
        return Op(
            type,
            tuple(at(entry.get("inputs", ()))),
            outputs,
            options,
            source,
            bodies,
            intermediates,
            version,
        )

    def _options(
        self, entry: Mapping[str, Any], type: str, graphs: Sequence[Graph]
    ) -> tuple[dict[str, Any], tuple[Graph, ...]]:
        stored = entry.get("builtin_options") or entry.get("builtin_options_2")
        if stored is None:
            return {}, ()
        check_options(type, stored[0])
        options = decode(*stored)
        check_members(type, options)
        numbers = [options.pop(name, 0) for name in SUBGRAPHS.get(type, ())]
        if any(not 0 <= n < len(graphs) for n in numbers):
            raise FormatError(f"{type} names a graph that the file does not have")
        return options, tuple(graphs[n] for n in numbers)

    def _metadata(self) -> dict[str, bytes]:
        found = {}
        for entry in self.root.get("metadata", []):
            name, index = entry.get("name", ""), entry.get("buffer", 0)
            if index < len(self.buffers) and name != MIN_RUNTIME:
                data = self.buffers[index]
                found[name] = b"" if data is None else bytes(data)
        return found

    def _signatures(
        self, graphs: Sequence[Graph], entries: Sequence[Graph], tensors: Sequence[Sequence[Tensor]]
    ) -> list[Signature]:
        found = []
        for entry in self.root.get("signature_defs", []):
            number = entry.get("subgraph_index", 0)
            if number >= len(graphs):
                raise FormatError(f"a signature names graph {number} of {len(graphs)}")

            graph, made = graphs[number], tensors[number]
            inputs = _places(entry.get("inputs", []), graph.inputs, made)
            outputs = _places(entry.get("outputs", []), graph.outputs, made)
            place = next((i for i, g in enumerate(entries) if g is graph), 0)
            key = entry.get("signature_key", "serving_default")
            found.append(Signature(key, inputs, outputs, place))
        return found


def _places(
    maps: Sequence[Mapping[str, Any]], border: Sequence[Tensor], tensors: Sequence[Tensor]
) -> list[tuple[str, int]]:
    """Return the positions in a graph's border that the entries of a signature name."""
    found = []
    for entry in maps:
        name, index = entry.get("name", ""), entry.get("tensor_index", 0)
        tensor = tensors[index] if index < len(tensors) else None
        place = next((i for i, t in enumerate(border) if t is tensor), None)
        if place is None:
            raise FormatError(f"signature entry '{name}' names no input or output of its graph")
        found.append((name, place))
    return found


FORMAT = Format(load)
