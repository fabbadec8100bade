"""Recognize what several operators spell out and one kernel does."""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    is_scalar,
    made_by,
    of_type,
    sole_reader,
    values_of,
    with_constant,
)
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.passes.fold import LINEAR

SMALLEST_EPSILON = 1e-3
"""Largest epsilon under the root that L2_NORMALIZATION may ignore (TOCO's bound)."""


def clamp_to_activation(graph: Graph) -> int:
    """Read clamps by constants as activations.

    y = MAXIMUM(x, 0)                       ->   y = RELU(x)
    y = MINIMUM(RELU(x), 6)                 ->   y = RELU6(x)
    y = MINIMUM(MAXIMUM(x, -1), 1)          ->   y = RELU_N1_TO_1(x)          (in either order)
    """
    count = 0
    for op in of_type(graph, "MAXIMUM", "MINIMUM"):
        found = _activation_of(graph, op)
        if found is None or op.output.dtype != np.float32:
            continue
        kind, x, sources = found
        if x.shape != op.output.shape:
            continue
        source = op.source.joined(*sources)
        graph.replace(
            op.output, emit(graph, kind, x, name=f"{op.output.name}/clamp", source=source)
        )
        count += 1
    return count


def _activation_of(graph: Graph, op: Op) -> tuple[str, Tensor, list[Source]] | None:
    outer = with_constant(op)
    if outer is None:
        return None
    if op.type == "MAXIMUM" and np.all(outer.constant == 0):
        six = made_by(outer.x, "MINIMUM")
        inner = with_constant(six) if six is not None else None
        if six is not None and inner is not None and np.all(inner.constant == 6):
            return "RELU6", inner.x, [six.source]
        return "RELU", outer.x, []
    if op.type == "MINIMUM" and np.all(outer.constant == 6):
        relu = made_by(outer.x, "RELU")
        return ("RELU6", relu.input(0), [relu.source]) if relu is not None else None
    bound = {"MINIMUM": 1.0, "MAXIMUM": -1.0}[op.type]
    before = made_by(outer.x, "MAXIMUM" if op.type == "MINIMUM" else "MINIMUM")
    inner = with_constant(before) if before is not None else None
    if before is None or inner is None or sole_reader(graph, before.output) is not op:
        return None
    if np.all(outer.constant == bound) and np.all(inner.constant == -bound):
        return "RELU_N1_TO_1", inner.x, [before.source]
    return None


def recognize_leaky_relu(graph: Graph) -> int:
    """Read a maximum with a fraction of itself as LEAKY_RELU.

    y = MAXIMUM(x, MUL(x, a)), 0 < a < 1   ->   y = LEAKY_RELU(x) {alpha=a}
    """
    count = 0
    for op in of_type(graph, "MAXIMUM"):
        for x, scaled in (op.inputs, op.inputs[::-1]):
            product = made_by(scaled, "MUL")
            operands = with_constant(product) if product is not None else None
            if operands is None or operands.x is not x or operands.constant.size != 1:
                continue
            alpha = float(operands.constant.reshape(-1)[0])
            if 0 < alpha < 1:
                y = emit(
                    graph,
                    "LEAKY_RELU",
                    x,
                    name=f"{op.output.name}/leaky",
                    source=op.source,
                    alpha=alpha,
                )
                graph.replace(op.output, y)
                count += 1
                break
    return count


