"""The walk over the calls of a model's layers, and of models inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.grids import Use
from tqconv.errors import FormatError, UnsupportedError, UsageError
from tqconv.importers.keras.archive import Generation
from tqconv.importers.keras.masks import passed_on
from tqconv.importers.keras.model import Call, Layer, Network, Ref, refs_in
from tqconv.importers.keras.registry import KERAS, KerasBuilder
from tqconv.importers.translate import Failed, ReportedError, Translation
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source
from tqconv.records import dataclass


@dataclass(frozen=True)
class Value:
    """What a layer makes: a tensor, and the mask that Keras hands on beside it."""

    tensor: Tensor | Failed
    mask: Tensor | None = None


Values = dict[Ref, Value]


@dataclass(eq=False)
class Walk:
    """The import of one model. `feeds`: what stands for the tensors where it is cut, by name."""

    translation: Translation
    graph: Graph
    generation: Generation
    feeds: Mapping[str, Tensor]
    named: dict[str, Value] = field(default_factory=dict)
    """What each call made, by the name by which it can be asked for."""
    fake_quant: Use = field(default_factory=Use)
    """What the quantizers of trained models are read for."""
    _constants: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    _stripped: set[Tensor] = field(default_factory=set)
    """Tensors whose masks are taken off."""

    @property
    def major(self) -> int:
        """The generation of Keras: 2 or 3."""
        return self.generation.major

    def constant(self, graph: Graph, name: str, array: NDArray[Any]) -> Tensor:
        """Return a weight, made once."""
        key = (id(graph), name)
        if key not in self._constants:
            self._constants[key] = graph.constant(name, computed(array))
        return self._constants[key]

    def stand_in(self, graph: Graph, name: str, make: Callable[[], Tensor]) -> None:
        """Let what `make` returns be the weight of a name wherever it is asked for in a graph."""
        key = (id(graph), name)
        if key not in self._constants:
            self._constants[key] = make()

    def network(
        self,
        network: Network,
        inputs: Sequence[Value],
        prefix: str = "",
        fetches: Sequence[Ref] | None = None,
        graph: Graph | None = None,
    ) -> list[Value]:
        """Translate what the outputs (or `fetches`) of a network need; return their values."""
        wanted = network.outputs if fetches is None else list(fetches)
        values: Values = dict(zip(network.inputs, inputs, strict=False))
        order = in_order(network, wanted, values, self._known(network, prefix))
        for layer, number in by_depth(network, order) if self._strips(order) else order:
            name = call_name(prefix, layer, number)
            made = self._fed(layer, name) or self.call(
                layer, layer.calls[number], values, name, graph or self.graph
            )
            for index, value in enumerate(made):
                values[Ref(layer.name, number, index)] = value
                self.named[name if index == 0 else f"{name}:{index}"] = value
        return [_found(values, ref, network) for ref in wanted]

    def _strips(self, order: Sequence[tuple[Layer, int]]) -> bool:
        """Whether the order of calls matters to what masks tensors have."""
        return self.generation >= SINCE_STRIPPED and any(layer.op in STRIPS for layer, _ in order)

    def _known(self, network: Network, prefix: str) -> set[Ref]:
        """Return the calls that are fed."""
        return {
            Ref(layer.name, number, 0)
            for layer in network.layers.values()
            for number in range(max(len(layer.calls), 1))
            if call_name(prefix, layer, number) in self.feeds
        }

    def _fed(self, layer: Layer, name: str) -> list[Value] | None:
        return [Value(self.feeds[name])] if name in self.feeds else None

    def call(
        self, layer: Layer, call: Call, values: Values, name: str, graph: Graph
    ) -> list[Value]:
        """Translate one call of a layer whose arguments are in `values`."""
        refs = refs_in(call.args) if layer.network is None else layer.network.arguments(call)
        operands = [_found(values, ref, None) for ref in refs]
        if layer.network is not None:
            if self.major < 3 and call.kwargs.get("training") is True:
                raise UnsupportedError(
                    f"the model '{layer.place}' is called with `training=True`",
                    hint="build the model around it without `training=True`",
                )
            return self.network(layer.network, operands, f"{name}/", graph=graph)
        named = [k for k in OPERANDS if isinstance(call.kwargs.get(k), Ref)]
        operands += [_found(values, call.kwargs[k], None) for k in named]
        rest = {k: v for k, v in call.kwargs.items() if k not in named}
        if self.major >= 3:
            rest.pop("training", None)  # in use, Keras 3 tells every call that it is no training
        kwargs: Mapping[str, Any] = {k: _resolved(v, values) for k, v in rest.items()}
        tensors = (*_tensors(kwargs), *(v.tensor for v in operands))
        failed = next((v for v in tensors if isinstance(v, Failed)), None)
        if failed is not None:
            return [Value(failed)]
        args: Sequence[Any] = [v.tensor for v in operands]
        if layer.op.startswith("ops."):
            args, kwargs = _of_operation(call, values, kwargs, layer.op == INDEXING)
        elif layer.op.startswith("tf."):
            args = [_resolved(arg, values) for arg in call.args]
        masks = [None if v.tensor in self._stripped else v.mask for v in operands]
        if layer.op in STRIPS and self.generation >= SINCE_STRIPPED:
            self._stripped |= {v.tensor for v in operands if isinstance(v.tensor, Tensor)}
        return self.apply(layer, args, kwargs, masks, name, graph)

    def apply(
        self,
        layer: Layer,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        masks: Sequence[Tensor | None],
        name: str,
        graph: Graph,
    ) -> list[Value]:
        """Translate a layer with these operands."""
        source = Source(self.translation.file, name, layer.op, place=len(graph.ops))
        b = KerasBuilder(graph, source, name, layer, self, masks)
        given = kwargs.get("mask")
        of_layer = not layer.op.startswith(("ops.", "tf.")) and layer.op not in TAKES_MASKS
        if isinstance(given, Tensor) and of_layer:
            b.masks, b.is_mask_said = [given, *b.masks[1:]], True
            kwargs = {key: value for key, value in kwargs.items() if key != "mask"}
        b.mask = passed_on(b)
        attributes = partial(_attributes, layer, kwargs)
        made = self.translation.translate(b, args, attributes, layer.op)
        if isinstance(made, Failed):
            return [Value(made)]
        return [Value(t, b.mask if index == 0 else None) for index, t in enumerate(made)]

    def inner(
        self,
        b: KerasBuilder,
        layer: Layer,
        args: Sequence[Tensor],
        masks: Sequence[Tensor | None],
        name: str,
        kwargs: Mapping[str, Any],
    ) -> list[Tensor]:
        """Translate a layer or model inside the one that `b` stands for; return its tensors.

        What masks the first of them is `b.mask_inside` then.
        """
        if layer.network is not None:
            inputs = [
                Value(t, m) for t, m in zip(args, [*masks, *[None] * len(args)], strict=False)
            ]
            made = self.network(layer.network, inputs, f"{name}/", graph=b.graph)
        else:
            made = self.apply(layer, args, kwargs, masks, name, b.graph)
        found = []
        for value in made:
            if isinstance(value.tensor, Failed):
                raise ReportedError(value.tensor.node)
            found.append(value.tensor)
        b.mask_inside = made[0].mask
        return found


STRIPS, SINCE_STRIPPED = frozenset({"MultiHeadAttention"}), Generation(3, 8)
"""Layers that take the masks off what they read, for all that is called behind them."""
INDEXING = "ops.GetItem"
"""The operation to which `None` says something by position: a new axis."""
OPERANDS = ("query", "value", "key")
"""Operands that a call may give by name, in the order in which the layers take them."""
TAKES_MASKS = frozenset(
    {"Softmax", "Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"}
)
"""Layers whose masks are arguments of their own."""


def _attributes(layer: Layer, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the handler of a layer is told; `b`, which handlers call their builder, is `b_`.

    Raises UnsupportedError for an operation that is told the type of its result and does not know.
    """
    found = {"b_" if key == "b" else key: v for key, v in {**layer.config, **kwargs}.items()}
    if layer.op.startswith("ops.") and found.get("dtype") is not None:
        handler = KERAS.find(layer.op)
        if handler is not None and "dtype" not in KERAS.signature(handler).attributes:
            raise UnsupportedError(f"{layer.op} with results of the type {found['dtype']}")
    return found


