"""Functions of TensorFlow that models hold as layers; importing this fills the registry."""

from tqconv.importers.keras.functions import (
    arrays,
    decoding,
    elements,
    images,
    indexing,
    neural,
    operators,
    products,
    reductions,
    sound,
)

__all__ = [
    "arrays",
    "decoding",
    "elements",
    "images",
    "indexing",
    "neural",
    "operators",
    "products",
    "reductions",
    "sound",
]
