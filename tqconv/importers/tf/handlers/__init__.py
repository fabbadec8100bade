"""Importing this package fills the TensorFlow registry: one module per family of operators."""

from tqconv.importers.tf.handlers import basic as basic
from tqconv.importers.tf.handlers import conv as conv
