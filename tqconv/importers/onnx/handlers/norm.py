"""Normalizations; images have channels first: [n, c, …]."""

from __future__ import annotations

import numpy as np

from tqconv.compose import activations, norm
from tqconv.compose.sizes import inserted, operand, size_of, vector
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.stored import Params, decoded
from tqconv.ir.graph import Tensor

F = np.float32


def _by_channel(b: ONNXBuilder, numbers: Tensor, rank: int) -> Tensor:
    """Return [c] as [c, 1, …], so that it broadcasts to [n, c, …]."""
    return norm.per_channel(b, numbers, rank, axis=1)


@handles("InstanceNormalization")
def instance_norm(
    b: ONNXBuilder, x: Tensor, scale: Tensor, offset: Tensor, *, epsilon: float = 1e-5
) -> Tensor:
    """Normalize each channel of each image over its pixels."""
    factor, shift = (_by_channel(b, t, x.rank) for t in (scale, offset))
    return norm.by_own_statistics(b, x, range(2, x.rank), factor, shift, epsilon)


@handles("LayerNormalization")
def layer_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """Normalize over the axes from `axis` on; mean and inverse deviation may be results, too."""
    axes = range(axis % x.rank, x.rank)
    if not (b.wants(1) or b.wants(2)):
        return norm.by_own_statistics(b, x, axes, scale, offset, epsilon)
    average, variance, centered = norm.statistics(b, x, axes)
    inverse = b("RSQRT", b("ADD", variance, np.array(epsilon, F)))
    return norm.scaled(b, centered, inverse, scale, offset), average, inverse


@handles("com.microsoft:SkipLayerNormalization")
def skip_layer_norm(
    b: ONNXBuilder,
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    offset: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Tensor | None, ...]:
    """Normalize x + skip + bias over the last axis; the sum is the fourth result."""
    if b.wants(1) or b.wants(2):
        raise UnsupportedError("the statistics of SkipLayerNormalization")
    total = b("ADD", x, skip)
    total = total if bias is None else b("ADD", total, bias)
    return norm.by_own_statistics(b, total, [-1], scale, offset, epsilon), None, None, total


@handles("com.microsoft:SkipSimplifiedLayerNormalization")
def skip_rms_norm(
    b: ONNXBuilder,
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    bias: Tensor | None = None,
    *,
    epsilon: float = 1e-5,
) -> tuple[Tensor | None, ...]:
    """The same by the root of the mean of squares."""
    if b.wants(1) or b.wants(2):
        raise UnsupportedError("the statistics of SkipSimplifiedLayerNormalization")
    total = b("ADD", x, skip)
    total = total if bias is None else b("ADD", total, bias)
    return norm.rms_norm(b, total, [-1], scale, epsilon), None, None, total


@handles("com.microsoft:EmbedLayerNormalization")
def embed_layer_norm(
    b: ONNXBuilder,
    ids: Tensor,
    segments: Tensor | None,
    words: Tensor,
    places: Tensor,
    kinds: Tensor | None,
    scale: Tensor,
    offset: Tensor,
    mask: Tensor | None = None,
    numbers: Tensor | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 1,
) -> tuple[Tensor, ...]:
    """Normalize the sum of embeddings of words, places and segments; count what the mask shows."""
    if numbers is None:
        zero, one = np.array(0, np.int32), np.array(1, np.int32)
        numbers = b("RANGE", zero, operand(size_of(b, ids, 1)), one)
    total = b("ADD", b("GATHER", words, ids, axis=0), b("GATHER", places, numbers, axis=0))
    if segments is not None and kinds is not None:
        total = b("ADD", total, b("GATHER", kinds, segments, axis=0))
    y = norm.by_own_statistics(b, total, [-1], scale, offset, epsilon)
    if mask is None:
        count = b("FILL", vector(b, [size_of(b, ids, 0)]), np.array(0, np.int32))
    else:
        count = b("SUM", b.cast(mask, np.int32), np.array([1], np.int32))
    return y, count, total


@handles("com.microsoft:QEmbedLayerNormalization")
def quantized_embed_layer_norm(
    b: ONNXBuilder,
    ids: Tensor,
    segments: Tensor | None,
    words: Tensor,
    places: Tensor,
    kinds: Tensor | None,
    scale: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    *params: Tensor | None,
    epsilon: float = 1e-12,
) -> tuple[Tensor, ...]:
    """The same with tables that are stored as integers.

    params: the scales of words, places, segments, factor and offset, then their zero points.
    """
    tables = [words, places, kinds, scale, offset]
    if len(params) != 2 * len(tables):
        raise FormatError(f"{len(params)} scales and zero points of {len(tables)} tables")
    reals = [
        None if table is None or step is None else decoded(b, table, Params(step, zero))
        for table, step, zero in zip(tables, params[:5], params[5:], strict=True)
    ]
    found = [ids, segments, *reals, mask]
    return embed_layer_norm(b, *found, epsilon=epsilon)[:2]


