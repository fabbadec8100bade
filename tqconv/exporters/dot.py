"""A `Model` becomes a picture in Graphviz's language.

Operators are boxes with their options and constants as rows; values are edges, labelled with type,
shape and scale; inputs and outputs have shapes of their own; each graph is a cluster. The same
model gives the same text.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

from tqconv.exporters.report import op_name, tensor_bytes
from tqconv.exporters.tflite import save_order
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.text import SHORT
from tqconv.ops.options import option_names
from tqconv.ops.table import known, spec

COLORS = {
    "conv": "#c0392b",
    "dense": "#c0392b",
    "recurrent": "#922b21",
    "pool": "#1e8449",
    "reduce": "#1e8449",
    "activation": "#7d3c98",
    "arithmetic": "#2471a3",
    "compare": "#2471a3",
    "movement": "#566573",
    "shape": "#7f8c8d",
    "gather": "#117864",
    "resize": "#117864",
    "quantize": "#b9770e",
    "cast": "#b9770e",
    "control": "#1c2833",
    "state": "#1c2833",
    "random": "#5d4037",
}
"""Category of an operator -> background of its title; all dark enough for white letters."""
OTHER = "#34495e"

INPUT_STYLE = 'shape=invhouse, style=filled, fillcolor="#d6eaf8", color="#2471a3"'
OUTPUT_STYLE = 'shape=house, style=filled, fillcolor="#d5f5e3", color="#1e8449"'
CONSTANT_STYLE = 'shape=cylinder, style=filled, fillcolor="#f2f3f4", color="#7f8c8d"'
VARIABLE_STYLE = 'shape=cylinder, style=filled, fillcolor="#fcf3cf", color="#b7950b"'

SHOWN_VALUES = 6
NAME_LENGTH = 48


def dot_text(model: Model) -> str:
    """Return the picture as text that `dot -Tsvg` draws."""
    graphs = save_order(model)
    lines = [
        f"digraph {quoted(model.origin or 'model')} {{",
        "  rankdir=TB; newrank=true; compound=true;",
        '  graph [fontname="Helvetica", fontsize=12, labeljust=l];',
        '  node [fontname="Helvetica", fontsize=10, shape=plain];',
        '  edge [fontname="Helvetica", fontsize=9, color="#555555"];',
    ]
    numbers = {id(graph): index for index, graph in enumerate(graphs)}
    for index, graph in enumerate(graphs):
        lines += _Cluster(graph, index, numbers).lines()
    return "\n".join([*lines, "}", ""])


class _Cluster:
    """One graph: a box around its nodes when it is not the only one."""

    def __init__(self, graph: Graph, index: int, numbers: dict[int, int]) -> None:
        self.graph = graph
        self.prefix = f"g{index}_"
        self.index = index
        self.numbers = numbers
        self.nodes: dict[int, str] = {}

    def lines(self) -> Iterator[str]:
        """Yield the cluster's nodes, then its edges, then the edges to bodies."""
        yield f"  subgraph cluster_{self.index} {{"
        color = "#bbbbbb" if len(self.numbers) > 1 else "#ffffff"
        yield f'    label={quoted(self.graph.name)}; color="{color}"; style=rounded;'
        for line in (*self._values(), *self._operators(), *self._results()):
            yield f"    {line}"
        yield "  }"
        for op_index, op in enumerate(self.graph.ops):
            for body in op.graphs:
                number = self.numbers[id(body)]
                first = f"g{number}_" + ("in0" if body.inputs else "op0" if body.ops else "out0")
                style = f'style=dashed, label="calls", lhead=cluster_{number}'
                yield f"  {self.prefix}op{op_index} -> {first} [{style}];"

    def _values(self) -> Iterator[str]:
        for index, tensor in enumerate(self.graph.inputs):
            yield self._node(f"in{index}", tensor, INPUT_STYLE)
        loose = [t for t in self.graph.tensors() if t.producer is None]
        for index, tensor in enumerate(loose):
            drawn = tensor in self.graph.outputs or not tensor.is_constant
            if id(tensor) not in self.nodes and drawn:
                style = VARIABLE_STYLE if tensor.variable else CONSTANT_STYLE
                yield self._node(f"value{index}", tensor, style)

    def _node(self, name: str, tensor: Tensor, style: str) -> str:
        self.nodes[id(tensor)] = self.prefix + name
        label = quoted("\n".join([short(tensor.name), *tensor_lines(tensor)]))
        return f"{self.prefix}{name} [{style}, label={label}, tooltip={quoted(tensor.name)}];"

    def _operators(self) -> Iterator[str]:
        for index, op in enumerate(self.graph.ops):
            name = f"{self.prefix}op{index}"
            self.nodes |= {id(t): name for t in op.outputs}
            tip = quoted(str(op.source) if op.source.node else op_name(op))
            yield f"{name} [label=<{op_table(op)}>, tooltip={tip}];"

    def _results(self) -> Iterator[str]:
        for index, op in enumerate(self.graph.ops):
            for tensor in op.inputs:
                if tensor is not None and id(tensor) in self.nodes:
                    yield self._edge(tensor, f"{self.prefix}op{index}")
        for index, tensor in enumerate(self.graph.outputs):
            name = f"{self.prefix}out{index}"
            label = quoted("\n".join([short(tensor.name), *tensor_lines(tensor)]))
            yield f"{name} [{OUTPUT_STYLE}, label={label}, tooltip={quoted(tensor.name)}];"
            yield self._edge(tensor, name)

    def _edge(self, tensor: Tensor, target: str) -> str:
        tip = f"tooltip={quoted(tensor.name)}"
        if tensor.producer is None or target.startswith(f"{self.prefix}out"):
            return f"{self.nodes[id(tensor)]} -> {target} [{tip}];"  # the node at its end says it
        label = quoted("\n".join(tensor_lines(tensor)))
        return f"{self.nodes[id(tensor)]} -> {target} [label={label}, {tip}];"


