"""FAKE_QUANT: read the range that it says, and leave it out.

An importer leaves the node in the graph only where a quantizer was asked for
(`LoadOptions.quantizing`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import of_type
from tqconv.ir.types import Range
from tqconv.ops.emit import emit

PASSES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("GATHER", "RESHAPE", "TRANSPOSE", "TILE"), (0,)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1"), (0,)),
    "SELECT": (1, 2),
    "CONCATENATION": (),
}
"""Operator -> the operands (all of them: empty) whose elements it passes on: TOCO's
propagate_fake_quant_num_bits.cc."""


def read_fake_quant(graph: Graph) -> int:
    """Note the range on both sides of a FAKE_QUANT, where no stronger evidence stands.

    y = FAKE_QUANT(x) {min=a, max=b}   ->   the same, with x and y in [a, b]
    """
    return sum(read_range(op) for op in of_type(graph, "FAKE_QUANT"))


def drop_fake_quant(graph: Graph) -> int:
    """Leave out a FAKE_QUANT; its range must have been read.

    y = FAKE_QUANT(x); z = RELU(y)   ->   z = RELU(x)
    """
    return sum(pass_through(graph, op) for op in of_type(graph, "FAKE_QUANT"))


def spread_fake_quant(graph: Graph) -> int:
    """Note the range of a FAKE_QUANT also before operators that only move or clamp elements.

    y = RESHAPE(x, s); z = FAKE_QUANT(y) {min=a, max=b}   ->   the same, with x in [a, b]
    """
    count = 0
    for op in of_type(graph, "FAKE_QUANT"):
        said, stack = said_by(op), [op]
        while stack:
            reader = stack.pop()
            for tensor in _passed(reader):
                if tensor.range is None:
                    tensor.range = said
                    count += 1
                if tensor.producer is not None and tensor.producer.type in PASSES:
                    stack.append(tensor.producer)
    return count


def _passed(op: Op) -> list[Tensor]:
    places = PASSES.get(op.type, (0,)) or range(len(op.inputs))
    return [op.input(i) for i in places if op.input(i).dtype == np.float32]


def read_range(op: Op) -> bool:
    """Note the range of one FAKE_QUANT on both sides; whether that said anything new."""
    said, changed = said_by(op), False
    for tensor in (op.input(0), op.output):
        if tensor.range is None:
            tensor.range, changed = said, True
        elif said.narrow and not tensor.range.narrow:
            tensor.range, changed = replace(tensor.range, narrow=True), True
    return changed


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


def pass_through(graph: Graph, op: Op) -> bool:
    """Let the readers of an operator's only output read its first input; False where neither goes.

    An output of the graph keeps its range and name, as in TOCO's remove_trivial_passthrough.cc.
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
