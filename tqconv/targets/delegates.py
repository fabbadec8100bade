"""XNNPACK, LiteRT's default delegate for the CPU.

What a delegate refuses runs on LiteRT's builtin kernels, at the cost of a copy there and back.
"""

from __future__ import annotations

from tqconv.ir.graph import Op
from tqconv.targets.device import Device, Refusal, each, operand
from tqconv.targets.rules import SHAPES, constant, data, type_name

_EIGHT_BITS = """ADD SUB MUL ELU LEAKY_RELU TANH LOGISTIC CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED
TRANSPOSE_CONV BATCH_MATMUL MAX_POOL_2D MEAN SUM REDUCE_MAX REDUCE_MIN RESHAPE TRANSPOSE
CONCATENATION SPLIT SLICE PAD SPACE_TO_DEPTH DEPTH_TO_SPACE RESIZE_BILINEAR QUANTIZE DEQUANTIZE
EXPAND_DIMS SQUEEZE"""
_REALS = """ABS AVERAGE_POOL_2D CEIL COS DIV EXP FLOOR GELU HARD_SWISH LOG MAXIMUM MINIMUM NEG PRELU
RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SIN SOFTMAX SQRT SQUARE SQUARED_DIFFERENCE
STRIDED_SLICE"""


def _sixteen(op: Op) -> Refusal | None:
    for tensor in data(op):
        if type_name(tensor) in ("int16", "int64", "bool", "string"):
            return Refusal(f"{type_name(tensor)} data")
    return None


def _reals(op: Op) -> Refusal | None:
    for tensor in data(op):
        if type_name(tensor) not in ("float32", "float16"):
            return Refusal(f"{type_name(tensor)} data; it computes {op.type} on reals only")
    return None


def _weights(op: Op) -> Refusal | None:
    weights = operand(op, "w")
    if weights is not None and weights.data is None and op.inputs[0] is not None:
        made = weights.producer
        if made is None or made.type != "DEQUANTIZE":
            return Refusal("its weights are computed at run time")
    return None


def _shapes(op: Op) -> Refusal | None:
    found = next((t for t in data(op) if not t.is_static), None)
    return None if found is None else Refusal(f"the shape of '{found.name}' is not static", SHAPES)


XNNPACK = Device(
    "xnnpack",
    "XNNPACK, the default delegate of LiteRT 2.3",
    {
        **each(_EIGHT_BITS),
        **each("CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED TRANSPOSE_CONV", _weights),
        **each("PAD", constant("paddings")),
        **each(_REALS, _reals),
    },
    general=(_shapes, _sixteen),
    open_sizes="the builtin kernels run what has a size that is not known",
    rest="LiteRT's builtin kernels",
    remedies={"GATHER": "", "PACK": "CONCATENATION of expanded tensors is delegated"},
)
"""As LiteRT 2.3.0's partitions of int8 models were observed."""
