"""Let a kernel do the work of its neighbours: clamps, padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.ir.graph import Graph, Op
from tqconv.ir.match import has_activation, made_by, sole_reader, values_of
from tqconv.ops.emit import emit
from tqconv.ops.facts import CLAMPS
from tqconv.ops.rules import ACTIVATIONS
from tqconv.ops.table import known, spec
from tqconv.passes.fake_quant import limits
from tqconv.passes.rewrite import at

FUSED = tuple(name for name in CLAMPS if name in ACTIVATIONS)
"""Operators that kernels apply to their own result, as activations of that name."""


@at(*FUSED)
def fuse_activation(graph: Graph, op: Op) -> bool:
    """Clamp inside the producer.

    y = ADD(a, b); z = RELU(y)   ->   z = ADD(a, b) {fused_activation_function=RELU}
    """
    producer = op.input(0).producer
    if producer is None or not known(producer.type) or not spec(producer.type).fuses_activation:
        return False
    if has_activation(producer) or sole_reader(graph, op.input(0)) is not op:
        return False
    if producer.output.dtype != np.float32:
        return False
    graph.replace(op.output, producer.output)
    producer.options["fused_activation_function"] = op.type
    producer.source = producer.source.joined(op.source)
    return True


@at("MAX_POOL_2D")
def fuse_padding_of_maxima(graph: Graph, op: Op) -> bool:
    """Let the window pad where that is what SAME means; else pad with zeros if nothing is below.

    y = PADV2(x, [[0,0],[1,1],[1,1],[0,0]], -inf); z = MAX_POOL_2D(y) {VALID, 3, 1}
    ->   z = MAX_POOL_2D(x) {SAME, 3, 1}
    y = PADV2(RELU(x), p, -inf); z = MAX_POOL_2D(y) {VALID}
    ->   y = PAD(RELU(x), p); z = MAX_POOL_2D(y) {VALID}: no integer stands for -inf
    """
    pad = made_by(op.inputs[0], "PADV2")
    if pad is None or op.options.get("padding", "SAME") != "VALID":
        return False
    value, x = pad.input(2).data, pad.input(0)
    if value is None or value.size != 1 or value.item() > np.finfo(np.float32).min:
        return False
    filters = (op.options.get("filter_height", 1), op.options.get("filter_width", 1))
    if _pads_as_same(op, pad, filters):
        graph.set_input(op, 0, x)
        op.options["padding"] = "SAME"
        op.source = op.source.joined(pad.source)
        return True
    amounts = values_of(pad.inputs[1])
    if amounts is None or len(amounts) != 8 or x.dtype != np.float32:
        return False
    # A window of padding alone would be 0 instead of -inf.
    inside = all(max(amounts[2 + 2 * i : 4 + 2 * i]) < filters[i] for i in (0, 1))
    if not inside or limits(x)[0] < 0 or sole_reader(graph, pad.output) is not op:
        return False
    y = emit(graph, "PAD", x, pad.input(1), name=pad.output.name, source=pad.source)
    graph.replace(pad.output, y)
    return True


@at("CONV_2D", "DEPTHWISE_CONV_2D")
def fuse_padding(graph: Graph, op: Op) -> bool:
    """Let the window pad where that is what SAME means.

    y = PAD(x, [[0,0],[1,1],[1,1],[0,0]]); z = CONV_2D(y) {VALID}   ->   z = CONV_2D(x) {SAME}
    """
    pad = made_by(op.inputs[0], "PAD")
    if pad is None or op.options.get("padding", "SAME") != "VALID":
        return False
    if not _pads_as_same(op, pad, op.input(1).shape[1:3]):
        return False
    graph.set_input(op, 0, pad.input(0))
    op.options["padding"] = "SAME"
    op.source = op.source.joined(pad.source)
    return True


def _pads_as_same(op: Op, pad: Op, kernels: Sequence[int | None]) -> bool:
    """Whether SAME pads just so. kernels: height and width of the window."""
    amounts, x = values_of(pad.inputs[1]), pad.input(0)
    if amounts is None or x.rank != 4 or len(amounts) != 8:
        return False
    batch, spatial, channels = amounts[:2], amounts[2:6], amounts[6:]
    if any(batch) or any(channels):
        return False
    wanted = []
    for axis, side in ((1, "h"), (2, "w")):
        size, kernel = x.shape[axis], kernels[axis - 1]
        stride = op.options.get(f"stride_{side}", 1)
        dilation = op.options.get(f"dilation_{side}_factor", 1)
        if kernel is None or (size is None and stride != 1):
            return False
        reach = (kernel - 1) * dilation + 1
        total = (
            reach - 1 if size is None else max((-(-size // stride) - 1) * stride + reach - size, 0)
        )
        wanted += [total // 2, total - total // 2]
    return spatial == wanted
