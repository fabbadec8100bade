"""Which weights a layer has, in the order in which Keras stores them, and where they are.

HDF5 has one list for each layer of the model, nested models and wrappers flattened: first all
trainable weights, then all others. Archives have a group for each layer, named after its class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from tqconv.errors import FormatError
from tqconv.importers.keras import toolkit
from tqconv.importers.keras.archive import Archive
from tqconv.importers.keras.model import Layer, Network
from tqconv.records import dataclass

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """Weights that stand together in an archive, below `path`; `frozen` ones are not toolkit."""

    path: str
    names: tuple[str, ...]
    frozen: tuple[str, ...] = ()


def _kernel(*names: str) -> Callable[[Config], list[Group]]:
    def groups(config: Config) -> list[Group]:
        bias = ("bias",) if config.get("use_bias", True) else ()
        return [Group("", (*(names or ("kernel",)), *bias))]

    return groups


def _always(*names: str) -> Callable[[Config], list[Group]]:
    return lambda config: [Group("", names)]


def _scale_and_offset(config: Config) -> tuple[str, ...]:
    scale = ("gamma",) if config.get("scale", True) else ()
    return (*scale, *(("beta",) if config.get("center", True) else ()))


def _batch_norm(config: Config) -> list[Group]:
    frozen = ["moving_mean", "moving_variance"]
    if config.get("renorm"):
        frozen += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    return [Group("", _scale_and_offset(config), tuple(frozen))]


def _layer_norm(config: Config) -> list[Group]:
    if config.get("rms_scaling"):
        return [Group("", ("gamma",))]
    return [Group("", _scale_and_offset(config))]


def _recurrent(path: str) -> Callable[[Config], list[Group]]:
    def groups(config: Config) -> list[Group]:
        return [Group(path, ("kernel", "recurrent", *_bias(config)))]

    return groups


def _bias(config: Config) -> tuple[str, ...]:
    return ("bias",) if config.get("use_bias", True) else ()


def _einsum_dense(config: Config) -> list[Group]:
    return [Group("", ("kernel", *(("bias",) if config.get("bias_axes") else ())))]


def _heads(*parts: str) -> Callable[[Config], list[Group]]:
    def groups(config: Config) -> list[Group]:
        bias = config.get("use_bias", True)
        gate = ("gate",) if config.get("use_gate") else ()
        return [
            Group(f"{part}_dense", (f"{part}_kernel", *((f"{part}_bias",) if bias else ())))
            for part in (*parts[:2], *gate, *parts[2:])
        ]

    return groups


def _attention(config: Config) -> list[Group]:
    scale = ("scale",) if config.get("use_scale") else ()
    concat = ("concat_score_weight",) if config.get("score_mode") == "concat" else ()
    return [Group("", (*scale, *concat))]


def _normalization(config: Config) -> list[Group]:
    given = config.get("mean") is not None
    return [Group("", (), () if given else ("mean", "variance", "count"))]


def _discretization(config: Config) -> list[Group]:
    return [Group("", (), () if config.get("bin_boundaries") else ("summary",))]


def _lookup(config: Config) -> list[Group]:
    is_weighted = config.get("output_mode") == "tf_idf"
    return [Group("", (), ("idf_weights",) if is_weighted else ())]


def _reversible(config: Config) -> list[Group]:
    own = () if config.get("tie_weights", True) else ("reverse_embeddings",)
    return [Group("", ("embeddings", *own))]


def _spectra(config: Config) -> list[Group]:
    parts = {"real": ("real",), "imag": ("imag",)}.get(str(config.get("mode")), ("real", "imag"))
    return [Group("", tuple(f"{part}_kernel" for part in parts))]


def _spectral(config: Config) -> list[Group]:
    return [Group("", (), ("vector_u",))]


def _quantized(config: Config) -> list[Group]:
    return [Group("", (), tuple(toolkit.ranges_of(config)))]


def _quantized_first(config: Config) -> list[Group]:
    """The first version of the wrapper lists what it quantizes behind the layer's other weights."""
    names = toolkit.listed("QuantizeWrapper", config)
    return [Group("", _inside(names), tuple(toolkit.ranges_of(config)))]


