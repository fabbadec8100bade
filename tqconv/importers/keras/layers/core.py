"""Dense, Embedding, and what does nothing when a model is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.compose import einsum as sums
from tqconv.compose import gather, products
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.activation import activate
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Dense")
def dense(
    b: KerasBuilder, x: Tensor, *, units: int, activation: Any = None, use_bias: bool = True
) -> Tensor:
    """Return activation(x kernel + bias)."""
    y = products.affine(b, b.real(x), b.weight("kernel"))
    y = b("ADD", y, b.weight("bias")) if use_bias else y
    return activate(b, y, activation)


@handles("EinsumDense")
def einsum_dense(
    b: KerasBuilder,
    x: Tensor,
    *,
    equation: str,
    output_shape: Any,
    activation: Any = None,
    bias_axes: str | None = None,
) -> Tensor:
    """Return activation(einsum(equation, x, kernel) + bias)."""
    y = sums.einsum(b, equation, b.real(x), b.weight("kernel"))
    y = b("ADD", y, b.weight("bias")) if bias_axes else y
    return activate(b, y, activation)


@handles("LayerScale")
def layer_scale(
    b: KerasBuilder, x: Tensor, *, projection_dim: int, init_values: float = 0.0
) -> Tensor:
    """Multiply each channel by a weight, as the blocks of ConvNeXt do."""
    return b("MUL", b.real(x), b.weight("gamma"))


@handles("Embedding")
def embedding(b: KerasBuilder, x: Tensor, *, output_dim: int, mask_zero: bool = False) -> Tensor:
    """Look rows up; with `mask_zero` index 0 is padding."""
    ids = x if x.dtype in (np.int32, np.int64) else b.cast(x, np.int32)
    if mask_zero:
        b.mask = b("NOT_EQUAL", ids, np.zeros((), ids.dtype))
    rows = b.weight("embeddings")
    if b.major >= 3 and x.dtype.kind != "u":  # where indices below zero count from the end
        ids = gather.from_start(b, rows, ids, 0)
    return gather.gathered(b, rows, ids, 0)


@handles("ReversibleEmbedding")
def reversible_embedding(
    b: KerasBuilder,
    x: Tensor,
    *,
    output_dim: int,
    mask_zero: bool = False,
    tie_weights: bool = True,
    reverse_dtype: Any = None,
    logit_soft_cap: float | None = None,
    reverse: bool = False,
) -> Tensor:
    """Look rows up, or, in reverse, return the product with each row."""
    if not reverse:
        return embedding(b, x, output_dim=output_dim, mask_zero=mask_zero)
    if tie_weights:
        w = b.transpose(b.weight("embeddings"), (1, 0))
    else:
        w = b.weight("reverse_embeddings")
    y = products.affine(b, b.real(x), w)
    if logit_soft_cap is None:
        return y
    cap = np.array(logit_soft_cap, np.float32)
    return b("MUL", b("TANH", b("DIV", y, cap)), cap)


@handles("Masking")
def masking(b: KerasBuilder, x: Tensor, *, mask_value: float = 0.0) -> Tensor:
    """Zero the steps that hold nothing but the mask value, and hand on which ones count."""
    x = b.real(x)
    differs = b("NOT_EQUAL", x, np.array(mask_value, np.float32))
    last = np.array([x.rank - 1], np.int32)
    counts = b("REDUCE_ANY", differs, last, keep_dims=True)
    b.mask = b("SQUEEZE", counts, squeeze_dims=[x.rank - 1])
    return masked(b, x, counts, b.cast(counts, np.float32))


def masked(b: KerasBuilder, x: Tensor, counts: Tensor, numbers: Tensor) -> Tensor:
    """Return x with zeros where a mask shows nothing: chosen by Keras 3, multiplied before.

    numbers: 1 and 0 for what the mask shows and hides.
    """
    if b.major >= 3:
        return b("SELECT_V2", b.cast(counts, np.bool_), x, np.array(0, np.float32))
    return b("MUL", x, numbers)


OF_REALS = {
    2: frozenset(
        {
            *("RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation"),
            *("RandomTranslation", "RandomZoom"),
        }
    ),
    3: frozenset(
        {
            *("AugMix", "CutMix", "RandAugment", "RandomElasticTransform", "RandomErasing"),
            *("RandomFlip", "RandomGaussianBlur", "RandomPerspective", "RandomRotation"),
            *("RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization"),
        }
    ),
}
"""Layers that hand on whole numbers as float32, by the generation of Keras."""


@handles(
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout"),
    *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity"),
    *("RandomBrightness", "RandomColorJitter", "RandomContrast", "RandomFlip"),
    *("RandomGrayscale", "RandomHue", "RandomRotation", "RandomSaturation", "RandomSharpness"),
    *("RandomShear", "RandomTranslation", "RandomZoom", "RandomHeight", "RandomWidth"),
    *("RandomErasing", "RandomGaussianBlur", "RandomInvert", "RandomPerspective"),
    *("RandomPosterization", "RandomColorDegeneration", "RandomElasticTransform"),
    *("CutMix", "MixUp", "AugMix", "RandAugment", "Solarization"),
    *("Equalization", "MaxNumBoundingBoxes", "StochasticDepth"),
)
def identity(b: KerasBuilder, x: Tensor, *, training: bool | None = False, **others: Any) -> Tensor:
    """Pass on: what happens during training only."""
    if training:
        raise UnsupportedError(
            f"{b.layer.op} is called with `training=True`, so that its result is random",
            hint="build the model without `training=True`",
        )
    return b.real(x) if b.layer.op in OF_REALS[b.major] else x


@handles("Pipeline")
def pipeline(b: KerasBuilder, x: Tensor, *, layers: Any) -> Tensor:
    """Apply layers one after the other."""
    mask = b.masks[0]
    for layer in b.layer.inside.values():
        (x,) = b.inner(layer, [x], [mask], layer.name, {})
        mask = b.mask_inside
    b.mask = mask
    return x
