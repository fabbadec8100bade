"""Arm's Ethos-U: what Vela 5.2.0 places on the NPU; the CPU beside it runs the rest."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.ir.graph import Op
from tqconv.targets import ethos_ends as ends
from tqconv.targets import ethos_rules as rules
from tqconv.targets import ethos_shapes as shapes
from tqconv.targets.device import Border, Device, Refusal, Rule, each
from tqconv.targets.ethos_batches import dilates
from tqconv.targets.rules import constant

_U55_FILTER = rules.filter(rules.WEIGHTS, rules.WEIGHTS, 40)
_U85_FILTER = rules.filter(rules.WEIGHTS, rules.WIDE_WEIGHTS, 48)

_PLAIN = """ABS CONCATENATION EXP HARD_SWISH LEAKY_RELU LOGISTIC PACK PRELU QUANTIZE REDUCE_MAX
REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 SPLIT SPLIT_V SQUARED_DIFFERENCE TANH TILE UNPACK"""
_WIDE = "ADD EXPAND_DIMS MUL NEG RESHAPE SQUEEZE SUB SUM"
"""Operators of 32-bit data on the U55 and U65, too."""
_U85_ONLY = """ASSIGN_VARIABLE CAST DIV EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL LOGICAL_AND
LOGICAL_NOT LOGICAL_OR NOT_EQUAL READ_VARIABLE REDUCE_ALL REDUCE_ANY SELECT SELECT_V2"""

_SHARED: dict[str, tuple[Rule, ...]] = {
    **each(_PLAIN),
    **each(_WIDE),
    **each("DEQUANTIZE"),  # for the reason that it makes reals
    **each("ELU", rules.alike("int8")),
    **each("GELU", rules.alike("int8 uint8")),
    **each("LOG", rules.alike("int8 int16")),
    **each("MAXIMUM MINIMUM", rules.same_parameters),
    **each("MEAN", shapes.mean),
    **each("MIRROR_PAD PAD", constant("paddings")),
    **each("PADV2", constant("paddings", "value")),
    **each("RSQRT", rules.operand_types("int8 int16")),
    **each("SLICE", constant("begin", "size")),
    **each("SOFTMAX", shapes.softmax),
    **each("STRIDED_SLICE", constant("begin", "end", "strides"), shapes.steps),
    **each("TRANSPOSE", constant("perm")),
    **each("UNIDIRECTIONAL_SEQUENCE_LSTM", rules.lstm),
}
"""What all of them take, with the rules that all of them have."""

_KEEPS_32 = frozenset(_WIDE.split()) | {
    "ARG_MAX",
    "BATCH_MATMUL",
    "FULLY_CONNECTED",
    "MIRROR_PAD",
    "TRANSPOSE",
}
_U55_OWN = {
    **_SHARED,
    **each("ARG_MAX", shapes.arg_max),
    **each("AVERAGE_POOL_2D MAX_POOL_2D", shapes.window, shapes.long_strides),
    **each("BATCH_MATMUL", rules.product),
    **each("CONV_2D", _U55_FILTER, shapes.long_strides),
    **each("DEPTHWISE_CONV_2D", _U55_FILTER, shapes.short_strides),
    **each("FULLY_CONNECTED", _U55_FILTER, rules.dense, rules.product),
    **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", shapes.resize),
    **each("REVERSE_V2", shapes.reverse),
    **each("TRANSPOSE", constant("perm"), shapes.transpose),
    **each("TRANSPOSE_CONV", _U55_FILTER, shapes.transposed, shapes.exact_size),
}
_U85 = {
    **_SHARED,
    **each(_U85_ONLY),
    **each("ARG_MAX BATCH_MATMUL REVERSE_V2"),
    **each("AVERAGE_POOL_2D MAX_POOL_2D", shapes.window),
    **each("CONV_2D DEPTHWISE_CONV_2D", _U85_FILTER),
    **each("FULLY_CONNECTED", _U85_FILTER, rules.dense),
    **each("GATHER", shapes.gather),
    **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", shapes.resize_by_power),
    **each("SCATTER_ND", constant("indices", "shape"), shapes.scatter),
    **each("TRANSPOSE_CONV", _U85_FILTER, shapes.exact_size),
}


def _narrowed(takes: Mapping[str, tuple[Rule, ...]]) -> dict[str, tuple[Rule, ...]]:
    """Return rules with those about 32 and 64 bits of the U55 and U65."""
    wide, long = rules.narrow(32), rules.narrow(64)
    few = {name: (*(() if name in _KEEPS_32 else (wide,)), long) for name in takes}
    few["ARG_MAX"] = ()
    return {name: (*few[name], *own) for name, own in takes.items()}


REMEDIES = {
    "DIV": "multiply by the reciprocal of a constant divisor",
    "LOG_SOFTMAX": "end the model before it, with --output_arrays",
}


def _ethos(
    name: str,
    title: str,
    takes: Mapping[str, tuple[Rule, ...]],
    general: tuple[Rule, ...],
    reads: tuple[Border, ...] = (),
    builds: tuple[Rule, ...] = (),
) -> Device:
    sizes = "the compiler takes 1 for an open batch, and no other size that is not known"

    def accepts(op: Op) -> Refusal | None:
        every = (*general, *takes[op.type])
        return next((found for rule in every if (found := rule(op))), None)

    return Device(
        name,
        title,
        {**takes, **each("BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND", dilates(accepts))},
        general,
        rest="the CPU",
        remedies=REMEDIES,
        open_sizes=sizes,
        reads=(*ends.READS, *reads),
        builds=builds,
    )


_U55_GENERAL = (
    rules.static,
    rules.maps(rules.FEATURE_MAPS),
    rules.scaled,
    rules.zero_points,
    rules.fused,
)
U55 = _ethos(
    "ethos-u55", "Arm Ethos-U55", _narrowed(_U55_OWN), _U55_GENERAL, (ends.no_bool_borders,)
)
U65 = _ethos(
    "ethos-u65", "Arm Ethos-U65", _narrowed(_U55_OWN), _U55_GENERAL, (ends.no_bool_borders,)
)
_U85_GENERAL = (
    rules.static,
    rules.maps(rules.FEATURE_MAPS | {"bool"}),
    rules.scaled,
    rules.symmetric_operands,
)
U85 = _ethos("ethos-u85", "Arm Ethos-U85", _U85, _U85_GENERAL, builds=(ends.no_long_arithmetic,))
