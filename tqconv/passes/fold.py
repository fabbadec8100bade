"""Fold scales and shifts by constants into the weights and biases around them.

Arithmetic is done in float32, operand by operand in graph order: so did the converters whose
quantized numbers tqconv reproduces.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.arrays import repeated
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by, sole_reader, with_constant
from tqconv.ops.emit import emit
from tqconv.ops.facts import LINEAR
from tqconv.passes.rewrite import at


def float_weights(op: Op) -> Tensor | None:
    """Return the constant float weights of a linear operator, or None."""
    place = LINEAR.get(op.type)
    if place is None:
        return None
    w = op.inputs[place.w]
    return w if w is not None and w.data is not None and w.dtype == np.float32 else None


def bias_of(op: Op) -> NDArray[Any] | None:
    """Return the bias of a linear operator with constant float weights; zeros where it has none."""
    place = LINEAR[op.type]
    w = op.input(place.w)
    b = op.inputs[place.b] if place.b < len(op.inputs) else None
    if b is None:
        return np.zeros(w.shape[place.out_axis] or 0, np.float32)
    return b.data if b.data is not None and b.dtype == np.float32 else None


@at("MUL", "DIV")
def fold_scale(graph: Graph, op: Op) -> bool:
    """Scale the weights instead of the result.

    y = CONV_2D(x, w, b); z = MUL(y, c)   ->   z = CONV_2D(x, w * c, b * c)
    """
    operands = with_constant(op)
    if operands is None or (op.type == "DIV" and not operands.first):
        return False
    linear = _linear_before(graph, operands.x)
    factors = _per_channel(operands.constant, operands.x, op.output)
    if linear is None or factors is None:
        return False
    place, w, b = LINEAR[linear.type], float_weights(linear), bias_of(linear)
    if w is None or w.data is None or b is None:
        return False
    apply = np.divide if op.type == "DIV" else np.multiply
    along = _along(factors, w.data.ndim, place.out_axis)
    set_weights(graph, linear, apply(w.data, along).astype(np.float32))
    set_bias(graph, linear, apply(b, factors).astype(np.float32))
    _absorb(graph, op, linear, operands.x)
    return True


@at("ADD", "SUB")
def fold_shift(graph: Graph, op: Op) -> bool:
    """Shift the bias instead of the result.

    y = CONV_2D(x, w, b); z = ADD(y, c)   ->   z = CONV_2D(x, w, b + c)

    What a slice leaves of all channels in between is shifted alike.
    """
    operands = with_constant(op)
    if operands is None or (op.type == "SUB" and not operands.first):
        return False
    linear = _linear_before(graph, operands.x)
    shifts = _per_channel(operands.constant, operands.x, op.output)
    if linear is None or shifts is None:
        return False
    b = bias_of(linear)
    if b is None:
        return False
    apply = np.subtract if op.type == "SUB" else np.add
    set_bias(graph, linear, apply(b, shifts).astype(np.float32))
    _absorb(graph, op, linear, operands.x)
    return True


@at("ADD")
def fold_shift_of_sum(graph: Graph, op: Op) -> bool:
    """Shift the bias of a linear operator whose result is added to another first.

    s = ADD(FULLY_CONNECTED(x, w, b), y); z = ADD(s, c)
    ->   z = ADD(FULLY_CONNECTED(x, w, b + c), y)
    """
    operands = with_constant(op)
    if operands is None or sole_reader(graph, operands.x) is not op:
        return False
    total = made_by(operands.x, "ADD")
    if total is None or has_activation(total) or with_constant(total) is not None:
        return False
    for place in (0, 1):
        part = total.input(place)
        linear = _linear_before(graph, part) if part.shape == operands.x.shape else None
        shifts = _per_channel(operands.constant, operands.x, op.output)
        bias = None if linear is None or float_weights(linear) is None else bias_of(linear)
        if linear is None or shifts is None or bias is None:
            continue
        set_bias(graph, linear, (bias + shifts).astype(np.float32))
        _absorb(graph, op, linear, operands.x)
        return True
    return False


@at("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
def fold_scale_before(graph: Graph, linear: Op) -> bool:
    """Scale the weights instead of the operand.

    y = MUL(x, c); z = CONV_2D(y, w, b)   ->   z = CONV_2D(x, w * c, b)
    """
    place = LINEAR[linear.type]
    op = made_by(linear.inputs[place.x], "MUL", "DIV")
    w = float_weights(linear)
    if op is None or w is None or w.data is None or has_activation(op):
        return False
    operands = with_constant(op)
    if operands is None or (op.type == "DIV" and not operands.first):
        return False
    if not _all_linear(graph, op.output) or op.output.shape != operands.x.shape:
        return False
    factors = _input_factors(linear, w.data, operands.constant)
    if factors is None or not np.all(np.isfinite(factors)):
        return False
    apply = np.divide if op.type == "DIV" else np.multiply
    set_weights(graph, linear, apply(w.data, factors).astype(np.float32))
    graph.set_input(linear, place.x, operands.x)
    linear.source = linear.source.joined(op.source)
    return True


@at("PAD")
def scale_behind_padding(graph: Graph, pad: Op) -> bool:
    """Scale after the zeros are added, next to the convolution that can take the scale in.

    y = PAD(MUL(x, c), p); z = CONV_2D(y, w)   ->   y = MUL(PAD(x, p), c); z = CONV_2D(y, w)
    """
    op = made_by(pad.inputs[0], "MUL", "DIV")
    operands = with_constant(op) if op is not None else None
    if op is None or operands is None:
        return False
    if op.type == "DIV" and not operands.first:
        return False
    x, channels = operands.x, operands.constant.size
    if sole_reader(graph, op.output) is not pad or not _all_linear(graph, pad.output):
        return False
    if x.shape != op.output.shape or channels not in (1, pad.output.shape[-1]):
        return False
    if channels > 1 and operands.constant.shape[-1] != channels:
        return False
    if not np.isfinite(operands.constant).all():
        return False
    padded = emit(graph, "PAD", x, pad.input(1), name=f"{x.name}/padded", source=pad.source)
    name, constant = f"{pad.output.name}/scaled", op.input(1 if operands.first else 0)
    graph.replace(pad.output, emit(graph, op.type, padded, constant, name=name, source=op.source))
    return True


@at("RESHAPE")
def constants_behind_reshape(graph: Graph, reshape: Op) -> bool:
    """Scale and shift the rows that a dense layer reads, so that its weights can take it in.

    y = RESHAPE(MUL(x: [1,5,8], c: [8]), [5,8]); z = FULLY_CONNECTED(y, w)
    ->   y = MUL(RESHAPE(x, [5,8]), c); z = FULLY_CONNECTED(y, w)               (also ADD, DIV, SUB)
    """
    op, rows = made_by(reshape.inputs[0], "MUL", "DIV", "ADD", "SUB"), reshape.output
    operands = with_constant(op) if op is not None else None
    if op is None or operands is None or not operands.constant.size:
        return False
    if not operands.first and op.type in ("DIV", "SUB"):
        return False
    x, constant = operands.x, operands.constant
    if sole_reader(graph, op.output) is not reshape or not _all_linear(graph, rows):
        return False
    if x.shape != op.output.shape or x.shape[-1:] != rows.shape[-1:] or not x.rank:
        return False
    if constant.size > 1 and not constant.size == constant.shape[-1] == x.shape[-1]:
        return False
    y = emit(graph, "RESHAPE", x, reshape.input(1), name=f"{x.name}/rows", source=reshape.source)
    name = f"{rows.name}/{op.type.lower()}"
    graph.replace(rows, emit(graph, op.type, y, constant.reshape(-1), name=name, source=op.source))
    return True


@at("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
def fold_shift_before(graph: Graph, linear: Op) -> bool:
    """Shift the bias instead of the operand, where no padding would see the difference.

    y = ADD(x, c); z = FULLY_CONNECTED(y, w, b)   ->   z = FULLY_CONNECTED(x, w, b + w c)
    """
    place = LINEAR[linear.type]
    op = made_by(linear.inputs[place.x], "ADD", "SUB")
    w, b = float_weights(linear), None
    if op is None or w is None or w.data is None or has_activation(op) or not _unpadded(linear):
        return False
    operands, b = with_constant(op), bias_of(linear)
    if operands is None or b is None or (op.type == "SUB" and not operands.first):
        return False
    if not _all_linear(graph, op.output) or op.output.shape != operands.x.shape:
        return False
    shifts = _input_factors(linear, w.data, operands.constant)
    if shifts is None or not np.all(np.isfinite(shifts)):
        return False
    weighted = w.data.astype(np.float64) * (-shifts if op.type == "SUB" else shifts)
    axes = tuple(i for i in range(w.data.ndim) if i != place.out_axis)
    set_bias(graph, linear, (b + weighted.sum(axis=axes)).astype(np.float32))
    graph.set_input(linear, place.x, operands.x)
    linear.source = linear.source.joined(op.source)
    return True


@at("MUL", "ADD")
def merge_constants(graph: Graph, op: Op) -> bool:
    """Join two steps by constants into one.

    y = MUL(x, c); z = MUL(y, d)   ->   z = MUL(x, c * d)          (also ADD)
    """
    operands = with_constant(op)
    if operands is None:
        return False
    before = made_by(operands.x, op.type)
    inner = with_constant(before) if before is not None else None
    if before is None or inner is None:
        return False
    if sole_reader(graph, operands.x) is not op:
        return False
    apply = np.multiply if op.type == "MUL" else np.add
    joined = apply(inner.constant, operands.constant).astype(np.float32)
    source = op.source.joined(before.source)
    y = emit(graph, op.type, inner.x, joined, name=f"{op.output.name}/merged", source=source)
    graph.replace(op.output, y)
    return True


def _all_linear(graph: Graph, x: Tensor) -> bool:
    """Whether linear operators only read the tensor, so that it goes when each takes it in."""
    if x in graph.outputs:
        return False
    return all(
        use.op.type in LINEAR
        and use.index == LINEAR[use.op.type].x
        and float_weights(use.op) is not None
        for use in x.uses
    )


def _unpadded(linear: Op) -> bool:
    return linear.type == "FULLY_CONNECTED" or linear.options.get("padding") == "VALID"


def _linear_before(graph: Graph, x: Tensor) -> Op | None:
    """Return the linear operator that makes `x` for one reader only and without activation.

    Or of which `x` is a slice with all channels.
    """
    if sole_reader(graph, x) is None:
        return None
    cut = made_by(x, "SLICE", "STRIDED_SLICE")
    if cut is not None and _has_all_channels(cut):
        return _linear_before(graph, cut.input(0))
    linear = made_by(x, *LINEAR)
    return None if linear is None or has_activation(linear) else linear


def _has_all_channels(cut: Op) -> bool:
    """Whether a slice leaves the last axis as it is."""
    x, y = cut.input(0), cut.output
    if x.rank != y.rank or x.rank == 0 or y.shape[-1] is None or x.shape[-1] != y.shape[-1]:
        return False
    if cut.type == "SLICE":
        return True
    steps, options = cut.input(3).data, cut.options
    moved = options.get("new_axis_mask", 0) or options.get("shrink_axis_mask", 0)
    return steps is not None and steps.reshape(-1)[-1] == 1 and not moved


def _per_channel(constant: NDArray[Any], x: Tensor, y: Tensor) -> NDArray[Any] | None:
    """Return a constant as one number per channel (the last axis of `x`), or None."""
    channels = x.shape[-1] if x.shape else None
    if channels is None or y.shape != x.shape or constant.dtype != np.float32:
        return None
    if constant.size == 1:
        return repeated(constant.reshape(-1)[0], (channels,), np.dtype(np.float32))
    if constant.shape[-1] != channels or constant.size != channels:
        return None
    return constant.reshape(-1)


def _input_factors(linear: Op, w: NDArray[Any], constant: NDArray[Any]) -> NDArray[Any] | None:
    """Return numbers per input channel in the shape of the weights, or None."""
    if constant.size == 1:
        return np.broadcast_to(constant.reshape(-1)[0].astype(np.float32), w.shape)
    if constant.dtype != np.float32 or constant.shape[-1] != constant.size:
        return None
    values = constant.reshape(-1)
    if linear.type == "DEPTHWISE_CONV_2D":
        values = np.repeat(values, linear.options.get("depth_multiplier", 1))
    if values.size != w.shape[-1]:
        return None  # grouped convolution, or a flattened operand
    return np.broadcast_to(values, w.shape)


def _along(values: NDArray[Any], rank: int, axis: int) -> NDArray[Any]:
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def set_weights(graph: Graph, op: Op, data: NDArray[Any]) -> None:
    """Give a linear operator other weights."""
    place = LINEAR[op.type]
    old = op.input(place.w)
    graph.set_input(op, place.w, successor(graph, old, data))


def set_bias(graph: Graph, op: Op, data: NDArray[Any]) -> None:
    """Give a linear operator another bias."""
    place = LINEAR[op.type]
    old = op.inputs[place.b] if place.b < len(op.inputs) else None
    if old is None:
        graph.set_input(op, place.b, graph.constant(f"{op.output.name}/bias", data))
    else:
        graph.set_input(op, place.b, successor(graph, old, data))


def successor(graph: Graph, old: Tensor, data: NDArray[Any]) -> Tensor:
    """Return a constant in place of `old` for one reader; the last reader takes its name along."""
    name = old.name
    if len(old.uses) == 1:
        graph.release(name)
    return graph.constant(name, data)


def _absorb(graph: Graph, op: Op, linear: Op, made: Tensor) -> None:
    """Let `linear` make what `op` made of `made`, its output or a slice of that."""
    linear.source = linear.source.joined(op.source)
    graph.replace(op.output, made)
