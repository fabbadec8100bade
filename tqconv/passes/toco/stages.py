"""The stages that prepare a graph as TOCO did: order and number of its operators come out equal.

Its transformations are fewer than those of `pipeline.STAGES` and have other conditions; FAKE_QUANT
operators stand in the way of fusing until all of it is done, unless the user lets them be crossed.
"""

from __future__ import annotations

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, of_type, sole_reader, with_constant
from tqconv.ir.sorting import least_first
from tqconv.ops.emit import emit
from tqconv.passes import fake_quant
from tqconv.passes.driver import Pass, Stage
from tqconv.passes.fuse import FUSED
from tqconv.passes.layout import sink
from tqconv.passes.legal import types
from tqconv.passes.recognize import activations, dilation, formulas, functions
from tqconv.passes.rewrite import at
from tqconv.passes.toco import fold, moves, spread
from tqconv.passes.toco.sweep import Sweep, Transformation

TAKES_ACTIVATION = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED"}
    | {"L2_POOL_2D", "MAX_POOL_2D", "MUL", "SUB"}
)
"""OperatorSupportsFusedActivation of TOCO's tooling_util.cc, without those that have no kernel."""


def stages(
    *, cross_fake_quant: bool = False, spread_fake_quant: bool = False, channels_first: bool = False
) -> tuple[Stage, ...]:
    """Return TOCO's stages.

    cross_fake_quant: FAKE_QUANT operators are dropped on the way (`--reorder_across_fake_quant`,
    `--drop_fake_quant`). spread_fake_quant: what they say holds for what is moved or clamped before
    them, too (`--propagate_fake_quant_num_bits`). channels_first: the source has other layouts than
    TensorFlow Lite, which TOCO could not read; transpositions move together before all else.
    """
    sunk: tuple[Pass, ...] = MOVES if channels_first else ()
    known: tuple[Pass, ...] = (spread.spread_fake_quant,) if spread_fake_quant else ()
    general = cross_general if cross_fake_quant else keep_general
    return (
        Stage("conversions", (fake_quant.read_conversions,)),
        Stage("recognize", (fake_quant.read_fake_quant, share_weights, *RECOGNIZE, *sunk)),
        Stage("general", (general,)),
        Stage("spread", known),
        Stage("evidence", (fake_quant.read_fake_quant, fake_quant.drop_fake_quant)),
        Stage("lower", (types.lower_types, types.lower_ranks)),
    )


def keep_general(graph: Graph) -> int:
    """Apply TOCO's general transformations, none of which crosses a FAKE_QUANT.

    y = CONV_2D(x, w, b); z = ADD(y, c); r = RELU(z)   ->   r = CONV_2D(x, w, b + c) {RELU}
    """
    restore_order(graph)
    return Sweep(graph).run(GENERAL)


def cross_general(graph: Graph) -> int:
    """Apply TOCO's general transformations, and leave FAKE_QUANT out on the way.

    y = CONV_2D(x, w, b); z = FAKE_QUANT(y); r = RELU(z)   ->   r = CONV_2D(x, w, b) {RELU}
    """
    restore_order(graph)
    return Sweep(graph).run((*GENERAL, drop_at))


def restore_order(graph: Graph) -> None:
    """Sort operators by where the source file has them, each behind what it reads.

    Passes append what they make; TOCO put it where the replaced operator had been.
    """
    made = {id(t): op for op in graph.ops for t in op.outputs}
    needs = {op: {made[id(t)] for t in op.inputs if id(t) in made} for op in graph.ops}
    rank = {op: (op.source.place, i) for i, op in enumerate(graph.ops)}
    graph.ops[:] = least_first(needs, rank)


def share_weights(graph: Graph) -> int:
    """Let linear operators with equal weights read one constant, which the importer has copied.

    y = CONV_2D(x, w, b); z = CONV_2D(y, v, c), w == v   ->   z = CONV_2D(y, w, c)
    """
    count = 0
    seen: dict[tuple[object, ...], Tensor] = {}
    for op in of_type(graph, *fold.AFFINE):
        w = op.input(1)
        if w.data is None:
            continue
        first = seen.setdefault((w.shape, w.data.tobytes(), w.range), w)
        if first is not w:
            graph.set_input(op, 1, first)
            count += 1
    return count


