"""tqconv: trained models to TensorFlow Lite flatbuffers, without TensorFlow."""

__version__ = "0.1.0"
