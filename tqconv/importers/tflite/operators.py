"""Operators as a .tflite file states them, held against their rows: damaged files are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tqconv.errors import (
    FormatError,
    InternalError,
    TqconvError,
    UnsupportedError,
    counted,
    shaped,
)
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.sorting import least_first
from tqconv.ir.types import Shape, type_name
from tqconv.ops.emit import infer
from tqconv.ops.kernels import check_loads, check_version, true_types
from tqconv.ops.options import default_options
from tqconv.ops.spec import Operands
from tqconv.ops.table import known, spec
from tqconv.schema.flatbuf import options_table

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What a shape rule stumbles over in operands or options that are not its operator's."""


def check_options(type: str, table: str) -> None:
    """Raise FormatError where options are of another operator's table."""
    if type != "CUSTOM" and options_table(type) != table:
        raise FormatError(f"{type} has the options of another operator, {table}")


def check_members(type: str, options: Mapping[str, Any]) -> None:
    """Raise FormatError where an option has a number that stands for none of its words."""
    words = default_options(type)
    for name, value in options.items():
        if isinstance(words.get(name), str) and not isinstance(value, str):
            raise FormatError(f"`{name}` of {type} is {value}, which stands for nothing")


def flatten_bias(graph: Graph, op: Op) -> None:
    """Give a constant bias one dimension, before the operator is part of the graph.

    Kernels count its elements; some converters write [1, 1, 1, n].
    """
    names = spec(op.type).operands.names if known(op.type) else ()
    if not {"w", "b"} <= set(names) or len(op.inputs) <= (place := names.index("b")):
        return
    bias = op.inputs[place]
    if bias is None or bias.data is None or bias.rank == 1:
        return
    flat = graph.constant(f"{bias.name}/flat", bias.data.reshape(-1))
    flat.quant = None if bias.quant is None else replace(bias.quant, axis=0)
    op.inputs = (*op.inputs[:place], flat, *op.inputs[place + 1 :])


def check_operator(op: Op, *, shown: bool = False) -> None:
    """Raise FormatError where operands or options cannot be those of the operator.

    No kernel takes shapes that a rule refuses: of 1,034 files that other converters wrote LiteRT
    runs none that is refused here. Ranks of operands it takes more freely than `emit` makes them.
    Raises UnsupportedError where LiteRT has no kernel in this version. What is only `shown` may be
    what no kernel loads.
    """
    if op.type == "CUSTOM":
        return
    if not shown:
        _check_version(op)
    if not known(op.type):
        return
    row = spec(op.type)
    _check_counts(row.operands, op)
    try:
        if not shown:
            check_loads(row, op)
        made = infer(op)
        if len(made) != len(op.outputs) and not op.graphs:
            raise FormatError(
                f"it makes {counted(len(op.outputs), 'tensor')}, expected {len(made)}",
                where=op.source,
            )
        if op.graphs:  # `check_bodies` looks at them
            return
        types = [t.dtype for t in op.outputs] if shown else true_types(op, made)
        for tensor, (shape, _), dtype in zip(op.outputs, made, types, strict=False):
            tensor.shape, tensor.dtype = _true_shape(tensor, shape), dtype
    except FormatError:
        raise
    except MALFORMED as error:
        raise _unfit(op, error) from error
    except TqconvError as error:
        if isinstance(error, InternalError) or not op.graphs:  # else `check_bodies` says more
            raise _unfit(op, error) from error


def _check_counts(operands: Operands, op: Op) -> None:
    """Raise FormatError where an operator reads too few or too many tensors, or makes none."""
    lacking = operands.missing(op.inputs or (None,) * (bool(operands.names) and not op.graphs))
    if lacking is not None:
        raise FormatError(f"the operand `{lacking}` is missing", where=op.source)
    if operands.outputs and not op.outputs and not op.graphs:
        raise FormatError("it makes no tensor", where=op.source)
    if not operands.variadic and len(op.inputs) > len(operands.names):
        raise FormatError(
            f"there are {counted(len(op.inputs), 'operand')}, "
            f"{op.type} takes {len(operands.names)}",
            where=op.source,
        )


def _check_version(op: Op) -> None:
    try:
        check_version(op.type, 1 if op.version is None else op.version)
    except UnsupportedError as error:
        error.where = op.source
        raise


def _true_shape(tensor: Tensor, made: Shape) -> Shape:
    """Return the shape of a result, of which the file may be wrong: LiteRT does not look there.

    What the operator does not tell (sizes that are computed) is as declared, if the ranks agree.
    """
    if len(made) != tensor.rank:
        return made
    return tuple(d if m is None else m for m, d in zip(made, tensor.shape, strict=True))


def check_bodies(op: Op) -> None:
    """Raise FormatError where the graphs that an operator calls take or return another number."""
    if op.type not in ("IF", "WHILE"):
        return
    taken = len(op.inputs) - (op.type == "IF")
    made = {len(g.outputs) for g in (op.graphs if op.type == "IF" else op.graphs[1:])}
    fits = op.type == "IF" or taken == len(op.outputs)
    if not fits or {len(g.inputs) for g in op.graphs} != {taken} or made != {len(op.outputs)}:
        raise FormatError(
            f"its graphs do not take {taken} and return {counted(len(op.outputs), 'tensor')}",
            where=op.source,
        )
    if op.type == "WHILE" and len(op.graphs[0].outputs) != 1:
        count = counted(len(op.graphs[0].outputs), "tensor")
        raise FormatError(f"its condition returns {count}, not one", where=op.source)
    given = op.inputs[op.type == "IF" :]
    for graph in op.graphs:
        _check_types(op, given, graph.inputs)
        if op.type == "IF" or graph is op.graphs[1]:
            _check_types(op, graph.outputs, op.outputs)


def _check_types(op: Op, given: Sequence[Tensor | None], taken: Sequence[Tensor]) -> None:
    for one, other in zip(given, taken, strict=True):
        if one is not None and one.dtype != other.dtype:
            raise FormatError(
                f"'{other.name}' is {type_name(other.dtype)}, it is given {type_name(one.dtype)}",
                where=op.source,
            )
        if one is not None and (_holds_nothing(one, other) or _holds_nothing(other, one)):
            raise FormatError(
                f"'{other.name}' is {shaped(other.shape)}, it is given {shaped(one.shape)}",
                where=op.source,
            )


def _holds_nothing(tensor: Tensor, other: Tensor) -> bool:
    """Whether one tensor has no elements and another is known to have some."""
    return 0 in tensor.shape and other.is_static and 0 not in other.shape


def check_calls(graphs: Sequence[Graph]) -> None:
    """Raise FormatError where the operators of a graph call it again, at any depth."""
    bodies = {id(g): {id(body) for op in g.ops for body in op.graphs} for g in graphs}
    ended = set(least_first(bodies, {id(g): i for i, g in enumerate(graphs)}))
    left = [graph for graph in graphs if id(graph) not in ended]
    if not left:
        return
    at = left[0]
    for _ in left:  # from what calls the circle into it
        at = next(body for op in at.ops for body in op.graphs if id(body) not in ended)
    raise FormatError(f"the graph '{at.name}' calls itself")


def _unfit(op: Op, error: Exception) -> FormatError:
    return FormatError(f"operands or options do not fit {op.type}: {error}", where=op.source)
