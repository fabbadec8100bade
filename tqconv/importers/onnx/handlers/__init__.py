"""One handler per ONNX operator; importing this fills the registry."""

from tqconv.importers.onnx.handlers import (
    control,
    elementwise,
    nn,
    norm,
    places,
    qoperators,
    quantized,
    recurrent,
    reduce,
    resize,
    sampling,
    tensors,
    transposed,
)

__all__ = [
    "control",
    "elementwise",
    "nn",
    "norm",
    "places",
    "qoperators",
    "quantized",
    "recurrent",
    "reduce",
    "resize",
    "sampling",
    "tensors",
    "transposed",
]
