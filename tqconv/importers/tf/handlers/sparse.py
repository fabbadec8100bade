"""Sparse tensors: the places of their elements, what these hold, and the shape of the whole."""

from __future__ import annotations

from tqconv.compose import sparse
from tqconv.importers.tf.registry import composed

composed(SparseFillEmptyRows=sparse.sparse_fill_empty_rows, SparseReshape=sparse.sparse_reshape)
