"""What Arm's NPUs ask of an operator: the constraints of the compiler Vela 5.2.0.

Facts of the list that `vela --supported-ops-report` writes, and of its placements; shapes are those
of one operator, sizes in elements.
"""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Op, Tensor
from tqconv.ops.table import known, spec
from tqconv.targets.device import Refusal, Rule, operand, option
from tqconv.targets.rules import BORDERS, INTEGERS, NHWC, SHAPES, data, strides, type_name

FEATURE_MAPS = frozenset({"int8", "uint8", "int16", "int32", "int64"})
UNSCALED = frozenset(
    {"ARG_MAX", "EXPAND_DIMS", "MIRROR_PAD", "PAD", "PADV2", "QUANTIZE", "TRANSPOSE"}
)
"""Operators whose tensors need no scales."""
PER_CHANNEL = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
WEIGHTS = 8323072
"""The largest sum of absolute weights of one filter, without their zero point: 127 * 2**16."""
WIDE_WEIGHTS = 2130706432
"""The same beside 16-bit data on the U85: 127 * 2**24."""
REDUCED = {"int8": 1 << 24, "uint8": 1 << 23, "int16": 1 << 16}
"""Elements that MEAN may reduce, by their type."""


def maps(allowed: frozenset[str]) -> Rule:
    """All data have one of these types."""

    def rule(op: Op) -> Refusal | None:
        for tensor in data(op):
            if type_name(tensor) not in allowed:
                converts = known(op.type) and spec(op.type).converts
                return Refusal(f"{type_name(tensor)} data", BORDERS if converts else INTEGERS)
        return None

    return rule


def static(op: Op) -> Refusal | None:
    """Only the batch may be open, and no tensor is a scalar."""
    for tensor in data(op):
        if None in tensor.shape[1:]:
            return Refusal(f"the shape of '{tensor.name}' is not static", SHAPES)
        if tensor.rank == 0 and not tensor.is_constant:
            return Refusal(f"'{tensor.name}' is a scalar", "write it with one dimension")
    return None


def scaled(op: Op) -> Refusal | None:
    """All data have positive scales; only weights have one per channel."""
    if op.type in UNSCALED:
        return None
    for tensor in data(op):
        if tensor.quant is None:
            return Refusal(f"'{tensor.name}' has no scale", INTEGERS)
        if (tensor.quant.scale <= 0).any():
            return Refusal(f"the scale of '{tensor.name}' is not positive")
        if op.type not in PER_CHANNEL and not tensor.quant.is_per_tensor:
            return Refusal(f"'{tensor.name}' has a scale per channel")
    return None


def narrow(op: Op) -> Refusal | None:
    """No 32-bit data: operands and results that are feature maps have at most 16 bits."""
    for tensor in (*data(op)[:1], *op.outputs):
        if tensor is not None and tensor.dtype.name in ("int32", "int64"):
            return Refusal(f"{tensor.dtype.name} data")
    return None


def filter(limit: int, wide: int, bias_bits: int) -> Rule:
    """Weights: constants of 8 bits, with a bounded sum; bias: a constant of bounded size."""

    def rule(op: Op) -> Refusal | None:
        weights, bias, x = operand(op, "w"), operand(op, "b"), operand(op, "x")
        if weights is None or x is None:
            return Refusal("it has no weights")
        if weights.dtype.itemsize != 1 or weights.dtype.name in ("int4", "uint4"):
            return Refusal(f"{type_name(weights)} weights", "--quantize int8")
        if weights.data is not None and heaviest(weights, op) > (
            wide if x.dtype.name == "int16" else limit
        ):
            return Refusal("the absolute weights of a filter sum up to too much")
        if bias is None:
            return None
        if bias.data is None:
            return Refusal("its bias is computed at run time")
        if bias.dtype.name not in ("int32", "int64"):
            return Refusal(f"{type_name(bias)} bias", INTEGERS)
        if np.abs(bias.data.astype(np.float64)).max(initial=0) >= 2**bias_bits:
            return Refusal(f"its bias needs more than {bias_bits} bits")
        return None

    return rule


def heaviest(weights: Tensor, op: Op) -> int:
    """Return the largest sum of absolute weights, without zero points, over one filter."""
    assert weights.data is not None
    zero = 0 if weights.quant is None else weights.quant.zero_point.reshape(-1)[0]
    values = np.abs(weights.data.astype(np.int64) - zero)
    axis = values.ndim - 1 if op.type == "DEPTHWISE_CONV_2D" else 0
    return int(values.sum(axis=tuple(i for i in range(values.ndim) if i != axis)).max(initial=0))