def recognize_prelu(graph: Graph) -> int:
    """Read the two halves of a parametric ReLU.

    y = ADD(RELU(x), MUL(a, RELU(NEG(x)))), a constant   ->   y = PRELU(x, -a)
    y = ADD(RELU(x), MUL(MUL(a, SUB(x, ABS(x))), 0.5))   ->   y = PRELU(x, a)
    """
    count = 0
    for op in of_type(graph, "ADD", "SUB"):
        if has_activation(op):
            continue
        for left, right in (op.inputs, op.inputs[::-1]) if op.type == "ADD" else (op.inputs,):
            relu = made_by(left, "RELU")
            if relu is None or right is None:
                continue
            x = relu.input(0)
            alpha = _negative_slope(x, right)
            if alpha is None or x.rank < 2:
                continue
            sign = -1.0 if op.type == "SUB" else 1.0
            slopes = _prelu_slopes(alpha * np.float32(sign), x)
            if slopes is None:
                continue
            y = emit(graph, "PRELU", x, slopes, name=f"{op.output.name}/prelu", source=op.source)
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _negative_slope(x: Tensor, part: Tensor) -> np.ndarray | None:
    """Return a where `part` is a * min(x, 0), spelled in one of the usual ways."""
    product = made_by(part, "MUL")
    operands = with_constant(product) if product is not None else None
    if operands is None:
        negated = made_by(part, "NEG")
        if negated is not None:
            inner = _negative_slope(x, negated.input(0))
            return None if inner is None else -inner
        return None
    if is_negative_half(x, operands.x):
        return -operands.constant
    low = made_by(operands.x, "MINIMUM")
    bound = with_constant(low) if low is not None else None
    if bound is not None and bound.x is x and np.all(bound.constant == 0):
        return operands.constant
    inner_op = made_by(operands.x, "MUL")
    inner = with_constant(inner_op) if inner_op is not None else None
    twice = inner.x if inner is not None else operands.x
    difference = made_by(twice, "SUB")
    if difference is None or difference.inputs[0] is not x:
        return None
    absolute = made_by(difference.inputs[1], "ABS")
    if absolute is None or absolute.inputs[0] is not x:
        return None
    constant = operands.constant * inner.constant if inner is not None else operands.constant
    return np.asarray(constant * 2, np.float32)


def is_negative_half(x: Tensor, t: Tensor) -> bool:
    """Whether `t` is max(-x, 0)."""
    relu = made_by(t, "RELU")
    negated = relu.input(0) if relu is not None else None
    op = made_by(negated, "NEG", "MUL")
    if op is None:
        return False
    if op.type == "NEG":
        return op.inputs[0] is x
    operands = with_constant(op)
    return operands is not None and operands.x is x and bool(np.all(operands.constant == -1))


def _prelu_slopes(alpha: np.ndarray, x: Tensor) -> np.ndarray | None:
    """Return slopes in the shape that PRELU reads: x's without the batch, broadcast from the right."""
    flat = alpha.reshape(alpha.shape or (1,))
    if flat.ndim > x.rank - 1:
        if flat.shape[0] != 1 or flat.ndim != x.rank:
            return None
        flat = flat[0]
    channels = x.shape[-1]
    if flat.size == 1 and channels is not None:
        flat = np.full(channels, flat.reshape(-1)[0], np.float32)
    return np.ascontiguousarray(
        flat.reshape((1,) * (x.rank - 1 - flat.ndim) + flat.shape), np.float32
    )


def recognize_hard_swish(graph: Graph) -> int:
    """Read x * relu6(x + 3) / 6 in any order of its factors.

    y = MUL(MUL(x, RELU6(ADD(x, 3))), 1/6)   ->   y = HARD_SWISH(x)
    """
    count = 0
    for op in of_type(graph, "MUL", "DIV"):
        x = _hard_swish_operand(op)
        if x is None:
            continue
        y = emit(graph, "HARD_SWISH", x, name=f"{op.output.name}/hard_swish", source=op.source)
        graph.replace(op.output, y)
        count += 1
    return count


def _hard_swish_operand(op: Op) -> Tensor | None:
    scale, factors = _factors(op)
    if len(factors) != 2 or not math.isclose(scale, 1 / 6, rel_tol=1e-4):
        return None
    for x, gate in (factors, factors[::-1]):
        relu6 = made_by(gate, "RELU6")
        shifted = made_by(relu6.input(0), "ADD") if relu6 is not None else None
        operands = with_constant(shifted) if shifted is not None else None
        if operands is not None and operands.x is x and np.all(operands.constant == 3):
            return x
    return None


def _factors(op: Op) -> tuple[float, list[Tensor]]:
    """Return a product as (scalar constants multiplied, the other factors)."""
    scale, factors = 1.0, []
    stack: list[tuple[Tensor | None, bool]] = [
        (t, op.type == "DIV" and i == 1) for i, t in enumerate(op.inputs)
    ]
    while stack:
        tensor, inverse = stack.pop()
        if tensor is None:
            continue
        if tensor.data is not None and tensor.size == 1:
            value = float(tensor.data.reshape(-1)[0])
            if value == 0:
                return 0.0, []
            scale = scale / value if inverse else scale * value
            continue
        product = made_by(tensor, "MUL", "DIV")
        if (
            product is not None
            and not inverse
            and not has_activation(product)
            and len(tensor.uses) == 1
        ):
            stack += [(t, product.type == "DIV" and i == 1) for i, t in enumerate(product.inputs)]
        else:
            factors.append(tensor)
            if inverse:
                return scale, []
    return scale, factors


