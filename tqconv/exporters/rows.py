"""The operators and tensors of a model as rows that can be filtered: for `inspect --where`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.exporters.conditions import Claim
from tqconv.exporters.report import GraphFacts, ModelFacts, TensorFacts

OP_FIELDS = ("index", "type", "version", "name", "dtype", "shape", "macs", "bytes", "category",
             "source", "options", "graph")  # fmt: skip
TENSOR_FIELDS = ("name", "dtype", "shape", "rank", "bytes", "constant", "graph")
QUANT_FIELDS = ("name", "dtype", "scale", "zero_point", "channels", "axis", "min", "max",
                "constant", "graph")  # fmt: skip
FIELDS = {"ops": OP_FIELDS, "tensors": TENSOR_FIELDS, "quant": QUANT_FIELDS}
"""Table -> its columns, which are the fields of `--where`."""


def rows(facts: ModelFacts, table: str, claims: Sequence[Claim] = ()) -> list[dict[str, Any]]:
    """Return the rows of a table (`ops`, `tensors` or `quant`) that fulfil all claims."""
    made = (row for graph in facts.graphs for row in _MAKERS[table](graph))
    return [row for row in made if all(asked.holds(row) for asked in claims)]


def common_fields(tables: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that all of these tables have."""
    first, *others = (FIELDS[table] for table in tables)
    return tuple(name for name in first if all(name in fields for fields in others))


def _ops(graph: GraphFacts) -> Iterator[dict[str, Any]]:
    tensors = {t.name: t for t in graph.tensors}
    for index, op in enumerate(graph.ops):
        made = tensors.get(op.name)
        yield {
            "index": index,
            "type": op.type,
            "version": op.version,
            "name": op.name,
            "dtype": None if made is None else made.type,
            "shape": None if made is None else made.shape,
            "macs": op.macs,
            "bytes": op.weight_bytes,
            "category": op.category,
            "source": op.source,
            "options": " ".join(f"{k}={v}" for k, v in sorted(op.options.items())),
            "graph": graph.name,
        }


def _tensors(graph: GraphFacts) -> Iterator[dict[str, Any]]:
    for tensor in graph.tensors:
        yield {
            "name": tensor.name,
            "dtype": tensor.type,
            "shape": tensor.shape,
            "rank": len(tensor.shape),
            "bytes": tensor.bytes,
            "constant": tensor.constant,
            "graph": graph.name,
        }


def _quant(graph: GraphFacts) -> Iterator[dict[str, Any]]:
    for tensor in graph.tensors:
        if not tensor.scale:
            continue
        low, high = real_range(tensor)
        yield {
            "name": tensor.name,
            "dtype": tensor.type,
            "scale": tensor.scale[0] if len(tensor.scale) == 1 else max(tensor.scale),
            "zero_point": tensor.zero_point[0],
            "channels": len(tensor.scale),
            "axis": tensor.axis,
            "min": low,
            "max": high,
            "constant": tensor.constant,
            "graph": graph.name,
        }


def real_range(tensor: TensorFacts) -> tuple[float, float]:
    """Return the smallest and the largest real that the type stands for, over all channels."""
    ends = np.iinfo(tensor.type) if tensor.type in _INTEGERS else None
    low, high = (-8, 7) if ends is None else (int(ends.min), int(ends.max))
    pairs = list(zip(tensor.scale, _repeated(tensor.zero_point, len(tensor.scale)), strict=True))
    return min((low - z) * s for s, z in pairs), max((high - z) * s for s, z in pairs)


_INTEGERS = frozenset({"int8", "uint8", "int16", "uint16", "int32", "int64"})


def _repeated(values: Sequence[int], count: int) -> Iterable[int]:
    return values if len(values) == count else [values[0]] * count


_MAKERS: Mapping[str, Callable[[GraphFacts], Iterator[dict[str, Any]]]] = {
    "ops": _ops,
    "tensors": _tensors,
    "quant": _quant,
}
