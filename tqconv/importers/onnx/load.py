"""An ONNX model becomes a `Model`: channels stay where they are until the layout pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.config import Dims, LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError, UsageError, suggestion
from tqconv.importers.borders import (
    Declared,
    add_inputs,
    add_output,
    check_dtype,
    mention_shapes,
    unknown_name,
    without_missing,
)
from tqconv.importers.cuts import Cuts
from tqconv.importers.onnx import handlers  # noqa: F401  (fills the registry)
from tqconv.importers.onnx.model import Body, Network, ValueInfo, read
from tqconv.importers.onnx.registry import ONNX
from tqconv.importers.onnx.sequences import Absent, Grown, Several
from tqconv.importers.onnx.shared import Shared
from tqconv.importers.onnx.tensors import computed, dtype_of
from tqconv.importers.onnx.walk import computed_inputs, run
from tqconv.importers.translate import Translation, no_advice
from tqconv.importers.values import parse_value
from tqconv.ir.graph import Graph, Model, Signature, Tensor


def load(path: Path, options: LoadOptions) -> Model:
    """Import an ONNX file; FormatError, UsageError (names), UnsupportedError (operators)."""
    network = read(path, lambda op, opset: ONNX.find(op, opset) is not None)
    return import_network(sized(network, options.dims), path.name, options)


def import_network(
    network: Network, file: str, options: LoadOptions, *, advises: bool = True
) -> Model:
    """Import the part of a network between its inputs and outputs.

    advises: an error about operators without a translation says where to cut them off.
    """
    body = network.body
    model = Model([Graph("main")], origin=file)
    if options.allow_nonexistent_arrays:
        options = without_missing(options, partial(_exists, body), model.notes)
    names = list(options.outputs or (o.name for o in body.outputs))
    if "" in names:
        raise FormatError(f"output {names.index('')} of the graph has no name", where=file)
    outputs = [_resolve(name, body) for name in names]
    given = {_resolve(name, body): text for name, text in options.values.items()}
    inputs = _inputs(body, options, given)
    declared = [_declared(network, file, name, options) for name in inputs]
    tensors = add_inputs(model.main, declared, options, model.notes)
    feeds = dict(zip(inputs, tensors, strict=True))
    feeds |= _constants(model, network, file, given)
    translation = Translation(
        ONNX,
        file,
        model.notes,
        options.allow_custom_ops,
        array_ranges=options.array_ranges,
        opset=network.opset,
    )
    shared = Shared(translation, network, options.quantizing, options.rounds_products)
    values = run(shared, model.main, body, feeds, outputs)
    cuts = _cuts(network, file, options, inputs, outputs)
    advise = cuts.advice if advises else no_advice
    try:
        translation.raise_failures(values, partial(computed_inputs, body), advise)
    except TqconvError as error:
        mention_shapes(error, model.notes)
        raise
    kinds = {info.name: info.dtype for info in body.outputs}
    for name, value in zip(outputs, values, strict=True):
        if isinstance(value, Several | Grown | Absent):
            raise UnsupportedError(
                f"output '{name}' is a sequence, not a tensor",
                hint="let the model end before it is put together, with --output_arrays",
            )
        assert isinstance(value, Tensor)
        add_output(model.main, value, name, _output_dtype(kinds.get(name, 0), value))
    model.main.prune()
    model.signatures.append(Signature.of(model.main))
    return model


def _cuts(
    network: Network, file: str, options: LoadOptions, inputs: list[str], outputs: list[str]
) -> Cuts:
    """Return who tries where the network can be cut."""
    body = network.body
    nodes = {node.name: node for node in body.nodes}

    def maker(tensor: str) -> str | None:
        return body.makers[tensor].name if tensor in body.makers else None

    return Cuts(
        options,
        inputs,
        outputs,
        maker,
        lambda name: filter(None, nodes[name].inputs),
        partial(import_network, network, file, advises=False),
    )


def sized(network: Network, dims: Mapping[str, int]) -> Network:
    """Return a network with sizes for named dimensions of inputs; UsageError for other names."""
    if not dims:
        return network
    known = sorted({name for i in network.body.inputs if i.shape for name in i.params if name})
    unknown = [name for name in dims if name not in known]
    if unknown:
        names = ", ".join(known) or "none"
        raise UsageError(
            f"no input has a dimension `{unknown[0]}`{suggestion(unknown[0], known)}",
            hint=f"the named dimensions of the inputs: {names}",
        )
    inputs = tuple(_with_sizes(info, dims) for info in network.body.inputs)
    return replace(network, body=replace(network.body, inputs=inputs))


def _with_sizes(info: ValueInfo, dims: Mapping[str, int]) -> ValueInfo:
    if info.shape is None:
        return info
    pairs = zip(info.shape, info.params, strict=True)
    return replace(info, shape=tuple(dims.get(name, size) for size, name in pairs))


def _exists(body: Body, name: str) -> bool:
    known = (*body.makers, *body.constants, *(i.name for i in body.inputs))
    return name.strip() in known


def _resolve(name: str, body: Body) -> str:
    """Return the tensor that a user names; a node's name stands for its first output."""
    name = name.strip()
    if _exists(body, name):
        return name
    node = next((n for n in body.nodes if n.name == name), None)
    if node is not None:
        return next(filter(None, node.outputs), name)
    raise unknown_name(
        name,
        [*body.makers, *(i.name for i in body.inputs)],
        inputs=(i.name for i in body.inputs),
        outputs=(o.name for o in body.outputs),
    )


