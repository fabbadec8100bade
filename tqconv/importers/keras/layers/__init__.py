"""One handler per Keras layer and operation; importing this fills the registry."""

from tqconv.importers.keras.layers import (
    activation,
    convolution,
    core,
    merge,
    normalization,
    pooling,
    shape,
)

__all__ = [
    "activation",
    "convolution",
    "core",
    "merge",
    "normalization",
    "pooling",
    "shape",
]
