"""Fold constants into linear operators with TOCO's conditions, arithmetic and order of rounding.

The conditions are narrower than those of `fold`: constants per channel go into the operator before,
only single numbers into the one behind; a FAKE_QUANT between is in the way. What is folded decides
the ranges of weights, so that quantized weights are equal to TOCO's only where folding is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.grid import extremes
from tqconv.ir.match import WithConstant, has_activation, made_by, sole_reader, with_constant
from tqconv.ir.types import Range
from tqconv.ops.facts import LINEAR
from tqconv.ops.spec import Linear
from tqconv.passes.fold import successor
from tqconv.passes.toco.sweep import Sweep

AFFINE = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
APPLY = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": np.divide}


def ensure_bias(sweep: Sweep, op: Op) -> bool:
    """Give a linear operator without bias one of zeros.

    y = FULLY_CONNECTED(x, w)   ->   y = FULLY_CONNECTED(x, w, zeros)
    """
    channels = op.output.shape[-1] if op.type in AFFINE else None
    if channels is None or (len(op.inputs) > 2 and op.inputs[2] is not None):
        return False
    if op.output.dtype != np.float32:
        return False
    zeros = sweep.graph.constant(f"{op.output.name}_bias", np.zeros(channels, np.float32))
    sweep.graph.set_input(op, 2, zeros)
    return True


def fuse_into_preceding(sweep: Sweep, op: Op) -> bool:
    """Fold a step by constants into the linear operator before it.

    y = CONV_2D(x, w, b); z = MUL(y, c)   ->   z = CONV_2D(x, w * c, b * c)
    y = CONV_2D(x, w, b); z = ADD(y, c)   ->   z = CONV_2D(x, w, b + c)
    """
    graph = sweep.graph
    operands = _step(op)
    linear = None if operands is None else _before(graph, operands.x)
    if operands is None or linear is None:
        return False
    values = _per_channel(operands, linear)
    if values is None:
        return False
    if op.type in ("MUL", "DIV"):
        if len(linear.input(1).uses) > 1:
            return False
        _scale_weights(graph, linear, op.type, values)
    _set_bias(graph, linear, APPLY[op.type](_bias(linear), values))
    _take_over(sweep, op, linear)
    return True


def fuse_into_following(sweep: Sweep, op: Op) -> bool:
    """Fold a step by one number into the linear operator behind it.

    y = MUL(x, 2.0); z = CONV_2D(y, w, b)   ->   z = CONV_2D(x, w * 2.0, b)
    y = ADD(x, 2.0); z = CONV_2D(y, w, b) {VALID}   ->   z = CONV_2D(x, w, b + sum(w) * 2.0)
    """
    graph = sweep.graph
    operands = _step(op)
    if operands is None or operands.constant.size != 1 or has_activation(op):
        return False
    linear = sole_reader(graph, op.output)
    if linear is None or linear.type not in AFFINE or linear.inputs[0] is not op.output:
        return False
    if not _is_constant_affine(linear) or op.output.shape != operands.x.shape:
        return False
    value = operands.constant.reshape(-1)[0]
    if op.type in ("ADD", "SUB"):
        if linear.type != "FULLY_CONNECTED" and linear.options.get("padding") != "VALID":
            return False
        _set_bias(graph, linear, _shifted(linear, -value if op.type == "SUB" else value))
    else:
        _scale_weights(graph, linear, op.type, np.array([value]))
    graph.set_input(linear, 0, operands.x)
    linear.source = linear.source.joined(op.source)
    sweep.remove(op)
    return True


def _step(op: Op) -> WithConstant | None:
    """Return a binary operator as tensor and constant, where a linear operator could take it in."""
    if op.type not in APPLY:
        return None
    operands = with_constant(op, clamped=True)
    if operands is None or (op.type in ("SUB", "DIV") and not operands.first):
        return None
    return operands


def _before(graph: Graph, x: Tensor) -> Op | None:
    """Return the linear operator that makes `x` for one reader, ready to take constants in."""
    linear = made_by(x, *AFFINE)
    if linear is None or sole_reader(graph, x) is None or has_activation(linear):
        return None
    return linear if _is_constant_affine(linear) else None


def _is_constant_affine(linear: Op) -> bool:
    operands = linear.inputs[1:3]
    return len(operands) == 2 and all(t is not None and t.is_constant for t in operands)


def _per_channel(operands: WithConstant, linear: Op) -> NDArray[Any] | None:
    """Return a constant as one number per output channel, None where it is something else."""
    channels, constant = linear.output.shape[-1], operands.constant
    if channels is None or linear.output.shape != operands.x.shape:
        return None
    if constant.size == 1:
        return np.full(channels, constant.reshape(-1)[0], np.float32)
    is_vector = constant.size == channels == constant.shape[-1]
    return constant.reshape(-1) if is_vector else None


def _scale_weights(graph: Graph, linear: Op, step: str, values: NDArray[Any]) -> None:
    """Multiply or divide the weights by numbers per channel; their range follows."""
    place: Linear = LINEAR[linear.type]
    old = linear.input(place.w)
    assert old.data is not None
    shape = [1] * old.rank
    shape[place.out_axis] = -1
    made = APPLY[step](old.data, values.reshape(shape)).astype(np.float32)
    new = successor(graph, old, made)
    if old.range is not None:
        # TOCO forgets minimum and maximum here, but not that the smallest integer is left out.
        low, high = extremes(made)
        new.range = Range(low, high, "propagated", "scaled weights", narrow=old.range.narrow)
    graph.set_input(linear, place.w, new)


def _bias(linear: Op) -> NDArray[Any]:
    bias = linear.input(2).data
    assert bias is not None
    return bias


def _shifted(linear: Op, value: np.float32) -> NDArray[Any]:
    """Return the bias plus `value` times the sum of each filter, summed one by one in float32."""
    weights = linear.input(1).data
    assert weights is not None
    axis = LINEAR[linear.type].out_axis
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    terms = np.float32(value) * rows
    return np.asarray(_bias(linear) + np.cumsum(terms, axis=1, dtype=np.float32)[:, -1])


def _set_bias(graph: Graph, linear: Op, data: NDArray[Any]) -> None:
    new = successor(graph, linear.input(2), data.astype(np.float32))
    graph.set_input(linear, 2, new)


def _take_over(sweep: Sweep, op: Op, linear: Op) -> None:
    """Let `linear` make what `op` made, with its range and its activation."""
    sweep.replace(op, linear.output)
    linear.source = linear.source.joined(op.source)
    if has_activation(op):
        linear.options["fused_activation_function"] = op.options["fused_activation_function"]
    linear.output.range = op.output.range
