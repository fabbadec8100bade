"""A Keras configuration as layers, calls and borders, in one form for all versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.config import Dims
from tqconv.errors import FormatError
from tqconv.records import dataclass
from tqconv.untrusted import reading

NETWORKS = frozenset({"Sequential", "Functional", "Model"})
"""Classes that are graphs of layers. Before Keras 2.3 a functional model is a `Model`."""
OPERATIONS = ("keras.src.ops.", "keras.ops.", "keras.src.quantizers.")
"""Starts of the modules of Keras 3's operations, which have no weights."""
SPARE = frozenset(
    {
        *("Discretization", "HashedCrossing", "Pipeline", "ReLU"),
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    }
)
"""Layers of Keras 3 whose configuration does not say whether they are trainable.

`ReLU` is what `keras.activations.relu` writes for a limit: no operation of `keras.ops`."""
LISTS = ("cells", "layers")
"""Keys of a layer that is no model, under which it lists layers inside it."""
FIRST = ("inputs", "sequences")
"""What layers call their first argument, which a call may give by this name."""
RENAMED = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Layers that HDF5 files call by their class in Python -> their public name."""
FUNCTIONS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""Layers of Keras 2 that call a function of TensorFlow, which `config` names."""


@dataclass(frozen=True)
class Ref:
    """A tensor: output `tensor` of call number `node` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One use of a layer. Tensors stand as `Ref` anywhere in the arguments."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def refs(self) -> Iterator[Ref]:
        """Yield the tensors that the call reads."""
        yield from refs_in([*self.args, *self.kwargs.values()])


def refs_in(tree: Any) -> Iterator[Ref]:
    """Yield the tensors in nested values, in their order; that of a dictionary's keys."""
    if isinstance(tree, Ref):
        yield tree
    elif isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from refs_in(tree[key])
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from refs_in(value)


@dataclass(eq=False)
class Layer:
    """A layer of a model, or one inside a wrapper.

    op: its class; the name of an operation of Keras 3 with `ops.` before it, or of a function of
    TensorFlow with `tf.` before it. place: where in the configuration it stands. network: its
    graph, if it is a model. inside: the layers that it wraps, by attribute.
    weights: by name, filled in by `weights.assign`.
    """

    name: str
    op: str
    config: Mapping[str, Any]
    place: str
    calls: list[Call] = field(default_factory=list)
    network: Network | None = None
    inside: dict[str, Layer] = field(default_factory=dict)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(eq=False)
class Network:
    """A graph of layers. `inputs`, `outputs`: flat, in the order of the model.

    keys: by which a call with a dictionary names the inputs.
    """

    name: str
    layers: dict[str, Layer]
    inputs: list[Ref]
    outputs: list[Ref]
    keys: Sequence[str] = ()

    def arguments(self, call: Call) -> list[Ref]:
        """Return the tensors that a call hands in, in the order of the inputs."""
        first = call.args[0] if call.args else None
        if isinstance(first, Mapping) and self.keys and set(self.keys) <= set(first):
            return list(refs_in([first[key] for key in self.keys]))
        return list(refs_in(call.args))


def parse(config: Any, major: int) -> Layer:
    """Return the model that a configuration describes, as a layer; FormatError where it is none."""
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise FormatError("the configuration is no Keras model")
    model = _layer(config, major, "")
    if model.network is None:
        raise FormatError(
            f"the model is of class `{config['class_name']}`, whose graph is Python code",
            hint="export it as a SavedModel with `model.export`, and convert that",
        )
    return model


def _layer(entry: Mapping[str, Any], major: int, place: str) -> Layer:
    if not isinstance(entry["class_name"], str):
        raise FormatError(f"a layer of '{place}' has the class {entry['class_name']!r}")
    op, config = RENAMED.get(entry["class_name"], entry["class_name"]), entry["config"]
    if op == "Sequential" and isinstance(config, list):  # before Keras 2.2.3
        config = {"name": "sequential", "layers": config}
    name = str(entry.get("name") or config.get("name") or op.lower())
    place = f"{place}/{name}" if place else name
    if _is_operation(entry, config, major):
        op = f"ops.{op}"
    elif entry.get("registered_name") not in (None, op, "Functional", "Sequential", "Model"):
        op = str(entry["registered_name"])  # `package>Class`, whatever its class is called
    if op in FUNCTIONS:
        layer = Layer(name, f"tf.{function_name(config)}", {}, place)
        layer.calls = [_function_call(node) for node in entry.get("inbound_nodes") or ()]
        return layer
    layer = Layer(name, op, config, place)
    if op in NETWORKS or is_described(config):
        if "layers" not in config:
            raise FormatError(f"the model '{place}' is of a class of its own: it has no layers")
        make = _sequential if op == "Sequential" else _functional
        layer.network = make(config, major, place)
        return layer
    for key, inner in _wrapped(config):
        layer.inside[key] = _layer(inner, major, place)
    if op == "Bidirectional" and "backward_layer" not in layer.inside:
        layer.inside["backward_layer"] = _turned(config["layer"], major, place)
    layer.calls = [_call(node, major) for node in entry.get("inbound_nodes") or ()]
    return layer


