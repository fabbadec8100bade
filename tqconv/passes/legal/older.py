"""Forms of operators that an older runtime, or a smaller one, takes as well.

A release refuses what a later one brought: GELU before TensorFlow 2.9, a convolution of groups
before 2.9, a transposed convolution with an activation before 2.13. Much of it can be said with
what there was before. Where nothing else runs what a target refuses, each such operator is
rewritten, if all that it becomes is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.functions import erf
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import Pass
from tqconv.targets.device import Device

Form = Callable[[Builder, Op], "Tensor | None"]
"""Returns what an operator's result is made by instead; None where it has no other form."""

F = np.float32
INT32 = np.dtype(np.int32)


def older_forms(device: Device) -> Pass:
    """Return the pass that rewrites what a device refuses, where nothing else runs that.

    Integers that stand for reals are left alone: other forms have other roundings.
    """

    def choose_older_forms(graph: Graph) -> int:
        count = 0
        for op in [] if device.rest else list(graph.ops):
            if device.refuses(op) is not None:
                count += _lowered(device, op) or graph.attempt(_with(device), op)
        return count

    return choose_older_forms


def _lowered(device: Device, op: Op) -> bool:
    """Let the writer choose the version of an operator whose file states a higher one."""
    stated = op.version
    if stated is None or not known(op.type) or spec(op.type).version(op) >= stated:
        return False
    op.version = None
    if device.refuses(op) is None:
        return True
    op.version = stated
    return False


def _with(device: Device) -> Callable[[Graph, Op], bool]:
    def rewrite(graph: Graph, op: Op) -> bool:
        form = FORMS.get(op.type)
        stored = any(t is not None and t.quant is not None for t in (*op.inputs, *op.outputs))
        if form is None or stored:
            return False
        count = len(graph.ops)
        made = form(Builder(graph, op.source, op.output.name), op)
        if made is None or any(device.refuses(new) is not None for new in graph.ops[count:]):
            return False
        graph.replace(op.output, made)
        return True

    return rewrite


def _relu_0_to_1(b: Builder, op: Op) -> Tensor:
    """y = MINIMUM(RELU(x), 1)."""
    return b("MINIMUM", b("RELU", op.input(0)), F(1))


def _gelu(b: Builder, op: Op) -> Tensor:
    """y = x / 2 * (1 + erf(x / sqrt(2))), or the formula with tanh that the operator stands for."""
    x = op.input(0)
    if op.options.get("approximate", False):
        cube = b("MUL", b("MUL", x, x), b("MUL", x, F(0.044715)))
        bent = b("TANH", b("MUL", b("ADD", x, cube), F(math.sqrt(2 / math.pi))))
    else:
        bent = erf(b, b("MUL", x, F(math.sqrt(0.5))))
    return b("MUL", b("MUL", x, F(0.5)), b("ADD", bent, F(1)))


def _update_slice(b: Builder, op: Op) -> Tensor | None:
    """y = CONCATENATION(x[:i], update, x[i + n:]), where the update is whole on all other axes."""
    x, update, start = (op.input(i) for i in range(3))
    if not update.is_static or x.rank == 0:
        return None
    axes = [i for i in range(x.rank) if x.shape[i] is None or x.shape[i] != update.shape[i]]
    if len(axes) > 1 or start.dtype != INT32:
        return None
    axis = axes[0] if axes else 0
    most = _room(b, x, update, axis)
    first = b("SLICE", start, np.array([axis], np.int32), np.array([1], np.int32))
    first = b("MINIMUM", b("MAXIMUM", first, np.array([0], np.int32)), most)
    last = b("ADD", first, np.array([update.shape[axis]], np.int32))
    zero, whole = np.zeros(1, np.int32), np.full(1, -1, np.int32)
    before = b("SLICE", x, np.zeros(x.rank, np.int32), _at(b, x.rank, axis, first, whole))
    after = b("SLICE", x, _at(b, x.rank, axis, last, zero), np.full(x.rank, -1, np.int32))
    made: Tensor = b("CONCATENATION", before, update, after, axis=axis)
    return made


def _room(b: Builder, x: Tensor, update: Tensor, axis: int) -> Any:
    """Return the last place where an update may begin: int32 [1]."""
    size, length = x.shape[axis], int(update.shape[axis] or 0)
    if size is not None:
        return np.array([size - length], np.int32)
    one = np.array([1], np.int32)
    found = b("SLICE", b.shape_of(x), np.array([axis], np.int32), one)
    return b("SUB", found, np.array([length], np.int32))


