"""Examples of what the optimization toolkit wraps layers in, and of nodes of TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example
from layer_examples_attention import heads
from layer_examples_convolution import convolution
from layer_examples_core import dense
from layer_examples_recurrent import recurrent
from networks_keras import Array, layer

STEP = np.array(-1, np.int32)
INNER: Mapping[str, Any] = {
    "ClusterWeights": {"Dense": dense, "Conv2D": convolution},
    "ClusterWeightsRNN": dict.fromkeys(("SimpleRNN", "LSTM", "GRU"), recurrent),
    "ClusterWeightsMHA": {"MultiHeadAttention": heads},
}
"""The layers that each wrapper is for, and what makes their examples."""


@example(*INNER, majors=[2], count=12)
def clustered(d: Draw, op: str) -> Example:
    """The file has weights near their centroids, which are what the layer inside computes with."""
    kind = d.one_of(*INNER[op])
    made: Example = INNER[op][kind](d, kind)
    last = made.config.get("data_format") != "channels_first"
    apart = kind == "Conv2D" and last and d.flag()
    kernels = kernels_of(kind, made)
    listed = [w for i, w in enumerate(made.weights) if i not in kernels]
    for i in kernels:
        values, moved = near(d, made.weights[i], apart)
        listed += [moved, values]
    listed += [np.zeros(made.weights[i].shape, np.int64) for i in kernels]
    config = {"layer": layer(kind, "inner", **made.config), "number_of_clusters": 8}
    config |= {"cluster_per_channel": apart, "preserve_sparsity": False}
    return replace(made, config=config, weights=listed, carried=None)


def kernels_of(kind: str, made: Example) -> Sequence[int]:
    """Return which weights of a layer are clustered: those that are no biases."""
    if kind == "MultiHeadAttention":
        return range(0, 8, 2) if made.config["use_bias"] else range(4)
    return range(2 if kind in INNER["ClusterWeightsRNN"] else 1)


def near(d: Draw, w: Array, apart: bool) -> tuple[Array, Array]:
    """Return the centroids [k] of a weight, or [channels, k] if `apart`, and a weight near it."""
    rows = w.reshape(-1, w.shape[-1]).T if apart else w.reshape(1, -1)
    values = np.sort(rows)
    gap = np.diff(values).min(initial=1.0)
    moved = w + d.rng().uniform(-0.4, 0.4, w.shape) * gap
    return (values if apart else values[0]), moved.astype(F)


@example("PruneLowMagnitude", majors=[2])
def pruned(d: Draw, op: str) -> Example:
    x, w, bias = d.reals(2, 3), d.reals(3, 4), d.reals(4)
    mask = d.flags(3, 4).astype(F)
    config = {"layer": layer("Dense", "inner", units=4), "block_size": [1, 1]}
    config |= {"pruning_schedule": {"class_name": "ConstantSparsity", "config": {}}}
    own = [mask, np.array(0.1, F), np.array(7, np.int64)]
    return Example(config, [x], [x @ (w * mask) + bias], [w, bias, *own])


@example("QuantizeAnnotate", majors=[2])
def annotated(d: Draw, op: str) -> Example:
    made = dense(d, "Dense")
    inner = layer("Dense", "inner", **made.config)
    return replace(made, config={"layer": inner, "quantize_config": None})


def ends(d: Draw) -> list[Array]:
    """Return a range around 0."""
    low, high = d.rng().uniform(0.5, 2, 2)
    return [np.array(-low, F), np.array(high, F)]


@example("QuantizeLayer", majors=[2])
def quantized(d: Draw, op: str) -> Example:
    x, pair, bits, narrow = d.reals(2, 5), ends(d), d.one_of(4, 8), d.flag()
    inner = {"num_bits": bits, "narrow_range": narrow, "per_axis": False, "symmetric": False}
    config = {"quantizer": {"class_name": "AllValuesQuantizer", "config": inner}}
    return Example(config, [x], [ref.grid(x, *pair, narrow, bits)], [*pair, STEP])


@example("QuantizeWrapper", "QuantizeWrapperV2", majors=[2])
def quantized_around(d: Draw, op: str) -> Example:
    """The kernel's range is narrow; that of the result counts from 0, for it is behind a ReLU."""
    x, w, bias = d.reals(2, 3), d.reals(3, 4), d.reals(4)
    high, top = np.array(abs(w).max(), F), np.array(d.one_of(1.0, 2.5), F)
    y = np.maximum(x @ ref.grid(w, -high, high, narrow=True) + bias, 0)
    around = {"class_name": "QuantizeAwareActivation", "config": {"activation": "relu"}}
    scheme = {"weight_attrs": ["kernel"], "activation_attrs": ["activation"]}
    kind, said = "Default8BitQuantizeConfig", {**scheme, "quantize_output": False}
    config = {"quantize_config": {"class_name": kind, "config": said}}
    config["layer"] = layer("Dense", "inner", units=4, use_bias=True, activation=around)
    first = [bias, w] if op == "QuantizeWrapper" else [w, bias]  # its own weights stand behind
    weights = [*first, STEP, -high, high, np.array(0, F), top]
    return Example(config, [x], [ref.grid(y, np.array(0, F), top)], weights)


@example("TensorFlowOpLayer", majors=[2])
def node(d: Draw, op: str) -> Example:
    """A node of TensorFlow whose operands are the layer's input and constants, by place."""
    x, value = d.reals(2, 3, 4), d.one_of(-1.5, 0.5, 2.0)
    names = ["tested/x", "tested/y"]
    place = d.number(0, 1)
    names[1 - place] = "x0"
    kind = d.one_of("Sub", "Maximum", "RealDiv")
    make = {"Sub": np.subtract, "Maximum": np.maximum, "RealDiv": np.divide}[kind]
    attr = {"T": {"type": "DT_FLOAT"}}
    definition = {"name": "tested", "op": kind, "input": names, "attr": attr}
    operands = [value, x] if place == 0 else [x, value]
    config = {"node_def": definition, "constants": {str(place): value}}
    return Example(config, [x], [make(*operands)])