def long_strides(op: Op) -> Refusal | None:
    """Strides above 3 need VALID padding and no dilation."""
    dilated = option(op, "dilation_h_factor", 1) != 1 or option(op, "dilation_w_factor", 1) != 1
    plain = not dilated and option(op, "padding", "SAME") == "VALID"
    return (
        Refusal(f"stride {max(strides(op))}, at most 3")
        if max(strides(op)) > 3 and not plain
        else None
    )


def short_strides(op: Op) -> Refusal | None:
    """Strides are 3 at most."""
    return Refusal(f"stride {max(strides(op))}, at most 3") if max(strides(op)) > 3 else None


def window(op: Op) -> Refusal | None:
    """A pool's window: 256 rows and 65,536 elements; averages with SAME padding take 8 by 8."""
    rows, columns = int(option(op, "filter_height", 1)), int(option(op, "filter_width", 1))
    if op.type == "AVERAGE_POOL_2D" and option(op, "padding", "SAME") == "SAME":
        return (
            Refusal(f"a window of {rows} x {columns}, at most 8 x 8")
            if max(rows, columns) > 8
            else None
        )
    return (
        Refusal(f"a window of {rows} x {columns}") if rows > 256 or rows * columns > 65536 else None
    )


def product(op: Op) -> Refusal | None:
    """A product with weights that are computed: int8, and at most 65,536 columns and terms."""
    if op.type == "FULLY_CONNECTED":
        weights = operand(op, "w")
        if weights is None or weights.is_constant:
            return None
    for tensor in op.inputs[:2]:
        if tensor is not None and (
            tensor.dtype.name != "int8"
            or max((d or 1 for d in tensor.shape[-2:]), default=0) > 65536
        ):
            return Refusal("only int8 products of at most 65,536 terms run on it")
    return None


def same_parameters(op: Op) -> Refusal | None:
    """Operands and result share scale and zero point."""
    out = op.outputs[0].quant
    same = all(t is None or (t.quant is not None and t.quant.equals(out)) for t in op.inputs)
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


def image(tensor: Tensor) -> tuple[int, int, int, int]:
    """Return batch, rows, columns, channels of a tensor as the NPU sees it."""
    shape = tuple(d or 1 for d in tensor.shape)
    if len(shape) > NHWC:
        shape = (math.prod(shape[: len(shape) - 3]), *shape[-3:])
    padded = (1,) * (NHWC - len(shape)) + shape
    return padded[0], padded[1], padded[2], padded[3]


def mean(op: Op) -> Refusal | None:
    """The axes, batch and number of elements that MEAN reduces."""
    x, axes = op.inputs[0], op.inputs[1]
    if x is None or axes is None or axes.data is None:
        return Refusal("its axes are computed at run time")
    if x.dtype.name not in REDUCED:
        return Refusal(f"{type_name(x)} data", INTEGERS)
    named = {int(a) % max(x.rank, 1) for a in axes.data.reshape(-1)}
    sizes = [x.shape[a] or 1 for a in named]
    if x.rank == NHWC and x.shape[0] not in (None, 1):
        return Refusal("its batch is not 1", "--input_shapes with batch 1")
    if math.prod(sizes) > REDUCED[x.dtype.name] or max(sizes, default=0) >= 4096:
        return Refusal("it reduces too many elements")
    _, rows, columns, channels = image(x)
    if x.rank - 1 in named and 1 not in (rows, columns, channels):
        return Refusal("it reduces channels of an image")
    return None


def arg_max(op: Op) -> Refusal | None:
    """ARG_MAX runs over at most 127 channels."""
    x, axis = op.inputs[0], op.inputs[1]
    if x is None or axis is None or axis.data is None:
        return Refusal("its axis is computed at run time")
    if int(axis.data.reshape(-1)[0]) % max(x.rank, 1) != x.rank - 1:
        return Refusal("its axis is not the last one")
    return Refusal(f"{x.shape[-1]} channels, at most 127") if (x.shape[-1] or 1) > 127 else None