def _inside(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(toolkit.INSIDE + name for name in names)


def _pruned(config: Config) -> list[Group]:
    parts = [(f"{n}_mask", f"{n}_threshold") for n in toolkit.kernels_of(config)]
    return [Group("", (), (*(name for pair in parts for name in pair), "pruning_step"))]


def _clustered(config: Config) -> list[Group]:
    names = toolkit.kernels_of(config)
    pairs = [(toolkit.INSIDE + name, f"{name}_centroids") for name in names]
    indices = tuple(f"{name}_indices" for name in names)
    return [Group("", tuple(name for pair in pairs for name in pair), indices)]


SPECS: Mapping[str, Callable[[Config], list[Group]]] = {
    **dict.fromkeys(
        (
            *("Dense", "Conv1D", "Conv2D", "Conv3D", "LocallyConnected1D", "LocallyConnected2D"),
            *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
            *("DepthwiseConv1D", "DepthwiseConv2D"),
        ),
        _kernel(),
    ),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"), _kernel("depthwise_kernel", "pointwise_kernel")
    ),
    "EinsumDense": _einsum_dense,
    "Embedding": _always("embeddings"),
    "ReversibleEmbedding": _reversible,
    "PReLU": _always("alpha"),
    "LayerScale": _always("gamma"),
    "BatchNormalization": _batch_norm,
    "SyncBatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": lambda config: [Group("", _scale_and_offset(config))],
    "RMSNormalization": _always("scale"),
    **dict.fromkeys(
        ("SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), _recurrent("cell")
    ),
    **dict.fromkeys(("SimpleRNNCell", "LSTMCell", "GRUCell"), _recurrent("")),
    "MultiHeadAttention": _heads("query", "key", "value", "output"),
    "GroupQueryAttention": _heads("query", "key", "value", "output"),
    "Attention": _attention,
    "AdditiveAttention": lambda config: (
        [Group("", ("scale",))] if config.get("use_scale", True) else []
    ),
    "Normalization": _normalization,
    "SpectralNormalization": _spectral,
    "STFTSpectrogram": _spectra,
    "Discretization": _discretization,
    "IntegerLookup": _lookup,
    "QuantizeLayer": lambda config: [Group("", (), tuple(toolkit.ranges_of_layer(config)))],
    "QuantizeWrapper": _quantized_first,
    "QuantizeWrapperV2": _quantized,
    **dict.fromkeys(toolkit.CLUSTERED, _clustered),
    "PruneLowMagnitude": _pruned,
}
"""Class -> its own weights; classes that are not here have none."""

PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention"}
"""Layers whose class has another name in Keras's code, after which groups are named."""
OPTIONAL = frozenset({"Discretization", "IntegerLookup", "SpectralNormalization"})
"""Classes that may lack what they would store."""


def assign(model: Layer, archive: Archive, needed: Collection[str]) -> None:
    """Give every layer of the model its weights; FormatError where they do not fit.

    needed: the layers that must have all of theirs.
    """
    network = model.network
    assert network is not None
    if archive.is_flat:
        _assign_lists(network, archive, needed)
    else:
        _assign_groups(network, archive, "")


def groups_of(layer: Layer) -> list[Group]:
    """Return a layer's own weights, without those of layers inside it."""
    spec = SPECS.get(layer.op)
    return [] if spec is None else spec(layer.config)


def _assign_lists(network: Network, archive: Archive, needed: Collection[str]) -> None:
    stored = archive.weights
    places = _places(network, archive)
    for layer in network.layers.values():
        place = places[layer.name]
        paths = [f"{place}/{name}" for name in stored.names("weight_names", place) or ()]
        slots = [*_slots(layer, True, True), *_slots(layer, False, True)]
        if layer.op in OPTIONAL and not paths:
            continue
        if len(slots) != len(paths) and layer.name not in needed:
            continue
        if len(slots) != len(paths):
            paths = _without_extras(layer, slots, paths)
        _check_different(layer, paths)
        for (owner, name), path in zip(slots, paths, strict=True):
            owner.weights[name] = stored.array(path)


def _check_different(layer: Layer, paths: Sequence[str]) -> None:
    """Raise FormatError where two weights of a layer have one name: the file holds one of them."""
    if len(set(paths)) == len(paths):
        return
    twice = next(path for i, path in enumerate(paths) if path in paths[:i]).rsplit("/", 1)[-1]
    raise FormatError(
        f"layer '{layer.place}' ({layer.op}) names '{twice}' twice in the file, which holds one "
        "weight of that name",
        hint="save the model as .keras, or with a newer Keras: 3.0 ends such a file half-way",
    )


def _places(network: Network, archive: Archive) -> dict[str, str]:
    """Return the group of each layer: that of its name.

    Weights that are apart may be of a model whose layers have other names; as Keras does, they are
    then told apart by their order among the layers that have any.
    """
    stored = archive.weights
    root = "model_weights" if "model_weights" in stored.members("") else ""
    places = {name: f"{root}/{name}" for name in network.layers}
    if not archive.is_apart:
        return places
    names = stored.names("layer_names", root) or []
    filled = [name for name in names if stored.names("weight_names", f"{root}/{name}")]
    having = [
        n
        for n, layer in network.layers.items()
        if any(_slots(layer, t, True) for t in (True, False))
    ]
    if len(filled) == len(having) and set(filled) != set(having):
        places |= {name: f"{root}/{other}" for name, other in zip(having, filled, strict=True)}
    return places


def _without_extras(
    layer: Layer, slots: Sequence[tuple[Layer, str]], paths: list[str]
) -> list[str]:
    """Return the paths without seeds and what Keras keeps beside weights."""
    kept = [p for p in paths if not re.search(r"seed_generator|random_generator|/states?[:_\d]", p)]
    if len(kept) == len(slots):
        return kept
    raise FormatError(
        f"layer '{layer.place}' ({layer.op}) has {len(kept)} weights in the file, "
        f"{len(slots)} by its configuration"
    )


def _slots(layer: Layer, trained: bool, free: bool) -> list[tuple[Layer, str]]:
    """Return the weights of a layer and all inside it that are (or are not) trained, in order.

    free: whether everything around the layer is trainable; what is frozen counts as not toolkit.
    """
    free = free and layer.config.get("trainable", True) is not False
    own = groups_of(layer)
    moved = [_slot(layer, n) for g in own for n in g.names if n.startswith(toolkit.INSIDE)]
    found: list[tuple[Layer, str]] = []
    for inner in _parts(layer):
        found += [slot for slot in _slots(inner, trained, free) if slot not in moved]
    names = [name for group in own for name in group.names]
    frozen = [name for group in own for name in group.frozen]
    if trained:
        found += [_slot(layer, name) for name in names if free]
    else:
        found += [_slot(layer, name) for name in ([] if free else names) + frozen]
    return found


def _slot(layer: Layer, name: str) -> tuple[Layer, str]:
    """Return the layer that a weight belongs to, which may be inside, and its name there."""
    if name.startswith(toolkit.INSIDE):
        return layer.inside["layer"], name.removeprefix(toolkit.INSIDE)
    return layer, name


def _parts(layer: Layer) -> list[Layer]:
    """Return the layers inside one, in the order of their weights."""
    if layer.network is not None:
        return list(layer.network.layers.values())
    return list(layer.inside.values())


def _assign_groups(network: Network, archive: Archive, place: str) -> None:
    counts: dict[str, int] = {}
    for layer in network.layers.values():
        if layer.op.startswith("ops."):
            continue
        key = snake_case(PYTHON_NAMES.get(layer.op, layer.op.rsplit(">", 1)[-1]))
        number = counts.get(key, 0)
        counts[key] = number + 1
        below = f"{key}_{number}" if number else key
        _assign_group(layer, archive, f"{place}layers/{below}")


def _assign_group(
    layer: Layer, archive: Archive, place: str, elsewhere: Sequence[str] = ()
) -> None:
    """Assign what stands below a group; weights that stand `elsewhere` are not there."""
    if layer.network is not None:
        _assign_groups(layer.network, archive, f"{place}/")
        return
    _assign_inner(layer, archive, place)
    for group in groups_of(layer):
        home = next(filter(archive.weights.members, _homes(place, group.path)), None)
        names = [name for name in (*group.names, *group.frozen) if name not in elsewhere]
        found = [] if home is None else archive.weights.members(home)
        first = 0
        if layer.op in toolkit.WRAPPERS:  # before its own stand variables of the layer, once more
            own = [name for name in names if not name.startswith(toolkit.INSIDE)]
            again = _inside(toolkit.listed(layer.op, layer.config))
            names = [*again, *own] if layer.op in toolkit.QUANTIZED else names
            first = max(len(found) - len(names), 0)
        if len(found) < len(names) and layer.op not in OPTIONAL:
            raise FormatError(
                f"layer '{layer.place}' ({layer.op}) has {len(found)} weights in the file, "
                f"{len(names)} by its configuration: {', '.join(names)}"
            )
        for number, name in enumerate(names if found else (), first):
            owner, key = _slot(layer, name)
            member = name if name in found else number
            owner.weights[key] = archive.weights.array(f"{home}/{member}")


def _homes(place: str, path: str) -> list[str]:
    """Return the groups where weights may stand: attributes are private in some versions."""
    if not path:
        return [f"{place}/vars"]
    return [f"{place}/{path}/vars", f"{place}/_{path}/vars", f"{place}/vars"]


def _assign_inner(layer: Layer, archive: Archive, place: str) -> None:
    numbers: dict[str, int] = {}
    for key, inner in layer.inside.items():
        below = _attribute(layer, key)
        group, _, is_listed = key.partition("/")
        if is_listed:
            kind = snake_case(inner.op)
            number = numbers.get(kind, 0)
            numbers[kind] = number + 1
            below = f"{group}/{kind}_{number}" if number else f"{group}/{kind}"
        _assign_group(inner, archive, f"{place}/{below}", toolkit.listed(layer.op, layer.config))


def _attribute(layer: Layer, key: str) -> str:
    """Return the attribute under which a wrapper keeps a layer."""
    if layer.op == "Bidirectional":
        return {"layer": "forward_layer"}.get(key, key)
    return key


def snake_case(name: str) -> str:
    """Return the name of a class as Keras names groups: Conv2D -> conv2d, LayerA -> layer_a."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
