"""One handler per Keras layer and operation; importing this fills the registry."""

from tqconv.importers.keras.layers import (
    activation,
    attention,
    convlstm,
    convolution,
    core,
    merge,
    moves,
    normalization,
    operations,
    pooling,
    preprocessing,
    products,
    recurrent,
    shape,
    trained,
)

__all__ = [
    "activation",
    "attention",
    "convlstm",
    "convolution",
    "core",
    "merge",
    "moves",
    "normalization",
    "operations",
    "pooling",
    "preprocessing",
    "products",
    "recurrent",
    "shape",
    "trained",
]
