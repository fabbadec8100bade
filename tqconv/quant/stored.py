"""Weights that are stored small and unpacked for float kernels: nothing else is rounded."""

from __future__ import annotations

import numpy as np

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.types import dtype_of
from tqconv.ops.table import spec
from tqconv.quant.hybrid import TAKES_FROM
from tqconv.quant.params import Params, encode, weights
from tqconv.quant.schemes import INT8
from tqconv.quant.select import DENSE, Choice, is_kept_float, operand_name, rule_of


def store_behind_dequantize(graph: Graph, options: QuantizeOptions) -> list[str]:
    """Store weights as int8 or int4 behind a DEQUANTIZE, in place; return notes.

    The runtime unpacks them once, at loading. Hybrid kernels round what they read, too,
    which costs ten decibels on small networks at the same size of the file. Each slice of an axis
    has a scale; DEQUANTIZE takes any axis (measured). Weights that are not finite stay float.
    """
    choice = Choice(options.keep_float)
    dtype = dtype_of("INT4") if options.weight_bits == 4 else INT8
    real: dict[tuple[Tensor, int | None], Tensor] = {}
    broken: dict[Tensor, None] = {}
    for op in list(graph.ops):
        if is_kept_float(op, choice):
            continue
        for use, axis in _storable(op, options.min_weight_elements):
            split = options.per_channel and (options.per_channel_dense or op.type not in DENSE)
            tensor, sliced = op.input(use.index), axis if split else None
            data = tensor.data
            if data is None or not np.isfinite(data).all():
                broken[tensor] = None
                continue
            if (tensor, sliced) not in real:
                params = weights(data, sliced, dtype)
                made = dequantized(graph, op, tensor, encode(data, params), params)
                real[tensor, sliced] = made
            graph.set_input(op, use.index, real[tensor, sliced])
    graph.prune()
    return [f"float: '{t.name}' holds values that are not finite" for t in broken]


def dequantized(
    graph: Graph, op: Op, tensor: Tensor, stored: np.ndarray, params: Params | None = None
) -> Tensor:
    """Return the reals of a stored constant, made by DEQUANTIZE, under the constant's name."""
    name = tensor.name
    graph.release(name)
    tensor.name = graph.unique(f"{name}/float")
    constant = graph.constant(f"{name}/stored", stored)
    constant.quant = None if params is None else params.quant
    made = Tensor(graph.unique(name), tensor.shape, np.dtype(np.float32))
    graph.add(Op("DEQUANTIZE", (constant,), (made,), source=op.source))
    return made


def _storable(op: Op, least: int) -> list[tuple[Use, int]]:
    """Return the large weights that an operator multiplies with or takes from, and their axes."""
    rule = rule_of(op)
    named: set[str] = set() if rule is None else {*rule.hybrid, *rule.weight}
    if op.type in TAKES_FROM:
        named = {operand_name(op, 0)}
    found = []
    for index, tensor in enumerate(op.inputs):
        if tensor is None or not tensor.is_constant or tensor.dtype != np.float32:
            continue
        if tensor.size >= least and tensor.rank > 0 and operand_name(op, index) in named:
            found.append((Use(op, index), _axis(op, tensor)))
    return found


def _axis(op: Op, tensor: Tensor) -> int:
    """Return the axis of weights whose slices make an output, or are taken, each."""
    linear = spec(op.type).linear
    if linear is not None:
        return linear.out_axis
    if op.type in DENSE:
        return tensor.rank - (2 if op.options.get("adj_y") else 1)
    return 0
