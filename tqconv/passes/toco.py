"""The stages that prepare a graph as TOCO did: the order and number of its operators come out equal.

Its transformations are fewer than those of `pipeline.STAGES` and have other conditions; FAKE_QUANT
operators stand in the way of fusing until all of it is done, unless the user lets them be crossed.
"""

from __future__ import annotations

import heapq

import numpy as np

from tqconv.ir.graph import Graph, Model, Op
from tqconv.ir.match import has_activation, made_by, of_type, sole_reader, with_constant
from tqconv.ops.emit import emit
from tqconv.passes import (
    activations,
    cleanup,
    dilation,
    fake_quant,
    layout,
    lower,
    patterns,
    reshape,
    toco_fold,
    toco_moves,
)
from tqconv.passes.fuse import CLAMPS
from tqconv.passes.pipeline import Pass, Stage

TAKES_ACTIVATION = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED"}
    | {"L2_POOL_2D", "MAX_POOL_2D", "MUL", "SUB"}
)
"""OperatorSupportsFusedActivation of TOCO's tooling_util.cc, without those that have no kernel."""


def stages(*, cross_fake_quant: bool, channels_first: bool) -> tuple[Stage, ...]:
    """Return TOCO's stages.

    cross_fake_quant: FAKE_QUANT operators are dropped first (`--reorder_across_fake_quant`,
    `--drop_fake_quant`). channels_first: the source has other layouts than TensorFlow Lite, which
    TOCO could not read; transpositions move together before all else.
    """
    moves: tuple[Pass, ...] = (layout.sink_transposes,) if channels_first else ()
    drops: tuple[Pass, ...] = (fake_quant.drop_fake_quant,) if cross_fake_quant else ()
    return (
        Stage("evidence", (fake_quant.read_fake_quant,)),
        Stage("general", (*GENERAL, *moves, *drops)),
        Stage("evidence dropped", (fake_quant.drop_fake_quant,)),
        Stage("lower", (lower.lower_types, lower.lower_ranks)),
    )


def keep_order(model: Model) -> dict[str, int]:
    """Return the place of each source node in the main graph, for `restore_order`."""
    places: dict[str, int] = {}
    for index, op in enumerate(model.main.ops):
        places.setdefault(op.source.node, index)
    return places


def restore_order(graph: Graph, places: dict[str, int]) -> None:
    """Sort the operators by the place of their source node, but each behind what it reads.

    Passes append what they make; TOCO put it where the replaced operator had been.
    """
    made = {id(t): op for op in graph.ops for t in op.outputs}
    readers: dict[int, list[Op]] = {id(op): [] for op in graph.ops}
    missing: dict[int, int] = {}
    for op in graph.ops:
        before = {id(made[id(t)]): made[id(t)] for t in op.inputs if id(t) in made}
        missing[id(op)] = len(before)
        for other in before:
            readers[other].append(op)
    keys = {id(op): (places.get(op.source.node, len(places)), i) for i, op in enumerate(graph.ops)}
    ready = [(keys[id(op)], op) for op in graph.ops if missing[id(op)] == 0]
    heapq.heapify(ready)
    ordered = []
    while ready:
        _, op = heapq.heappop(ready)
        ordered.append(op)
        for reader in readers[id(op)]:
            missing[id(reader)] -= 1
            if missing[id(reader)] == 0:
                heapq.heappush(ready, (keys[id(reader)], reader))
    graph.ops[:] = ordered


def ensure_bias(graph: Graph) -> int:
    """Give a linear operator without bias one of zeros.

    y = FULLY_CONNECTED(x, w)   ->   y = FULLY_CONNECTED(x, w, zeros)
    """
    count = 0
    for op in of_type(graph, *toco_fold.AFFINE):
        channels = op.output.shape[-1]
        if (len(op.inputs) > 2 and op.inputs[2] is not None) or channels is None:
            continue
        if op.output.dtype == np.float32:
            zeros = graph.constant(f"{op.output.name}_bias", np.zeros(channels, np.float32))
            graph.set_input(op, 2, zeros)
            count += 1
    return count


def add_of_two(graph: Graph) -> int:
    """Write a sum of two as ADD.

    y = ADD_N(a, b)   ->   y = ADD(a, b)
    """
    count = 0
    for op in of_type(graph, "ADD_N"):
        if len(op.inputs) == 2:
            name = f"{op.output.name}/add"
            graph.replace(op.output, emit(graph, "ADD", *op.inputs, name=name, source=op.source))
            count += 1
    return count


