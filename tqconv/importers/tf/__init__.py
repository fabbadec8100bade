"""TensorFlow's graph formats."""
