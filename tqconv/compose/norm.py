"""Normalizations: batch, layer, instance, group, root mean square, unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sizes import Size, calculate, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import axis_of

F = np.float32


def per_channel(b: Builder, vector: Tensor, rank: int, axis: int = -1) -> Tensor:
    """Return one number per channel in a shape that broadcasts to a tensor of `rank`."""
    behind = rank - 1 - axis_of(axis, rank)
    return b.reshape(vector, (*vector.shape, *(1,) * behind)) if behind else vector


def normalized(
    b: Builder,
    x: Tensor,
    scale: Tensor | None,
    offset: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    axis: int = -1,
) -> Tensor:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + offset, the channels along `axis`.

    As x * factor + shift: two operators, which fold into a convolution before them.
    """
    factor = b("RSQRT", b("ADD", variance, np.array(epsilon, F)))
    if scale is not None:
        factor = b("MUL", factor, scale)
    shift = b("MUL", mean, factor)
    shift = b("NEG", shift) if offset is None else b("SUB", offset, shift)
    factor, shift = (per_channel(b, t, x.rank, axis) for t in (factor, shift))
    return b("ADD", b("MUL", x, factor), shift)


def statistics(b: Builder, x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and variance over the axes, which are kept, and x - mean.

    Normalizing x - mean rather than x keeps the digits that x shares with its mean.
    """
    average = mean(b, x, axes)
    centered = b("SUB", x, average)
    return average, mean(b, b("SQUARE", centered), axes), centered


def mean(b: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the mean over the axes, which are kept."""
    if not axes:
        return x
    return b("MEAN", x, np.array(axes, np.int32), keep_dims=True)


def by_own_statistics(
    b: Builder,
    x: Tensor,
    axes: Sequence[int],
    scale: Tensor | None,
    offset: Tensor | None,
    epsilon: float,
) -> Tensor:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + offset, both over the axes.

    Scale and offset broadcast to `x`. Layer and instance normalization differ in the axes.
    """
    along = sorted(axis_of(axis, x.rank) for axis in axes)
    _, variance, centered = statistics(b, x, along)
    return scaled(b, centered, b("RSQRT", b("ADD", variance, np.array(epsilon, F))), scale, offset)


def scaled(
    b: Builder, x: Tensor, factor: Tensor, scale: Tensor | None, offset: Tensor | None
) -> Tensor:
    """Return x * factor * scale + offset.

    A scale that makes the factor as large as x comes last: it may go into what follows.
    """
    if scale is None:
        y = b("MUL", x, factor)
    elif joins_to(factor.shape, scale.shape, x.shape):
        y = b("MUL", b("MUL", x, factor), scale)
    else:
        y = b("MUL", x, b("MUL", factor, scale))
    return y if offset is None else b("ADD", y, offset)


def joins_to(one: Shape, other: Shape, whole: Shape) -> bool:
    """Whether two shapes broadcast to a third, of which neither is known to be smaller."""
    rank = len(whole)
    pair = [(1,) * (rank - len(shape)) + tuple(shape) for shape in (one, other)]
    return all(size in both for size, *both in zip(whole, *pair, strict=True))


def group_norm(
    b: Builder, x: Tensor, groups: int, scale: Tensor | None, offset: Tensor | None, epsilon: float
) -> Tensor:
    """Normalize each of `groups` of neighbouring channels of x: [n, …, c] over all its elements.

    scale, offset: [c].
    """
    channels = x.shape[-1]
    if channels is None or channels % groups:
        raise UnsupportedError(f"{channels} channels do not split into {groups} groups")
    if groups == 1:
        return by_own_statistics(b, x, range(1, x.rank), scale, offset, epsilon)
    sizes = sizes_of(b, x)
    places, each = calculate(b, "MUL", 1, *sizes[1:-1]), [groups, channels // groups]
    parts = reshaped(b, x, [sizes[0], places, *each])
    scale, offset = (None if t is None else b.reshape(t, each) for t in (scale, offset))
    return reshaped(b, by_own_statistics(b, parts, [1, 3], scale, offset, epsilon), sizes)


def rms_norm(
    b: Builder, x: Tensor, axes: Sequence[int], scale: Tensor | None, epsilon: float
) -> Tensor:
    """Return x / sqrt(mean of squares over the axes + epsilon) * scale."""
    along = sorted(axis_of(axis, x.rank) for axis in axes)
    squares = mean(b, b("SQUARE", x), along)
    return scaled(b, x, b("RSQRT", b("ADD", squares, np.array(epsilon, F))), scale, None)


def unit_norm(b: Builder, x: Tensor, axes: Sequence[int], least: float) -> Tensor:
    """Return x / sqrt(max(sum of squares over the axes, least))."""
    along = np.array(sorted(axis_of(axis, x.rank) for axis in axes), np.int32)
    total = b("SUM", b("SQUARE", x), along, keep_dims=True)
    return b("MUL", x, b("RSQRT", b("MAXIMUM", total, np.array(least, F))))


def local_response(
    b: Builder, x: Tensor, radius: int, bias: float, alpha: float, beta: float
) -> Tensor:
    """Divide x: [n, h, w, c] by (bias + alpha * squares of the channels within radius) ^ beta."""
    depth = x.shape[-1]
    radius = radius if depth is None else min(radius, depth)  # farther away is nothing
    options = {"radius": radius, "bias": bias, "alpha": alpha, "beta": beta}
    return b("LOCAL_RESPONSE_NORMALIZATION", x, **options)


def bessel(b: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return n / (n - 1), n elements along the axes: what makes a variance unbiased."""
    count: Size = calculate(b, "MUL", *(size_of(b, x, axis) for axis in axes))
    rest = calculate(b, "MAXIMUM", calculate(b, "SUB", count, 1), 1)
    above, below = (b.cast(_scalar(b, size), F) for size in (count, rest))
    return b("DIV", above, below)


def _scalar(b: Builder, size: Size) -> Tensor:
    return b.const(size, np.int32, "size") if isinstance(size, int) else size


def moving_average(b: Builder, old: Tensor, new: Tensor, factor: float) -> Tensor:
    """Return old * (1 - factor) + new * factor."""
    kept = b("MUL", old, np.array(1.0 - factor, F))
    return b("ADD", kept, b("MUL", new, np.array(factor, F)))
