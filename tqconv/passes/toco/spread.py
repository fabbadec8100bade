"""What TOCO said about tensors in front of a FAKE_QUANT."""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import of_type
from tqconv.passes.fake_quant import said_by

PASSES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("GATHER", "RESHAPE", "TRANSPOSE", "TILE"), (0,)),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1"), (0,)),
    "SELECT": (1, 2),
    "CONCATENATION": (),
}
"""Operator -> the operands (all of them: empty) whose elements it passes on: TOCO's
propagate_fake_quant_num_bits.cc."""


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
