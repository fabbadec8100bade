"""Importing this package fills the TensorFlow registry: one module per family of operators."""

from tqconv.importers.tf.handlers import basic as basic
from tqconv.importers.tf.handlers import conv as conv
from tqconv.importers.tf.handlers import array as array
from tqconv.importers.tf.handlers import dropped as dropped
from tqconv.importers.tf.handlers import gather as gather
from tqconv.importers.tf.handlers import scatter as scatter
from tqconv.importers.tf.handlers import search as search
from tqconv.importers.tf.handlers import shape as shape
from tqconv.importers.tf.handlers import slicing as slicing
from tqconv.importers.tf.handlers import patches as patches
from tqconv.importers.tf.handlers import pool as pool
from tqconv.importers.tf.handlers import transposed as transposed
from tqconv.importers.tf.handlers import activation as activation
from tqconv.importers.tf.handlers import norm as norm
