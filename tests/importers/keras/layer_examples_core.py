"""Examples of products, tables, and layers that do nothing when a model is used."""

from __future__ import annotations

from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example


@example("Dense", count=12)
def dense(d: Draw, op: str) -> Example:
    shape = d.numbers(d.number(1, 3), 1, 4)
    units, act = d.number(1, 4), d.one_of("linear", "relu", "softmax", "gelu")
    x, weights = d.reals(2, *shape), [d.reals(shape[-1], units)]
    options = {"units": units, "activation": act, "use_bias": d.flag()}
    y = x @ weights[0]
    if options["use_bias"]:
        weights.append(d.reals(units))
        y = y + weights[1]
    free = range(1, x.ndim - 1) if d.flag() else ()
    return Example(options, [x], [ref.ACTIVATIONS[act](y)], weights, free=free)


SIZES = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3}
EQUATIONS = (
    *(("abc,cd->abd", "d"), ("abc,cd->abd", None), ("abc,cde->abde", "de"), ("ab,bcd->acd", "c")),
    *(("abc,bcd->ad", "d"), ("abc,bd->adc", "dc"), ("abc,cd->adb", "d")),
    *(("...c,cd->...d", "d"), ("...bc,cd->...bd", "d")),
)
"""What is summed, and the axes of the result that the bias has."""


@example("EinsumDense", count=12)
def einsum_dense(d: Draw, op: str) -> Example:
    equation, bias = d.one_of(*EQUATIONS)
    names, result = equation.replace("->", ",").split(",")[:2], equation.split("->")[1]
    lead = ["a", "e"] if "..." in equation else []
    sizes = [[SIZES[n] for n in name.strip(".")] for name in names]
    x = d.reals(*(SIZES[n] for n in lead), *sizes[0])
    w, act = d.reals(*sizes[1]), d.one_of("linear", "relu")
    y, weights = np.einsum(equation, x, w), [w]
    if bias:  # from its first axis on, with 1 for those that it has not
        last = result[result.index(min(bias, key=result.index)) :]
        weights.append(d.reals(*(SIZES[n] if n in bias else 1 for n in last)))
        y = y + weights[1]
    shape = list(y.shape[len(lead) or 1 :])
    options = {"equation": equation, "output_shape": shape, "bias_axes": bias, "activation": act}
    return Example(options, [x], [ref.ACTIVATIONS[act](y)], weights)


@example("Embedding")
def embedding(d: Draw, op: str) -> Example:
    table = d.reals(5, 3)
    ids = d.whole(*d.numbers(d.number(1, 3), 1, 4), below=5, dtype=d.one_of("i4", "i8", "f4", "u1"))
    options = {"input_dim": 5, "output_dim": 3, "mask_zero": d.flag()}
    return Example(options, [ids], [table[ids.astype(int)]], [table])


@example("ReversibleEmbedding", majors=[3], count=12)
def reversible_embedding(d: Draw, op: str) -> Example:
    table, tied, cap = d.reals(5, 3), d.flag(), d.one_of(None, 2.0)
    options: dict[str, Any] = {"input_dim": 5, "output_dim": 3, "mask_zero": d.flag()}
    options |= {"tie_weights": tied, "logit_soft_cap": cap}
    weights = [table] if tied else [table, d.reals(3, 5)]
    if d.flag():
        ids = d.whole(2, 4, below=5)
        return Example(options, [ids], [table[ids]], weights)
    x = d.reals(2, 4, 3)
    y = x @ (table.T if tied else weights[1])
    y = y if cap is None else np.tanh(y / cap) * cap
    return Example(options, [x], [y], weights, named={"reverse": True})


@example("LayerScale")
def layer_scale(d: Draw, op: str) -> Example:
    x, gamma = d.reals(2, *d.numbers(d.number(1, 3), 1, 4), 3), d.reals(3)
    return Example({"projection_dim": 3, "init_values": 1e-6}, [x], [x * gamma], [gamma])


@example("Masking")
def masking(d: Draw, op: str) -> Example:
    value = d.one_of(0.0, -1.0)
    x = d.whole(2, *d.numbers(d.number(1, 2), 1, 4), 2, below=2, dtype=F) + F(value)
    differs = (x != value).any(-1, keepdims=True)
    return Example({"mask_value": value}, [x], [x * differs])


RATES = {"rate": 0.5}
HALF = {"factor": 0.5}
TRAINING: dict[str, dict[str, Any]] = {
    "Dropout": RATES,
    "AlphaDropout": RATES,
    "GaussianDropout": RATES,
    "GaussianNoise": {"stddev": 1.0},
    "ActivityRegularization": {"l1": 0.5, "l2": 0.5},
    "Identity": {},
    "StochasticDepth": {"drop_path_rate": 0.5},
}
"""Layers that act in training, by what their configuration has to say."""


@example(*TRAINING, count=3)
def in_training(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(d.number(1, 3), 1, 4))
    return Example(TRAINING[op], [x], [x])


@example("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", count=3)
def spatial_dropout(d: Draw, op: str) -> Example:
    x = d.reals(2, *d.numbers(int(op[-2]) + 1, 1, 4))
    options: dict[str, Any] = dict(RATES)
    if op != "SpatialDropout1D":
        options["data_format"] = d.one_of("channels_first", "channels_last")
    return Example(options, [x], [x])


AUGMENTATION: dict[str, dict[str, Any]] = {
    "RandomBrightness": HALF,
    "RandomContrast": HALF,
    "RandomFlip": {"mode": "horizontal_and_vertical"},
    "RandomRotation": HALF,
    "RandomTranslation": {"height_factor": 0.5, "width_factor": 0.5, "fill_mode": "reflect"},
    "RandomZoom": {"height_factor": 0.5, "width_factor": None},
}
"""Layers that change images in training."""
ONLY_2 = {"RandomHeight": HALF, "RandomWidth": HALF}
ONLY_3: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("AugMix", "RandAugment", "CutMix", "MixUp", "RandomColorJitter")},
    **{name: {} for name in ("RandomErasing", "RandomGaussianBlur", "RandomShear")},
    **{name: {} for name in ("RandomElasticTransform", "RandomPerspective", "RandomGrayscale")},
    **{name: {} for name in ("RandomInvert", "Solarization")},
    **{name: HALF for name in ("RandomColorDegeneration", "RandomHue", "RandomSaturation")},
    "RandomPosterization": {"factor": 4},
    "RandomSharpness": HALF,
    "Equalization": {"bins": 256, "value_range": [0, 255]},
    "MaxNumBoundingBoxes": {"max_number": 2, "fill_value": -1},
}
KEEPING = {
    2: {"RandomHeight", "RandomWidth"},
    3: {
        *("RandomBrightness", "RandomContrast", "MixUp", "RandomColorDegeneration", "RandomHue"),
        *("RandomColorJitter", "RandomGrayscale", "RandomInvert", "RandomPosterization"),
        "RandomSaturation",
    },
}
"""Layers that hand on whole numbers as they are; all others make them float32."""


@example(*AUGMENTATION, count=3)
@example(*ONLY_2, majors=[2], count=3)
@example(*ONLY_3, majors=[3], count=3)
def augmentation(d: Draw, op: str) -> Example:
    x = d.whole(2, *d.numbers(2, 3, 5), 3, below=256, dtype=d.one_of("f4", "u1"))
    options = {**AUGMENTATION, **ONLY_2, **ONLY_3}[op]
    return Example(options, [x], [x if op in KEEPING[d.major] else x.astype(F)])