def _inputs(body: Body, options: LoadOptions, given: Mapping[str, str]) -> list[str]:
    if options.inputs is not None:
        names = [_resolve(name, body) for name in options.inputs]
        both = [name for name in names if name in given]
        if both:
            raise UsageError(f"`{both[0]}` is an input and has a value", hint="drop one of the two")
        return names
    return [i.name for i in body.inputs if i.name not in given]


def _declared(network: Network, file: str, name: str, options: LoadOptions) -> Declared:
    """Return what is known about an input: what the file says, or what the part before computes."""
    info = network.body.fed.get(name)
    if info is not None:
        return Declared(name, info.shape, _dtype(info))
    tensor = _computed_before(network, file, name, options)
    if tensor is None:
        said = network.body.infos.get(name)
        shape, dtype = (None, None) if said is None else (said.shape, _dtype(said))
        return Declared(name, shape, dtype, fixed=False)
    if options.inputs is not None and options.dtypes is not None:
        wanted = (
            options.dtypes[list(options.inputs).index(name)] if name in options.inputs else None
        )
        if wanted is not None:
            check_dtype(name, tensor.dtype, np.dtype(wanted))
    return Declared(name, tensor.shape, tensor.dtype, fixed=False)


def _computed_before(network: Network, file: str, name: str, options: LoadOptions) -> Tensor | None:
    whole = LoadOptions(outputs=(name,), values=options.values)
    try:
        return import_network(network, file, whole, advises=False).main.outputs[0]
    except TqconvError:
        return None  # the part before the cut need not be translatable


def _dtype(info: ValueInfo) -> np.dtype:
    if info.dtype < 0 and any(info.params):
        raise UnsupportedError(
            f"input '{info.name}' is a {info.params[0].removesuffix('_type')}, not a tensor",
            hint="cut the model behind what takes it apart, with --input_arrays",
        )
    if info.dtype <= 0:
        raise FormatError(f"input '{info.name}' has no type")
    return dtype_of(info.dtype)


def _constants(
    model: Model, network: Network, file: str, given: Mapping[str, str]
) -> dict[str, Tensor]:
    """Return the values that the user gives tensors, in the types that these have."""
    made = {}
    for name, text in given.items():
        declared = _declared(network, file, name, LoadOptions())
        array: Any = computed(parse_value(text, declared.dtype or np.dtype(np.float32)))
        shape: Dims | None = declared.shape
        if array.ndim == 0 and shape is not None and None not in shape:
            array = np.broadcast_to(array, [d or 0 for d in shape]).copy()
        made[name] = model.main.constant(name, array)
        model.notes.append(f"{name} = {text}")
    return made


def _output_dtype(kind: int, value: Tensor) -> np.dtype:
    return value.dtype if kind <= 0 else dtype_of(kind)
