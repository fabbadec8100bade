"""One handler per ONNX operator; importing this fills the registry."""

from tqconv.importers.onnx.handlers import (
    attention,
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
    scan,
    tensors,
    transposed,
)

__all__ = [
    "attention",
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
    "scan",
    "tensors",
    "transposed",
]