def call_name(prefix: str, layer: Layer, number: int) -> str:
    """Return the name of a call: that of the layer, from its second call on with a number."""
    return f"{prefix}{layer.name}" if number == 0 else f"{prefix}{layer.name}_call{number}"


def in_order(
    network: Network, wanted: Iterable[Ref], values: Iterable[Ref], fed: Iterable[Ref] = ()
) -> list[tuple[Layer, int]]:
    """Return the calls that some tensors need, after what they read.

    Raises FormatError for a call that does not exist, UnsupportedError for a cycle.
    """
    given = {(ref.layer, ref.node) for ref in values}
    stop = {(ref.layer, ref.node) for ref in fed}
    done: dict[tuple[str, int], bool] = {}
    order: list[tuple[Layer, int]] = []
    stack = [((ref.layer, ref.node), False) for ref in reversed(list(wanted))]
    while stack:
        key, is_ready = stack.pop()
        if key in given or done.get(key):
            continue
        layer = network.layers.get(key[0])
        if layer is not None and layer.op == "InputLayer" and key not in stop:
            raise UsageError(
                f"the result depends on the input `{key[0]}`, which is not named",
                hint="name it with --input_arrays, too",
            )
        if layer is None or (not 0 <= key[1] < len(layer.calls) and key not in stop):
            raise FormatError(
                f"the model '{network.name}' reads call {key[1]} of '{key[0]}', "
                "which does not exist"
            )
        if is_ready or key in stop:
            done[key] = True
            order.append((layer, key[1]))
            continue
        if key in done:
            raise UnsupportedError(f"the model has a cycle through '{key[0]}'")
        done[key] = False
        stack.append((key, True))
        stack += [((ref.layer, ref.node), False) for ref in layer.calls[key[1]].refs()]
    return order


