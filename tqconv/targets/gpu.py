"""LiteRT's GPU delegate: what it takes of a model (mid 2026); the CPU runs the rest.

Facts of two places that must agree there: its list of parsers and types of tensors
(tflite/delegates/gpu/common/model_builder.cc), and what it asks of options and operands
(tflite/tools/versioning/gpu_compatibility.cc). It computes integers as reals, in float16 where that
is allowed.
"""

from __future__ import annotations

from tqconv.ir.graph import Op, Tensor
from tqconv.targets.device import Device, Refusal, Rule, each, operand, option
from tqconv.targets.rules import NHWC, constant, rank, static, type_name

_TYPES = frozenset({"float32", "float16", "int8", "uint8"})
_INT32, _BOOL = frozenset({"int32"}), frozenset({"bool"})
_COMPARES = "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL"
_READS = {
    "CAST": _INT32 | _BOOL,
    "GATHER": _INT32,
    "LOGICAL_AND": _BOOL,
    "ONE_HOT": _INT32,
    "SELECT": _BOOL,
    "SELECT_V2": _BOOL,
}
"""Operators -> types of operands beside the four that all have."""
_MAKES = {
    "CAST": _INT32 | _BOOL,
    "LOGICAL_AND": _BOOL,
    **dict.fromkeys(_COMPARES.split(), _BOOL),
}
"""The same for results."""
REALS = "--quantize float16, or no --quantize"


def _types(op: Op) -> Refusal | None:
    """Constants may be of any type: they are read when the model is."""
    read = [t for t in op.inputs if t is not None and not t.is_constant]
    for own, more in ((read, _READS), (op.outputs, _MAKES)):
        for tensor in own:
            if type_name(tensor) not in _TYPES | more.get(op.type, frozenset()):
                remedy = REALS if type_name(tensor) in ("int16", "float64", "bfloat16") else ""
                return Refusal(f"{type_name(tensor)} data", remedy)
    return None


def _activation(op: Op) -> Refusal | None:
    found = option(op, "fused_activation_function", "NONE")
    return Refusal("fused SIGN_BIT") if found == "SIGN_BIT" else None


def _spread(op: Op) -> Refusal | None:
    """ADD and MUL spread an operand of fewer dimensions over an image in three ways."""
    shapes = sorted((t.shape for t in op.inputs if t is not None), key=len)
    few, many = shapes[0], shapes[-1]
    if len(few) in (0, 1, len(many)):
        return None
    rows = len(many) == NHWC and len(few) == NHWC - 1 and many[0] == 1
    one = len(many) == NHWC and few == (1, 1) and many[0] == 1
    channels = len(many) == NHWC and len(few) == 2 and few == (many[0], many[-1])
    if rows or one or channels:
        return None
    return Refusal(f"{list(few)} spread over {list(many)}", "write out the dimensions of 1")


def _cast(op: Op) -> Refusal | None:
    pair = {type_name(op.input(0)), type_name(op.outputs[0])}
    taken = pair <= {"float32", "int32"} or pair in ({"bool", "float16"}, {"bool", "float32"})
    return None if taken else Refusal(f"from {type_name(op.input(0))} to {sorted(pair)[-1]}")


def _dense(op: Op) -> Refusal | None:
    x, y = op.input(0), op.outputs[0]
    if option(op, "weights_format", "DEFAULT") != "DEFAULT":
        return Refusal("its weights are shuffled")
    if len([t for t in op.inputs if t is not None and not t.is_constant]) > 2:
        return Refusal("weights and bias are computed at run time")
    kept = option(op, "keep_num_dims", False) and x.rank != y.rank
    return Refusal("it keeps dimensions, and has not as many") if kept else None


def _gather(op: Op) -> Refusal | None:
    indices = operand(op, "indices")
    if indices is not None and (indices.rank != 1 or type_name(indices) != "int32"):
        return Refusal("its indices are not a list of int32")
    return None


def _padded(op: Op) -> Refusal | None:
    paddings = operand(op, "paddings")
    if option(op, "mode", "REFLECT") != "REFLECT":
        return Refusal("it mirrors the border, too")
    rows = 0 if paddings is None or not paddings.rank else paddings.shape[0]
    return None if rows in (3, NHWC) else Refusal(f"{rows} dimensions, 3 and 4 are taken")