def recognize_l2_normalization(graph: Graph) -> int:
    """Read x * rsqrt(max(sum(x^2), e)) over the last axis.

    y = MUL(x, RSQRT(MAXIMUM(SUM(SQUARE(x), [-1]), e)))   ->   y = L2_NORMALIZATION(x)
    """
    count = 0
    for op in of_type(graph, "MUL", "DIV"):
        root_type = "RSQRT" if op.type == "MUL" else "SQRT"
        pairs = (op.inputs, op.inputs[::-1]) if op.type == "MUL" else (op.inputs,)
        for x, factor in pairs:
            root = made_by(factor, root_type)
            if x is None or root is None or not _is_square_sum(root.input(0), x):
                continue
            y = emit(graph, "L2_NORMALIZATION", x, name=f"{op.output.name}/l2", source=op.source)
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _is_square_sum(total: Tensor, x: Tensor) -> bool:
    guarded = made_by(total, "MAXIMUM", "ADD")
    if guarded is not None:
        operands = with_constant(guarded)
        if operands is None or not np.all(np.abs(operands.constant) <= SMALLEST_EPSILON):
            return False
        total = operands.x
    reduction = made_by(total, "SUM")
    if reduction is None or not reduction.options.get("keep_dims"):
        return False
    axes = values_of(reduction.inputs[1])
    if axes is None or [a % x.rank for a in axes] != [x.rank - 1]:
        return False
    square = made_by(reduction.input(0), "SQUARE", "MUL")
    return square is not None and all(t is x for t in square.inputs)


def recognize_gelu(graph: Graph) -> int:
    """Read 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    y = MUL(MUL(0.5, x), ADD(1, TANH(...)))   ->   y = GELU(x) {approximate=true}
    """
    count = 0
    for op in of_type(graph, "MUL"):
        scale, factors = _factors(op)
        if len(factors) != 2 or not math.isclose(scale, 0.5, rel_tol=1e-5):
            continue
        for x, gate in (factors, factors[::-1]):
            one_plus = made_by(gate, "ADD")
            operands = with_constant(one_plus) if one_plus is not None else None
            tanh = (
                made_by(operands.x, "TANH")
                if operands is not None and np.all(operands.constant == 1)
                else None
            )
            if tanh is None or not _is_gelu_inner(tanh.input(0), x):
                continue
            y = emit(
                graph, "GELU", x, name=f"{op.output.name}/gelu", source=op.source, approximate=True
            )
            graph.replace(op.output, y)
            count += 1
            break
    return count


def _is_gelu_inner(t: Tensor, x: Tensor) -> bool:
    product = made_by(t, "MUL")
    operands = with_constant(product) if product is not None else None
    if operands is None or not np.allclose(operands.constant, math.sqrt(2 / math.pi), rtol=1e-4):
        return False
    total = made_by(operands.x, "ADD")
    if total is None:
        return False
    for first, cubic in (total.inputs, total.inputs[::-1]):
        scaled = made_by(cubic, "MUL")
        parts = with_constant(scaled) if scaled is not None else None
        if first is x and parts is not None and np.allclose(parts.constant, 0.044715, rtol=1e-4):
            return _is_cube(parts.x, x)
    return False


def _is_cube(t: Tensor, x: Tensor) -> bool:
    power = made_by(t, "POW")
    if power is not None:
        return power.inputs[0] is x and is_scalar(power.inputs[1], 3.0)
    product = made_by(t, "MUL")
    if product is None:
        return False
    for a, b in (product.inputs, product.inputs[::-1]):
        square = made_by(b, "MUL", "SQUARE")
        if a is x and square is not None and all(s is x for s in square.inputs):
            return True
    return False