@handles("RMSNormalization")
def rms_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    """Divide by the root of the mean of squares over the axes from `axis` on."""
    return norm.rms_norm(b, x, range(axis % x.rank, x.rank), scale, epsilon)


@handles("com.microsoft:SimplifiedLayerNormalization", "SimplifiedLayerNormalization")
def simplified_layer_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor | tuple[Tensor, ...]:
    """The same under an older name, and by what the elements were multiplied."""
    y = rms_norm(b, x, scale, axis=axis, epsilon=epsilon)
    if not b.wants(1):
        return y
    axes = np.arange(axis % x.rank, x.rank, dtype=np.int32)
    power = b("MEAN", b("SQUARE", x), axes, keep_dims=True)
    return y, b("RSQRT", b("ADD", power, np.array(epsilon, np.float32)))


def _grouped(
    b: ONNXBuilder, x: Tensor, scale: Tensor, offset: Tensor, groups: int, epsilon: float
) -> Tensor:
    return b.channels_last(x, True, lambda t: norm.group_norm(b, t, groups, scale, offset, epsilon))


@handles("GroupNormalization")
def group_norm_18(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalize groups of channels; scale and offset are given for each group."""
    channels = x.shape[1]
    if channels is None or channels % num_groups:
        raise UnsupportedError(f"{channels} channels do not split into {num_groups} groups")
    b.pay(channels, "input")
    each = np.repeat(np.arange(num_groups, dtype=np.int32), channels // num_groups)
    factor, shift = (b("GATHER", t, each, axis=0) for t in (scale, offset))
    return _grouped(b, x, factor, shift, num_groups, epsilon)


@handles("GroupNormalization", since=21)
def group_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    num_groups: int,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Tensor:
    """Normalize groups of channels; scale and offset are given for each channel."""
    return _grouped(b, x, scale, offset, num_groups, epsilon)


@handles("com.microsoft:GroupNorm")
def group_norm_of_images(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> Tensor:
    """Normalize groups of channels, which may come last; then SiLU where `activation` is 1."""
    y = b.channels_last(
        x, not channels_last, lambda t: norm.group_norm(b, t, groups, scale, offset, epsilon)
    )
    return activations.silu(b, y) if activation else y


@handles("com.microsoft:SkipGroupNorm")
def skip_group_norm(
    b: ONNXBuilder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    skip: Tensor,
    bias: Tensor | None = None,
    *,
    activation: int,
    groups: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """Normalize x + skip + bias, which is the second result; skip: [n, h, w, c], or [n, c]."""
    if not channels_last:
        raise UnsupportedError("a SkipGroupNorm with channels first")
    total = b("ADD", x, inserted(b, skip, 1, 2) if skip.rank == 2 else skip)
    total = total if bias is None else b("ADD", total, bias)
    told = {"activation": activation, "groups": groups, "epsilon": epsilon}
    return group_norm_of_images(b, total, scale, offset, **told), total


@handles("LpNormalization")
def unit_norm(b: ONNXBuilder, x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """Divide by the norm along an axis; where that is 0, the result is 0."""
    along = np.array([axis % x.rank], np.int32)
    if p == 2:
        length = b("SQRT", b("SUM", b("SQUARE", x), along, keep_dims=True))
    else:
        length = b("SUM", b("ABS", x), along, keep_dims=True)
    safe = b("SELECT_V2", b("EQUAL", length, np.array(0, F)), np.array(1, F), length)
    return b("DIV", x, safe)


@handles("MeanVarianceNormalization")
def mean_variance(b: ONNXBuilder, x: Tensor, *, axes: list[int] | None = None) -> Tensor:
    """(x - mean) / (deviation + 1e-9) over the axes."""
    along = [axis % x.rank for axis in ((0, 2, 3) if axes is None else axes)]
    _, variance, centered = norm.statistics(b, x, sorted(along))
    return b("DIV", centered, b("ADD", b("SQRT", variance), np.array(1e-9, F)))


@handles("LRN")
def local_response(
    b: ONNXBuilder,
    x: Tensor,
    *,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    bias: float = 1.0,
) -> Tensor:
    """Divide by a power of the mean square of neighbouring channels."""
    if size % 2 and x.rank == 4:
        return b.channels_last(
            x,
            True,
            lambda t: norm.local_response(b, t, size // 2, bias, alpha / size, beta),
        )
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    around = np.zeros((x.rank, 2), np.int32)
    around[1] = before, after
    squares = b("PAD", b("SQUARE", x), around)
    count = [size_of(b, x, axis) for axis in range(x.rank)]
    total = None
    for shift in range(size):
        begin = np.eye(1, x.rank, 1, np.int32)[0] * shift
        part = b("SLICE", squares, begin, vector(b, count))
        total = part if total is None else b("ADD", total, part)
    assert total is not None
    scaled = b("ADD", b("MUL", total, np.array(alpha / size, F)), np.array(bias, F))
    return b("DIV", x, b("POW", scaled, np.array(beta, F)))