def _slice(op: Op) -> Refusal | None:
    for name in ("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"):
        if option(op, name, 0):
            return Refusal(f"{name} is not 0", "slice without it, and RESHAPE")
    found = op.input(0).rank
    return None if found in (3, NHWC) else Refusal(f"{found} dimensions, 3 and 4 are taken")


def _softmax(op: Op) -> Refusal | None:
    beta = option(op, "beta", 0.0)
    return None if beta == 1 else Refusal(f"beta of {beta:g}, it takes 1")


def _fits(tensor: Tensor, whole: Tensor) -> bool:
    flat = tensor.rank == 2 and tensor.is_constant
    return (tensor.shape == whole.shape or tensor.shape in ((), (1,))) and not flat


def _select(op: Op) -> Refusal | None:
    taken = all(_fits(op.input(i), op.outputs[0]) for i in (1, 2))
    return None if taken else Refusal("it chooses among data of another shape than its result")


def _block(op: Op) -> Refusal | None:
    return Refusal("a block of 1") if option(op, "block_size", 0) == 1 else None


def _one_hot(op: Op) -> Refusal | None:
    indices, values = op.input(0), [op.input(2), op.input(3)]
    last = option(op, "axis", -1) == -1
    if not last or any(not t.is_constant or type_name(t) != "float32" for t in values):
        return Refusal("another axis than the last one, or values that are no constant reals")
    wide = [d for i, d in enumerate(indices.shape[:-1]) if i or indices.rank < NHWC]
    return Refusal("indices with rows") if any(d != 1 for d in wide) else None


def _two(op: Op) -> Refusal | None:
    return None if len(op.inputs) == 2 else Refusal(f"{len(op.inputs)} operands, it takes 2")


_PLAIN = """ABS BATCH_MATMUL CONCATENATION COS DENSIFY DEPTHWISE_CONV_2D CONV_2D DEQUANTIZE DIV ELU
EXP FLOOR FLOOR_DIV FLOOR_MOD GELU HARD_SWISH LEAKY_RELU LOG LOGICAL_AND LOGISTIC LSTM MAXIMUM
AVERAGE_POOL_2D MAX_POOL_2D MINIMUM NEG PACK POW PRELU QUANTIZE RELU RELU6 RELU_N1_TO_1 RSQRT SIGN
SIN SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SUB TANH TRANSPOSE_CONV"""

_TAKES: dict[str, tuple[Rule, ...]] = {
    **each(_PLAIN),
    **each(_COMPARES),
    **each("ADD MUL", _spread),
    **each("ADD_N", _two),
    **each("CAST", _cast),
    **each("CUMSUM", constant("axis")),
    **each("DEPTH_TO_SPACE SPACE_TO_DEPTH", _block),
    **each("FULLY_CONNECTED", _dense),
    **each("GATHER", _gather),
    **each("MEAN REDUCE_MAX REDUCE_MIN REDUCE_PROD SUM", constant("axes")),
    **each("MIRROR_PAD PAD", constant("paddings"), _padded),
    **each("ONE_HOT", _one_hot),
    **each("PADV2", constant("paddings", "value"), _padded),
    **each("RESHAPE", constant("shape")),
    **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", constant("size")),
    **each("SELECT SELECT_V2", _select),
    **each("SLICE STRIDED_SLICE", _slice),
    **each("SOFTMAX", _softmax),
    **each("TILE", constant("multiples")),
    **each("TRANSPOSE", constant("perm")),
}

GPU = Device(
    "gpu",
    "LiteRT's GPU delegate",
    _TAKES,
    general=(static, rank(NHWC), _types, _activation),
    open_sizes="the delegate takes no size that is not known",
    rest="the CPU",
    remedies={
        "ARG_MAX": "end the model before it, with --output_arrays",
        "CEIL": "-FLOOR(-x)",
        "LOG_SOFTMAX": "SOFTMAX and LOG",
        "RELU_0_TO_1": "MINIMUM and MAXIMUM",
        "UNPACK": "STRIDED_SLICE and RESHAPE",
    },
)
