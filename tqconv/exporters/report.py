"""What a model is made of, as plain data: for `inspect`, summaries, and checks of the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from tqconv.errors import UsageError, suggestion
from tqconv.exporters.tflite import operator_version, save_order
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import STRING, numpy_name
from tqconv.ops.table import known, spec, table
from tqconv.records import dataclass


@dataclass(frozen=True)
class TensorFacts:
    """One tensor. `bytes` counts unknown sizes as 1; `values` are those of a small constant."""

    name: str
    type: str
    shape: tuple[int | None, ...]
    bytes: int
    constant: bool = False
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int | None = None
    block: int | None = None
    range: tuple[float, float] | None = None
    values: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class OpFacts:
    """One operator; `name` is that of its first output, `source` the nodes that it stands for."""

    type: str
    version: int
    name: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str, ...]
    options: Mapping[str, Any]
    source: str
    category: str
    parameters: int
    weight_bytes: int
    macs: int


@dataclass(frozen=True)
class GraphFacts:
    """One graph; `peak_bytes` is the largest sum of tensors that live at the same time.

    is_body: whether operators of other graphs run it: a loop's condition or body, a branch.
    """

    name: str
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    ops: tuple[OpFacts, ...]
    tensors: tuple[TensorFacts, ...]
    peak_bytes: int
    is_body: bool = False


@dataclass(frozen=True)
class ModelFacts:
    """A whole model. `parameters` are elements of constants that stand for reals."""

    origin: str
    description: str
    op_counts: Mapping[str, int]
    parameters: int
    constant_bytes: int
    macs: int
    signatures: Mapping[str, Mapping[str, tuple[str, ...]]]
    metadata: Mapping[str, int]
    graphs: tuple[GraphFacts, ...]
    notes: tuple[str, ...] = ()

    @property
    def main(self) -> GraphFacts:
        """The graph that runs when nothing else is asked for."""
        return self.graphs[0]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON has."""
        result: dict[str, Any] = _plain(asdict(self))
        return result


@dataclass(frozen=True)
class Interface:
    """What a user meets of a model: how many operators, what goes in and comes out.

    stored: whether anything in the main graph has a scale.
    """

    operators: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    stored: bool


SMALL = 8
"""Constants up to this many elements are listed with their values."""


def describe(model: Model) -> ModelFacts:
    """Return the facts about a model; nothing is computed that an import did not find."""
    graphs, entries = save_order(model), model.graphs
    constants = _constants(graphs)
    return ModelFacts(
        origin=model.origin,
        description=model.description,
        op_counts=op_counts(graphs),
        parameters=sum(t.size for t in constants if is_parameter(t)),
        constant_bytes=sum(map(tensor_bytes, constants)),
        macs=sum(macs_of(op) for graph in graphs for op in graph.ops),
        signatures={
            s.key: {
                "inputs": tuple(n for n, _ in s.inputs),
                "outputs": tuple(n for n, _ in s.outputs),
            }
            for s in model.signatures
        },
        metadata={name: len(content) for name, content in model.metadata.items()},
        graphs=tuple(_describe_graph(g, all(g is not entry for entry in entries)) for g in graphs),
        notes=tuple(model.notes),
    )


def interface(model: Model) -> Interface:
    """Return the few facts that every conversion prints."""
    main = model.main
    return Interface(
        operators=sum(len(graph.ops) for graph in save_order(model)),
        inputs=tuple(map(describe_tensor, main.inputs)),
        outputs=tuple(map(describe_tensor, main.outputs)),
        stored=any(tensor.quant is not None for tensor in main.tensors()),
    )


def _describe_graph(graph: Graph, is_body: bool) -> GraphFacts:
    return GraphFacts(
        name=graph.name,
        inputs=tuple(map(describe_tensor, graph.inputs)),
        outputs=tuple(map(describe_tensor, graph.outputs)),
        ops=tuple(map(describe_op, graph.ops)),
        tensors=tuple(map(describe_tensor, graph.tensors())),
        peak_bytes=peak_bytes(graph),
        is_body=is_body,
    )


def describe_tensor(tensor: Tensor) -> TensorFacts:
    """Return the facts about one tensor."""
    quant, evidence = tensor.quant, tensor.range
    return TensorFacts(
        name=tensor.name,
        type="string" if tensor.dtype == STRING else numpy_name(tensor.dtype),
        shape=tensor.shape,
        bytes=tensor_bytes(tensor),
        constant=tensor.is_constant,
        scale=() if quant is None else tuple(float(np.float32(s)) for s in quant.scale),
        zero_point=() if quant is None else tuple(int(z) for z in quant.zero_point),
        axis=None if quant is None or quant.is_per_tensor or quant.block else quant.axis,
        block=None if quant is None or not quant.block else quant.block,
        range=None if evidence is None else (evidence.low, evidence.high),
        values=_small_values(tensor),
    )


def _small_values(tensor: Tensor) -> tuple[Any, ...] | None:
    data = tensor.data
    if data is None or data.size > SMALL or data.dtype.kind not in "iufb":
        return None
    return tuple(data.reshape(-1).tolist())


def describe_op(op: Op) -> OpFacts:
    """Return the facts about one operator."""
    weights = _constants_of([op])
    return OpFacts(
        type=op_name(op),
        version=op.version if op.version is not None else operator_version(op),
        name=op.outputs[0].name if op.outputs else "",
        inputs=tuple(None if t is None else t.name for t in op.inputs),
        outputs=tuple(t.name for t in op.outputs),
        options={k: v for k, v in op.options.items() if k not in ("custom_code", "custom_options")},
        source=str(op.source) if op.source.node else "",
        category=spec(op.type).category if known(op.type) else "other",
        parameters=sum(t.size for t in weights if is_parameter(t)),
        weight_bytes=sum(map(tensor_bytes, weights)),
        macs=macs_of(op),
    )