def op_table(op: Op) -> str:
    """Return the box of an operator as Graphviz's HTML: title, node name, options, constants."""
    category = spec(op.type).category if known(op.type) else ""
    color = COLORS.get(category, OTHER)
    title = f'<font color="white"><b>{escaped(op_name(op))}</b></font>'
    rows = [f'<tr><td bgcolor="{color}" colspan="2">{title}</td></tr>']
    if op.outputs:
        rows.append(f'<tr><td colspan="2"><i>{escaped(short(op.outputs[0].name))}</i></td></tr>')
    rows += [_row(name, value) for name, value in (*option_rows(op), *constant_rows(op))]
    style = f'border="1" cellborder="0" cellspacing="0" cellpadding="3" color="{color}"'
    return f"<table {style}>{''.join(rows)}</table>"


def _row(name: str, value: str) -> str:
    return (
        f'<tr><td align="left"><font color="#555555">{escaped(name)}</font></td>'
        f'<td align="left">{escaped(value)}</td></tr>'
    )


def option_rows(op: Op) -> list[tuple[str, str]]:
    """Return the options worth reading: sizes in pairs, without defaults of no effect."""
    options = {k: v for k, v in op.options.items() if k not in HIDDEN and not _is_idle(k, v)}
    rows = kernel_rows(op)
    for name, (first, second) in PAIRS.items():
        if first in op.options or second in op.options:
            pair = (options.pop(first, 1), options.pop(second, 1))
            if pair != (1, 1) or name == "window":
                rows.append((name, f"{pair[0]}×{pair[1]}"))
    rows += [(NAMES.get(name, name), _value(value)) for name, value in sorted(options.items())]
    return rows


def kernel_rows(op: Op) -> list[tuple[str, str]]:
    """Return what the schema's defaults leave unsaid: the size of the kernel, and the padding."""
    declared = option_names(op.type)
    rows = []
    if "stride_h" in declared and "filter_height" not in declared and known(op.type):
        operands = spec(op.type).operands
        weights = op.inputs[operands.index("w")] if "w" in operands.names else None
        if weights is not None and weights.rank == KERNEL_RANK:
            rows.append(("kernel", f"{weights.shape[1]}×{weights.shape[2]}"))
    if "padding" in declared and "padding" not in op.options:
        rows.append(("padding", "SAME"))
    return rows


KERNEL_RANK = 4
"""[out, height, width, in] of convolutions, [1, height, width, out] of depthwise ones."""

PAIRS = {
    "window": ("filter_height", "filter_width"),
    "stride": ("stride_h", "stride_w"),
    "dilation": ("dilation_h_factor", "dilation_w_factor"),
}
NAMES = {"fused_activation_function": "then"}
HIDDEN = frozenset({"custom_code", "custom_options", "new_shape"})
"""Options that another row says already."""


def _is_idle(name: str, value: Any) -> bool:
    if name == "fused_activation_function":
        return bool(value == "NONE")
    return isinstance(value, bool) and not value


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return cut(str(value))


def constant_rows(op: Op) -> list[tuple[str, str]]:
    """Return a row for each constant operand: its name, type, shape, size or values."""
    rows = []
    for index, tensor in enumerate(op.inputs):
        if tensor is None or not tensor.is_constant:
            continue
        name = spec(op.type).operands.name(index) if known(op.type) else f"input{index}"
        rows.append((name, " ".join([*tensor_lines(tensor), _content(tensor)])))
    return rows


def _content(tensor: Tensor) -> str:
    data = tensor.data
    if data is not None and data.size <= SHOWN_VALUES and data.dtype.kind in "iufb":
        return "= " + _value(data.tolist() if data.ndim else data.item())
    return readable(tensor_bytes(tensor))


def tensor_lines(tensor: Tensor) -> list[str]:
    """Return type and shape, then scale and zero point where the tensor has them."""
    name = SHORT.get(tensor.dtype.name, tensor.dtype.name)
    sizes = "×".join("?" if d is None else str(d) for d in tensor.shape)
    lines = [f"{name}[{sizes}]"]
    quant = tensor.quant
    if quant is None:
        return lines
    if quant.is_per_tensor:
        zero = int(quant.zero_point[0])
        offset = f" − {zero}" if zero > 0 else f" + {-zero}" if zero < 0 else ""
        return [
            *lines,
            f"{quant.scale[0]:.6g} · (q{offset})" if offset else f"{quant.scale[0]:.6g} · q",
        ]
    return [*lines, f"{quant.scale.size} scales on axis {quant.axis}"]


def readable(size: int) -> str:
    """Return a number of bytes for people: 1.2 kB."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size = size / 1000  # type: ignore[assignment]  # whole only at first
    return f"{size:.3g} GB"


def short(name: str) -> str:
    """Return the last scopes of a long name."""
    return name if len(name) <= NAME_LENGTH else "…" + name[-NAME_LENGTH + 1 :]


def cut(text: str) -> str:
    """Return the start of a long text."""
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"


def escaped(text: str) -> str:
    """Return text for Graphviz's HTML labels; control characters would be no XML."""
    return html.escape("".join(c if c.isprintable() else "�" for c in text), quote=True)


def quoted(text: str) -> str:
    """Return text as a string of the dot language; line breaks stay."""
    clean = "".join(c if c.isprintable() or c == "\n" else "�" for c in text)
    body = clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{body}"'
