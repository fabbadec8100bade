"""Drop operators that change nothing, share what is equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.products import of_zeros
from tqconv.ir.arrays import checksum, glance, memory_of, same_bytes
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import (
    has_activation,
    is_scalar,
    made_by,
    values_of,
    with_constant,
)
from tqconv.ops.emit import emit
from tqconv.ops.empty import nothing
from tqconv.ops.facts import RESHAPES
from tqconv.ops.memory import may_lack_memory
from tqconv.ops.rules import axis_of
from tqconv.ops.spec import OpSpec
from tqconv.ops.table import having, known, spec
from tqconv.passes.rewrite import at, exact

Identity = Callable[[Op], Tensor | None]
"""Returns the tensor that an operator passes on as it is, or None."""
SHORT = 1024
"""Bytes of a constant that is compared by its values: axes, shapes, numbers per channel."""


@exact
@at()
def drop_identities(graph: Graph, op: Op) -> bool:
    """Read the operand instead of an operator that returns it unchanged.

    y = RESHAPE(x: [2,3], [2,3]); z = RELU(y)   ->   z = RELU(x)
    """
    same = _IDENTITIES.get(op.type)
    if same is None or not op.outputs:
        return False
    x = same(op)
    if x is None or x.dtype != op.output.dtype or has_activation(op):
        return False
    if op.output in graph.outputs and (
        x in graph.inputs or x in graph.outputs or x.is_constant or may_lack_memory(x)
    ):
        return False
    graph.replace(op.output, x)
    return True


def _same_shape(op: Op) -> Tensor | None:
    x, y = op.input(0), op.output
    same = x.shape == y.shape and x.shape.count(None) <= (1 if op.type == "RESHAPE" else 0)
    return x if same or (x.shape == y.shape and x.is_static) else None


def _neutral(row: OpSpec) -> Identity | None:
    """Return what finds the second operand that changes nothing, where an operator has one."""
    value = row.neutral
    if value is None:
        return None

    def same(op: Op) -> Tensor | None:
        operands = with_constant(op, "fiu")
        if (
            operands is None
            or not (operands.first or row.commutes)
            or operands.x.shape != op.output.shape
        ):
            return None
        constant = op.input(1 if operands.first else 0)
        return operands.x if constant.size and is_scalar(constant, value) else None

    return same


def _cast(op: Op) -> Tensor | None:
    x = op.input(0)
    if x.dtype == op.output.dtype:
        return x
    before = made_by(x, "CAST")
    if before is None or before.input(0).dtype != op.output.dtype:
        return None
    return before.input(0) if np.can_cast(op.output.dtype, x.dtype, "safe") else None


def _no_padding(op: Op) -> Tensor | None:
    amounts = values_of(op.inputs[1])
    return op.input(0) if amounts is not None and not any(amounts) else None


def _only_operand(op: Op) -> Tensor | None:
    return op.input(0) if len(op.inputs) == 1 else None


def _once(op: Op) -> Tensor | None:
    times = values_of(op.inputs[1])
    return op.input(0) if times is not None and all(t == 1 for t in times) else None


def _whole(op: Op) -> Tensor | None:
    begin = values_of(op.inputs[1])
    same = op.input(0).is_static and op.input(0).shape == op.output.shape
    return op.input(0) if same and begin is not None and not any(begin) else None


def _whole_strided(op: Op) -> Tensor | None:
    strides = values_of(op.inputs[3])
    if strides is None or any(s != 1 for s in strides):
        return None
    same = op.input(0).is_static and op.input(0).shape == op.output.shape
    return op.input(0) if same and not op.options.get("new_axis_mask") else None


def _already_clamped(op: Op) -> Tensor | None:
    before = (
        made_by(op.inputs[0], "RELU", "RELU6")
        if op.type == "RELU"
        else made_by(op.inputs[0], "RELU6")
    )
    return op.input(0) if before is not None else None


_IDENTITIES: dict[str, Identity] = {
    **having(_neutral),
    **dict.fromkeys(RESHAPES, _same_shape),
    "BROADCAST_TO": _same_shape,
    "CAST": _cast,
    "PAD": _no_padding,
    "PADV2": _no_padding,
    "MIRROR_PAD": _no_padding,
    "CONCATENATION": _only_operand,
    "ADD_N": _only_operand,
    "TILE": _once,
    "SLICE": _whole,
    "STRIDED_SLICE": _whole_strided,
    "RELU": _already_clamped,
    "RELU6": _already_clamped,
}


@exact
@at()
def drop_empty(graph: Graph, op: Op) -> bool:
    """Make constants of results without elements, and join only what has some.

    y = TILE(x: [2,0], 3); z = CONCATENATION(y, w)   ->   y is a constant, and z's readers read w
    """
    if not known(op.type):
        return False
    done = False
    for old in op.outputs:
        arrays = nothing(spec(op.type), [(old.shape, old.dtype)])
        if arrays is not None and (old.uses or old in graph.outputs):
            new = graph.constant(f"{old.name}/empty", arrays[0])
            new.quant = old.quant
            graph.replace(old, new)
            done = True
    if done or op.type != "CONCATENATION":
        return done
    kept = [t for t in op.inputs if not _adds_nothing(op, t)]
    if not 0 < len(kept) < len(op.inputs):
        return False
    name = f"{op.output.name}/joined"
    graph.replace(op.output, emit(graph, op.type, *kept, name=name, source=op.source, **op.options))
    return True


def _adds_nothing(op: Op, tensor: Tensor | None) -> bool:
    """Whether a tensor has no place in what is joined; without elements it may still have rows."""
    assert tensor is not None
    return tensor.shape[axis_of(int(op.options.get("axis", 0)), tensor.rank)] == 0


@at("MUL")
def multiply_by_zero(graph: Graph, op: Op) -> bool:
    """Know that zero times anything is zero (infinities, which only a broken model has, aside).

    y = MUL(x: [2,3], 0)   ->   y is a constant of zeros
    """
    operands = with_constant(op)
    if operands is None or operands.constant.any() or op.output in graph.outputs:
        return False
    if not op.output.is_static:
        return False
    zeros = np.zeros([d or 0 for d in op.output.shape], np.float32)
    graph.replace(op.output, graph.constant(f"{op.output.name}/zeros", zeros))
    return True


@at("FULLY_CONNECTED")
def dense_of_zeros(graph: Graph, op: Op) -> bool:
    """Know that a dense layer makes its bias of zeros, such as the state that others begin with.

    y = FULLY_CONNECTED(0: [2,3], w, b: [4])   ->   y is a constant, b in each row
    """
    made = of_zeros(op, op.inputs) if op.input(0).dtype == np.float32 else None
    if made is None or op.output in graph.outputs:
        return False
    graph.replace(op.output, graph.constant(f"{op.output.name}/bias", made))
    return True


LEAST = float(np.finfo(np.float32).tiny)
"""The least number that kernels tell from 0: XNNPACK takes those below it for 0."""


@at("ARG_MAX", "ARG_MIN")
def forget_sign_of_zero(graph: Graph, op: Op) -> bool:
    """Look for the largest without telling -0 from 0, as every kernel does.

    s = SELECT_V2(LOGICAL_AND(EQUAL(x, 0), c), -1e-38, x); y = ARG_MAX(s)   ->   y = ARG_MAX(x)
    """
    choice = made_by(op.inputs[0], "SELECT_V2")
    low = choice.input(1).data if choice is not None else None
    if choice is None or low is None or low.size != 1 or low.dtype != np.float32:
        return False
    x = choice.input(2)
    both = made_by(choice.input(0), "LOGICAL_AND")
    if both is None or abs(float(low.max())) > LEAST or x.shape != choice.output.shape:
        return False
    zeros = [made_by(t, "EQUAL") for t in both.inputs]
    if not any(e is not None and e.inputs[0] is x and is_scalar(e.inputs[1], 0.0) for e in zeros):
        return False
    graph.set_input(op, 0, x)
    return True


@exact
@at("LOGICAL_AND", "LOGICAL_OR")
def drop_twice(graph: Graph, op: Op) -> bool:
    """Read the condition instead of what holds where it does, twice.

    y = LOGICAL_AND(x, x)                   ->   y is x
    z = LOGICAL_AND(LOGICAL_AND(x, y), x)   ->   z = LOGICAL_AND(x, y)
    """
    for x, other in (op.inputs, op.inputs[::-1]):
        before = made_by(x, op.type)
        covers = x is other or (before is not None and any(t is other for t in before.inputs))
        if x is None or not covers or x.is_constant or x.shape != op.output.shape:
            continue
        if x not in graph.inputs and x not in graph.outputs:
            graph.replace(op.output, x)
            return True
    return False


@exact
def share_equal_ops(graph: Graph) -> int:
    """Compute once what two operators compute alike.

    y = SHAPE(x); z = SHAPE(x)   ->   y = SHAPE(x), and z's readers read y
    """
    count = 0
    seen: dict[tuple[Any, ...], Op] = {}
    told: dict[tuple[Any, ...], Op] = {}
    for op in list(graph.ops):
        if not known(op.type) or not spec(op.type).pure or op.graphs or not op.outputs:
            continue
        operands = tuple(identity_of(t) for t in op.inputs)
        made = tuple(meaning_of(t) for t in op.outputs)
        key = (op.type, operands, made)
        like = seen.setdefault(key, op)
        if like is op:
            continue
        told.setdefault((key, _options(like)), like)
        first = told.setdefault((key, _options(op)), op)
        if first is op or any(t in graph.outputs for t in op.outputs):
            continue
        for old, new in zip(op.outputs, first.outputs, strict=True):
            graph.replace(old, new, keep_name=False)
        count += 1
    return count


def _options(op: Op) -> str:
    return repr(sorted(op.options.items()))


def meaning_of(tensor: Tensor) -> object:
    """Return what stored numbers of a result stand for; state is equal to itself only."""
    quant = None if tensor.quant is None else tensor.quant.key
    return tensor.dtype, quant, id(tensor) if tensor.variable else None


def identity_of(tensor: Tensor | None) -> object:
    """Return what tells an operand from others: the values of a short constant, else itself."""
    if tensor is None or tensor.data is None or tensor.variable or tensor.data.nbytes > SHORT:
        return id(tensor)
    if tensor.dtype == object or tensor.quant is not None or tensor.range is not None:
        return id(tensor)
    return tensor.shape, tensor.dtype, tensor.data.tobytes()


@exact
def share_constants(graph: Graph) -> int:
    """Let equal constants be one tensor.

    y = ADD(x, c); z = MUL(x, d), c == d   ->   z = MUL(x, c)
    """
    constants = [
        tensor
        for tensor in graph.tensors()
        if tensor.data is not None and tensor.dtype != object and not tensor.variable
        if tensor not in graph.outputs
    ]
    return sum(
        _share(graph, alike)
        for typed in _alike(constants, lambda tensor, data: (tensor.shape, tensor.dtype))
        for alike in _alike(typed, lambda tensor, data: glance(data))
    )


def _alike(
    tensors: Iterable[Tensor], key: Callable[[Tensor, NDArray[Any]], object]
) -> list[list[Tensor]]:
    """Return the constants that share a key with others, those of each key together."""
    groups: dict[object, list[Tensor]] = {}
    for tensor in tensors:
        assert tensor.data is not None
        groups.setdefault(key(tensor, tensor.data), []).append(tensor)
    return [group for group in groups.values() if len(group) > 1]


def _share(graph: Graph, tensors: Sequence[Tensor]) -> int:
    """Let those of some constants that are equal be one; they have one shape and type."""
    count = 0
    seen: dict[object, list[Tensor]] = {}
    sums: dict[tuple[object, ...], int] = {}
    for tensor in tensors:
        assert tensor.data is not None
        memory = memory_of(tensor.data)
        if memory not in sums:
            sums[memory] = checksum(tensor.data)
        quant = None if tensor.quant is None else tensor.quant.key
        others = seen.setdefault((sums[memory], quant, tensor.range), [])
        for other in others:
            assert other.data is not None
            if same_bytes(other.data, tensor.data):
                for op, index in list(tensor.uses):
                    graph.set_input(op, index, other)
                count += 1
                break
        else:
            others.append(tensor)
    return count