def op_name(op: Op) -> str:
    """Return an operator's type; of a custom one, the name of its kernel."""
    return f"CUSTOM {op.options.get('custom_code', '')}" if op.type == "CUSTOM" else op.type


def op_counts(graphs: Iterable[Graph]) -> dict[str, int]:
    """Return operator -> occurrences, the most frequent first."""
    counts = Counter(op_name(op) for graph in graphs for op in graph.ops)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def macs_of(op: Op) -> int:
    """Return the multiply-adds of one run; 0 where the row does not count them."""
    rule = spec(op.type).macs if known(op.type) else None
    return 0 if rule is None else int(rule(op))


def is_parameter(tensor: Tensor) -> bool:
    """Whether a constant stands for reals, as opposed to shapes, axes and indices."""
    return tensor.quant is not None or tensor.dtype.kind in "fcV"


def tensor_bytes(tensor: Tensor) -> int:
    """Return the size of a tensor's elements in a file; strings count their characters."""
    if tensor.dtype == STRING:
        return 0 if tensor.data is None else sum(len(s) for s in tensor.data.reshape(-1))
    if numpy_name(tensor.dtype) in ("int4", "uint4"):
        return (tensor.size + 1) // 2
    return tensor.size * tensor.dtype.itemsize


def peak_bytes(graph: Graph) -> int:
    """Return the largest sum of computed tensors that are needed at the same time."""
    last = {id(t): i for i, op in enumerate(graph.ops) for t in op.inputs if t is not None}
    ends = {id(t) for t in graph.outputs}
    alive = {id(t): tensor_bytes(t) for t in graph.inputs}
    peak = sum(alive.values())
    for index, op in enumerate(graph.ops):
        alive |= {id(t): tensor_bytes(t) for t in op.outputs}
        peak = max(peak, sum(alive.values()))
        for tensor in (*op.inputs, *op.outputs):
            if tensor is not None and last.get(id(tensor), -1) <= index and id(tensor) not in ends:
                alive.pop(id(tensor), None)
    return peak


def _constants(graphs: Iterable[Graph]) -> list[Tensor]:
    return _constants_of(op for graph in graphs for op in graph.ops)


def _constants_of(ops: Iterable[Op]) -> list[Tensor]:
    """Return the constants that operators read; those that share their data count once."""
    found = {id(t.data): t for op in ops for t in op.inputs if t is not None and t.is_constant}
    return list(found.values())


def _plain(value: Any) -> Any:
    """Return a value with numpy numbers, arrays and bytes as JSON has them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


TOCO_NAMES = {
    "CONV": "CONV_2D",
    "DEPTHWISE_CONV": "DEPTHWISE_CONV_2D",
    "DEPTHWISE_CONV2D": "DEPTHWISE_CONV_2D",
    "MAX_POOL": "MAX_POOL_2D",
    "AVERAGE_POOL": "AVERAGE_POOL_2D",
    "RELU1": "RELU_N1_TO_1",
    "LOCAL_RESPONSE_NORMALIZATION": "LOCAL_RESPONSE_NORMALIZATION",
    "SPACE_TO_BATCH": "SPACE_TO_BATCH_ND",
    "BATCH_TO_SPACE": "BATCH_TO_SPACE_ND",
    "TRANSPOSE_CONV": "TRANSPOSE_CONV",
    "TENSORFLOW_RESHAPE": "RESHAPE",
}
"""TOCO's operator names where they are not the schema's (tensorflow/lite/toco/tooling_util.cc)."""


def count_of(model: Model, kind: str) -> int:
    """Return how often an operator occurs; `Total` counts all of them, `Arrays` the tensors.

    `kind` is the schema's name (CONV_2D) or TOCO's (DepthwiseConv); UsageError when it is neither.
    """
    graphs = save_order(model)
    if kind == "Arrays":
        return sum(1 for graph in graphs for _ in graph.tensors())
    if kind == "Total":
        return sum(len(graph.ops) for graph in graphs)
    counts = op_counts(graphs)
    names = {_letters(name): name for name in (*table(), *counts)}
    letters = {_letters(toco): _letters(name) for toco, name in TOCO_NAMES.items()}
    wanted = letters.get(_letters(kind), _letters(kind))
    if wanted not in names:
        raise UsageError(f"`{kind}` is not an operator{suggestion(kind.upper(), names.values())}")
    return counts.get(names[wanted], 0)


def _letters(name: str) -> str:
    return name.replace("_", "").upper()


@dataclass(frozen=True)
class Support:
    """One row of the operator table, for people."""

    name: str
    category: str
    types: tuple[str, ...]
    quantized: tuple[str, ...]
    dynamic: bool
    layout: str
    fuses_activation: bool
    max_rank: int | None


def supported_ops() -> list[Support]:
    """Return what the rows say, by name; no `types` means that all types which load are right."""
    return [
        Support(
            name=row.name,
            category=row.category,
            types=tuple(sorted(row.types or ())),
            quantized=() if row.quant is None else tuple(sorted(row.quant.types)),
            dynamic=row.quant is not None and bool(row.quant.hybrid),
            layout=row.layout.kind,
            fuses_activation=row.fuses_activation,
            max_rank=row.max_rank,
        )
        for _, row in sorted(table().items())
    ]
