"""TensorFlow Lite for Microcontrollers: its kernels, as its resolver lists them (mid 2026).

Nothing stands beside it: a model with one operator that it lacks does not start.
"""

from __future__ import annotations

from tqconv.ir.graph import Op
from tqconv.ops.table import known, spec
from tqconv.targets.device import Device, Refusal, each, option
from tqconv.targets.rules import INTEGERS, data, no_hybrid, static, type_name, types

_UNSIGNED = "--quantize int8: its kernels take no uint8"


def _types(op: Op) -> Refusal | None:
    """Data are float32, int8, int16 and, where nothing is multiplied, int32, int64 and bool."""
    for tensor in data(op):
        name = type_name(tensor)
        if name == "uint8" and not (known(op.type) and spec(op.type).converts):
            return Refusal("uint8 data", _UNSIGNED)
        if name in ("float16", "float64", "bfloat16", "string", "complex64"):
            remedy = "no --quantize float16" if name == "float16" else INTEGERS
            return Refusal(f"{name} data", remedy)
    return None


def _stored(op: Op) -> Refusal | None:
    """DEQUANTIZE reads int8, int16 and uint8 (kernels/dequantize_common.cc)."""
    name = type_name(op.input(0))
    if name in ("int8", "int16", "uint8"):
        return None
    return Refusal(f"{name} data", "no --quantize float16" if name == "float16" else INTEGERS)


def _dense(op: Op) -> Refusal | None:
    found = next((t for t in op.inputs if t is not None and t.sparsity is not None), None)
    return None if found is None else Refusal("sparse weights")


_FLOAT_ONLY = "CEIL COS FLOOR LOG ROUND SIN"
_KERNELS = """ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL
BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CONCATENATION CONV_2D CUMSUM
DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP
EXPAND_DIMS FILL FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL
HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOGICAL_AND LOGICAL_NOT
LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK
PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SELECT_V2 SHAPE SLICE SOFTMAX
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE
SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE
ZEROS_LIKE"""
DETECTION = "TFLite_Detection_PostProcess"
"""The one custom operator that its resolver has."""


def _custom(op: Op) -> Refusal | None:
    code = option(op, "custom_code", "")
    return None if code == DETECTION else Refusal(f"it has no custom operator {code}")


TFLM = Device(
    "tflm",
    "TensorFlow Lite for Microcontrollers",
    {
        **each(_KERNELS),
        **each(_FLOAT_ONLY, types("float32", remedy="")),
        **each("DEQUANTIZE", _stored),
        **each("CUSTOM", _custom),
    },
    general=(static, _types, no_hybrid, _dense),
    open_sizes="memory is planned once, for sizes that are all known",
    remedies={
        "GELU": "train with RELU or HARD_SWISH, or register a kernel",
        "SELECT": "SELECT_V2 has a kernel",
        "TILE": "BROADCAST_TO or CONCATENATION has a kernel",
        "TOPK_V2": "end the model before it, with --output_arrays",
    },
)
