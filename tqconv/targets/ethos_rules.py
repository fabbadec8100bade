"""What Arm's NPUs ask of the tensors of an operator: the constraints of the compiler Vela 5.2.0.

Facts of its compilation core (regor/tflite/tflite_supported_operators*.cpp): types, scales and zero
points of feature maps, sums of weights, biases. Sizes are in elements.
"""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import RESOURCE
from tqconv.targets.device import Refusal, Rule, operand, option, tensors
from tqconv.targets.rules import INTEGERS, NHWC, SHAPES, to_integers, type_name

FEATURE_MAPS = frozenset({"int8", "uint8", "int16", "int32", "int64"})
_BOTH = """ADD BATCH_MATMUL DIV EQUAL EXPAND_DIMS GATHER GREATER GREATER_EQUAL LESS LESS_EQUAL
LOGICAL_AND LOGICAL_OR MUL NOT_EQUAL SCATTER_ND SQUARED_DIFFERENCE SUB"""
_OPERANDS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_BOTH.split(), (0, 1)),
    "ASSIGN_VARIABLE": (1,),
    "SELECT": (0, 1, 2),
    "SELECT_V2": (0, 1, 2),
    "SPLIT": (1,),
    "TRANSPOSE_CONV": (2,),
}
"""Operators -> operands that are feature maps, where that is not the first alone."""
_LISTS = frozenset({"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"})
"""Operators all of whose operands are feature maps."""
_UNSCALED = """ARG_MAX ASSIGN_VARIABLE EXPAND_DIMS GATHER MIRROR_PAD PAD PADV2 QUANTIZE
READ_VARIABLE REDUCE_ALL REDUCE_ANY SCATTER_ND SELECT SELECT_V2 TRANSPOSE"""
UNSCALED = frozenset(_UNSCALED.split())
"""Operators whose tensors need no scales."""
PER_CHANNEL = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
_RESIZES = {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
OWN_ZEROS = frozenset({"AVERAGE_POOL_2D", "UNIDIRECTIONAL_SEQUENCE_LSTM", *_RESIZES})
"""Operators whose zero points are not looked at."""
WEIGHTS = 8323072
"""The largest sum of absolute weights of one filter, without their zero point: 127 * 2**16."""
WIDE_WEIGHTS = 2130706432
"""The same beside 16-bit data on the U85: 127 * 2**24."""
LARGEST_SCALE = 2.0**32
"""A scale from here on has no shift (QuantizedScale in regor/common/scaling.cpp)."""


def feature_maps(op: Op) -> list[Tensor]:
    """Return the operands and results that the NPU streams: not weights, slopes, axes and sizes."""
    named = range(len(op.inputs)) if op.type in _LISTS else _OPERANDS.get(op.type, (0,))
    own = [op.inputs[i] for i in named if i < len(op.inputs)]
    return [t for t in (*own, *op.outputs) if t is not None and t.dtype != RESOURCE]


def maps(allowed: frozenset[str]) -> Rule:
    """All feature maps have one of these types."""

    def rule(op: Op) -> Refusal | None:
        for tensor in feature_maps(op):
            if type_name(tensor) not in allowed:
                return Refusal(f"{type_name(tensor)} data", to_integers(op))
        return None

    return rule


def static(op: Op) -> Refusal | None:
    """Only the batch may be open, and what is computed is no scalar."""
    for tensor in tensors(op):
        if tensor.dtype == RESOURCE:
            continue
        if None in tensor.shape[1:]:
            return Refusal(f"the shape of '{tensor.name}' is not static", SHAPES)
        if tensor.rank == 0 and not tensor.is_constant:
            return Refusal(f"'{tensor.name}' is a scalar", "write it with one dimension")
    return None


def scaled(op: Op) -> Refusal | None:
    """Feature maps of at most 16 bits and weights have scales; only weights one per channel."""
    if op.type not in UNSCALED:
        weights = operand(op, "w") if op.type in PER_CHANNEL else None
        for tensor in (*feature_maps(op), *(() if weights is None else (weights,))):
            if tensor.quant is None and type_name(tensor) not in ("int32", "int64", "bool"):
                return Refusal(f"'{tensor.name}' has no scale", INTEGERS)
        for tensor in tensors(op):
            if tensor.quant is not None and (tensor.quant.scale >= LARGEST_SCALE).any():
                return Refusal(f"the scale of '{tensor.name}' is 2**32 or more")
    if op.type not in PER_CHANNEL:
        for tensor in tensors(op):
            if tensor.quant is not None and not tensor.quant.is_per_tensor:
                return Refusal(f"'{tensor.name}' has a scale per channel")
    return None


def narrow(bits: int) -> Rule:
    """No feature map has as many bits."""
    names = (f"int{bits}", f"uint{bits}")

    def rule(op: Op) -> Refusal | None:
        found = next((t for t in feature_maps(op) if t.dtype.name in names), None)
        return None if found is None else Refusal(f"{found.dtype.name} data")

    return rule


def _zeros(tensor: Tensor) -> list[int]:
    return [] if tensor.quant is None else [int(z) for z in tensor.quant.zero_point.reshape(-1)]


def zero_points(op: Op) -> Refusal | None:
    """Integers of 32 bits are symmetric."""
    for tensor in () if op.type in OWN_ZEROS else feature_maps(op):
        if tensor.dtype.itemsize == 4 and any(_zeros(tensor)):
            return Refusal(f"'{tensor.name}' is {type_name(tensor)} with a zero point")
    return None


def symmetric_operands(op: Op) -> Refusal | None:
    """The U85: operands of more than 8 bits are symmetric, and results nearly so."""
    if op.type in OWN_ZEROS or op.type == "DIV":
        return None
    for tensor in feature_maps(op):
        result = tensor in op.outputs and option(op, "fused_activation_function", "NONE") == "NONE"
        far = any(not -128 <= z <= 127 for z in _zeros(tensor)) if result else any(_zeros(tensor))
        if tensor.dtype.itemsize > 1 and far:
            return Refusal(f"'{tensor.name}' is {type_name(tensor)} with a zero point")
    return None


def fused(op: Op) -> Refusal | None:
    """An activation that is fused reads what it stands behind: no 32-bit results."""
    name = option(op, "fused_activation_function", "NONE")
    wide = op.outputs and op.outputs[0].dtype.itemsize > 2
    return (
        Refusal(f"{name} of {type_name(op.outputs[0])} data") if wide and name != "NONE" else None
    )


def filter(limit: int, wide: int, bias_bits: int) -> Rule:
    """Weights of 8 bits with a bounded sum; bias: a constant of bounded size along the channels."""

    def rule(op: Op) -> Refusal | None:
        weights, x = operand(op, "w"), operand(op, "x")
        if weights is None or x is None:
            return Refusal("it has no weights")
        if weights.dtype.itemsize != 1 or weights.dtype.name in ("int4", "uint4", "int2"):
            return Refusal(f"{type_name(weights)} weights", "--quantize int8, and no --weight_bits")
        if weights.data is not None and heaviest(weights, op) > (
            limit if x.dtype.itemsize == 1 else wide
        ):
            return Refusal("the absolute weights of a filter sum up to too much")
        return _bias(operand(op, "b"), bias_bits)

    return rule


def _bias(bias: Tensor | None, bits: int) -> Refusal | None:
    if bias is None:
        return None
    if bias.data is None:
        return Refusal("its bias is computed at run time")
    if bias.dtype.name not in ("int32", "int64"):
        return Refusal(f"{type_name(bias)} bias", INTEGERS)
    if bias.rank and bias.data.size > (bias.shape[-1] or 1):
        return Refusal("its bias has more than one dimension")
    if bias.dtype.name == "int64" and bias.data.max(initial=0) >= 2**bits:
        return Refusal(f"its bias needs more than {bits} bits")
    return None


def heaviest(weights: Tensor, op: Op) -> int:
    """Return the largest sum of absolute weights, without zero points, over one filter."""
    assert weights.data is not None
    axis = weights.rank - 1 if op.type == "DEPTHWISE_CONV_2D" else 0
    values = np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis] or 1, -1)
    zero = _zeros(weights) or [0]
    return int(np.abs(values.astype(np.int64) - np.reshape(zero, (-1, 1))).sum(1).max(initial=0))


