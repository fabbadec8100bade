"""Wrappers of the model optimization toolkit: quantizers, pruning masks and clusters.

What they hold beside the layer inside, and in which order, is said by their configuration: the
quantizers' ranges, a mask for each pruned weight, centroids for each clustered one. A wrapper that
puts something else in a weight's place lists the weight as its own, named `layer/kernel` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.records import dataclass

Config = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]

QUANTIZED = frozenset({"QuantizeWrapper", "QuantizeWrapperV2"})
CLUSTERED = frozenset({"ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA"})
WRAPPERS = QUANTIZED | CLUSTERED | {"QuantizeAnnotate", "PruneLowMagnitude"}
INSIDE = "layer/"
"""Before the name of a weight of the layer inside that the wrapper lists."""

BEFORE = frozenset({"softmax", "sigmoid", "tanh", "gelu"})
AFTER = frozenset({"linear", "relu", "swish", "gelu"})
"""Activations whose input, and whose result, is quantized (quantize_aware_activation.py)."""
LAYERS_OF_ACTIVATION = frozenset({"relu", "swish", "gelu", "relu6"})
"""Activations of a layer of their own whose result is quantized."""
NO_ACTIVATION = "NoOpActivation"


@dataclass(frozen=True)
class Quantizer:
    """How a tensor is quantized; `ends`: a range that the configuration says, not the weights."""

    bits: int = 8
    narrow: bool = False
    by_channels: bool = False
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Scheme:
    """The quantizers of a layer, by the attribute that each stands in, and that of its result."""

    weights: Mapping[str, Quantizer] = field(default_factory=dict)
    activations: Mapping[str, Quantizer] = field(default_factory=dict)
    output: Quantizer | None = None


def _own(config: Config, weights: Quantizer, inner: Config) -> Scheme:
    bits = int(config.get("num_bits_weight") or 8)
    reals = Quantizer(int(config.get("num_bits_activation") or 8))
    return Scheme(
        dict.fromkeys(config["weight_attrs"], replace(weights, bits=bits)),
        dict.fromkeys(config["activation_attrs"], reals),
        reals if config["quantize_output"] else None,
    )


def _output_only(config: Config, inner: Config) -> Scheme:
    bits = int(config.get("num_bits_activation") or 8)
    return Scheme(output=Quantizer(bits) if config.get("quantize_output", True) else None)


def _of_activation(config: Config, inner: Config) -> Scheme:
    name = activation_name(inner.get("activation"))
    return _output_only(config, inner) if name in LAYERS_OF_ACTIVATION else Scheme()


def _without_weights(config: Config, inner: Config) -> Scheme:
    return replace(scheme_of(config["quantize_config"], inner), weights={})


def _fixed(config: Config, inner: Config) -> Scheme:
    scheme = scheme_of(config["config"], inner)
    fixed = Quantizer(8, config["narrow_range"], False, (config["init_min"], config["init_max"]))
    output = None if scheme.output is None else fixed
    return Scheme(scheme.weights, dict.fromkeys(scheme.activations, fixed), output)


WHOLE, CHANNELS = Quantizer(narrow=True), Quantizer(narrow=True, by_channels=True)
SCHEMES: Mapping[str, Callable[[Config, Config], Scheme]] = {
    "NoOpQuantizeConfig": lambda config, inner: Scheme(),
    "OutputOnlyConfig": _without_weights,
    "FixedQuantizeConfig": _fixed,
    **{
        f"Default{width}{name}": make
        for width in ("8Bit", "NBit")
        for name, make in {
            "QuantizeConfig": lambda config, inner: _own(config, WHOLE, inner),
            "ConvQuantizeConfig": lambda config, inner: _own(config, CHANNELS, inner),
            "ConvTransposeQuantizeConfig": lambda config, inner: _own(config, WHOLE, inner),
            "OutputQuantizeConfig": _output_only,
            "ActivationQuantizeConfig": _of_activation,
        }.items()
    },
}
"""Class of a quantize_config -> what it says of a layer with a configuration."""
QUANTIZERS = frozenset(
    {"AllValuesQuantizer", "MovingAverageQuantizer", "LastValueQuantizer", "FixedQuantizer"}
)


def scheme_of(quantize_config: Config, inner: Config) -> Scheme:
    """Return the quantizers of a layer; KeyError for a class that the toolkit does not have."""
    return SCHEMES[class_of(quantize_config)](quantize_config.get("config") or {}, inner)


def quantizer_of(value: Config | None) -> Quantizer | None:
    """Return the quantizer of a QuantizeLayer, None where it has none."""
    if value is None or class_of(value) == "NoQuantizer":
        return None
    config = value.get("config") or {}
    narrow = bool(config.get("narrow_range", False))
    if class_of(value) == "FixedQuantizer":
        return Quantizer(8, narrow, False, (config["init_min"], config["init_max"]))
    by_channels = bool(config.get("per_axis", False))
    return Quantizer(int(config.get("num_bits", 8)), narrow, by_channels)


def class_of(value: Config) -> str:
    """Return the name of an object's class without its package."""
    return str(value.get("class_name")).rsplit(">", 1)[-1]