@at("MINIMUM", "MAXIMUM")
def recognize_relu1(graph: Graph, op: Op) -> bool:
    """Read a clamp between -1 and 1; other clamps stay for TOCO.

    y = MINIMUM(MAXIMUM(x, -1), 1)   ->   y = RELU_N1_TO_1(x)
    """
    found = _clamped(graph, op)
    operands = None if found is None else with_constant(found)
    if found is None or operands is None:
        return False
    name, source = f"{op.output.name}/clamp", op.source.joined(found.source)
    graph.replace(op.output, emit(graph, "RELU_N1_TO_1", operands.x, name=name, source=source))
    return True


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


def add_of_two(sweep: Sweep, op: Op) -> bool:
    """Write a sum of two as ADD.

    y = ADD_N(a, b)   ->   y = ADD(a, b)
    """
    if op.type != "ADD_N" or len(op.inputs) != 2:
        return False
    sweep.replace(op, sweep.emit_at(op, "ADD", *op.inputs, name=f"{op.output.name}/add"))
    return True


def read_at(sweep: Sweep, op: Op) -> bool:
    """Note what a FAKE_QUANT says, also again where a transformation forgot it."""
    return op.type == "FAKE_QUANT" and fake_quant.read_range(op)


def drop_at(sweep: Sweep, op: Op) -> bool:
    """Leave one FAKE_QUANT out."""
    if op.type != "FAKE_QUANT" or not fake_quant.pass_through(sweep.graph, op):
        return False
    sweep.remove(op)
    return True


def one_channel_to_depthwise(sweep: Sweep, op: Op) -> bool:
    """Write a convolution of one channel as the depthwise one that it also is.

    y = CONV_2D(x: [1,8,8,1], w: [4,3,3,1])
    ->   y = DEPTHWISE_CONV_2D(x, [1,3,3,4]) {depth_multiplier=4}
    """
    if op.type != "CONV_2D" or op.input(0).shape[-1] != 1:
        return False
    w, options = op.input(1), op.options
    dilations = {options.get("dilation_h_factor", 1), options.get("dilation_w_factor", 1)}
    if options.get("stride_h", 1) != options.get("stride_w", 1) or dilations != {1}:
        return False
    if w.data is None or w.dtype != np.float32 or len(w.uses) > 1:
        return False
    moved = np.ascontiguousarray(np.transpose(w.data, (3, 1, 2, 0)))
    sweep.graph.release(w.name)
    made = sweep.graph.constant(w.name, moved)
    made.range = w.range
    y = sweep.emit_at(
        op,
        "DEPTHWISE_CONV_2D",
        op.input(0),
        made,
        *op.inputs[2:],
        name=f"{op.output.name}/depthwise",
        **options,
        depth_multiplier=moved.shape[3],
    )
    sweep.replace(op, y)
    return True


def fuse_activation(sweep: Sweep, op: Op) -> bool:
    """Clamp inside the producer, whose result then has the range of the clamped one.

    y = ADD(a, b); z = RELU(y)   ->   z = ADD(a, b) {fused_activation_function=RELU}
    """
    producer = op.input(0).producer if op.type in FUSED else None
    if producer is None or producer.type not in TAKES_ACTIVATION or has_activation(producer):
        return False
    if sole_reader(sweep.graph, op.input(0)) is not op or producer.output.dtype != np.float32:
        return False
    sweep.replace(op, producer.output)
    producer.options["fused_activation_function"] = op.type
    producer.source = producer.source.joined(op.source)
    producer.output.range = op.output.range
    return True


MOVES: tuple[Pass, ...] = (
    sink.sink_transposes,
    sink.compose_transposes,
    sink.transpose_to_reshape,
)

RECOGNIZE: tuple[Pass, ...] = (
    dilation.lift_unit_axis,
    dilation.recognize_dilation,
    activations.recognize_prelu,
    functions.recognize_hard_swish,
    formulas.recognize_loose_l2_normalization,
    recognize_relu1,
)
"""Patterns of several operators, which no other transformation breaks or makes."""

GENERAL: tuple[Transformation, ...] = (
    moves.as_reshape,
    add_of_two,
    moves.join_transposes,
    moves.flatten_in_product,
    fold.ensure_bias,
    fold.fuse_into_preceding,
    fold.fuse_into_following,
    moves.move_binary_first,
    moves.move_unary_first,
    moves.drop_neutral,
    read_at,
    moves.merge_reshapes,
    fuse_activation,
    one_channel_to_depthwise,
)
"""The general transformations of TOCO's toco_tooling.cc, in their order."""
