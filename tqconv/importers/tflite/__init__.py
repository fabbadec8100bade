"""TensorFlow Lite files as a source."""
