"""Functions of TensorFlow that models hold as layers; importing this fills the registry."""

from tqconv.importers.keras.functions import (
    arrays,
    elements,
    images,
    indexing,
    neural,
    operators,
    products,
    reductions,
)

__all__ = [
    "arrays",
    "elements",
    "images",
    "indexing",
    "neural",
    "operators",
    "products",
    "reductions",
]
