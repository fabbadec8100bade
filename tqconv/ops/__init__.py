"""What every TensorFlow Lite operator is: one row each."""
