"""Arm's Ethos-U: what Vela 5.2.0 places on the NPU; the CPU beside it runs the rest."""

from __future__ import annotations

from tqconv.targets import ethos_rules as rules
from tqconv.targets.device import Device, Rule, each
from tqconv.targets.rules import BORDERS, constant

_U55_FILTER = rules.filter(rules.WEIGHTS, rules.WEIGHTS, 40)
_U85_FILTER = rules.filter(rules.WEIGHTS, rules.WIDE_WEIGHTS, 48)
_ANY = "EXPAND_DIMS MUL NEG RESHAPE SQUEEZE SUB ADD"
_PLAIN = """ABS CONCATENATION EXP HARD_SWISH LEAKY_RELU LOGISTIC PACK PRELU QUANTIZE RELU RELU6
RELU_0_TO_1 RELU_N1_TO_1 REVERSE_V2 SPLIT SPLIT_V SQUARED_DIFFERENCE TANH TILE UNPACK"""
_U85_TYPED = """ABS ADD CONCATENATION DIV EQUAL EXP EXPAND_DIMS GREATER GREATER_EQUAL HARD_SWISH
LEAKY_RELU LESS LESS_EQUAL LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC MUL NEG NOT_EQUAL PACK PRELU
QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE REVERSE_V2 SPLIT SPLIT_V
SQUARED_DIFFERENCE SQUEEZE SUB SUM TANH TILE UNPACK BATCH_MATMUL"""

_U55 = {
    **each(_ANY),
    **each(_PLAIN, rules.narrow),
    **each("REDUCE_MAX REDUCE_MIN", rules.narrow),
    **each("SUM"),
    **each("ARG_MAX", rules.arg_max),
    **each("AVERAGE_POOL_2D MAX_POOL_2D", rules.narrow, rules.window, rules.long_strides),
    **each("BATCH_MATMUL", rules.product),
    **each("CONV_2D", rules.narrow, _U55_FILTER, rules.long_strides),
    **each("DEPTHWISE_CONV_2D", rules.narrow, _U55_FILTER, rules.short_strides),
    **each("FULLY_CONNECTED", _U55_FILTER, rules.product),
    **each("TRANSPOSE_CONV", rules.narrow, _U55_FILTER, rules.transposed),
    **each("ELU", rules.narrow, rules.alike("int8")),
    **each("GELU", rules.narrow, rules.alike("int8 uint8")),
    **each("LOG", rules.narrow, rules.alike("int8 int16")),
    **each("MAXIMUM MINIMUM", rules.narrow, rules.same_parameters),
    **each("MEAN", rules.narrow, rules.mean),
    **each("MIRROR_PAD", constant("paddings")),
    **each("PAD PADV2", rules.narrow, constant("paddings")),
    **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", rules.narrow, rules.resize),
    **each("RSQRT", rules.narrow, rules.operand_types("int8 int16")),
    **each("SLICE", rules.narrow, constant("begin", "size")),
    **each("SOFTMAX", rules.narrow, rules.softmax),
    **each("STRIDED_SLICE", rules.narrow, constant("begin", "end", "strides"), rules.steps),
    **each("TRANSPOSE", constant("perm")),
    **each("UNIDIRECTIONAL_SEQUENCE_LSTM", rules.narrow, rules.lstm),
}

_U85 = {
    **each(_U85_TYPED, rules.scaled),
    **each("ARG_MAX ASSIGN_VARIABLE READ_VARIABLE REDUCE_ALL REDUCE_ANY SELECT SELECT_V2"),
    **each("AVERAGE_POOL_2D MAX_POOL_2D", rules.scaled, rules.window),
    **each("CAST", rules.scaled),
    **each("CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED", rules.scaled, _U85_FILTER),
    **each("TRANSPOSE_CONV", rules.scaled, _U85_FILTER, rules.exact_size),
    **each("ELU", rules.scaled, rules.alike("int8")),
    **each("GELU", rules.scaled, rules.alike("int8 uint8")),
    **each("LOG", rules.scaled, rules.alike("int8 int16")),
    **each("GATHER", rules.gather),
    **each("MAXIMUM MINIMUM", rules.scaled, rules.same_parameters),
    **each("MEAN", rules.scaled, rules.mean),
    **each("MIRROR_PAD PAD PADV2", constant("paddings")),
    **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", rules.scaled, rules.resize_by_power),
    **each("RSQRT", rules.scaled, rules.operand_types("int8 int16")),
    **each("SCATTER_ND", constant("indices", "shape")),
    **each("SLICE", rules.scaled, constant("begin", "size")),
    **each("SOFTMAX", rules.scaled, rules.softmax),
    **each("STRIDED_SLICE", rules.scaled, constant("begin", "end", "strides"), rules.steps),
    **each("TRANSPOSE", constant("perm")),
    **each("UNIDIRECTIONAL_SEQUENCE_LSTM", rules.scaled, rules.lstm),
}

REMEDIES = {
    "DEQUANTIZE": BORDERS,
    "DIV": "multiply by the reciprocal of a constant divisor",
    "LOG_SOFTMAX": "end the model before it, with --output_arrays",
}


def _ethos(name: str, title: str, takes: dict[str, tuple[Rule, ...]], *general: Rule) -> Device:
    sizes = "the compiler takes 1 for an open batch, and no other size that is not known"
    return Device(name, title, takes, general, rest="the CPU", remedies=REMEDIES, open_sizes=sizes)


U55 = _ethos(
    "ethos-u55", "Arm Ethos-U55", _U55, rules.static, rules.maps(rules.FEATURE_MAPS), rules.scaled
)
U65 = _ethos(
    "ethos-u65", "Arm Ethos-U65", _U55, rules.static, rules.maps(rules.FEATURE_MAPS), rules.scaled
)
U85 = _ethos(
    "ethos-u85", "Arm Ethos-U85", _U85, rules.static, rules.maps(rules.FEATURE_MAPS | {"bool"})
)
