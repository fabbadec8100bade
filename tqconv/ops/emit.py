"""The one way to make an operator: check it, infer its outputs, fold it when it is constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import InternalError, UnsupportedError, counted
from tqconv.ir.arrays import contiguous, stored_bytes, stored_elements
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import NOWHERE, Quant, Source
from tqconv.ops.empty import nothing, settled
from tqconv.ops.operands import check_kernel, check_operands, fitted
from tqconv.ops.options import check_names, check_values
from tqconv.ops.parameters import parameters
from tqconv.ops.spec import OpSpec, Typed
from tqconv.ops.table import spec
from tqconv.untrusted import WORK_PER_ELEMENT, Budget, check_sizes

FOLD_LIMIT = 1_000_000
"""Elements; a larger result is folded only where it is not larger than what is stored of the
operands."""
FREE_BYTES = 4096
"""Results up to this size are always folded: shapes, axes and indices have to be constants."""
PARTS = frozenset({"num", "num_splits"})
"""Options that say into how many tensors one is taken apart."""
ELEMENTS_LIMIT = 64
"""Longest integer vector whose known elements are tracked; shapes are far shorter."""

Operand = Tensor | NDArray[Any] | np.generic | None
_ARRAYS = (np.ndarray, np.generic)


def emit(
    graph: Graph, type: str, *operands: Operand, name: str, source: Source = NOWHERE, **options: Any
) -> Any:
    """Add an operator and return its output, or the tuple of them where the row has several.

    Arrays become constants named `<name>/<operand>`. When every input is a constant and the row
    can fold, no operator is made and the outputs are constants; so are results without elements,
    whatever the operator. Raises UnsupportedError where the operands do not fit.
    """
    row = spec(type)
    check_names(type, options)
    try:
        inputs = as_inputs(graph, row, name, operands)
        op = Op(type, inputs, (), {k: v for k, v in options.items() if v is not None}, source)
        check_values(type, op.options)
        check_operands(row, op)
        for count in PARTS & op.options.keys():
            graph.budget.expand(int(op.options[count]), f"`{count}` of {op.options[count]}")
        return finish(graph, row, op, row.shape(op), name)
    except UnsupportedError as error:
        if error.where is None and source is not NOWHERE:
            error.where = source
        raise


def copied(graph: Graph, x: Tensor, name: str, source: Source = NOWHERE) -> Tensor:
    """Return another tensor with the elements of one that may have open sizes."""
    sizes: Any = np.array([-1 if size is None else size for size in x.shape], np.int32)
    if x.shape.count(None) > 1 or (None in x.shape and 0 in x.shape):
        sizes = emit(graph, "SHAPE", x, name=f"{name}/shape", source=source, out_type="INT32")
    made: Tensor = emit(graph, "RESHAPE", x, sizes, name=name, source=source)
    return made


def finish(graph: Graph, row: OpSpec, op: Op, types: Sequence[Typed], name: str) -> Any:
    """Give a checked operator its outputs, folding it where that is possible."""
    check_outputs(types, name)
    folded = fold(row, op, types, graph.budget)
    known = [] if folded is not None else known_elements(row, op, types)
    if known and all(parts is not None and None not in parts for parts in known):
        folded = _settled(known, types)
    many = len(types) != 1 or (
        bool(row.operands.outputs) and row.operands.outputs[0].startswith("*")
    )
    if folded is not None:
        tensors = tuple(graph.constant(output_name(name, i), a) for i, a in enumerate(folded))
        for tensor in tensors:
            tensor.quant = _quant_of(op, tensor)
        if row.copies in ("order", "permuted"):  # every element is there, so is their range
            tensors[0].range = op.input(0).range
    else:
        op.inputs = fitted(graph, row, op)
        check_kernel(row, op)
        means = parameters(row, op, types)
        tensors = tuple(
            Tensor(graph.unique(output_name(name, i)), tuple(shape), dtype)
            for i, (shape, dtype) in enumerate(types)
        )
        for tensor, parts, quant in zip(tensors, known, means, strict=True):
            tensor.elements, tensor.quant = parts, quant
        op.outputs = tensors
        graph.add(op)
    return tensors if many else tensors[0]


def _quant_of(op: Op, tensor: Tensor) -> Quant | None:
    """Return parameters of a tensor without elements: any are right, so those of an operand."""
    like = (t for t in op.inputs if t is not None and t.dtype == tensor.dtype)
    return next((t.quant for t in like if t.quant is not None), None)


def _settled(
    known: Sequence[tuple[int | None, ...] | None], types: Sequence[Typed]
) -> list[NDArray[Any]]:
    """Return integer outputs as arrays, all of whose elements are known."""
    pairs = zip(known, types, strict=True)
    return [np.array(parts, dtype).reshape(_sizes(shape)) for parts, (shape, dtype) in pairs]


def _sizes(shape: tuple[int | None, ...]) -> list[int]:
    return [0 if d is None else d for d in shape]


def output_name(name: str, index: int) -> str:
    """Return TensorFlow's name of an output: `node` for the first, `node:1` for the next."""
    return name if index == 0 else f"{name}:{index}"