def is_described(config: Any) -> bool:
    """Whether a configuration is that of a functional model, whatever its class is called."""
    return isinstance(config, Mapping) and {"layers", "input_layers", "output_layers"} <= set(
        config
    )


def _is_operation(entry: Mapping[str, Any], config: Mapping[str, Any], major: int) -> bool:
    """Whether an entry is an operation. HDF5 does not say; a layer says whether it is trainable."""
    module = entry.get("module")
    if isinstance(module, str):
        return module.startswith(OPERATIONS)
    kind = entry["class_name"]
    known = kind in NETWORKS or kind in SPARE or kind == "InputLayer"
    return major >= 3 and "inbound_nodes" in entry and not known and "trainable" not in config


def _turned(entry: Mapping[str, Any], major: int, place: str) -> Layer:
    """Return the layer that a Bidirectional runs backward where it has none of its own."""
    config = dict(entry["config"])
    config["go_backwards"] = not config.get("go_backwards", False)
    config["name"] = f"backward_{config.get('name', 'layer')}"
    return _layer({**entry, "config": config, "name": config["name"]}, major, place)


def _wrapped(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key in ("layer", "backward_layer", "cell", "rnn_layer"):
        if isinstance(config.get(key), Mapping):
            yield key, config[key]
    for key in LISTS:
        for number, inner in enumerate(config.get(key) or ()):
            yield f"{key}/{number}", inner


def _functional(config: Mapping[str, Any], major: int, place: str) -> Network:
    layers: dict[str, Layer] = {}
    for entry in config["layers"]:
        layer = _layer({"name": entry["config"].get("name"), **entry}, major, place)
        if layer.network is not None:
            layer.calls = [_call(node, major) for node in entry.get("inbound_nodes") or ()]
        if layer.name in layers:
            raise FormatError(f"two layers of '{place}' are called '{layer.name}'")
        layers[layer.name] = layer
    first = 1 if major < 3 else 0
    nested = {name for name, layer in layers.items() if layer.network is not None and first}

    def counted(tree: Any) -> Any:
        if isinstance(tree, Ref):
            return Ref(tree.layer, tree.node - (tree.layer in nested), tree.tensor)
        if isinstance(tree, Mapping):
            return {key: counted(value) for key, value in tree.items()}
        return type(tree)(map(counted, tree)) if isinstance(tree, list | tuple) else tree

    for layer in layers.values():
        layer.calls = [Call(counted(call.args), counted(call.kwargs)) for call in layer.calls]
    ends = [border(config[key]) for key in ("input_layers", "output_layers")]
    inputs, outputs = (
        counted(_of_border(ends_, layers) if major >= 3 else ends_) for ends_ in ends
    )
    for ref in inputs:
        if ref.layer not in layers or layers[ref.layer].op != "InputLayer":
            kind = f"a {layers[ref.layer].op}" if ref.layer in layers else "no layer of it"
            raise FormatError(f"the input '{ref.layer}' of '{place}' is {kind}, not an InputLayer")
    named = config["input_layers"]
    keys = sorted(named) if isinstance(named, Mapping) else [ref.layer for ref in inputs]
    return Network(str(config.get("name", place)), layers, inputs, outputs, keys)


def _of_border(refs: Sequence[Ref], layers: Mapping[str, Layer]) -> list[Ref]:
    """Return the ends of a model of Keras 3, where calls of models that are graphs count from 1.

    Everywhere else in its configuration, and for a Sequential, they count from 0.
    """
    graphs = {name for name, layer in layers.items() if layer.network and layer.op != "Sequential"}
    return [Ref(r.layer, r.node - (r.layer in graphs and r.node > 0), r.tensor) for r in refs]


def border(value: Any) -> list[Ref]:
    """Return the tensors of `input_layers` or `output_layers`: one, a list, or a dictionary."""
    if isinstance(value, Mapping):
        return [ref for key in sorted(value) for ref in border(value[key])]
    if _is_triple(value):
        return [Ref(value[0], value[1], value[2])]
    return [ref for item in value for ref in border(item)]


def _sequential(config: Mapping[str, Any], major: int, place: str) -> Network:
    """Return a chain of layers as a graph; a missing input layer is made."""
    parsed = [_layer(entry, major, place) for entry in config["layers"]]
    if not parsed or parsed[0].op != "InputLayer":
        parsed.insert(0, _made_input(config, parsed, place))
    layers: dict[str, Layer] = {}
    last = None
    for layer in parsed:
        if layer.name in layers:
            raise FormatError(f"two layers of '{place}' are called '{layer.name}'")
        layer.calls = [Call(() if last is None else (Ref(last, 0, 0),))]
        layers[layer.name] = layer
        last = layer.name
    assert last is not None
    first = [Ref(parsed[0].name, 0, 0)]
    count = _output_count(parsed[-1])
    return Network(place, layers, first, [Ref(last, 0, i) for i in range(count)])


def _output_count(layer: Layer) -> int:
    return 1 if layer.network is None else len(layer.network.outputs)


def _made_input(config: Mapping[str, Any], parsed: Sequence[Layer], place: str) -> Layer:
    first = parsed[0].config if parsed else {}
    shape = config.get("build_input_shape")
    shape = first.get("batch_input_shape", first.get("batch_shape", shape))
    name = f"{parsed[0].name}_input" if parsed else f"{place}_input"
    inner = parsed[0].network if parsed else None
    if shape is None and inner is not None:
        made = inner.layers[inner.inputs[0].layer].config
        shape, first = made.get("batch_shape", made.get("batch_input_shape")), made
    dtype = first.get("dtype") if parsed and parsed[0].op in ("Embedding", "InputLayer") else None
    if parsed and parsed[0].op == "Embedding":
        dtype = "float32"
    return Layer(
        name, "InputLayer", {"batch_shape": shape, "dtype": dtype or "float32"}, f"{place}/{name}"
    )


def input_shape(layer: Layer) -> Dims | None:
    """Return the shape that an input layer declares, None where it says none."""
    shape = layer.config.get("batch_shape", layer.config.get("batch_input_shape"))
    if shape is None:
        return None
    with reading(f"the shape of the input '{layer.name}' is damaged"):
        return tuple(None if size is None else int(size) for size in shape)


def _is_triple(value: Any) -> bool:
    """Whether a value names a tensor: layer, node, tensor."""
    return (
        isinstance(value, list | tuple)
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])
        and (len(value) == 3 or isinstance(value[3], Mapping))
    )