def recognize_log_softmax(graph: Graph) -> int:
    """Take the logarithm inside, where it cannot overflow.

    y = LOG(SOFTMAX(x))   ->   y = LOG_SOFTMAX(x)
    """
    count = 0
    for op in of_type(graph, "LOG"):
        softmax = made_by(op.inputs[0], "SOFTMAX")
        if softmax is None or softmax.options.get("beta", 1.0) != 1.0:
            continue
        source = op.source.joined(softmax.source)
        y = emit(
            graph,
            "LOG_SOFTMAX",
            softmax.input(0),
            name=f"{op.output.name}/log_softmax",
            source=source,
        )
        graph.replace(op.output, y)
        count += 1
    return count


def recognize_dilation(graph: Graph) -> int:
    """Dilate the kernel instead of folding space into the batch.

    b = SPACE_TO_BATCH_ND(x, [d,d], p); c = CONV_2D(b, w) {VALID}; y = BATCH_TO_SPACE_ND(c, [d,d], q)
    ->   y = CONV_2D(x, w) {dilation=d, SAME where the pads amount to it, else VALID}
    """
    count = 0
    for op in of_type(graph, "BATCH_TO_SPACE_ND"):
        conv, between = _convolution_inside(graph, op)
        if conv is None:
            continue
        fold = made_by(conv.input(0), "SPACE_TO_BATCH_ND")
        if fold is None or conv.options.get("padding", "SAME") != "VALID":
            continue
        block = values_of(fold.inputs[1])
        if (
            block is None
            or block != values_of(op.inputs[1])
            or len(block) != 2
            or fold.input(0).rank != 4
        ):
            continue
        padding = _dilated_padding(conv, fold, op, block)
        if padding is None or sole_reader(graph, fold.output) is not conv:
            continue
        options = {
            **conv.options,
            "padding": padding,
            "dilation_h_factor": block[0],
            "dilation_w_factor": block[1],
        }
        source = conv.source.joined(fold.source, op.source)
        y = emit(
            graph,
            conv.type,
            fold.input(0),
            *conv.inputs[1:],
            name=f"{op.output.name}/dilated",
            source=source,
            **options,
        )
        if y.shape != op.output.shape:
            continue
        if between is not None:
            constant = between.input(1) if with_constant(between).first else between.input(0)  # type: ignore[union-attr]
            y = emit(
                graph,
                between.type,
                y,
                constant,
                name=f"{op.output.name}/shifted",
                source=between.source,
            )
        graph.replace(op.output, y)
        count += 1
    return count


def _convolution_inside(graph: Graph, op: Op) -> tuple[Op | None, Op | None]:
    """Return the convolution before a BATCH_TO_SPACE_ND, and a shift by channels between them."""
    x = op.input(0)
    if sole_reader(graph, x) is not op:
        return None, None
    between = made_by(x, "ADD")
    if between is not None:
        operands = with_constant(between)
        if operands is None or operands.constant.size not in (1, x.shape[-1]):
            return None, None
        x = operands.x
    conv = made_by(x, "CONV_2D", "DEPTHWISE_CONV_2D")
    if conv is None or len(x.uses) != 1:
        return None, None
    strided = any(conv.options.get(name, 1) != 1 for name in ("stride_h", "stride_w"))
    dilated = any(conv.options.get(f"dilation_{s}_factor", 1) != 1 for s in "hw")
    return (None, None) if strided or dilated or has_activation(conv) else (conv, between)


def _dilated_padding(conv: Op, fold: Op, unfold: Op, block: list[int]) -> str | None:
    """Return the padding of the dilated convolution that computes the same, or None."""
    pads, crops = values_of(fold.inputs[2]), values_of(unfold.inputs[2])
    if pads is None or crops is None:
        return None
    if not any(pads) and not any(crops):
        return "VALID"
    w = conv.input(LINEAR[conv.type].w)
    for axis in range(2):
        kernel = w.shape[axis + 1]
        if kernel is None:
            return None
        reach = (kernel - 1) * block[axis]
        before, after = pads[2 * axis], pads[2 * axis + 1]
        first_crop, last_crop = crops[2 * axis], crops[2 * axis + 1]
        if (
            before - first_crop != reach // 2
            or after - last_crop != reach - reach // 2
            or first_crop != 0
        ):
            return None
    return "SAME"