def as_inputs(
    graph: Graph, row: OpSpec, name: str, operands: Sequence[Operand]
) -> tuple[Tensor | None, ...]:
    """Turn arrays into constants and check how many operands there are."""
    most = None if row.operands.variadic else len(row.operands.names)
    if len(operands) < row.operands.required or (most is not None and len(operands) > most):
        raise InternalError(
            f"{row.name} takes {row.operands.names}, got {counted(len(operands), 'operand')}"
        )
    inputs: list[Tensor | None] = []
    for index, operand in enumerate(operands):
        if isinstance(operand, _ARRAYS):
            operand = graph.constant(f"{name}/{row.operands.name(index)}", np.asarray(operand))
        inputs.append(operand)
    lacking = row.operands.missing(inputs)
    if lacking is not None:
        raise UnsupportedError(f"the operand `{lacking}` of {row.name} is missing")
    if row.counted:
        inputs += [None] * (len(row.operands.names) - len(inputs))
    while inputs and inputs[-1] is None and not row.counted:
        inputs.pop()
    return tuple(inputs)


def infer(op: Op) -> Sequence[Typed]:
    """Return shapes and types of an operator's outputs by its row's rule."""
    return spec(op.type).shape(op)


def check_outputs(types: Sequence[Typed], name: str) -> None:
    """Raise UnsupportedError where an output is larger than a file can say."""
    for shape, _ in types:
        check_sizes(shape, f"'{name}'")


def fold(
    row: OpSpec, op: Op, types: Sequence[Typed], budget: Budget, *, late: bool = False
) -> list[NDArray[Any]] | None:
    """Return the outputs as arrays when they can be computed now, else None.

    What takes more memory or time than the budget has stays an operator. late: also what layers
    are recognized by.
    """
    made = nothing(row, types)
    if made is not None:
        return made
    compute = (row.late_fold if late else None) or row.fold
    if compute is None or op.graphs:
        return None
    op = settled(op)
    if not row.measures and not all(t is None or t.is_constant for t in op.inputs):
        return None
    if row.name == "SHAPE" and not op.input(0).is_static:
        return None
    if any(t is not None and t.quant is not None for t in op.inputs):
        return None
    if not _is_affordable(row, op, types, budget):
        return None
    result = compute(op)
    if result is None:
        return None
    arrays = [result] if isinstance(result, np.ndarray | np.generic) else list(result)
    return [_declared(np.asarray(a), t, row.name) for a, t in zip(arrays, types, strict=True)]


def _is_affordable(row: OpSpec, op: Op, types: Sequence[Typed], budget: Budget) -> bool:
    """Whether folding costs little for what is stored, or no more than is left; it is paid for."""
    sizes = [math.prod(d or 0 for d in shape) for shape, _ in types]
    grown = sum(n * dtype.itemsize for n, (_, dtype) in zip(sizes, types, strict=True))
    known = [t.data for t in op.inputs if t is not None and t.data is not None]
    stored = sum(map(stored_elements, known))
    if sum(sizes) > max(FOLD_LIMIT, stored):
        return False
    work = sum(sizes) + sum(a.size for a in known)
    if row.macs is not None:
        made = tuple(Tensor("", shape, dtype) for shape, dtype in types)
        work += row.macs(Op(op.type, op.inputs, made, op.options))
    return budget.affords(
        grown - sum(map(stored_bytes, known)) if grown > FREE_BYTES else 0,
        work - WORK_PER_ELEMENT * stored,
        read=sum(map(stored_bytes, known)),
    )


