"""Recognize dilated convolutions that are spelled out over the batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    made_by,
    sole_reader,
    values_of,
    with_constant,
)
from tqconv.ir.types import Shape, Source
from tqconv.ops.emit import emit
from tqconv.ops.facts import CLAMPS, LINEAR
from tqconv.passes.reshape import reshaped
from tqconv.passes.rewrite import at


@at("BATCH_TO_SPACE_ND")
def recognize_dilation(graph: Graph, op: Op) -> bool:
    """Dilate the kernel instead of folding space into the batch.

    b = SPACE_TO_BATCH_ND(x, [d,d], p); c = CONV_2D(b, w) {VALID}
    y = BATCH_TO_SPACE_ND(c, [d,d], q)
    ->   y = CONV_2D(x, w) {dilation=d, SAME where the pads amount to it, else VALID}
    """
    conv, between = _convolution_inside(graph, op)
    if conv is None:
        return False
    fold = made_by(conv.input(0), "SPACE_TO_BATCH_ND")
    if fold is None or conv.options.get("padding", "SAME") != "VALID":
        return False
    block = values_of(fold.inputs[1])
    if block is None or block != values_of(op.inputs[1]):
        return False
    if len(block) != 2 or fold.input(0).rank != 4:
        return False
    padding = _dilated_padding(conv, fold, op, block)
    if padding is None:
        return False
    y = _dilated(graph, conv, fold, op, block, padding)
    if y.shape != op.output.shape:
        return False
    if between is not None:
        constant = next(t for t in between.inputs if t is not None and t.is_constant)
        name = f"{op.output.name}/shifted"
        y = emit(graph, between.type, y, constant, name=name, source=between.source)
    graph.replace(op.output, y)
    return True


THROUGH_ZERO = frozenset({*CLAMPS, "FAKE_QUANT"})
"""Operators on single elements that leave 0 as it is (a FAKE_QUANT has it on its grid)."""
BOUNDS: dict[str, Callable[[float], bool]] = {
    "MAXIMUM": lambda bound: bound <= 0,
    "MINIMUM": lambda bound: bound >= 0,
}
"""The same by a constant, where that leaves 0 as it is."""


@at(*THROUGH_ZERO, *BOUNDS)
def take_out_clamps(graph: Graph, op: Op) -> bool:
    """Clamp before space is folded into the batch, and after it is unfolded.

    y = RELU6(SPACE_TO_BATCH_ND(x, d, p))   ->   y = SPACE_TO_BATCH_ND(RELU6(x), d, p)
    y = BATCH_TO_SPACE_ND(RELU6(x), d, q)   ->   y = RELU6(BATCH_TO_SPACE_ND(x, d, q))

    So what a training tool puts between them does not hide a dilated convolution.
    """
    fold = made_by(op.inputs[0], "SPACE_TO_BATCH_ND")
    unfold = sole_reader(graph, op.output)
    if not _keeps_zero(op):
        return False
    if fold is not None and sole_reader(graph, fold.output) is op:
        clamped = _again(graph, op, fold.input(0), op)
        clamped.range = op.output.range
        graph.replace(op.output, _again(graph, fold, clamped, op))
        return True
    if unfold is None or unfold.type != "BATCH_TO_SPACE_ND":
        return False
    if sole_reader(graph, op.input(0)) is not op:
        return False
    wide = _again(graph, unfold, op.input(0), unfold)
    clamped = _again(graph, op, wide, unfold)
    clamped.range = op.output.range
    graph.replace(unfold.output, clamped)
    return True


def _keeps_zero(op: Op) -> bool:
    if op.type in THROUGH_ZERO:
        return True
    bound = with_constant(op)
    if bound is None or not bound.first or bound.constant.size != 1:
        return False
    return BOUNDS[op.type](float(bound.constant.reshape(-1)[0]))


def _again(graph: Graph, op: Op, x: Tensor, named: Op) -> Tensor:
    """Emit an operator once more, on `x` in place of its first operand."""
    name = f"{named.output.name}/{op.type.lower()}"
    y: Tensor = emit(graph, op.type, x, *op.inputs[1:], name=name, source=op.source, **op.options)
    return y


@at("RESHAPE", "EXPAND_DIMS", "BATCH_TO_SPACE_ND")
def lift_unit_axis(graph: Graph, op: Op) -> bool:
    """Fold space into the batch in two dimensions where a convolution in between has two.

    y = RESHAPE(SPACE_TO_BATCH_ND(x: [n,t,c], [d], p), [m,1,s,c])
    ->   y = SPACE_TO_BATCH_ND(RESHAPE(x, [n,1,t,c]), [1,d], [[0,0],p])
    y = BATCH_TO_SPACE_ND(RESHAPE(x: [m,1,s,c], [m,s,c]), [d], q)
    ->   y = RESHAPE(BATCH_TO_SPACE_ND(x, [1,d], [[0,0],q]), [n,t,c])
    """
    return (_lift_out if op.type == "BATCH_TO_SPACE_ND" else _lift_in)(graph, op)


def _lift_in(graph: Graph, op: Op) -> bool:
    fold = made_by(op.inputs[0], "SPACE_TO_BATCH_ND")
    if fold is None or sole_reader(graph, fold.output) is not op:
        return False
    axis, x = _unit_axis(op.output.shape, fold.output.shape), fold.input(0)
    if axis is None or x.shape.count(None) > 1:
        return False
    shape, name = (*x.shape[:axis], 1, *x.shape[axis:]), f"{op.output.name}/reshape"
    wide = reshaped(graph, x, shape, name, op.source)
    graph.replace(op.output, _in_two_dimensions(graph, fold, wide, axis, op))
    return True


def _lift_out(graph: Graph, op: Op) -> bool:
    flat = made_by(op.inputs[0], "RESHAPE", "SQUEEZE")
    axis = _unit_axis(flat.input(0).shape, flat.output.shape) if flat is not None else None
    if flat is None or axis is None or sole_reader(graph, flat.output) is not op:
        return False
    if op.output.shape.count(None) > 1 or values_of(op.inputs[1]) is None:
        return False
    y = _in_two_dimensions(graph, op, flat.input(0), axis, flat)
    name = f"{op.output.name}/reshape"
    graph.replace(op.output, reshaped(graph, y, op.output.shape, name, op.source))
    return True


def _unit_axis(wide: Shape, narrow: Shape) -> int | None:
    """Return which spatial axis of an image is missing in a sequence [n, t, c], or None."""
    if len(wide) != 4 or len(narrow) != 3:
        return None
    return next((a for a in (1, 2) if wide == (*narrow[:a], 1, *narrow[a:])), None)


@at("BATCH_TO_SPACE_ND")
def recognize_open_dilation(graph: Graph, op: Op) -> bool:
    """The same over a sequence of unknown length, made a multiple of the dilation and cut again.

    b = EXPAND_DIMS(SPACE_TO_BATCH_ND(x: [n,t,c], [d], p), 1); c = CONV_2D(b, w) {VALID}
    y = BATCH_TO_SPACE_ND(SQUEEZE(c), [d], p), where p = [[0, any]]
    ->   y = SQUEEZE(CONV_2D(EXPAND_DIMS(x, 1), w) {dilation=[1,d], VALID})
    """
    flat = made_by(op.inputs[0], "SQUEEZE", "RESHAPE")
    conv = made_by(flat.inputs[0], "CONV_2D", "DEPTHWISE_CONV_2D") if flat is not None else None
    wide = made_by(conv.inputs[0], "EXPAND_DIMS", "RESHAPE") if conv is not None else None
    fold = made_by(wide.inputs[0], "SPACE_TO_BATCH_ND") if wide is not None else None
    if flat is None or conv is None or wide is None or fold is None:
        return False
    block = values_of(op.inputs[1])
    if block is None or len(block) != 1 or block != values_of(fold.inputs[1]):
        return False
    axis = _unit_axis(wide.output.shape, fold.output.shape)
    alike = axis is not None and axis == _unit_axis(conv.output.shape, flat.output.shape)
    if axis is None or not alike or not _slides(conv) or not _is_cut_again(op, fold):
        return False
    if fold.input(0).shape[1] is not None or conv.options.get("padding", "SAME") != "VALID":
        return False
    name, source = f"{op.output.name}/image", op.source.joined(fold.source)
    place = np.array(axis, np.int32)
    x = emit(graph, "EXPAND_DIMS", fold.input(0), place, name=name, source=source)
    rates = [block[0], 1] if axis == 2 else [1, block[0]]
    y = _at_rates(graph, conv, x, rates, "VALID", f"{op.output.name}/dilated", source)
    if flat.output.shape[2] != y.shape[3]:
        return False
    name = f"{op.output.name}/squeeze"
    made = emit(graph, "SQUEEZE", y, name=name, source=source, squeeze_dims=[axis])
    graph.replace(op.output, made)
    return True


def _is_cut_again(op: Op, fold: Op) -> bool:
    """Whether what is added behind a sequence, and nothing in front, is taken away again."""
    amounts = made_by(op.inputs[2], "RESHAPE")
    pair = made_by(amounts.inputs[0], "PACK") if amounts is not None else None
    first = values_of(pair.inputs[0]) if pair is not None else None
    return op.inputs[2] is fold.inputs[2] and first == [0]


def _in_two_dimensions(graph: Graph, op: Op, x: Tensor, axis: int, other: Op) -> Tensor:
    """Emit SPACE_TO_BATCH_ND or its inverse over both axes of an image, one of which is 1."""
    block = np.insert(np.asarray(op.input(1).data, np.int32), axis - 1, 1)
    amounts = np.insert(np.asarray(op.input(2).data, np.int32), axis - 1, 0, axis=0)
    source = op.source.joined(other.source)
    name = f"{op.output.name}/image"
    y: Tensor = emit(graph, op.type, x, block, amounts, name=name, source=source)
    return y


def _dilated(
    graph: Graph, conv: Op, fold: Op, unfold: Op, block: list[int], padding: str
) -> Tensor:
    source = fold.source.joined(unfold.source)
    name = f"{unfold.output.name}/dilated"
    return _at_rates(graph, conv, fold.input(0), block, padding, name, source)


def _at_rates(
    graph: Graph, conv: Op, x: Tensor, rates: list[int], padding: str, name: str, source: Source
) -> Tensor:
    """Emit a convolution once more, on `x` and dilated."""
    options = {
        **conv.options,
        "padding": padding,
        "dilation_h_factor": rates[0],
        "dilation_w_factor": rates[1],
    }
    source = conv.source.joined(source)
    operands = (x, *conv.inputs[1:])
    y: Tensor = emit(graph, conv.type, *operands, name=name, source=source, **options)
    return y


def _convolution_inside(graph: Graph, op: Op) -> tuple[Op | None, Op | None]:
    """Return the convolution before a BATCH_TO_SPACE_ND, and a shift by channels between them."""
    x = op.input(0)
    if sole_reader(graph, x) is not op:
        return None, None
    between = made_by(x, "ADD")
    if between is not None:
        operands = with_constant(between)
        if operands is None or operands.constant.size not in (1, x.shape[-1]):
            return None, None
        x = operands.x
    conv = made_by(x, "CONV_2D", "DEPTHWISE_CONV_2D")
    if conv is None or len(x.uses) != 1:
        return None, None
    return (conv, between) if _slides(conv) else (None, None)


def _slides(conv: Op) -> bool:
    """Whether a convolution goes by single steps over elements side by side, and clamps nothing."""
    strided = any(conv.options.get(name, 1) != 1 for name in ("stride_h", "stride_w"))
    dilated = any(conv.options.get(f"dilation_{s}_factor", 1) != 1 for s in "hw")
    return not (strided or dilated or has_activation(conv))


def _dilated_padding(conv: Op, fold: Op, unfold: Op, block: list[int]) -> str | None:
    """Return the padding of the dilated convolution that computes the same, or None."""
    pads, crops = values_of(fold.inputs[2]), values_of(unfold.inputs[2])
    if pads is None or crops is None:
        return None
    if not any(pads[0::2]) and not any(crops[0::2]) and pads[1::2] == crops[1::2]:
        return "VALID"
    w = conv.input(LINEAR[conv.type].w)
    for axis in range(2):
        kernel = w.shape[axis + 1]
        if kernel is None:
            return None
        reach = (kernel - 1) * block[axis]
        before, after = pads[2 * axis], pads[2 * axis + 1]
        first_crop, last_crop = crops[2 * axis], crops[2 * axis + 1]
        if (
            before - first_crop != reach // 2
            or after - last_crop != reach - reach // 2
            or first_crop != 0
        ):
            return None
    return "SAME"
