"""Einstein summation: diagonals, sums, and one product for each further operand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.operands import static_size
from tqconv.compose.products import affine, product
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError, counted
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """An operand and the label of each of its dimensions, all different."""

    tensor: Tensor
    labels: Labels


def einsum(b: Builder, equation: str, *operands: Tensor) -> Tensor:
    """Multiply and sum as the equation says; operands are joined from the left."""
    labels, output = parse(equation, [t.rank for t in operands])
    terms = [_without_repeats(b, t, names) for t, names in zip(operands, labels, strict=True)]
    result = terms[0]
    for number, other in enumerate(terms[1:], 1):
        later = {label for term in terms[number + 1 :] for label in term.labels}
        result = _joined(b, result, other, later | set(output), output)
    result = _summed(b, result, output)
    unique = tuple(dict.fromkeys(output))
    y = _ordered(b, result, unique)
    return _repeated(b, Term(y, unique), output)


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """Return the labels of each operand and of the result; `...` becomes "…, .1, .0".

    The result of an equation without an arrow has the labels that occur once, in their order.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if not arrow:
        text = left.replace("...", "").replace(",", "")
        once = sorted(label for label in set(text) if text.count(label) == 1)
        right = "".join(["..." if "..." in left else "", *once])
    if len(inputs) != len(ranks):
        raise UnsupportedError(f"equation `{equation}` for {counted(len(ranks), 'operand')}")
    labels = [_labels(text, rank) for text, rank in zip(inputs, ranks, strict=True)]
    spread = max((sum(len(label) > 1 for label in each) for each in labels), default=0)
    return labels, _labels(right, len(right.replace("...", "")) + spread * ("..." in right))


def _labels(text: str, rank: int) -> Labels:
    before, dots, after = text.partition("...")
    spread = rank - len(before) - len(after)
    if spread < 0 or (spread and not dots):
        raise UnsupportedError(f"subscripts `{text}` for an operand of rank {rank}")
    return (*before, *(f".{i}" for i in reversed(range(spread))), *after)


def _without_repeats(b: Builder, x: Tensor, labels: Labels) -> Term:
    """Take diagonals of dimensions with one label: every (n + 1)th of n * n elements."""
    repeat = next((i for i, label in enumerate(labels) if label in labels[:i]), None)
    if repeat is None:
        return Term(x, labels)
    first, size = labels.index(labels[repeat]), static_size(x, repeat)
    rest = [i for i in range(x.rank) if i not in (first, repeat)]
    moved = b.transpose(x, [*rest, first, repeat])
    outer = sizes_of(b, moved)[:-2]
    flat = reshaped(b, moved, [*outer, size * size])
    begin, end, strides = (np.full(flat.rank, value, np.int32) for value in (0, 0, 1))
    strides[-1] = size + 1
    everything = (1 << flat.rank) - 1
    options = {"begin_mask": everything, "end_mask": everything}
    diagonal = b("STRIDED_SLICE", flat, begin, end, strides, **options)
    return _without_repeats(b, diagonal, (*(labels[i] for i in rest), labels[repeat]))


def _repeated(b: Builder, term: Term, output: Labels) -> Tensor:
    """Put a dimension on the diagonal of two, for each label that `output` repeats.

    n elements, each with n zeros behind it, are n rows of n + 1; without the last n zeros, n of n.
    """
    labels, x = term.labels, term.tensor
    for label in labels:
        for _ in range(output.count(label) - 1):
            place, size = labels.index(label), static_size(x, labels.index(label))
            sizes = sizes_of(b, x)
            wide = reshaped(b, x, [*sizes[: place + 1], 1, *sizes[place + 1 :]])
            pairs = np.zeros((wide.rank, 2), np.int32)
            pairs[place + 1, 1] = size
            padded = b("PAD", wide, pairs)
            flat = reshaped(b, padded, [*sizes[:place], size * (size + 1), *sizes[place + 1 :]])
            extent = np.full(flat.rank, -1, np.int32)
            extent[place] = size * size
            cut = b("SLICE", flat, np.zeros(flat.rank, np.int32), extent)
            x = reshaped(b, cut, [*sizes[:place], size, size, *sizes[place + 1 :]])
            labels = (*labels[:place], label, label, *labels[place + 1 :])
    return b.transpose(x, _places(labels, output))


def _places(labels: Labels, wanted: Labels) -> list[int]:
    """Return where each wanted label stands; repeated labels are taken in turn."""
    left = list(enumerate(labels))
    order = []
    for label in wanted:
        found = next(pair for pair in left if pair[1] == label)
        left.remove(found)
        order.append(found[0])
    return order


