"""Inputs and outputs of a .tflite file as the user names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tqconv.config import LoadOptions
from tqconv.errors import UsageError, counted, shaped, suggestion
from tqconv.ir.graph import Graph, Model, Signature, Tensor
from tqconv.ir.types import Shape, type_name


def cut(model: Model, options: LoadOptions) -> None:
    """Keep the part of the main graph between the named tensors."""
    graph = model.main
    by_name = {t.name: t for t in graph.tensors()}
    borders = f"its inputs are {_names(graph.inputs)}; its outputs {_names(graph.outputs)}"
    if options.outputs is not None:
        graph.outputs[:] = [_find(name, by_name, borders) for name in options.outputs]
    if options.inputs is not None:
        inputs = [_find(name, by_name, borders) for name in options.inputs]
        for tensor in inputs:
            if tensor.producer is not None:
                _detach(graph, tensor)
        graph.inputs[:] = inputs
    graph.prune()
    known = {
        id(t) for t in graph.tensors() if t.producer is not None or t.is_constant or t.variable
    }
    loose = [t.name for t in graph.tensors() if id(t) not in known and t not in graph.inputs]
    if loose:
        raise UsageError(
            f"the outputs depend on `{loose[0]}`, which is no input",
            hint="add it to --input_arrays",
        )
    model.signatures[:] = [Signature.of(graph)]


def _detach(graph: Graph, tensor: Tensor) -> None:
    """Let a tensor be fed instead of computed; its producer makes a tensor that nobody reads."""
    producer = tensor.producer
    assert producer is not None
    ghost = Tensor(
        graph.unique(f"{tensor.name}/cut"), tensor.shape, tensor.dtype, quant=tensor.quant
    )
    producer.outputs = tuple(ghost if t is tensor else t for t in producer.outputs)
    ghost.producer = producer
    tensor.producer = None


def _names(tensors: Sequence[Tensor]) -> str:
    return ", ".join(t.name for t in tensors) or "none"


def _find(name: str, by_name: Mapping[str, Tensor], hint: str) -> Tensor:
    tensor = by_name.get(name) or by_name.get(name.removesuffix(":0"))
    if tensor is None:
        near = suggestion(name, by_name)
        raise UsageError(f"the model has no tensor named `{name}`{near}", hint=hint)
    return tensor


def reshape_inputs(model: Model, options: LoadOptions) -> None:
    """Give the inputs other shapes and infer everything behind them anew."""
    from tqconv.ops.emit import infer
    from tqconv.ops.table import known

    graph = model.main
    given: dict[str, Shape | None] = dict(options.named_shapes)
    if options.shapes is not None:
        if len(options.shapes) != len(graph.inputs):
            raise UsageError(
                f"--input_shapes has {counted(len(options.shapes), 'entry', 'entries')} for "
                f"{counted(len(graph.inputs), 'input')}"
            )
        given |= {t.name: s for t, s in zip(graph.inputs, options.shapes, strict=True)}
    names = [t.name for t in graph.inputs]
    for name in given.keys() - set(names):
        raise UsageError(
            f"a shape is given for `{name}`, which is no input{suggestion(name, names)}"
        )
    for tensor in graph.inputs:
        shape = given.get(tensor.name)
        if shape is not None and len(shape) != tensor.rank:
            raise UsageError(
                f"input `{tensor.name}` has rank {tensor.rank}, --input_shapes gives "
                f"{shaped(shape)}"
            )
        tensor.shape = tensor.shape if shape is None else shape
    for op in graph.ops:
        if known(op.type):
            for tensor, (shape, _) in zip(op.outputs, infer(op), strict=True):
                tensor.shape = shape


def check_types(inputs: Sequence[Tensor], given: Sequence[str | None]) -> None:
    """Raise UsageError where the types that the user gives are not those of the file."""
    if len(given) != len(inputs):
        raise UsageError(
            f"--input_data_types has {counted(len(given), 'entry', 'entries')} for "
            f"{counted(len(inputs), 'input')}"
        )
    for tensor, name in zip(inputs, given, strict=True):
        if name is not None and np.dtype(name) != tensor.dtype:
            raise UsageError(
                f"input `{tensor.name}` has type {type_name(tensor.dtype)} in the file, "
                f"--input_data_types gives {type_name(np.dtype(name))}",
                hint="leave --input_data_types out",
            )
