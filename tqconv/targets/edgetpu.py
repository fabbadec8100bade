"""Google's Edge TPU: what its compiler (16.0, frozen at the runtime of TensorFlow 2.5) maps.

Its compiler stops at the first operator that it cannot map; that one and all behind it run on the
CPU. Facts of its documentation; the compiler itself was not at hand.
"""

from __future__ import annotations

from tqconv.ir.graph import Op
from tqconv.targets.device import Device, Refusal, each, operand, option
from tqconv.targets.rules import (
    INTEGERS,
    constant,
    data,
    no_activation,
    result_types,
    static,
    thin,
    to_integers,
    type_name,
)

SOFTMAX = 16000
"""The most classes of a SOFTMAX."""


def _eight_bits(op: Op) -> Refusal | None:
    for tensor in data(op):
        if type_name(tensor) in ("float32", "float16"):
            return Refusal(f"{type_name(tensor)} data", to_integers(op))
        if type_name(tensor) in ("int16", "int64", "bool", "string"):
            return Refusal(f"{type_name(tensor)} data", INTEGERS)
    return None


def _concatenation(op: Op) -> Refusal | None:
    constants = [t for t in op.inputs if t is not None and t.data is not None]
    if not constants:
        return None
    zero = all(
        t.quant is not None and t.data is not None and (t.data == t.quant.zero_point[0]).all()
        for t in constants
    )
    return None if len(op.inputs) == 2 and zero else Refusal("it joins constants other than zeros")


def _dense(op: Op) -> Refusal | None:
    if option(op, "weights_format", "DEFAULT") != "DEFAULT":
        return Refusal("its weights are shuffled")
    weights = operand(op, "w")
    if weights is not None and weights.quant is not None and not weights.quant.is_per_tensor:
        return Refusal("a scale per channel", "--no_per_channel_dense")
    return None


def _mean(op: Op) -> Refusal | None:
    axes, x = operand(op, "axes"), operand(op, "x")
    if axes is None or x is None or axes.data is None:
        return Refusal("its axes are computed at run time")
    named = {int(a) % max(x.rank, 1) for a in axes.data.reshape(-1)}
    return Refusal("it reduces the batch") if 0 in named and x.rank > 1 else None


def _prelu(op: Op) -> Refusal | None:
    alpha = operand(op, "alpha")
    flat = alpha is not None and all(d == 1 for d in alpha.shape[:-1])
    return (
        None if flat else Refusal("its slopes differ by place", "shared_axes=[1, 2] in the model")
    )


def _softmax(op: Op) -> Refusal | None:
    x = op.inputs[0]
    size = 1 if x is None or not x.shape else (x.shape[-1] or 1)
    if x is not None and x.size != size:
        return Refusal("it has more than one row")
    return Refusal(f"{size} classes, at most {SOFTMAX}") if size > SOFTMAX else None


def _steps(op: Op) -> Refusal | None:
    step = operand(op, "strides")
    if step is None or step.data is None or (step.data != 1).any():
        return Refusal("strides other than 1")
    if option(op, "ellipsis_mask", 0) or option(op, "new_axis_mask", 0):
        return Refusal("an ellipsis or a new axis")
    return None


_PLAIN = """ADD CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS L2_NORMALIZATION LOGISTIC MAXIMUM MINIMUM MUL
PACK QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RSQRT SPACE_TO_DEPTH SPLIT SQUEEZE SUB
SUM SQUARED_DIFFERENCE TANH UNIDIRECTIONAL_SEQUENCE_LSTM"""

EDGETPU = Device(
    "edgetpu",
    "Google Edge TPU",
    {
        **each(_PLAIN),
        **each("AVERAGE_POOL_2D MAX_POOL_2D", no_activation),
        **each("DEQUANTIZE"),  # for the reason that it makes reals
        **each("CONCATENATION", no_activation, _concatenation),
        **each("FULLY_CONNECTED", _dense),
        **each("MEAN", _mean),
        **each("PAD", constant("paddings")),
        **each("PRELU", _prelu),
        **each("RESHAPE", constant("shape")),
        **each("RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR", constant("size")),
        **each("SLICE", constant("begin", "size")),
        **each("SOFTMAX", _softmax),
        **each("STRIDED_SLICE", _steps),
        **each("TRANSPOSE", constant("perm")),
        **each("TRANSPOSE_CONV", result_types("int8 uint8")),
    },
    general=(static, _eight_bits, thin(3)),
    open_sizes="the compiler takes no size that is not known",
    rest="the CPU",
    stops=True,
    remedies={
        "HARD_SWISH": "train with RELU6",
        "LEAKY_RELU": "train with RELU or PRELU",
        "ARG_MAX": "end the model before it, with --output_arrays",
        "GELU": "train with RELU",
    },
)