def activation_name(value: Any) -> str:
    """Return the name of an activation, whatever the toolkit has put around it."""
    while isinstance(value, Mapping):
        config = value.get("config")
        inner = config.get("activation") if isinstance(config, Mapping) else config
        if inner is None:
            return class_of(value)
        value = inner
    return "linear" if value is None else str(value)


def unknown_class(op: str, config: Config) -> str:
    """Return the class of a quantizer that the toolkit does not have, empty where there is none."""
    if op in QUANTIZED:
        found: Any = config.get("quantize_config")
        while isinstance(found, Mapping):
            name = class_of(found)
            if name not in SCHEMES:
                return name
            inner = found.get("config") or {}
            found = inner.get("quantize_config", inner.get("config"))
    quantizer = config.get("quantizer") if op == "QuantizeLayer" else None
    if isinstance(quantizer, Mapping) and class_of(quantizer) not in {*QUANTIZERS, "NoQuantizer"}:
        return class_of(quantizer)
    return ""


def _ends(name: str, quantizer: Quantizer | None) -> list[str]:
    stored = quantizer is not None and quantizer.ends is None
    return [f"{name}_min", f"{name}_max"] if stored else []


def ranges_of(config: Config) -> list[str]:
    """Return the weights that a QuantizeWrapper adds."""
    inner = config["layer"]["config"]
    scheme = scheme_of(config["quantize_config"], inner)
    names = ["optimizer_step"]
    for attribute, quantizer in scheme.weights.items():
        names += _ends(attribute, quantizer)
    for attribute, quantizer in scheme.activations.items():
        kind = activation_name(inner.get(attribute))
        names += _ends("pre_activation", quantizer) if kind in BEFORE else []
        names += _ends("post_activation", quantizer) if kind in AFTER else []
    return [*names, *_ends("output", scheme.output)]


def ranges_of_layer(config: Config) -> list[str]:
    """Return the weights of a QuantizeLayer."""
    return [*_ends("output", quantizer_of(config.get("quantizer"))), "optimizer_step"]


RECURRENT = ("SimpleRNN", "LSTM", "GRU")
KERNELS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            *("Dense", "Conv1D", "Conv2D", "Conv3D", "LocallyConnected1D", "LocallyConnected2D"),
            *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
        ),
        ("kernel",),
    ),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), ("pointwise_kernel",)),
    **dict.fromkeys(RECURRENT, ("kernel", "recurrent")),
    "Embedding": ("embeddings",),
    "MultiHeadAttention": ("query_kernel", "key_kernel", "value_kernel", "output_kernel"),
}
"""Class -> its weights that are pruned or clustered (prune_registry.py, clustering_registry.py)."""


def kernels_of(config: Config) -> tuple[str, ...]:
    """Return the weights of the layer inside that a wrapper prunes or clusters."""
    return KERNELS.get(class_of(config["layer"]), ())


def weight_name(attribute: str, op: str) -> str:
    """Return our name of a weight for the attribute in which a layer keeps it."""
    if attribute == "depthwise_kernel" and op.startswith("DepthwiseConv"):
        return "kernel"
    return {"recurrent_kernel": "recurrent"}.get(attribute, attribute)


def listed(op: str, config: Config) -> list[str]:
    """Return the weights of the layer inside that a wrapper keeps in its own group of an archive.

    They are its variables, too, for it puts what it computes from them into the layer.
    """
    inner = class_of(config["layer"]) if "layer" in config else ""
    if op in CLUSTERED:
        return list(kernels_of(config))
    if op in QUANTIZED:
        scheme = scheme_of(config["quantize_config"], config["layer"]["config"])
        return [weight_name(attribute, inner) for attribute in scheme.weights]
    return []


def pruned(weights: Arrays, own: Arrays) -> dict[str, NDArray[Any]]:
    """Return weights with zeros where the masks have them."""
    found = {name.removesuffix("_mask"): mask for name, mask in own.items() if "_mask" in name}
    return {n: w * found[n].astype(w.dtype) if n in found else w for n, w in weights.items()}


def clustered(weights: Arrays, own: Arrays, first: bool) -> dict[str, NDArray[Any]]:
    """Return weights moved to the nearest of their centroids.

    first: whether channels come first. Centroids are [k], or [channels, k] for each channel.
    """
    made = dict(weights)
    for name, weight in weights.items():
        centroids = own.get(f"{name}_centroids")
        if centroids is not None and centroids.ndim == 1:
            made[name] = nearest(weight, centroids)
        elif centroids is not None:
            axis = 1 if first else weight.ndim - 1
            parts = zip(np.moveaxis(weight, axis, 0), centroids, strict=True)
            made[name] = np.stack([nearest(part, own) for part, own in parts], axis)
    return made


def nearest(weight: NDArray[Any], centroids: NDArray[Any]) -> NDArray[Any]:
    """Return the centroid that is nearest to each element, the first of two equally near ones."""
    best = np.full(weight.shape, np.inf, weight.dtype)
    made = np.zeros_like(weight)
    for centroid in centroids:
        distance = np.abs(weight - centroid)
        closer = distance < best
        best[closer], made[closer] = distance[closer], centroid
    return made