def by_depth(network: Network, calls: Sequence[tuple[Layer, int]]) -> list[tuple[Layer, int]]:
    """Return calls in the order of Keras 3: those first that are farthest from the outputs.

    Calls of one layer are as far as the farthest of those looked at before (ops/function.py).
    """
    order = _inputs_first(network)
    depths: dict[tuple[str, int], int] = {}
    of_layers: dict[str, int] = {}
    for key in reversed(order):
        depth = max(depths.setdefault(key, 0), of_layers.get(key[0], 0))
        depths[key] = of_layers[key[0]] = depth
        for before in _before(network, key):
            depths[before] = max(depth + 1, depths.get(before, 0))
    rank = {key: (-depth, place) for place, (key, depth) in enumerate(depths.items())}
    named = [(layer.name, number) for layer, number in calls]
    if not rank.keys() >= set(named):
        return list(calls)  # a cut that no output needs
    return sorted(calls, key=lambda call: rank[call[0].name, call[1]])


def _before(network: Network, key: tuple[str, int]) -> list[tuple[str, int]]:
    """Return the calls whose results a call reads, each once."""
    calls = network.layers[key[0]].calls
    refs = calls[key[1]].refs() if key[1] < len(calls) else ()
    return list(dict.fromkeys((ref.layer, ref.node) for ref in refs))


def _inputs_first(network: Network) -> list[tuple[str, int]]:
    """Return all calls that the outputs need, each behind what it reads."""
    done: set[tuple[str, int]] = set()
    order = []
    stack = [((ref.layer, ref.node), False) for ref in reversed(network.outputs)]
    while stack:
        key, is_ready = stack.pop()
        if is_ready:
            order.append(key)
        elif key not in done:
            done.add(key)
            stack.append((key, True))
            stack += [(before, False) for before in reversed(_before(network, key))]
    return order


def computed(array: NDArray[Any]) -> NDArray[Any]:
    """Return a weight in the type in which kernels compute: reals are float32."""
    return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def _found(values: Values, ref: Ref, network: Network | None) -> Value:
    if ref in values:
        return values[ref]
    first = values.get(Ref(ref.layer, ref.node, 0))
    if first is not None and isinstance(first.tensor, Failed):
        return first
    raise FormatError(f"output {ref.tensor} of '{ref.layer}' is read, which it does not have")


def _tensors(tree: Any) -> Iterable[Any]:
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        for item in tree:
            yield from _tensors(item)
    elif isinstance(tree, Tensor | Failed):
        yield tree


def _resolved(tree: Any, values: Values) -> Any:
    """Return arguments with the tensors in place of their names."""
    if isinstance(tree, Ref):
        return _found(values, tree, None).tensor
    if isinstance(tree, Mapping):
        return {key: _resolved(value, values) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_resolved(item, values) for item in tree)
    return tree


def _of_operation(
    call: Call, values: Values, kwargs: Mapping[str, Any], indexes: bool
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """Return operands and attributes of an operation.

    If not all it is called with are tensors, all of it in its order is an attribute `args`, too.
    """
    args = [_resolved(arg, values) for arg in call.args]
    while not indexes and len(args) > 1 and args[-1] is None:
        args.pop()  # operands that may be absent, and are
    if len(args) == 1 and isinstance(args[0], list) and list(_tensors(args[0])) == args[0]:
        return args[0], kwargs
    if all(isinstance(a, Tensor | Failed) for a in args):
        return args, kwargs
    return list(_tensors(args)), {**kwargs, "args": args}