def one_channel_to_depthwise(graph: Graph) -> int:
    """Write a convolution of one channel as the depthwise one that it also is.

    y = CONV_2D(x: [1,8,8,1], w: [4,3,3,1])   ->   y = DEPTHWISE_CONV_2D(x, [1,3,3,4]) {depth_multiplier=4}
    """
    count = 0
    for op in of_type(graph, "CONV_2D"):
        w, options = op.input(1), op.options
        strides = options.get("stride_h", 1), options.get("stride_w", 1)
        dilations = {options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1)}
        if op.input(0).shape[-1] != 1 or strides[0] != strides[1] or dilations != {1}:
            continue
        if w.data is None or w.dtype != np.float32 or len(w.uses) > 1:
            continue
        moved = np.ascontiguousarray(np.transpose(w.data, (3, 1, 2, 0)))
        graph.release(w.name)
        made = graph.constant(w.name, moved)
        made.range = w.range
        y = emit(
            graph,
            "DEPTHWISE_CONV_2D",
            op.input(0),
            made,
            *op.inputs[2:],
            name=f"{op.output.name}/depthwise",
            source=op.source,
            **options,
            depth_multiplier=moved.shape[3],
        )
        graph.replace(op.output, y)
        count += 1
    return count


def recognize_relu1(graph: Graph) -> int:
    """Read a clamp between -1 and 1; other clamps stay for TOCO.

    y = MINIMUM(MAXIMUM(x, -1), 1)   ->   y = RELU_N1_TO_1(x)
    """
    count = 0
    for op in of_type(graph, "MINIMUM", "MAXIMUM"):
        found = _clamped(graph, op)
        if found is None:
            continue
        source = op.source.joined(found.source)
        x = with_constant(found)
        assert x is not None
        name = f"{op.output.name}/clamp"
        graph.replace(op.output, emit(graph, "RELU_N1_TO_1", x.x, name=name, source=source))
        count += 1
    return count


def _clamped(graph: Graph, op: Op) -> Op | None:
    """Return the clamp of the other side before `op`, when both together are RELU_N1_TO_1."""
    bound, other = (1.0, "MAXIMUM") if op.type == "MINIMUM" else (-1.0, "MINIMUM")
    outer = with_constant(op)
    before = made_by(outer.x, other) if outer is not None else None
    inner = with_constant(before) if before is not None else None
    if outer is None or before is None or inner is None:
        return None
    if sole_reader(graph, before.output) is not op or inner.x.shape != op.output.shape:
        return None
    fits = outer.constant.size == inner.constant.size == 1
    is_one = fits and outer.constant.item() == bound and inner.constant.item() == -bound
    return before if is_one else None


def fuse_activation(graph: Graph) -> int:
    """Clamp inside the producer, whose result then has the range of the clamped one.

    y = ADD(a, b); z = RELU(y)   ->   z = ADD(a, b) {fused_activation_function=RELU}
    """
    count = 0
    for op in of_type(graph, *CLAMPS):
        producer = op.input(0).producer
        if producer is None or producer.type not in TAKES_ACTIVATION or has_activation(producer):
            continue
        if sole_reader(graph, op.input(0)) is not op or producer.output.dtype != np.float32:
            continue
        producer.options["fused_activation_function"] = CLAMPS[op.type]
        producer.source = producer.source.joined(op.source)
        producer.output.range = op.output.range
        graph.replace(op.output, producer.output)
        count += 1
    return count


GENERAL: tuple[Pass, ...] = (
    fake_quant.read_fake_quant,
    reshape.as_reshape,
    add_of_two,
    layout.transpose_to_reshape,
    layout.compose_transposes,
    cleanup.drop_identities,
    ensure_bias,
    toco_moves.flatten_in_product,
    toco_fold.fuse_into_preceding,
    toco_fold.fuse_into_following,
    toco_moves.move_binary_first,
    toco_moves.move_unary_first,
    activations.recognize_prelu,
    patterns.recognize_hard_swish,
    patterns.recognize_l2_normalization,
    recognize_relu1,
    toco_moves.merge_reshapes,
    dilation.recognize_dilation,
    fuse_activation,
    one_channel_to_depthwise,
)
"""MakeGeneralGraphTransformationsSet of TOCO's toco_tooling.cc, in its order."""