def scaling(op: Op) -> tuple[float, float] | None:
    """Return by how much a resize makes rows and columns larger; None where nothing is to do."""
    x, y = op.inputs[0], op.outputs[0]
    assert x is not None
    (_, rows, columns, _), (_, high, wide, _) = image(x), image(y)
    if rows == columns == 1 or x.shape == y.shape:
        return None
    if option(op, "align_corners", False):
        return (high - 1) / max(rows - 1, 1), (wide - 1) / max(columns - 1, 1)
    return high / rows, wide / columns


def resize(op: Op) -> Refusal | None:
    """A resize by 2, 4 or 8 on both axes; with half-pixel centers by 2."""
    scales = scaling(op)
    if scales is None:
        return None
    rows, columns = scales
    y = image(op.outputs[0])
    narrow = (y[1] == 1 and rows == 1) or (y[2] == 1 and columns == 1)
    half = op.type == "RESIZE_BILINEAR" and option(op, "half_pixel_centers", False)
    allowed = (2,) if half else (2, 4, 8)
    if (rows != columns and not narrow) or max(rows, columns) not in allowed:
        words = "2" if half else "2, 4 or 8"
        return Refusal(f"it scales by {rows:g} x {columns:g}, only {words} on both axes is taken")
    return None


def resize_by_power(op: Op) -> Refusal | None:
    """The U85: powers of two up to 1,024, or 2,048 with aligned corners."""
    if option(op, "align_corners", False) and option(op, "half_pixel_centers", False):
        return Refusal("align_corners and half_pixel_centers together")
    most = 2048 if option(op, "align_corners", False) else 1024
    scales = scaling(op) or ()
    whole = op.type != "RESIZE_BILINEAR" or all(s > 0 and math.log2(s) % 1 == 0 for s in scales)
    return (
        None
        if whole and max(scales, default=1) <= most
        else Refusal("its scale is no power of two")
    )


def softmax(op: Op) -> Refusal | None:
    """The image of a SOFTMAX has less than 65,536 places."""
    x = op.inputs[0]
    assert x is not None
    _, rows, columns, _ = image(x)
    return Refusal("an image of 65,536 elements or more") if rows * columns >= 65536 else None


def steps(op: Op) -> Refusal | None:
    """A slice with steps moves forward."""
    step = operand(op, "strides")
    if step is not None and step.data is not None and (step.data < 0).any():
        return Refusal("a negative stride")
    return None


def transposed(op: Op) -> Refusal | None:
    """Strides of a transposed convolution are 1 or 2."""
    pair, weights, x = strides(op), operand(op, "w"), operand(op, "x")
    assert weights is not None
    assert x is not None
    _, rows, columns, _ = image(x)
    kernel = weights.shape[1:3]
    flat = pair == (1, 2) and rows == kernel[0] == 1
    upright = pair == (2, 1) and columns == kernel[1] == 1
    if pair not in ((1, 1), (2, 2)) and not flat and not upright:
        return Refusal(f"strides {pair[0]} x {pair[1]}, only 1 and 2 are taken")
    return exact_size(op)


def exact_size(op: Op) -> Refusal | None:
    """The result has the size that padding and strides say."""
    pair, weights, x = strides(op), operand(op, "w"), operand(op, "x")
    assert weights is not None
    assert x is not None
    found, whole = image(op.outputs[0])[1:3], image(x)[1:3]
    grown = tuple(d * s for d, s in zip(whole, pair, strict=True))
    if option(op, "padding", "SAME") == "VALID":
        kernel = (weights.shape[1] or 1, weights.shape[2] or 1)
        grown = tuple(g + max(k - s, 0) for g, k, s in zip(grown, kernel, pair, strict=True))
    return None if grown == found else Refusal(f"its result is not {grown[0]} x {grown[1]}")


def lstm(op: Op) -> Refusal | None:
    """An LSTM without projection, peepholes and gate normalization."""
    parts = {
        "a projection": ("w_proj",),
        "peepholes": ("w_ci", "w_cf", "w_co"),
        "gate normalization": ("ln_i", "ln_f", "ln_c", "ln_o"),
    }
    for what, names in parts.items():
        if any(operand(op, name) is not None for name in names):
            return Refusal(f"{what}")
    return (
        None if operand(op, "w_xi") is not None else Refusal("an input gate that is not computed")
    )


def gather(op: Op) -> Refusal | None:
    """A gather along the axis of its batches."""
    same = option(op, "axis", 0) == option(op, "batch_dims", 0)
    return None if same else Refusal("its axis is not that of its batches")
