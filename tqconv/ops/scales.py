"""With which scales and zero points LiteRT's kernels compute, of operators that a file holds.

The planner makes no others; files by others, and damaged ones, may hold any. What is refused here
LiteRT refuses to prepare, or ends the process: `tests/test_kernel_scales.py`.
"""

from __future__ import annotations

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Quant, numpy_name, type_name
from tqconv.ops.operands import named, takes
from tqconv.ops.spec import OpSpec, QuantRule

SUMS = {
    "FLOAT32": frozenset({"FLOAT32"}),
    "INT16": frozenset({"INT32", "INT64"}),
    "INT8": frozenset({"INT32"}),
    "UINT8": frozenset({"INT32"}),
}
"""Type of the data -> types of what is added to its products; dense layers add int64 to any."""

WEIGHTS = {
    "INT16": frozenset({"int8", "int4"}),
    "INT8": frozenset({"int8", "int4", "int2"}),
    "UINT8": frozenset({"uint8"}),
}
"""Type of the data -> types of the weights that it is multiplied with."""

CLAMPS = {"RELU6": 6.0, "RELU_N1_TO_1": 1.0}
"""Fused activation -> where it ends, which has to fit into 32 bits in steps of the result."""

SUM_ERROR = 0.02
"""Of a step of the result: how far the scale of a bias may be from the product of the two that it
stands beside (GetQuantizedConvolutionMultipler in kernels/kernel_util.cc)."""


def has_own_type(row: OpSpec, name: str) -> bool:
    """Whether an operand may be of another type than the data: weights, biases."""
    rule = row.quant
    return rule is not None and (
        name in rule.weight or name in rule.hybrid or name in rule.bias or name in rule.raw
    )


def check_scales(row: OpSpec, op: Op) -> None:
    """Raise UnsupportedError where a kernel does not compute with these scales and zero points."""
    if row.converts:
        for tensor in (*op.inputs, *op.outputs):
            if tensor is not None and _is_stored(tensor) and tensor.quant is None:
                raise UnsupportedError(f"'{tensor.name}' of {op.type} has no scale")
        return
    rule = row.quant
    if rule is None:
        return
    given = [(name, t) for name, t in named(row, op) if takes(row, name).data]
    data = [t for name, t in given if not has_own_type(row, name)]
    for name, (x, w) in rule.bias.items():
        _check_sum(row, op, *(_operand(row, op, n) for n in (x, w, name)))
    if not any(map(_is_scaled, data)):
        return
    _check_agreement(rule, op, data)
    if rule.same and not row.compares:  # elements are moved, or chosen among
        return
    for tensor in (*data, *(() if row.compares else op.outputs)):
        if _is_stored(tensor):
            _check_scale(op, tensor)
            if row.compares and tensor.quant is not None and tensor.quant.scale[0] >= 1:
                raise UnsupportedError(f"{op.type} compares '{tensor.name}' in steps of 1 or more")
    _check_floor(rule, op, data)
    reason = None if rule.refuses_steps is None else rule.refuses_steps(op)
    if reason is not None:
        raise UnsupportedError(f"{op.type} {reason} ('{op.output.name}')")
    ends = CLAMPS.get(op.options.get("fused_activation_function", "NONE"), 0.0)
    made = op.output.quant
    if made is not None and ends >= made.scale.min() * 2**31:
        raise UnsupportedError(
            f"{op.type} cannot clamp in steps of {made.scale.min():.3g} ('{op.output.name}')"
        )


def _check_agreement(rule: QuantRule, op: Op, data: list[Tensor]) -> None:
    """Results have the parameters of the operands, or those that the kernel builds in."""
    first = next(t for t in data if t.quant is not None)
    kind = type_name(first.dtype)
    if kind not in rule.insists:
        return
    wanted = Quant.per_tensor(*rule.fixed[kind]) if kind in rule.fixed else first.quant
    for tensor in op.outputs if kind in rule.fixed else (*data, *op.outputs):
        if tensor.dtype == first.dtype and (
            tensor.quant is None or not tensor.quant.equals(wanted)
        ):
            asked = "those of its operand" if rule.same else f"{rule.fixed[kind][0]:.9g}"
            raise UnsupportedError(
                f"{op.type} of {kind} makes steps of {asked}, not those of '{tensor.name}'"
            )


def _check_scale(op: Op, tensor: Tensor) -> None:
    quant = tensor.quant
    if quant is None or quant.scale.size != 1 or not (quant.scale > 0).all():
        lack = "no scale" if quant is None else f"{quant.scale.size} scales"
        lack = lack if quant is None or quant.scale.size > 1 else "a scale of 0"
        raise UnsupportedError(f"{op.type} computes with '{tensor.name}', which has {lack}")


def _check_floor(rule: QuantRule, op: Op, data: list[Tensor]) -> None:
    if rule.floor is None:
        return
    scales = [float(t.quant.scale.max()) for t in data if t.quant is not None]
    least, made = rule.floor(scales, op.output.dtype.itemsize), op.output.quant
    if made is not None and made.scale.min() <= least:
        raise UnsupportedError(
            f"{op.type} cannot compute in steps of {made.scale.min():.3g} "
            f"('{op.output.name}'), its operands need more than {least:.3g}"
        )


def _check_sum(row: OpSpec, op: Op, x: Tensor | None, w: Tensor | None, b: Tensor | None) -> None:
    """A bias has the type of the sums that it is added to, and their scale."""
    if x is None or w is None:
        return
    kind = type_name(x.dtype)
    sums = SUMS.get(kind, frozenset()) | ({"INT64"} if row.dense and kind != "FLOAT32" else set())
    if b is not None and type_name(b.dtype) not in sums:
        raise UnsupportedError(
            f"{op.type} of {kind} adds '{b.name}', which is {type_name(b.dtype)}"
        )
    if w.dtype != x.dtype and w.quant is None:
        raise UnsupportedError(f"{op.type} computes with '{w.name}', which has no scale")
    if not _is_scaled(x):
        return
    if numpy_name(w.dtype) not in WEIGHTS[kind]:
        raise UnsupportedError(f"{op.type} of {kind} has no kernel for weights of {w.dtype}")
    if w.quant is None:
        raise UnsupportedError(f"{op.type} computes with '{w.name}', which has no scale")
    if not row.dense and w.dtype == np.int8 and w.quant.zero_point.any():
        raise UnsupportedError(
            f"weights of INT8 have zero points of 0, and not those of '{w.name}'"
        )
    if b is None or b.quant is None:
        return
    if b.quant.zero_point.any():
        raise UnsupportedError(f"a bias has zero points of 0, and not those of '{b.name}'")
    made = op.output.quant
    if made is None or x.quant is None or not (row.dense or x.dtype == np.uint8):
        return
    each = (x.quant, w.quant, b.quant, made)
    if not all(q.is_per_tensor for q in each):
        return
    product, stated, step = (
        float(scale[0]) for scale in (x.quant.scale * w.quant.scale, b.quant.scale, made.scale)
    )
    if abs(product - stated) > SUM_ERROR * step:
        raise UnsupportedError(
            f"the scale of '{b.name}' is {stated:.3g}, its products have {product:.3g}"
        )


def _operand(row: OpSpec, op: Op, name: str) -> Tensor | None:
    place = row.operands.index(name)
    return op.inputs[place] if place < len(op.inputs) else None


def _is_stored(tensor: Tensor) -> bool:
    return tensor.dtype.kind in "iu" and tensor.dtype.itemsize <= 2


def _is_scaled(tensor: Tensor) -> bool:
    return tensor.quant is not None and _is_stored(tensor)
