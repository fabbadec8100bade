"""Sparse tensors: the places of their elements, what these hold, and the shape of the whole."""

from __future__ import annotations

from collections.abc import Callable

from tqconv.compose import ctc, scatter, sparse, sparse_math
from tqconv.compose.arithmetic import divide
from tqconv.compose.builder import Builder
from tqconv.compose.operands import axes_operand
from tqconv.compose.sparse_math import Sparse
from tqconv.importers.tf.registry import composed, handles
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

composed(SparseFillEmptyRows=sparse.sparse_fill_empty_rows, SparseReshape=sparse.sparse_reshape)

Parts = tuple[Tensor, Tensor, Tensor]


def _parts(x: Sparse) -> Parts:
    return x.places, x.values, x.shape


@handles("SparseTensorDenseMatMul")
def sparse_dense_product(
    b: Builder,
    places: Tensor,
    values: Tensor,
    shape: Tensor,
    y: Tensor,
    *,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
) -> Tensor:
    """Return the product of a sparse matrix with a dense one."""
    x = Sparse(places, values, shape)
    return sparse_math.times_dense(b, x, y, adj_x=adjoint_a, adj_y=adjoint_b)


@handles("SparseReorder")
def sparse_reorder(
    b: Builder, places: Tensor, values: Tensor, shape: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the elements in the order of rows."""
    return _parts(sparse_math.in_order(b, Sparse(places, values, shape)))[:2]


@handles("SparseConcat")
def sparse_concat(b: Builder, *operands: Tensor, concat_dim: int) -> Parts:
    """Return sparse tensors side by side; first come the places of all, then values, shapes."""
    count = len(operands) // 3
    parts = [Sparse(*operands[i::count]) for i in range(count)]
    axis = axis_of(concat_dim, parts[0].rank)
    return _parts(sparse_math.joined(b, parts, axis))


@handles("SparseSlice")
def sparse_slice(
    b: Builder, places: Tensor, values: Tensor, shape: Tensor, start: Tensor, size: Tensor
) -> Parts:
    """Return the elements of a part of a sparse tensor."""
    return _parts(sparse_math.sliced(b, Sparse(places, values, shape), start, size))


@handles("SparseAdd")
def sparse_add(b: Builder, *operands: Tensor) -> Parts:
    """Return the sum of two sparse tensors, without what is smaller than a threshold."""
    x, y = Sparse(*operands[:3]), Sparse(*operands[3:6])
    return _parts(sparse_math.added(b, x, y, operands[6]))


@handles(SparseSparseMaximum="MAXIMUM", SparseSparseMinimum="MINIMUM")
def sparse_extreme(b: Builder, type: str, *operands: Tensor) -> tuple[Tensor, Tensor]:
    """Return the larger (smaller) elements of two sparse tensors."""
    x, y = Sparse(*operands[:3]), Sparse(*operands[3:6])
    return _parts(sparse_math.extremes(b, type, x, y))[:2]


@handles("SparseTensorDenseAdd")
def sparse_dense_sum(
    b: Builder, places: Tensor, values: Tensor, shape: Tensor, y: Tensor
) -> Tensor:
    """Return the sum of a sparse tensor and a dense one."""
    return scatter.with_sums(b, "ADD", y, places, values)


@handles(SparseDenseCwiseAdd="ADD", SparseDenseCwiseMul="MUL", SparseDenseCwiseDiv="DIV")
def sparse_dense_elements(
    b: Builder, type: str, places: Tensor, values: Tensor, shape: Tensor, y: Tensor
) -> Tensor:
    """Return a sparse tensor's elements combined with those of a dense one at their places."""
    other = sparse_math.beside_dense(b, Sparse(places, values, shape), y)
    return divide(b, values, other) if type == "DIV" else b(type, values, other)


@handles(SparseReduceSum=sparse_math.summed, SparseReduceMax=sparse_math.largest)
def sparse_reduce(
    b: Builder,
    reduce: Callable[..., Tensor],
    places: Tensor,
    values: Tensor,
    shape: Tensor,
    axes: Tensor,
    *,
    keep_dims: bool = False,
) -> Tensor:
    """Return sums or largest elements along axes."""
    x = Sparse(places, values, shape)
    return reduce(b, x, axes_operand(b, axes, x.rank, "reduction_axes"), keep_dims=keep_dims)


@handles("SparseSoftmax")
def sparse_softmax(b: Builder, places: Tensor, values: Tensor, shape: Tensor) -> Tensor:
    """Return the elements' shares of the exponentials in their rows."""
    return sparse_math.softmax(b, Sparse(places, values, shape))


@handles("CTCGreedyDecoder")
def ctc_greedy_decoder(
    b: Builder,
    scores: Tensor,
    lengths: Tensor,
    *,
    merge_repeated: bool = False,
    blank_index: int = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the likeliest class of each step as a sparse tensor, and each row's negative score."""
    said, score = ctc.greedy(b, scores, lengths, blank_index, merges=merge_repeated)
    return said.places, said.values, said.shape, score
