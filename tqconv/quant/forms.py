"""Other forms of the same operators that integers compute better: steps where values need them.

Exact in reals. Unlike `rewrites`, the operators that are replaced here have integer kernels, too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import ACTIVATION, has_activation, sole_reader, with_constant
from tqconv.ops.emit import emit
from tqconv.quant.schemes import INT8, Scheme

SIDES = ("height", "width")


def better_form(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """Replace an operator, in place, whose integers do better in another form; return whether."""
    form = FORMS.get(op.type)
    if form is None or scheme.activation is None or op not in graph.ops:
        return False
    return form(graph, op, scheme)


def _average_all(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """AVERAGE_POOL_2D over all of an image = MEAN, whose result has steps of its own.

    The pool's kernel keeps those of what it reads, where single elements are many times larger than
    their averages. The delegate runs MEAN, too.
    """
    if has_activation(op):
        return False
    image, window = op.input(0).shape[1:3], [op.options.get(f"filter_{d}") for d in SIDES]
    if list(image) != window or op.output.shape[1:3] != (1, 1):
        return False
    graph.replace(op.output, _mean(graph, op, op.input(0), scheme))
    return True


def _mean_over_places(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """MEAN over the places of an image that keeps their axes = one that drops them, and RESHAPE."""
    x, y, axes = op.input(0), op.output, op.input(1).data
    if not op.options.get("keep_dims") or x.rank != 4 or axes is None or not y.is_static:
        return False
    if sorted(axis % 4 for axis in np.ravel(axes)) != [1, 2] or scheme.activation != INT8:
        return False
    graph.replace(y, _mean(graph, op, x, scheme))
    return True


def _mean(graph: Graph, op: Op, x: Tensor, scheme: Scheme) -> Tensor:
    """Return the mean over the places of an image, in place of an operator's result [n, 1, 1, c].

    Where a mean of int8 keeps these two axes, LiteRT has a kernel of its own without the delegate,
    which cuts the digits of its zero point off: results are half a step lower on average, and up to
    a whole one (kernels/internal/optimized/reduce.h).
    """
    axes, y = np.array([1, 2], np.int32), op.output
    drops = scheme.activation == INT8 and y.is_static
    name = f"{y.name}/mean"
    made: Tensor = emit(graph, "MEAN", x, axes, name=name, source=op.source, keep_dims=not drops)
    made.range = y.range
    if not drops or (y not in graph.outputs and all(_flattens(use.op) for use in y.uses)):
        return made
    sizes = np.array(y.shape, np.int32)
    spread: Tensor = emit(graph, "RESHAPE", made, sizes, name=f"{y.name}/spread", source=op.source)
    spread.range = y.range
    return spread


def _flattens(op: Op) -> bool:
    """Whether an operator reads elements in their order, whatever the axes are."""
    dense = op.type == "FULLY_CONNECTED" and not op.options.get("keep_num_dims")
    return dense or op.type == "RESHAPE"


def _scale_channels(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """MUL(x, [c]), ADD(_, [c]) = DEPTHWISE_CONV_2D of 1 x 1, where each channel has a scale.

    As operands of MUL and ADD the constants share one, and the product is rounded between them; a
    normalization that could not be folded cost more than all convolutions of its network. In 16
    bits the constants are finer than the 8 bits of weights.
    """
    if scheme.activation is None or scheme.activation.itemsize > 1 or not scheme.per_channel:
        return False
    factors = _by_channel(op)
    if factors is None or has_activation(op) or op.output.range is not None:
        return False
    x, w = factors
    last, b = op, np.zeros_like(w)
    reader = sole_reader(graph, op.output)
    if reader is not None and reader.type == "ADD":
        shift = _by_channel(reader)
        if shift is not None:
            last, b = reader, shift[1]
    made = emit(
        graph,
        "DEPTHWISE_CONV_2D",
        x,
        w.reshape(1, 1, 1, -1),
        b,
        name=f"{last.output.name}/scaled",
        source=op.source.joined(last.source),
        padding="VALID",
        stride_h=1,
        stride_w=1,
        depth_multiplier=1,
        **{ACTIVATION: last.options.get(ACTIVATION, "NONE")},
    )
    graph.replace(last.output, made)
    return True


def _by_channel(op: Op) -> tuple[Tensor, NDArray[np.float32]] | None:
    """Return the image and the constant [c] of a binary operator, None for other operands."""
    operands = with_constant(op, clamped=True)
    if operands is None or operands.x.rank != 4 or operands.x.shape != op.output.shape:
        return None
    channels, data = operands.x.shape[3], operands.constant
    if channels is None or channels < 2 or data.size != channels or data.shape[-1] != channels:
        return None
    return operands.x, np.ascontiguousarray(data.reshape(channels), np.float32)


def _square_apart(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """SQUARED_DIFFERENCE(a, b) = MUL(d, d), d = SUB(a, b): both of which the delegate runs.

    A normalization has computed the difference already, so that nothing is added.
    """
    if scheme.activation is None or scheme.activation.itemsize > 1 or op.output.range is not None:
        return False
    a, b = op.input(0), op.input(1)
    known = next((use.op for use in a.uses if _is_difference(use.op, a, b)), None)
    if known is not None:
        difference = known.output
    else:
        difference = emit(graph, "SUB", a, b, name=f"{op.output.name}/difference", source=op.source)
    name = f"{op.output.name}/squared"
    squared = emit(graph, "MUL", difference, difference, name=name, source=op.source)
    graph.replace(op.output, squared)
    return True


def _is_difference(op: Op, a: Tensor, b: Tensor) -> bool:
    return op.type == "SUB" and op.input(0) is a and op.input(1) is b and not has_activation(op)


FORMS: dict[str, Callable[[Graph, Op, Scheme], bool]] = {
    "AVERAGE_POOL_2D": _average_all,
    "MEAN": _mean_over_places,
    "MUL": _scale_channels,
    "SQUARED_DIFFERENCE": _square_apart,
}
"""What is tried for an operator whose integers lose more than they need to."""