def _ref(layer: Any, node: Any, tensor: Any) -> Ref:
    if not isinstance(layer, str) or not isinstance(node, int) or not isinstance(tensor, int):
        raise FormatError(f"{layer!r}, {node!r}, {tensor!r} names no tensor of a layer")
    return Ref(layer, node, tensor)


def _call(node: Any, major: int) -> Call:
    if isinstance(node, Mapping) and major >= 3:
        named = {key: _of_keras3(value) for key, value in node["kwargs"].items()}
        args = tuple(map(_of_keras3, node["args"]))
        first = next((name for name in FIRST if name in named), "")
        return Call(args if args or not first else (named.pop(first),), named)
    if isinstance(node, list) and node and isinstance(node[0], str):
        node = [node]  # of one tensor, without the inner list
    kwargs: dict[str, Any] = {}
    first = _structure(node, kwargs)
    return Call(tuple(first) if isinstance(first, list) else (first,), kwargs)


def _structure(entry: Any, kwargs: dict[str, Any]) -> Any:
    """Return what Keras 2 calls a layer with first, in its structure; add to `kwargs` the rest."""
    if isinstance(entry, Mapping):
        return {key: _structure(item, kwargs) for key, item in entry.items()}
    if not isinstance(entry, list):
        raise FormatError(f"{entry!r} names no tensor of a layer")
    if not entry or not isinstance(entry[0], str):
        return [_structure(item, kwargs) for item in entry]
    if len(entry) > 3:
        kwargs.update((key, _of_keras2(value)) for key, value in entry[3].items())
    return entry[2] if entry[0] == "_CONSTANT_VALUE" else _ref(*entry[:3])


def function_name(config: Mapping[str, Any]) -> str:
    """Return the public name of a function; those of TensorFlow 1 are kept where they differ."""
    name = str(config.get("function"))
    return name if name == "compat.v1.where" else name.removeprefix("compat.v1.")


def _function_call(node: Any) -> Call:
    """Return the call of a function: what it is called with first keeps its structure."""
    kwargs: dict[str, Any] = {}
    value = _structure(node, kwargs)
    return Call((value,), {"b_" if key == "b" else key: each for key, each in kwargs.items()})


def _of_keras2(value: Any) -> Any:
    if _is_triple(value) and len(value) == 3:
        return value[2] if value[0] == "_CONSTANT_VALUE" else _ref(*value)
    if isinstance(value, Mapping):
        return {key: _of_keras2(item) for key, item in value.items()}
    return [_of_keras2(item) for item in value] if isinstance(value, list) else value


def _of_keras3(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_keras3(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    config: Any = value.get("config")
    kind = value.get("class_name")
    if kind == "__keras_tensor__":
        return _ref(*config["keras_history"])
    if kind in ("__numpy__", "__tensor__"):
        return np.array(config["value"], config["dtype"])
    if kind == "__slice__":
        return slice(*(_of_keras3(config[key]) for key in ("start", "stop", "step")))
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__tuple__":
        return tuple(map(_of_keras3, value.get("items", config or ())))
    return {key: _of_keras3(item) for key, item in value.items()}