def _summed(b: Builder, term: Term, kept: Collection[str]) -> Term:
    """Sum over the dimensions whose labels are not kept."""
    axes = [axis for axis, label in enumerate(term.labels) if label not in kept]
    if not axes:
        return term
    y = b("SUM", term.tensor, np.array(axes, np.int32))
    return Term(y, tuple(label for label in term.labels if label in kept))


def _ordered(b: Builder, term: Term, labels: Sequence[str]) -> Tensor:
    return b.transpose(term.tensor, [term.labels.index(label) for label in labels])


def _joined(b: Builder, x: Term, w: Term, kept: Collection[str], output: Labels) -> Term:
    """Return the product of two terms, summed over the labels that are not kept.

    The rows are those of the term whose own labels the output has first.
    """
    x, w = (_summed(b, t, {*kept, *o.labels}) for t, o in ((x, w), (w, x)))
    own = [label for label in output if (label in x.labels) != (label in w.labels)]
    turned = bool(own) and own[0] in w.labels
    if w.tensor.is_constant != x.tensor.is_constant:
        turned = x.tensor.is_constant
    if turned:
        x, w = w, x
    batch = tuple(label for label in x.labels if label in w.labels and label in kept)
    inner = tuple(label for label in x.labels if label in w.labels and label not in kept)
    left = tuple(label for label in x.labels if label not in w.labels)
    right = tuple(label for label in w.labels if label not in x.labels)
    if not inner:
        return Term(_outer_product(b, x, w, batch, left, right), batch + left + right)
    if not batch and w.tensor.is_constant and x.tensor.dtype.kind == "f":
        return Term(_by_matrix(b, x, w, left, inner, right), left + right)
    y = _by_batches(b, x, w, batch, left, inner, right)
    return Term(y, batch + left + right)


def _outer_product(
    b: Builder, x: Term, w: Term, batch: Labels, left: Labels, right: Labels
) -> Tensor:
    """Multiply element by element: [batch, left, 1…] by [batch, 1…, right]."""
    first, second = _ordered(b, x, batch + left), _ordered(b, w, batch + right)
    own, other = sizes_of(b, first), sizes_of(b, second)
    if right and left:
        second = reshaped(b, second, [*other[: len(batch)], *[1] * len(left), *other[len(batch) :]])
    if right:
        first = reshaped(b, first, [*own, *[1] * len(right)])
    if left and not right:
        second = reshaped(b, second, [*other, *[1] * len(left)])
    return b("MUL", first, second)


def _by_matrix(b: Builder, x: Term, w: Term, left: Labels, inner: Labels, right: Labels) -> Tensor:
    """Multiply by a constant matrix: x keeps its dimensions but for the summed ones."""
    first = _ordered(b, x, left + inner)
    matrix = _ordered(b, w, right + inner)
    outer, columns = sizes_of(b, first)[: len(left)], sizes_of(b, matrix)[: len(right)]
    depth = _product(b, sizes_of(b, matrix)[len(right) :])
    first = reshaped(b, first, [*(outer or [1]), depth])
    y = affine(b, first, reshaped(b, matrix, [_product(b, columns), depth]), transposed=True)
    return reshaped(b, y, [*outer, *columns])


def _by_batches(
    b: Builder, x: Term, w: Term, batch: Labels, left: Labels, inner: Labels, right: Labels
) -> Tensor:
    """Multiply [batch, left, inner] by [batch, inner, right]; each part is merged to one."""
    adj_x = x.labels == batch + inner + left
    adj_w = w.labels == batch + right + inner and bool(right)
    first = _ordered(b, x, batch + (inner + left if adj_x else left + inner))
    second = _ordered(b, w, batch + (right + inner if adj_w else inner + right))
    size = {label: size_of(b, w.tensor, axis) for axis, label in enumerate(w.labels)}
    own = {label: size_of(b, x.tensor, axis) for axis, label in enumerate(x.labels)}
    rows, columns = [own[label] for label in left], [size[label] for label in right]
    depth = _product(b, [own[label] for label in inner])
    m, n = _product(b, rows), _product(b, columns)
    first = reshaped(
        b, first, [*(own[label] for label in batch), *([depth, m] if adj_x else [m, depth])]
    )
    second = reshaped(
        b, second, [*(size[label] for label in batch), *([n, depth] if adj_w else [depth, n])]
    )
    y = product(b, first, second, adj_x=adj_x, adj_w=adj_w)
    common = [size[label] if own[label] == 1 else own[label] for label in batch]
    return reshaped(b, y, [*common, *rows, *columns])


def _product(b: Builder, sizes: Sequence[Size]) -> Size:
    return calculate(b, "MUL", 1, *sizes)
