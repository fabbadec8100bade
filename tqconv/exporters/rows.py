"""The operators and tensors of a model as rows that can be filtered: for `inspect --where`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.errors import UsageError, suggestion
from tqconv.exporters.report import GraphFacts, ModelFacts, TensorFacts
from tqconv.records import dataclass

Row = Mapping[str, Any]

OP_FIELDS = ("index", "type", "version", "name", "dtype", "shape", "macs", "bytes", "category",
             "source", "options", "graph")  # fmt: skip
TENSOR_FIELDS = ("name", "dtype", "shape", "rank", "bytes", "constant", "graph")
QUANT_FIELDS = ("name", "dtype", "scale", "zero_point", "channels", "axis", "min", "max",
                "constant", "graph")  # fmt: skip
FIELDS = {"ops": OP_FIELDS, "tensors": TENSOR_FIELDS, "quant": QUANT_FIELDS}
"""Table -> its columns, which are the fields of `--where`."""

_CLAIM = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>|~)\s*(.*?)\s*")


@dataclass(frozen=True)
class Claim:
    """What a row must fulfil: a field, a comparison (`=`, `!=`, `<`, `<=`, `>`, `>=`, `~`), a text.

    `~` searches a regular expression; the others compare numbers where both are numbers.
    """

    field: str
    sign: str
    value: str

    def holds(self, row: Row) -> bool:
        """Whether it is true of a row; what a row does not have fulfils only `!=`."""
        found = row.get(self.field)
        if found is None:
            return self.sign == "!="
        if self.sign == "~":
            return re.search(self.value, _text(found)) is not None
        return _SIGNS[self.sign](*_alike(found, self.value))


LISTED = 12
"""Values that are listed where none of them was asked for."""
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _alike(found: Any, value: str) -> tuple[Any, Any]:
    """Return both as numbers where they are numbers, else as texts without regard to case."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(found), float(value)
        except ValueError:
            pass
    return _text(found).lower(), value.lower()


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join("?" if v is None else str(v) for v in value)
    return str(value)


def claim(text: str) -> Claim:
    """Read `dtype=float32`; UsageError where it is no claim about a field of some table."""
    found = _CLAIM.fullmatch(text)
    if found is None:
        raise UsageError(
            f"`{text}` is no condition", hint="write FIELD=VALUE, or with !=, <, <=, >, >= or ~"
        )
    known = dict.fromkeys(name for fields in FIELDS.values() for name in fields)
    if found[1] not in known:
        raise UsageError(
            f"there is no field `{found[1]}`{suggestion(found[1], known)}",
            hint=f"fields are {', '.join(known)}",
        )
    if found[2] == "~":
        try:
            re.compile(found[3])
        except re.error as error:
            raise UsageError(f"`{found[3]}` is no regular expression: {error}") from error
    return Claim(found[1], found[2], found[3])


def rows(facts: ModelFacts, table: str, claims: Sequence[Claim] = ()) -> list[dict[str, Any]]:
    """Return the rows of a table (`ops`, `tensors` or `quant`) that fulfil all claims.

    Raises UsageError for a claim about a field that the table lacks.
    """
    fields = FIELDS[table]
    for asked in claims:
        if asked.field not in fields:
            raise UsageError(
                f"--{table} has no field `{asked.field}`", hint=f"it has {', '.join(fields)}"
            )
    made = (row for graph in facts.graphs for row in _MAKERS[table](graph))
    return [row for row in made if all(asked.holds(row) for asked in claims)]


def unmatched(facts: ModelFacts, table: str, claims: Sequence[Claim]) -> Iterator[str]:
    """Yield a sentence for each claim that no row of a table fulfils: what the rows have instead.

    Only texts are listed, and only where there are few: types and operators, no names.
    """
    made = rows(facts, table)
    for asked in claims:
        found = sorted({v for row in made if isinstance(v := row[asked.field], str) and v})
        if found and len(found) <= LISTED and not any(asked.holds(row) for row in made):
            wanted = f"{asked.field}{asked.sign}{asked.value}"
            yield f"no row has {wanted}; there are {', '.join(found)}"


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
