"""How the facts about a model are printed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tqconv.cli.layout import cut, quantity, shape, size, table
from tqconv.errors import counted

if TYPE_CHECKING:
    from tqconv.exporters.report import GraphFacts, ModelFacts, OpFacts, Support, TensorFacts
    from tqconv.importers.outline import NodeFacts, Outline

NAME_WIDTH = 56
VALUES = 4


def model_text(facts: ModelFacts, heading: str, *, verbose: bool) -> str:
    """Return the description of a model; `verbose` adds every operator and every tensor."""
    blocks = [heading, _totals(facts)]
    for index, graph in enumerate(facts.graphs):
        title = "" if index == 0 else f" of graph {index} `{graph.name}`"
        blocks += [
            _section(f"inputs{title}", graph.inputs),
            _section(f"outputs{title}", graph.outputs),
        ]
    if facts.signatures:
        blocks.append(_titled("signatures", _signatures(facts)))
    blocks.append(_titled("operators", _counts(facts)))
    if verbose:
        for index, graph in enumerate(facts.graphs):
            title = "" if len(facts.graphs) == 1 else f" of graph {index} `{graph.name}`"
            blocks.append(_titled(f"operator list{title}", _ops(graph)))
            blocks.append(_titled(f"tensor list{title}", tensor_rows(graph.tensors)))
    if facts.metadata:
        rows = [(name, size(count)) for name, count in facts.metadata.items()]
        blocks.append(_titled("metadata", table(rows)))
    return "\n\n".join(filter(None, blocks))


def result_text(facts: ModelFacts, target: str, size_of_file: int) -> str:
    """Return what a conversion made: the file, its size, its inputs and outputs."""
    count = sum(facts.op_counts.values())
    heading = f"{target}: {size(size_of_file)}, {counted(count, 'operator')}"
    return "\n".join(
        (heading, _section("inputs", facts.main.inputs), _section("outputs", facts.main.outputs))
    )


def shown(name: str) -> str:
    """Return a name as it is printed: whole for a program that reads it, cut for a terminal."""
    return cut(name, NAME_WIDTH) if sys.stdout.isatty() else name


def _titled(title: str, body: str) -> str:
    return f"{title}\n{body}" if body else ""


def _section(title: str, tensors: Sequence[TensorFacts]) -> str:
    return _titled(title, tensor_rows(tensors) or "  none")


def _totals(facts: ModelFacts) -> str:
    count = sum(facts.op_counts.values())
    rows = [
        ("operators", f"{count} of {kinds(facts.op_counts)}"),
        ("parameters", quantity(facts.parameters).strip()),
        ("constants", size(facts.constant_bytes)),
        ("activations", f"{size(facts.main.peak_bytes)} at once"),
        ("MACs", quantity(facts.macs).strip()),
    ]
    if len(facts.graphs) > 1:
        rows.append(("graphs", str(len(facts.graphs))))
    if facts.description:
        rows.append(("description", facts.description))
    return table(rows)


def kinds(counts: Mapping[str, int]) -> str:
    """Return how many different operators there are, in words."""
    return f"{len(counts)} kind" + ("" if len(counts) == 1 else "s")


def _signatures(facts: ModelFacts | Outline) -> str:
    rows = [
        (key, f"({', '.join(s['inputs'])}) -> ({', '.join(s['outputs'])})")
        for key, s in facts.signatures.items()
    ]
    return table(rows)


def _counts(facts: ModelFacts) -> str:
    """One line per kind of operator, with its share of parameters and MACs."""
    ops = [op for graph in facts.graphs for op in graph.ops]
    rows = []
    for kind, count in facts.op_counts.items():
        same = [op for op in ops if op.type == kind]
        macs, weights = sum(op.macs for op in same), sum(op.weight_bytes for op in same)
        versions = "v" + ",".join(map(str, sorted({op.version for op in same})))
        rows.append((kind, str(count), versions, size(weights) if weights else "",
                     f"{quantity(macs).strip()} MACs" if macs else ""))  # fmt: skip
    return table(rows, right=(1, 3, 4))


def tensor_rows(tensors: Sequence[TensorFacts]) -> str:
    """Return one line per tensor: name, type, shape, scale and zero point or small values."""
    rows = []
    for tensor in tensors:
        kind = "const" if tensor.constant else ""
        rows.append((shown(tensor.name), tensor.type, shape(tensor.shape), kind, _reals(tensor)))
    if not any(row[3] for row in rows):
        rows = [(a, b, c, e) for a, b, c, _, e in rows]  # type: ignore[misc]  # one column fewer
    return table(rows)


def _reals(tensor: TensorFacts) -> str:
    if len(tensor.scale) == 1:
        return f"scale {tensor.scale[0]!r}, zero point {tensor.zero_point[0]}"
    if tensor.scale:
        least, most = min(tensor.scale), max(tensor.scale)
        scales = counted(len(tensor.scale), "scale")
        return f"{scales} on axis {tensor.axis}, {least:.4g} to {most:.4g}"
    if tensor.values is not None:
        return f"= {_numbers(tensor.values)}"
    if tensor.range is not None:
        return f"{tensor.range[0]:g} to {tensor.range[1]:g}"
    return ""


def _numbers(values: Sequence[Any]) -> str:
    words = [f"{v:g}" if isinstance(v, float) else str(v) for v in values[: VALUES * 2]]
    return ", ".join(words)


def _ops(graph: GraphFacts) -> str:
    rows = []
    shapes = {t.name: shape(t.shape) for t in graph.tensors}
    for index, op in enumerate(graph.ops):
        macs = f"{quantity(op.macs).strip()} MACs" if op.macs else ""
        made = " ".join(shapes.get(name, "") for name in op.outputs)
        rows.append((str(index), op.type, shown(op.name), made, macs, _options(op)))
    return table(rows, right=(0, 4))


def _options(op: OpFacts) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(op.options.items()))


def outline_text(facts: Outline, heading: str, *, verbose: bool) -> str:
    """Return the description of a graph that is not translated."""
    total = len(facts.nodes)
    rows = [
        ("nodes", f"{total} of {kinds(facts.op_counts)}"),
        (facts.version_of, str(facts.producer)),
    ]
    if facts.functions:
        rows.append(("functions", str(len(facts.functions))))
    if facts.variables:
        rows.append(("variables", f"{len(facts.variables)}: the graph is not frozen"))
    blocks = [heading, table(rows)]
    if facts.signatures:
        blocks.append(_titled("signatures", _signatures(facts)))
    blocks.append(_titled("placeholders", _nodes(facts.inputs)))
    blocks.append(_titled("possible outputs", _nodes(facts.outputs)))
    blocks.append(
        _titled("operators", table(_marked(facts.op_counts, facts.untranslated), right=(1,)))
    )
    if verbose:
        lines = table((n.op, n.name, ", ".join(n.inputs)) for n in facts.nodes)
        blocks.append(_titled("node list", lines))
    return "\n\n".join(filter(None, blocks))


def _marked(counts: Mapping[str, int], missing: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    for op, count in counts.items():
        yield op, str(count), "no translation" if op in missing else ""


def _nodes(nodes: Sequence[NodeFacts]) -> str:
    return table((n.name, n.op, n.type or "?", shape(n.shape)) for n in nodes)


def support_text(rows: Sequence[Support]) -> str:
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
    return table([head, *lines], indent="")
