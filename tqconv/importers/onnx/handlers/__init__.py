"""One handler per ONNX operator; importing this fills the registry."""

from tqconv.importers.onnx.handlers import (
    control,
    elementwise,
    nn,
    norm,
    places,
    recurrent,
    reduce,
    resize,
    tensors,
    transposed,
)

__all__ = [
    "control",
    "elementwise",
    "nn",
    "norm",
    "places",
    "recurrent",
    "reduce",
    "resize",
    "tensors",
    "transposed",
]
