"""Sizes that a source leaves open and that what reads them allows one value for."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.compose.dims import SIZES, Dim, Origins, dim_origin
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import infer
from tqconv.ops.table import known, spec
from tqconv.passes.rewrite import exact


@exact
def size_inputs(graph: Graph) -> int:
    """Give inputs the sizes without which nothing that reads them could run.

    x: f32[?,?]; y = FULLY_CONNECTED(x, f32[5,8])   ->   x: f32[?,8]

    LiteRT takes 1 for what a file leaves open, and refuses the file where that does not fit.
    """
    inputs = {id(t) for t in graph.inputs if not t.is_static}
    if not inputs or _runs_with_ones(graph):
        return 0
    found: dict[Dim, int] = {}
    origins: Origins = {}
    for op in graph.ops:
        if op.graphs or not known(op.type):
            continue
        for told in _told(op):
            if id((origin := dim_origin(told, origins)).tensor) in inputs:
                found.setdefault(origin, told.tensor.shape[told.axis] or 0)
        for dim in (Dim(t, axis) for t in op.inputs if t is not None for axis in _open_axes(t)):
            origin = dim_origin(dim, origins)
            size = _wanted(op, dim) if id(origin.tensor) in inputs else None
            if size is not None:
                found.setdefault(origin, size)
    return len(found) if found and _infer_with(graph, found) else 0


def _runs_with_ones(graph: Graph) -> bool:
    """Whether the graph certainly runs with 1 for each open size of its inputs, as most do."""
    sized: dict[Tensor, Tensor] = {}
    for op in graph.ops:
        if op.graphs or not known(op.type) or all(t is None or t.is_static for t in op.inputs):
            continue
        if spec(op.type).dense and op.input(0).rank and op.input(0).shape[-1] is None:
            return False
        inputs = tuple(sized.get(t) or _with_ones(t) if t is not None else None for t in op.inputs)
        try:
            made = infer(Op(op.type, inputs, op.outputs, op.options, op.source))
        except UnsupportedError:
            return False
        for tensor, (shape, _) in zip(op.outputs, made, strict=True):
            if any(
                told not in (None, size) for told, size in zip(tensor.shape, shape, strict=True)
            ):
                return False
            sized[tensor] = _with_ones(tensor, shape)
    return True


def _with_ones(tensor: Tensor, shape: Shape | None = None) -> Tensor:
    shape = tensor.shape if shape is None else shape
    if tensor.is_static and shape == tensor.shape:
        return tensor
    ones = tuple(1 if size is None else size for size in shape)
    return Tensor(tensor.name, ones, tensor.dtype, quant=tensor.quant, elements=tensor.elements)


def _open_axes(tensor: Tensor) -> list[int]:
    return [axis for axis, size in enumerate(tensor.shape) if size is None]


def _told(op: Op) -> list[Dim]:
    """Return the sizes of results that are known, although nothing but their readers says them."""
    if all(t is None or t.is_static for t in op.inputs):
        return []
    try:
        made = infer(op)
    except UnsupportedError:
        return []
    return [
        Dim(tensor, axis)
        for tensor, (shape, _) in zip(op.outputs, made, strict=True)
        for axis, size in enumerate(shape)
        if size is None and tensor.shape[axis] is not None
    ]


def _wanted(op: Op, dim: Dim) -> int | None:
    """Return the only size of a dimension with which an operator runs, if an operand has it."""
    tensor = dim.tensor
    last = tensor is op.inputs[0] and tensor.rank > 1 and dim.axis == tensor.rank - 1
    if last and op.type == "FULLY_CONNECTED":
        return op.input(1).shape[1]  # the kernel cuts any number of elements into rows
    if last and op.type == "CONV_2D":
        return op.input(1).shape[3]  # one group: sources that know of more say how many channels
    if any(_fits(op, dim, size) for size in (1, *SIZES)):
        return None
    others = {d for t in op.inputs if t is not None for d in t.shape if d}
    fitting = [size for size in others if _fits(op, dim, size)]
    if len(fitting) != 1 or _fits(op, dim, 2 * fitting[0]):
        return None
    return fitting[0]


def _fits(op: Op, dim: Dim, size: int) -> bool:
    tensor, axis = dim
    shape: Shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
    sized = Tensor(tensor.name, shape, tensor.dtype, quant=tensor.quant)
    inputs = tuple(sized if t is tensor else t for t in op.inputs)
    try:
        infer(Op(op.type, inputs, op.outputs, op.options, op.source))
    except UnsupportedError:
        return False
    return True


def _infer_with(graph: Graph, sizes: Mapping[Dim, int]) -> bool:
    """Whether these sizes, and what follows from them, fit everywhere; else all is as it was."""
    before = [(t, t.shape) for t in graph.tensors()]
    for (tensor, axis), size in sizes.items():
        tensor.shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
    try:
        for op in graph.ops:
            if op.graphs or not known(op.type):
                continue
            for tensor, (shape, _) in zip(op.outputs, infer(op), strict=True):
                pairs = zip(tensor.shape, shape, strict=True)
                tensor.shape = tuple(new if old is None else old for old, new in pairs)
    except UnsupportedError:
        for tensor, shape in before:
            tensor.shape = shape
        return False
    return True
