"""What the model optimization toolkit wraps layers in while it trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tqconv.compose import grids
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.keras import toolkit
from tqconv.importers.keras.layers.activation import Activation, named
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.model import Layer
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.keras.toolkit import Quantizer
from tqconv.importers.keras.values import tensor
from tqconv.importers.keras.walk import computed
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Range
from tqconv.records import dataclass

F = np.float32


@dataclass(frozen=True)
class Ranges:
    """The trained ranges of a wrapper, and what reads them."""

    b: KerasBuilder
    weights: Mapping[str, Any]

    def quantized(self, x: Tensor, name: str, quantizer: Quantizer) -> Tensor:
        """Return `x` as a quantizer leaves it whose range is the one of this name."""
        b = self.b
        low, high = quantizer.ends or (self.weights[f"{name}_min"], self.weights[f"{name}_max"])
        bits, narrow = quantizer.bits, quantizer.narrow
        use = b.walk.fake_quant
        if quantizer.by_channels:
            least, most = b.const(low, F, f"{name}_min"), b.const(high, F, f"{name}_max")
            return grids.by_channels(b, x, least, most, bits, narrow, use)
        return _rounded(b, x, float(low), float(high), bits, narrow)


def _rounded(
    b: KerasBuilder, x: Tensor, low: float, high: float, bits: int, narrow: bool
) -> Tensor:
    """Return `x` rounded to a grid over a range."""
    said = Range(low, high, "fake_quant", str(b.source), bits, narrow)
    return grids.fake_quant(b, x, said, b.walk.fake_quant, b.walk.translation.notes)


@handles("ops.FakeQuantWithMinMaxVars")
def fake_quantized(
    b: KerasBuilder,
    *xs: Tensor,
    num_bits: int = 8,
    narrow_range: bool = False,
    axis: int | None = None,
    args: Any = None,
) -> Tensor:
    """Round to a grid over a range, or along an axis to grids of their own (`keras.quantizers`)."""
    given, *ends = in_order(b, xs, args)
    x = b.real(tensor(b, given))
    low, high = (b.real(tensor(b, end, F, "end")) for end in ends)
    if axis is None:
        if any(end.shape not in ((), (1,)) for end in (low, high)):
            raise UnsupportedError("a range for each channel, of which no axis is named")
        if low.data is None or high.data is None:
            return grids.on_grid(b, x, low, high, num_bits, narrow_range)
        return _rounded(b, x, low.data.item(), high.data.item(), num_bits, narrow_range)
    use = b.walk.fake_quant
    make = partial(
        grids.by_channels, low=low, high=high, bits=num_bits, narrow=narrow_range, use=use
    )
    return b.on_last_axis(x, axis, lambda t: make(b, t))


@handles("QuantizeWrapper", "QuantizeWrapperV2")
def quantize_wrapper(
    b: KerasBuilder,
    *xs: Tensor,
    layer: Any,
    quantize_config: Any,
    training: bool | None = False,
) -> Tensor:
    """Apply a layer whose weights, activation and result are rounded to trained grids."""
    inner = b.layer.inside["layer"]
    scheme = toolkit.scheme_of(quantize_config, inner.config)
    ranges = Ranges(b, b.layer.weights)
    for attribute, quantizer in scheme.weights.items():
        name = toolkit.weight_name(attribute, inner.op)
        make = partial(_weight, ranges, inner, name, attribute, quantizer)
        b.walk.stand_in(b.graph, f"{inner.place}/{name}", make)
    activations = {
        attribute: _surrounded(b, ranges, inner.config.get(attribute), quantizer)
        for attribute, quantizer in scheme.activations.items()
    }
    changed = replace(inner, config={**inner.config, **activations})
    (y,) = b.inner(changed, xs, b.masks, inner.name, {})
    return y if scheme.output is None else ranges.quantized(y, "output", scheme.output)


def _weight(
    ranges: Ranges, inner: Layer, name: str, attribute: str, quantizer: Quantizer
) -> Tensor:
    x = ranges.b.const(computed(inner.weights[name]), F, f"{inner.name}/{name}")
    return ranges.quantized(x, attribute, quantizer)


def _surrounded(b: KerasBuilder, ranges: Ranges, spec: Any, quantizer: Quantizer) -> Activation:
    """Return an activation with quantizers before and behind it."""
    name = toolkit.activation_name(spec)
    apply = named(b, "linear" if name == toolkit.NO_ACTIVATION else name)

    def activation(here: Builder, x: Tensor) -> Tensor:
        if name in toolkit.BEFORE:
            x = ranges.quantized(x, "pre_activation", quantizer)
        y = apply(here, x)
        return ranges.quantized(y, "post_activation", quantizer) if name in toolkit.AFTER else y

    return activation


@handles("QuantizeLayer")
def quantize_layer(
    b: KerasBuilder, x: Tensor, *, quantizer: Any = None, training: bool | None = False
) -> Tensor:
    """Round to a trained grid."""
    found = toolkit.quantizer_of(quantizer)
    if found is None:
        return x
    return Ranges(b, b.layer.weights).quantized(b.real(x), "output", found)


@handles("QuantizeAnnotate")
def annotate(
    b: KerasBuilder,
    *xs: Tensor,
    layer: Any,
    quantize_config: Any = None,
    training: bool | None = False,
) -> list[Tensor]:
    """Apply the layer: an annotation asks for quantizers, it has none."""
    inner = b.layer.inside["layer"]
    return b.inner(inner, xs, b.masks, inner.name, {})


@handles("PruneLowMagnitude")
def pruned(
    b: KerasBuilder, *xs: Tensor, layer: Any, training: bool | None = False, **schedule: Any
) -> list[Tensor]:
    """Apply the layer with the zeros of its masks."""
    inner = b.layer.inside["layer"]
    weights = toolkit.pruned(inner.weights, b.layer.weights)
    named = _of_call(b, schedule)
    return b.inner(replace(inner, weights=weights), xs, b.masks, inner.name, named)


@handles("ClusterWeights", "ClusterWeightsRNN", "ClusterWeightsMHA")
def clustered(
    b: KerasBuilder, *xs: Tensor, layer: Any, training: bool | None = False, **clusters: Any
) -> list[Tensor]:
    """Apply the layer with weights that are the centroids of their clusters."""
    inner = b.layer.inside["layer"]
    first = inner.config.get("data_format") == "channels_first"
    weights = toolkit.clustered(inner.weights, b.layer.weights, first)
    named = _of_call(b, clusters)
    return b.inner(replace(inner, weights=weights), xs, b.masks, inner.name, named)


def _of_call(b: KerasBuilder, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of the call, which the toolkit hands on to the layer inside."""
    return {name: value for name, value in others.items() if name not in b.layer.config}
