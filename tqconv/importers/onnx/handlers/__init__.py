"""One handler per ONNX operator; importing this fills the registry."""

from tqconv.importers.onnx.handlers import elementwise, nn, tensors

__all__ = ["elementwise", "nn", "tensors"]