def _declared(array: NDArray[Any], typed: Typed, name: str) -> NDArray[Any]:
    shape, dtype = typed
    if any(
        want is not None and want != have for want, have in zip(shape, array.shape, strict=False)
    ) or len(shape) != len(array.shape):
        raise InternalError(f"{name} folds to {array.shape}, its shape rule says {shape}")
    return contiguous(array, dtype)


def known_elements(
    row: OpSpec, op: Op, types: Sequence[Typed]
) -> list[tuple[int | None, ...] | None]:
    """Return what is known of small integer outputs although some dimension is not.

    The row's fold is evaluated with two different numbers in place of each unknown element;
    elements that agree do not depend on them. That is sound for rows marked `polynomial`.
    """
    nothing: list[tuple[int | None, ...] | None] = [None] * len(types)
    if row.name == "SHAPE":
        return [op.input(0).shape if op.input(0).rank <= ELEMENTS_LIMIT else None]
    if not row.polynomial or row.fold is None:
        return nothing
    if any(dtype.kind not in "iu" or not _small(shape) for shape, dtype in types):
        return nothing
    assembles = any(shape for shape, _ in types)
    read = (t for t in op.inputs if t is not None and not t.is_constant)
    if any(_parts(t, assembles=assembles) is None for t in read):
        return nothing
    try:
        runs = [_fold_with(row, op, *numbers) for numbers in ((1_009, 2, 0), (1_511, 6, 10))]
    except (UnsupportedError, ValueError, IndexError, OverflowError):
        return nothing
    if len(runs[0]) != len(types) or len(runs[1]) != len(types):
        return nothing  # the fold left it to the kernel
    if any([a.shape for a in run] != [shape for shape, _ in types] for run in runs):
        return nothing  # the numbers lie outside what is cut or gathered from
    outcome: list[tuple[int | None, ...] | None] = []
    for one, other in zip(*runs, strict=True):
        pairs = zip(one.reshape(-1), other.reshape(-1), strict=True)
        outcome.append(tuple(int(a) if a == b else None for a, b in pairs))
    return outcome


def _parts(tensor: Tensor, *, assembles: bool) -> tuple[int | None, ...] | None:
    """Return what is known of a tensor's elements, or None where that is not worth asking for.

    A number of which nothing is known says nothing about another number, but is one of a vector.
    """
    is_number = not tensor.shape and tensor.dtype.kind in "iu"
    return (None,) if assembles and is_number and tensor.elements is None else tensor.elements


def _small(shape: tuple[int | None, ...]) -> bool:
    return (
        None not in shape
        and int(np.prod([d or 0 for d in shape], dtype=np.int64)) <= ELEMENTS_LIMIT
    )


def _fold_with(row: OpSpec, op: Op, first: int, step: int, bend: int) -> list[NDArray[Any]]:
    """Fold with unknown element i replaced by first + step * i + bend * i^2 (far from real sizes).

    Equal distances in both runs would make the difference of two unknown elements look known.
    """
    assert row.fold is not None
    inputs: list[Tensor | None] = []
    count = 0
    for tensor in op.inputs:
        if tensor is None or tensor.is_constant:
            inputs.append(tensor)
            continue
        numbers = []
        for element in _parts(tensor, assembles=True) or ():
            stand_in = first + step * count + bend * count**2
            numbers.append(stand_in if element is None else element)
            count += element is None
        shape = tuple(d or 0 for d in tensor.shape)
        data = np.array(numbers, tensor.dtype).reshape(shape)
        inputs.append(Tensor(tensor.name, shape, tensor.dtype, data))
    result = row.fold(Op(op.type, tuple(inputs), (), op.options, op.source))
    return (
        [np.asarray(result)]
        if isinstance(result, np.ndarray | np.generic)
        else [np.asarray(a) for a in result or ()]
    )
