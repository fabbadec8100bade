"""Operations of Keras 3 that say how far tensors are apart: losses, distances, correlations."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import activations, arithmetic, compare, functions, gather, products
from tqconv.compose.operands import static_size
from tqconv.importers.keras.layers.elementwise import is_close
from tqconv.importers.keras.layers.operations import operands
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32
EPSILON = 1e-7
"""How near to 0 and 1 probabilities may be: `keras.config.epsilon()`, as it is by default."""


@handles("ops.AllClose")
def all_close(
    b: KerasBuilder,
    *xs: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
    args: Any = None,
) -> Tensor:
    """Whether all elements are near to each other; infinite ones if they are the same."""
    x, y = operands(b, xs, args)
    near = is_close(b, x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if x.dtype.kind == "f":
        finite = b("LOGICAL_AND", *(compare.is_finite(b, t) for t in (x, y)))
        unknown = b("LOGICAL_OR", *(compare.is_nan(b, t) for t in (x, y)))
        near = b("LOGICAL_AND", near, b("LOGICAL_OR", finite, unknown))
        near = b("LOGICAL_OR", near, compare.equal(b, x, y))
    axes = np.arange(near.rank, dtype=np.int32)
    return b("REDUCE_ALL", near, axes, keep_dims=False)


@handles("ops.BinaryCrossentropy")
def binary_crossentropy(
    b: KerasBuilder, *xs: Tensor, from_logits: bool = False, args: Any = None
) -> Tensor:
    """Return -t log(p) - (1 - t) log(1 - p); of logits z: max(z, 0) - z t + log(1 + exp(-|z|))."""
    target, output = (b.real(t) for t in operands(b, xs, args))
    one = np.array(1, F)
    if from_logits:
        rest = functions.log1p(b, b("EXP", b("NEG", b("ABS", output))))
        linear = b("SUB", activations.clamp(b, output, 0, None), b("MUL", output, target))
        return b("ADD", linear, rest)
    p = activations.clamp(b, output, EPSILON, 1 - EPSILON)
    yes = b("MUL", target, b("LOG", p))
    no = b("MUL", b("SUB", one, target), b("LOG", b("SUB", one, p)))
    return b("NEG", b("ADD", yes, no))


@handles("ops.CategoricalCrossentropy")
def categorical_crossentropy(
    b: KerasBuilder, *xs: Tensor, from_logits: bool = False, axis: int = -1, args: Any = None
) -> Tensor:
    """The sum of -t log(p) along an axis, where the probabilities p add up to 1."""
    target, output = (b.real(t) for t in operands(b, xs, args))
    along = np.array([axis_of(axis, output.rank)], np.int32)
    if from_logits:
        logs = activations.log_softmax(b, output, axis)
    else:
        p = b("DIV", output, b("SUM", output, along, keep_dims=True))
        logs = b("LOG", activations.clamp(b, p, EPSILON, 1 - EPSILON))
    return b("NEG", b("SUM", b("MUL", target, logs), along, keep_dims=False))


@handles("ops.SparseCategoricalCrossentropy")
def sparse_categorical_crossentropy(
    b: KerasBuilder, *xs: Tensor, from_logits: bool = False, axis: int = -1, args: Any = None
) -> Tensor:
    """The negative logarithm of the softmax at a class, of logits or of logarithms."""
    target, output = in_order(b, xs, args)
    logits = b.real(tensor(b, output))
    classes = b.cast(tensor(b, target, np.int32, "target"), np.int32)
    if not from_logits:
        logits = b("LOG", activations.clamp(b, logits, EPSILON, 1 - EPSILON))
    if classes.rank == logits.rank:
        classes = b("SQUEEZE", classes, squeeze_dims=[classes.rank - 1])
    depth, one, zero = static_size(logits, -1), b.const(1, F, "one"), b.const(0, F, "zero")
    hot = gather.one_hot(b, classes, b.const(depth, np.int32, "depth"), one, zero, classes.rank)
    found = b("MUL", hot, activations.log_softmax(b, logits, axis))
    return b("NEG", b("SUM", found, np.array([logits.rank - 1], np.int32), keep_dims=False))


@handles("ops.PSNR")
def signal_to_noise(b: KerasBuilder, *xs: Tensor, max_val: float, args: Any = None) -> Tensor:
    """The ratio of the largest signal and the mean squared difference, in dB."""
    x, y = (b.real(t) for t in operands(b, xs, args))
    axes = np.arange(x.rank, dtype=np.int32)
    error = b("MEAN", arithmetic.squared_difference(b, x, y), axes, keep_dims=False)
    noise = b("MUL", b("LOG", error), np.array(10 / np.log(10), F))
    return b("SUB", np.array(20 * np.log10(max_val), F), noise)


@handles("ops.CDist")
def distances(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """The Euclidean distance of each row of one matrix to each of another."""
    x, y = (b.real(t) for t in operands(b, xs, args))
    rows = b("EXPAND_DIMS", x, np.array(x.rank - 1, np.int32))
    columns = b("EXPAND_DIMS", y, np.array(y.rank - 2, np.int32))
    squares = arithmetic.squared_difference(b, rows, columns)
    last = np.array([squares.rank - 1], np.int32)
    return b("SQRT", b("SUM", squares, last, keep_dims=False))


@handles("ops.Corrcoef")
def correlations(b: KerasBuilder, x: Tensor) -> Tensor:
    """How the rows of a matrix go together, from -1 to 1."""
    x = b.real(x)
    last = np.array([x.rank - 1], np.int32)
    centered = b("SUB", x, b("MEAN", x, last, keep_dims=True))
    size = b("SQRT", b("SUM", b("SQUARE", centered), last, keep_dims=True))
    unit = b("DIV", centered, size)
    return activations.clamp(b, products.product(b, unit, unit, adj_w=True), -1, 1)
