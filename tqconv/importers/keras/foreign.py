"""Layers without a translation and the cut of a model: which are needed, and where to cut."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tqconv.config import Dims, LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.cuts import Cuts
from tqconv.importers.keras.model import Layer, Network, Ref, input_shape
from tqconv.importers.keras.refused import TEXT
from tqconv.ir.graph import Model


def needed_layers(
    network: Network, options: LoadOptions, names: Mapping[str, Ref]
) -> frozenset[str]:
    """Return the layers of a model that lie between its inputs and outputs.

    names: of every call, also inside of layers -> the call of the network that it belongs to.
    """
    ends = {name.strip().removesuffix(":0") for name in options.inputs or ()}
    wanted = [names[plain].layer for plain in _plain(options.outputs or (), names)]
    stack = wanted or [ref.layer for ref in network.outputs]
    found: set[str] = set()
    while stack:
        name = stack.pop()
        if name in found or name in ends or name not in network.layers:
            continue
        found.add(name)
        stack += reads(network, name)
    return frozenset(found)


def _plain(given: Sequence[str], names: Mapping[str, Ref]) -> Iterator[str]:
    """Yield the names of calls that some tensors mean; what there is not is told elsewhere."""
    for name in given:
        plain = name.strip().removesuffix(":0")
        head, _, index = plain.rpartition(":")
        known = plain if plain in names or not index.isdigit() else head
        if known in names:
            yield known


def reads(network: Network, name: str) -> Iterator[str]:
    """Yield the layers whose results a layer reads, in all its calls."""
    layer = network.layers.get(name)
    for call in () if layer is None else layer.calls:
        yield from (ref.layer for ref in call.refs())


def advise(
    error: UnsupportedError,
    network: Network,
    options: LoadOptions,
    attempt: Callable[[LoadOptions], Model],
) -> None:
    """Add the cut that leaves such layers out to their error, where one works."""
    missing = error.nodes.keys() & network.layers.keys()
    lost = _behind(network, missing)
    frontier = dict.fromkeys(each for name in lost for each in reads(network, name))

    def maker(tensor: str) -> str | None:
        layer = network.layers.get(tensor)
        return None if layer is None or layer.op == "InputLayer" else layer.name

    cuts = Cuts(
        options,
        options.inputs or [ref.layer for ref in network.inputs],
        options.outputs or [ref.layer for ref in network.outputs],
        maker,
        lambda name: reads(network, name),
        attempt,
        lambda name: shape_of_words(network, name),
    )
    cut = cuts.advice(missing, lost, [name for name in frontier if name not in lost]).cut
    if cut:
        error.hint = f"cut them off with `{cut}`; or {error.hint}"


def _behind(network: Network, missing: Collection[str]) -> dict[str, None]:
    """Return some layers and all that depends on them, in the order of the model."""
    lost = dict.fromkeys(name for name in network.layers if name in missing)
    count = -1
    while count < len(lost):
        count = len(lost)
        lost |= {
            layer.name: None
            for layer in network.layers.values()
            if any(name in lost for name in reads(network, layer.name))
        }
    return lost


def shape_of_words(network: Network, name: str) -> Dims | None:
    """Return the shape of the integers that a layer makes of words; None where it makes none."""
    layer = network.layers.get(name)
    if layer is None or not makes_integers(layer):
        return None
    if layer.op == "TextVectorization":
        length = layer.config.get("output_sequence_length")
        return (None, length if isinstance(length, int) else None)
    read = [network.layers[each] for each in reads(network, name) if each in network.layers]
    return input_shape(read[0]) if len(read) == 1 and read[0].op == "InputLayer" else None


def makes_integers(layer: Layer) -> bool:
    """Whether a layer makes one integer of each word."""
    return layer.op in TEXT and layer.config.get("output_mode", "int") == "int"
