"""How the facts about a model are printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqconv.cli.layout import Block, Table, quantity, shape, size, titled
from tqconv.errors import counted

if TYPE_CHECKING:
    from tqconv.exporters.report import (
        GraphFacts,
        Interface,
        ModelFacts,
        OpFacts,
        Support,
        TensorFacts,
    )
    from tqconv.importers.outline import NodeFacts, Outline

VALUES = 4


def model_page(facts: ModelFacts, *, verbose: bool) -> Iterator[Block]:
    """Yield the description of a model; `verbose` adds bodies, and every operator and tensor."""
    yield Table(_totals(facts), prose=True)
    for index, graph in enumerate(facts.graphs):
        if graph.is_body and not verbose:
            continue
        title = "" if index == 0 else f" of graph {index} `{graph.name}`"
        for block in _borders(graph, title):
            yield from ("", *block)
    if facts.signatures:
        yield from titled("signatures", Table(_signatures(facts), prose=True))
    yield from titled("operators", Table(_counts(facts), right=(1, 3, 4)))
    if verbose:
        for index, graph in enumerate(facts.graphs):
            title = "" if len(facts.graphs) == 1 else f" of graph {index} `{graph.name}`"
            yield from titled(f"operator list{title}", _ops(graph))
            yield from titled(f"tensor list{title}", _tensors(graph.tensors))
    if facts.metadata:
        rows = [(name, size(count)) for name, count in facts.metadata.items()]
        yield from titled("metadata", Table(rows, names=(0,)))


def result_page(made: Interface, target: str, size_of_file: int) -> Iterator[Block]:
    """Yield what a conversion made: the file, its size, its inputs and outputs."""
    yield f"{target}: {size(size_of_file)}, {counted(made.operators, 'operator')}"
    for block in _borders(made):
        yield from block


def _borders(graph: GraphFacts | Interface, title: str = "") -> Iterator[tuple[Block, Block]]:
    """Yield a title and a table for the inputs, and one for the outputs."""
    for word, listed in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        yield f"{word}{title}", _tensors(listed) if listed else "  none"


def _totals(facts: ModelFacts) -> list[tuple[str, str]]:
    count = sum(facts.op_counts.values())
    rows = [
        ("operators", f"{count} of {kinds(facts.op_counts)}"),
        ("parameters", quantity(facts.parameters).strip()),
        ("constants", size(facts.constant_bytes)),
        ("activations", f"{size(facts.main.peak_bytes)} at once"),
        ("MACs", quantity(facts.macs).strip()),
    ]
    if len(facts.graphs) > 1:
        inner = sum(graph.is_body for graph in facts.graphs)
        note = f", {inner} of them run by operators (--verbose)" if inner else ""
        rows.append(("graphs", f"{len(facts.graphs)}{note}"))
    if facts.description:
        rows.append(("description", facts.description))
    return rows


def kinds(counts: Mapping[str, int]) -> str:
    """Return how many different operators there are, in words."""
    return f"{len(counts)} kind" + ("" if len(counts) == 1 else "s")


def _signatures(facts: ModelFacts | Outline) -> list[tuple[str, str]]:
    return [
        (key, f"({', '.join(s['inputs'])}) -> ({', '.join(s['outputs'])})")
        for key, s in facts.signatures.items()
    ]


def _counts(facts: ModelFacts) -> list[tuple[str, ...]]:
    """Return one line per kind of operator, with its share of parameters and MACs."""
    ops = [op for graph in facts.graphs for op in graph.ops]
    rows: list[tuple[str, ...]] = []
    for kind, count in facts.op_counts.items():
        same = [op for op in ops if op.type == kind]
        macs, weights = sum(op.macs for op in same), sum(op.weight_bytes for op in same)
        versions = "v" + ",".join(map(str, sorted({op.version for op in same})))
        rows.append((kind, str(count), versions, size(weights) if weights else "",
                     f"{quantity(macs).strip()} MACs" if macs else ""))  # fmt: skip
    return rows


def _tensors(tensors: Sequence[TensorFacts]) -> Table:
    """Return one line per tensor: name, type, shape, scale and zero point or small values."""
    rows = []
    for tensor in tensors:
        kind = "const" if tensor.constant else ""
        rows.append((tensor.name, tensor.type, shape(tensor.shape), kind, _reals(tensor)))
    if not any(row[3] for row in rows):
        rows = [(a, b, c, e) for a, b, c, _, e in rows]  # type: ignore[misc]  # one column fewer
    return Table(rows, names=(0,), prose=True)


def _reals(tensor: TensorFacts) -> str:
    if len(tensor.scale) == 1:
        return f"scale {tensor.scale[0]!r}, zero point {tensor.zero_point[0]}"
    if tensor.scale:
        least, most = min(tensor.scale), max(tensor.scale)
        scales = counted(len(tensor.scale), "scale")
        where = f"of {tensor.block} each" if tensor.block else f"on axis {tensor.axis}"
        return f"{scales} {where}, {least:.4g} to {most:.4g}"
    if tensor.values is not None:
        return f"= {_numbers(tensor.values)}"
    if tensor.range is not None:
        return f"{tensor.range[0]:g} to {tensor.range[1]:g}"
    return ""


def _numbers(values: Sequence[Any]) -> str:
    words = [f"{v:g}" if isinstance(v, float) else str(v) for v in values[: VALUES * 2]]
    return ", ".join(words)


def _ops(graph: GraphFacts) -> Table:
    rows = []
    shapes = {t.name: shape(t.shape) for t in graph.tensors}
    for index, op in enumerate(graph.ops):
        macs = f"{quantity(op.macs).strip()} MACs" if op.macs else ""
        made = " ".join(shapes.get(name, "") for name in op.outputs)
        rows.append((str(index), op.type, op.name, made, macs, _options(op)))
    return Table(rows, right=(0, 4), names=(2,), prose=True)


def _options(op: OpFacts) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(op.options.items()))


def outline_page(facts: Outline, *, verbose: bool) -> Iterator[Block]:
    """Yield the description of a graph that is not translated."""
    rows = [
        ("nodes", f"{len(facts.nodes)} of {kinds(facts.op_counts)}"),
        (facts.version_of, str(facts.producer)),
    ]
    if facts.functions:
        rows.append(("functions", str(len(facts.functions))))
    if facts.variables:
        rows.append(("variables", f"{len(facts.variables)}: the graph is not frozen"))
    yield Table(rows, prose=True)
    if facts.signatures:
        yield from titled("signatures", Table(_signatures(facts), prose=True))
    yield from titled("placeholders", _nodes(facts.inputs))
    yield from titled("possible outputs", _nodes(facts.outputs))
    counts = [*_marked(facts.op_counts, facts.untranslated)]
    yield from titled("operators", Table(counts, right=(1,)))
    if verbose:
        nodes = [(n.op, n.name, ", ".join(n.inputs)) for n in facts.nodes]
        yield from titled("node list", Table(nodes, names=(1,), prose=True))


def _marked(counts: Mapping[str, int], missing: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    for op, count in counts.items():
        yield op, str(count), "no translation" if op in missing else ""


def _nodes(nodes: Sequence[NodeFacts]) -> Table:
    rows = [(n.name, n.op, n.type or "?", shape(n.shape)) for n in nodes]
    return Table(rows, names=(0,))


def support_table(rows: Sequence[Support]) -> Table:
    """Return the operator table."""
    head = ("operator", "category", "types", "quantized", "dynamic", "layout", "rank", "activation")
    lines = [
        (
            row.name,
            row.category,
            " ".join(row.types) or "all",
            " ".join(t.lower() for t in row.quantized) or "-",
            "yes" if row.dynamic else "-",
            row.layout,
            "-" if row.max_rank is None else f"<= {row.max_rank}",
            "fuses" if row.fuses_activation else "-",
        )
        for row in rows
    ]
    return Table([head, *lines], indent="")
