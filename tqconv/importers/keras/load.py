"""A Keras model becomes a `Model`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.compose.grids import Use
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError, UsageError
from tqconv.importers.borders import (
    Declared,
    add_inputs,
    add_output,
    mention_shapes,
    unknown_name,
    without_missing,
)
from tqconv.importers.keras import functions, layers  # noqa: F401  (fill the registry)
from tqconv.importers.keras.archive import Generation, open_archive
from tqconv.importers.keras.foreign import advise, makes_integers, needed_layers
from tqconv.importers.keras.model import NETWORKS, Layer, Network, Ref, input_shape, parse
from tqconv.importers.keras.refused import refuse_foreign
from tqconv.importers.keras.registry import KERAS
from tqconv.importers.keras.walk import Walk, call_name
from tqconv.importers.keras.weights import assign
from tqconv.importers.translate import Translation
from tqconv.importers.values import parse_value
from tqconv.ir.graph import Graph, Model, Signature, Tensor
from tqconv.untrusted import reading

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def load(path: Path, options: LoadOptions, *, advises: bool = True) -> Model:
    """Import a Keras file; FormatError, UsageError (names), UnsupportedError (layers)."""
    model, generation = read(path, options, advises=advises)
    network = network_of(model)
    made = _imported(network, path.name, options, generation)
    for name in dict.fromkeys(_own_classes(model)):
        made.notes.append(
            f"`{name}` is taken for the functional model that its configuration describes: "
            "methods of its own are not in the file"
        )
    policies = sorted(set(_policies(model)) & NARROW)
    if policies:
        made.notes.append(f"layers of the precision {', '.join(policies)} compute in float32")
    return made


def _own_classes(model: Layer) -> Iterator[str]:
    """Yield the classes of models that are not Keras's own."""
    if model.network is not None and model.op not in NETWORKS:
        yield model.op
    for layer in () if model.network is None else model.network.layers.values():
        yield from _own_classes(layer)


NARROW = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})
"""Policies of layers that compute in less than float32."""


def _policies(model: Layer) -> Iterator[str]:
    """Yield the names of the precisions in which layers compute."""
    inner = [] if model.network is None else list(model.network.layers.values())
    for layer in (*inner, *model.inside.values()):
        if layer.op != "InputLayer":
            yield policy_name(layer.config.get("dtype"))
        yield from _policies(layer)


