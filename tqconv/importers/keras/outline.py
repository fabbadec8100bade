"""What is in a Keras file, without translating it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqconv.config import LoadOptions
from tqconv.errors import TqconvError
from tqconv.importers.keras import functions, layers  # noqa: F401  (fill the registry)
from tqconv.importers.keras.load import dtype_of, network_of, read
from tqconv.importers.keras.model import Layer, Network, input_shape
from tqconv.importers.keras.refused import HELD
from tqconv.importers.keras.registry import KERAS
from tqconv.importers.outline import NodeFacts, Outline, by_frequency


def outline(path: Path, options: LoadOptions, reason: str = "") -> Outline:
    """Return the layers of a Keras file; `reason` says why there is no more than that."""
    model, generation = read(path, options, weights=False)
    network = network_of(model)
    found = list(_nodes(network, ""))
    counts = Counter(node.op for node in found)
    missing = {op: n for op, n in counts.items() if KERAS.find(op) is None and op not in HELD}
    return Outline(
        origin=path.name,
        nodes=tuple(found),
        op_counts=by_frequency(counts),
        inputs=tuple(_input(network.layers[ref.layer]) for ref in network.inputs),
        outputs=tuple(NodeFacts(ref.layer, "output", (), None, None) for ref in network.outputs),
        variables=(),
        untranslated=by_frequency(missing),
        functions=(),
        producer=generation.major,
        reason=reason,
    )


def _nodes(network: Network, prefix: str) -> Iterator[NodeFacts]:
    for layer in network.layers.values():
        reads = dict.fromkeys(ref.layer for call in layer.calls for ref in call.refs())
        if layer.network is not None:
            yield from _nodes(layer.network, f"{prefix}{layer.name}/")
        else:
            yield NodeFacts(prefix + layer.name, layer.op, tuple(reads), None, None)


def _input(layer: Layer) -> NodeFacts:
    try:
        type_name = dtype_of(layer.config.get("dtype")).name
    except TqconvError:
        type_name = None
    return NodeFacts(layer.name, "input", (), type_name, input_shape(layer))
