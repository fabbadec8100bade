"""FAKE_QUANT: read the range that it says, and leave it out.

An importer leaves the node in the graph only where a quantizer was asked for (`LoadOptions.quantizing`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import of_type
from tqconv.ir.types import Range
from tqconv.ops.emit import emit


def said_by(op: Op) -> Range:
    """Return the range of a FAKE_QUANT operator."""
    options = op.options
    return Range(
        float(np.float32(options.get("min", 0.0))),
        float(np.float32(options.get("max", 0.0))),
        "fake_quant",
        str(op.source),
        options.get("num_bits", 8),
        options.get("narrow_range", False),
    )


def read_fake_quant(graph: Graph) -> int:
    """Note the range on both sides of a FAKE_QUANT, where no stronger evidence stands.

    y = FAKE_QUANT(x) {min=a, max=b}   ->   the same, with x and y in [a, b]
    """
    count = 0
    for op in of_type(graph, "FAKE_QUANT"):
        said = said_by(op)
        for tensor in (op.input(0), op.output):
            if tensor.range is None:
                tensor.range = said
                count += 1
            elif said.narrow and not tensor.range.narrow:
                tensor.range = replace(tensor.range, narrow=True)
                count += 1
    return count


def drop_fake_quant(graph: Graph) -> int:
    """Leave out a FAKE_QUANT; its range must have been read.

    y = FAKE_QUANT(x); z = RELU(y)   ->   z = RELU(x)
    """
    count = 0
    for op in of_type(graph, "FAKE_QUANT"):
        count += pass_through(graph, op)
    return count


def pass_through(graph: Graph, op: Op) -> bool:
    """Let the readers of an operator's only output read its first input; False where neither may go.

    An output of the graph keeps its own range and name, as in TOCO's remove_trivial_passthrough.cc.
    """
    x, y = op.input(0), op.output
    if y not in graph.outputs:
        x.range = x.range or y.range
        graph.replace(y, x, keep_name=False)
    elif x in graph.inputs or x in graph.outputs or x.is_constant:
        if op.type == "RESHAPE" or not y.is_static:
            return False
        graph.replace(y, _copy(graph, x, op))
    else:
        x.range = y.range or x.range
        graph.replace(y, x)
    return True


def _copy(graph: Graph, x: Tensor, op: Op) -> Tensor:
    """Return `x` under another name: a graph input is not a graph output."""
    sizes = np.array(op.output.shape, np.int32)
    made: Tensor = emit(graph, "RESHAPE", x, sizes, name=f"{op.output.name}/copy", source=op.source)
    made.range = op.output.range
    return made