def policy_name(value: Any) -> str:
    """Return the name of a type, or of a policy: `float32`, `mixed_float16`."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config.get("name") if isinstance(config, Mapping) else None
    return str(value)


def read(
    path: Path, options: LoadOptions, *, weights: bool = True, advises: bool = True
) -> tuple[Layer, Generation]:
    """Return the model in a file with its weights, and the generation of Keras it is of.

    advises: an error about layers without a translation says where to cut them off.
    """
    apart = None if options.keras_config is None else Path(options.keras_config)
    archive = open_archive(path, apart)
    with reading(f"the configuration of {path} is damaged"):
        model = parse(archive.config, archive.generation.major)
    if weights:
        network = network_of(model)
        needed = needed_layers(network, options, dict(_names(network)))
        try:
            refuse_foreign(model, path.name, needed)
        except UnsupportedError as error:
            if advises:
                advise(error, network, options, partial(load, path, advises=False))
            raise
        with reading(f"the weights of {path} are damaged"):
            assign(model, archive, needed)
    return model, archive.generation


def network_of(model: Layer) -> Network:
    """Return the graph of a model."""
    assert model.network is not None
    return model.network


def _imported(network: Network, file: str, options: LoadOptions, generation: Generation) -> Model:
    model = Model([Graph("main")], origin=file)
    names = dict(_names(network))
    if options.allow_nonexistent_arrays:
        options = without_missing(options, lambda name: _plain(name) in names, model.notes)
    own_inputs = [ref.layer for ref in network.inputs]
    given = {_resolved(name, network, names): text for name, text in options.values.items()}
    inputs = _inputs(options, network, names, own_inputs, given)
    declared = [_declared(network, file, name, options, generation) for name in inputs]
    tensors = add_inputs(model.main, declared, options, model.notes)
    feeds = dict(zip(inputs, tensors, strict=True))
    for name, text in given.items():
        feeds[name] = model.main.constant(name, parse_value(text, FLOAT32))
        model.notes.append(f"{name} = {text}")
    translation = Translation(KERAS, file, model.notes, array_ranges=options.array_ranges)
    use = Use(options.quantizing, options.stored_grid)
    walk = Walk(translation, model.main, generation, feeds, fake_quant=use)
    wanted, outputs = _outputs(options, network, names)
    values = walk.network(network, [], "", _fetches(network, outputs, names))
    values = [walk.named.get(name, value) for name, value in zip(outputs, values, strict=True)]
    found = [value.tensor for value in values]
    try:
        translation.raise_failures(found, partial(_reads, network))
    except TqconvError as error:
        mention_shapes(error, model.notes)
        raise
    for name, value in zip(wanted, found, strict=True):
        assert isinstance(value, Tensor)
        add_output(model.main, value, name, value.dtype)
    model.main.prune()
    model.signatures.append(Signature.of(model.main))
    return model


def _outputs(
    options: LoadOptions, network: Network, names: Mapping[str, Ref]
) -> tuple[list[str], list[str]]:
    """Return the names of the results, and those of the tensors that they are."""
    if options.outputs:
        return list(options.outputs), [_resolved(n, network, names) for n in options.outputs]
    own = [_name_of(network, ref) for ref in network.outputs]
    shown: list[str] = []
    inputs = {ref.layer for ref in network.inputs}
    for name in own:
        taken = {*shown, *inputs}
        count = 0
        unique = name
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        shown.append(unique)
    return shown, own


def _name_of(network: Network, ref: Ref) -> str:
    if ref.layer not in network.layers:
        raise FormatError(f"the output '{ref.layer}' is no layer of the model")
    layer = network.layers[ref.layer]
    if not 0 <= ref.node < max(len(layer.calls), 1):
        raise FormatError(f"an output is call {ref.node} of '{ref.layer}', which does not exist")
    name = call_name("", layer, ref.node)
    return f"{name}:{ref.tensor}" if ref.tensor else name


def _plain(name: str) -> str:
    return name.strip().removesuffix(":0")


def _names(network: Network, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Ref]]:
    """Yield the name of every call, also of those in models inside, and the outer call."""
    for layer in network.layers.values():
        for number in range(max(len(layer.calls), 1)):
            name = call_name(prefix, layer, number)
            yield name, Ref(layer.name, number, 0)
            if layer.network is not None:
                for inner, _ in _names(layer.network, f"{name}/", depth + 1):
                    yield inner, Ref(layer.name, number, 0)


def _resolved(name: str, network: Network, names: Mapping[str, Ref]) -> str:
    plain = _plain(name)
    head, _, index = plain.rpartition(":")
    if plain in names or (index.isdigit() and head in names):
        return plain
    raise unknown_name(
        plain,
        list(names),
        inputs=(ref.layer for ref in network.inputs),
        outputs=(_name_of(network, ref) for ref in network.outputs),
    )


def _fetches(network: Network, outputs: Iterable[str], names: Mapping[str, Ref]) -> list[Ref]:
    """Return the calls of the network itself that make the tensors of these names."""
    refs = []
    for name in outputs:
        head, _, index = name.rpartition(":")
        ref = names.get(name)
        if ref is None:
            ref = names[head]
            if "/" not in head or head in network.layers:
                ref = Ref(ref.layer, ref.node, int(index))
        refs.append(ref)
    return refs


def _inputs(
    options: LoadOptions,
    network: Network,
    names: Mapping[str, Ref],
    own: list[str],
    given: Mapping[str, str],
) -> list[str]:
    if options.inputs is None:
        return [name for name in own if name not in given]
    asked = [_resolved(name, network, names) for name in options.inputs]
    both = next((name for name in asked if name in given), None)
    if both is not None:
        raise UsageError(f"`{both}` is an input and has a value", hint="drop one of the two")
    return asked


def _declared(
    network: Network, file: str, name: str, options: LoadOptions, generation: Generation
) -> Declared:
    layer = network.layers.get(name)
    if layer is not None and layer.op == "InputLayer":
        return Declared(name, input_shape(layer), dtype_of(layer.config.get("dtype")))
    tensor = _computed_before(network, file, name, generation)
    if tensor is None:
        words = layer is not None and makes_integers(layer)
        return Declared(name, None, INT64 if words else FLOAT32, fixed=False, guessed=True)
    return Declared(name, tensor.shape, tensor.dtype, fixed=False)


def _computed_before(
    network: Network, file: str, name: str, generation: Generation
) -> Tensor | None:
    try:
        whole = _imported(network, file, LoadOptions(outputs=(name,)), generation)
    except TqconvError:
        return None  # the part before the cut need not be translatable
    return whole.main.outputs[0]


def dtype_of(value: Any) -> np.dtype:
    """Return the type of an input; a policy of mixed precision computes in float32."""
    if isinstance(value, Mapping):
        config = value.get("config")
        value = config.get("name") if isinstance(config, Mapping) else None
    name = "float32" if value is None or str(value).startswith("mixed_") else str(value)
    name = "float32" if name == "bfloat16" else name
    if name == "string":
        raise UnsupportedError(
            "an input of the model is text",
            hint="cut the model behind what turns it into numbers, with --input_arrays",
        )
    try:
        return np.dtype(name if name.isidentifier() else "")  # numpy reads lists of types, too
    except TypeError:
        raise FormatError(f"an input has the type {name!r}, which does not exist") from None


def _reads(network: Network, name: str) -> Iterable[tuple[str, str]]:
    layer = network.layers.get(name)
    for call in () if layer is None else layer.calls:
        for ref in call.refs():
            if network.layers[ref.layer].op != "InputLayer":
                yield ref.layer, ref.layer