def _at(b: Builder, rank: int, axis: int, value: Tensor, other: np.ndarray) -> Tensor:
    """Return int32 [rank]: a value at one axis, and another at the others."""
    parts: list[Any] = [np.repeat(other, axis), value, np.repeat(other, rank - axis - 1)]
    parts = [part for part in parts if isinstance(part, Tensor) or part.size]
    made: Tensor = value if len(parts) == 1 else b("CONCATENATION", *parts, axis=0)
    return made


def _conv_of_groups(b: Builder, op: Op) -> Tensor | None:
    """y = CONCATENATION(CONV_2D(x of a group, w of it), …)."""
    x, w = op.input(0), op.input(1)
    channels, own = x.shape[3], w.shape[3]
    if channels is None or own is None or channels == own or w.data is None:
        return None
    groups = channels // own
    parts = b("SPLIT", np.array(3, np.int32), x, num_splits=groups)
    filters = np.split(w.data, groups)
    bias = op.inputs[2] if len(op.inputs) > 2 else None
    if bias is not None and bias.data is None:
        return None
    none = np.zeros(w.data.shape[0], w.dtype)
    biases = np.split(none if bias is None or bias.data is None else bias.data, groups)
    each = [
        b("CONV_2D", part, f, z, **op.options)
        for part, f, z in zip(parts, filters, biases, strict=True)
    ]
    made: Tensor = b("CONCATENATION", *each, axis=3)
    return made


def _transposed(b: Builder, op: Op) -> Tensor | None:
    """y = RELU(ADD(TRANSPOSE_CONV(x, w), b)): what stands behind it, apart."""
    options = dict(op.options)
    activation = options.pop("fused_activation_function", "NONE")
    bias = op.inputs[3] if len(op.inputs) > 3 else None
    if activation not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
        return None
    y: Tensor = b("TRANSPOSE_CONV", *op.inputs[:3], **options)
    y = y if bias is None else b("ADD", y, bias)
    return y if activation == "NONE" else b(activation, y)


def _all(b: Builder, op: Op) -> Tensor:
    """y = not any(not x)."""
    some = b("REDUCE_ANY", b("LOGICAL_NOT", op.input(0)), op.input(1), **op.options)
    made: Tensor = b("LOGICAL_NOT", some)
    return made


def _sign(b: Builder, op: Op) -> Tensor:
    """y = (x > 0) - (x < 0); 0 of what is no number."""
    x = op.input(0)
    zero = np.zeros((), x.dtype)
    above, below = b.cast(b("GREATER", x, zero), x.dtype), b.cast(b("LESS", x, zero), x.dtype)
    made: Tensor = b("SUB", above, below)
    return made


def _segment_sum(b: Builder, op: Op) -> Tensor | None:
    """y = SCATTER_ND(EXPAND_DIMS(ids), x, [count, …]), which adds what meets at a place."""
    x, ids, count = (op.input(i) for i in range(3))
    if ids.rank != 1 or None in x.shape[1:] or count.dtype != INT32 or ids.dtype != INT32:
        return None
    rest = np.array(x.shape[1:], np.int32)
    shape = b.reshape(count, (1,))
    if rest.size:
        shape = b("CONCATENATION", shape, rest, axis=0)
    places = b("EXPAND_DIMS", ids, np.array(1, np.int32))
    made: Tensor = b("SCATTER_ND", places, x, shape)
    return made


def _broadcast(b: Builder, op: Op) -> Tensor | None:
    """y = MUL(x, FILL(shape, 1))."""
    x, shape = op.input(0), op.input(1)
    if x.dtype not in (np.dtype(F), INT32) or max(x.rank, op.output.rank) > 4:
        return None
    made: Tensor = b("MUL", x, b("FILL", shape, np.ones((), x.dtype)))
    return made


def _dense(b: Builder, op: Op) -> Tensor | None:
    """y = FULLY_CONNECTED(x, w, zeros)."""
    w = op.input(1)
    if len(op.inputs) > 2 or w.dtype != np.dtype(F) or w.shape[0] is None:
        return None
    made: Tensor = b("FULLY_CONNECTED", op.input(0), w, np.zeros(w.shape[0], F), **op.options)
    return made


FORMS: Mapping[str, Form] = {
    "BROADCAST_TO": _broadcast,
    "CONV_2D": _conv_of_groups,
    "DYNAMIC_UPDATE_SLICE": _update_slice,
    "FULLY_CONNECTED": _dense,
    "GELU": _gelu,
    "REDUCE_ALL": _all,
    "RELU_0_TO_1": _relu_0_to_1,
    "SIGN": _sign,
    "TRANSPOSE_CONV": _transposed,
    "UNSORTED_SEGMENT_SUM": _segment_sum,
}
"""Operator -> what it can be said by."""