def dense(op: Op) -> Refusal | None:
    """Weights of a dense layer are a matrix, with ones between its two sizes."""
    weights = operand(op, "w")
    sizes = () if weights is None else weights.shape
    flat = len(sizes) >= 2 and math.prod(d or 1 for d in sizes[1:-1]) == 1
    return None if flat else Refusal(f"its weights have the shape {list(sizes)}")


def product(op: Op) -> Refusal | None:
    """A product with weights that are computed: int8, and at most 65,536 columns and terms."""
    weights, x, y = operand(op, "w"), op.inputs[0], op.outputs[0]
    if x is None or (op.type == "FULLY_CONNECTED" and (weights is None or weights.is_constant)):
        return None
    terms = x.shape[-2 if option(op, "adj_x", False) else -1]
    if x.dtype.name != "int8" or max(terms or 1, y.shape[-1] or 1) > 1 << 16:
        return Refusal("only int8 products of at most 65,536 terms run on it")
    return None


def same_parameters(op: Op) -> Refusal | None:
    """Operands and result share scale and zero point."""
    out = op.outputs[0].quant
    same = all(t is None or t.quant is out or (out and out.equals(t.quant)) for t in op.inputs)
    return None if same else Refusal("its operands and result differ in scale or zero point")


def alike(names: str) -> Rule:
    """Operand and result have one shape and one of these types."""
    allowed = names.split()

    def rule(op: Op) -> Refusal | None:
        x, y = op.inputs[0], op.outputs[0]
        if x is None or x.dtype != y.dtype or x.dtype.name not in allowed:
            return Refusal(f"its operand and result must be {' or '.join(allowed)}")
        return None

    return rule


def operand_types(names: str) -> Rule:
    """The first operand has one of these types."""
    allowed = names.split()

    def rule(op: Op) -> Refusal | None:
        x = op.inputs[0]
        if x is None or x.dtype.name not in allowed:
            return Refusal(f"its operand must be {' or '.join(allowed)}")
        return None

    return rule


def image(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes of a tensor with ones in front, so that there are four at least."""
    shape = tuple(d or 1 for d in tensor.shape)
    return (1,) * (NHWC - len(shape)) + shape


def lstm(op: Op) -> Refusal | None:
    """An LSTM without projection, peepholes and gate normalization."""
    parts = {
        "a projection": ("w_proj", "b_proj"),
        "peepholes": ("w_ci", "w_cf", "w_co"),
        "gate normalization": ("ln_i", "ln_f", "ln_c", "ln_o"),
    }
    for what, names in parts.items():
        if any(operand(op, name) is not None for name in names):
            return Refusal(f"{what}")
    given = all(operand(op, f"w_{source}{gate}") for source in "xh" for gate in "ifco")
    return None if given else Refusal("an input gate that is not computed")
