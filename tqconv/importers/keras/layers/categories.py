"""Layers that number, group and encode categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import arithmetic, gather
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

F = np.float32


def encoded(
    b: KerasBuilder, ids: Tensor, depth: int, mode: str, weights: Tensor | None = None
) -> Tensor:
    """Return categories as Keras writes them: int, one_hot, multi_hot or count, in float32."""
    if mode == "int":
        return ids
    ids = ids if ids.dtype in (np.int32, np.int64) else b.cast(ids, np.int32)
    one, zero = b.const(1, F, "one"), b.const(0, F, "zero")
    if mode == "one_hot":
        if ids.rank > 1 and ids.shape[-1] == 1:
            ids = b("SQUEEZE", ids, squeeze_dims=[ids.rank - 1])
        return gather.one_hot(b, ids, b.const(depth, np.int32, "depth"), one, zero, ids.rank)
    if mode not in ("multi_hot", "count"):
        raise UnsupportedError(f"output_mode `{mode}`")
    hot = gather.one_hot(b, ids, b.const(depth, np.int32, "depth"), one, zero, ids.rank)
    if ids.rank < 1:
        return hot
    if mode == "count" and weights is not None:
        hot = b("MUL", hot, b("EXPAND_DIMS", b.real(weights), np.array(ids.rank, np.int32)))
    along = np.array([ids.rank - 1], np.int32)
    return b("SUM" if mode == "count" else "REDUCE_MAX", hot, along, keep_dims=False)


@handles("CategoryEncoding")
def category_encoding(
    b: KerasBuilder,
    x: Tensor,
    *,
    num_tokens: int,
    output_mode: str = "multi_hot",
    count_weights: Tensor | None = None,
) -> Tensor:
    """Encode numbers of categories."""
    return encoded(b, x, num_tokens, output_mode, count_weights)


@handles("Discretization")
def discretization(
    b: KerasBuilder,
    x: Tensor,
    *,
    bin_boundaries: Any,
    num_bins: int | None = None,
    epsilon: float = 0.01,
    output_mode: str = "int",
) -> Tensor:
    """Count how many boundaries each number reaches."""
    limits = [float(v) for v in bin_boundaries or ()]
    summary = b.layer.weights.get("summary")
    if not limits and summary is not None and num_bins:
        limits = boundaries(summary, num_bins)
    if not limits:
        raise UnsupportedError("Discretization whose boundaries the file does not hold")
    wide = b("EXPAND_DIMS", b.real(x), np.array(x.rank, np.int32))
    reached = b.cast(b("GREATER_EQUAL", wide, np.array(limits, F)), np.int32)
    ids = b("SUM", reached, np.array([x.rank], np.int32), keep_dims=False)
    if b.major < 3:
        ids = b.cast(ids, np.int64) if output_mode == "int" else ids
    return encoded(b, ids, len(limits) + 1, output_mode)


def boundaries(summary: NDArray[Any], bins: int) -> list[float]:
    """Return the boundaries of bins of one weight; summary: values, and the weight of each.

    `compress` and `get_bin_boundaries` of Keras 2 (layers/preprocessing/discretization.py).
    """
    part = 1.0 / bins
    if summary.shape[1] * part < 1:
        return [float(v) for v in summary[0, :-1]]
    total = summary[1].cumsum()
    ends = np.interp(part + np.arange(0.0, 1.0, part), total / total[-1], summary[0])
    return [float(v) for v in ends.astype(F)[:-1]]


@dataclass(frozen=True)
class Vocabulary:
    """What IntegerLookup knows: words number `start` and following, unknown ones before them.

    unknown: the first number of those out of the vocabulary; count: how many numbers they share.
    """

    words: Sequence[int]
    unknown: int
    count: int

    @property
    def start(self) -> int:
        """The number of the first word."""
        return self.unknown + self.count

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.start + len(self.words)


def _vocabulary(given: Any, count: int, mask: int | None, unknown: int, mode: str) -> Vocabulary:
    """Return the vocabulary; a list may begin with the mask and what stands for unknown words."""
    words = [int(v) for v in given or ()]
    first = 1 if mask is not None and mode == "int" else 0
    special = [] if mask is None or not first else [int(mask)]
    special += [unknown] * count
    if words[: len(special)] == special:
        words = words[len(special) :]
    if not words:
        raise UnsupportedError("IntegerLookup whose vocabulary the file does not hold")
    return Vocabulary(words, first, count)


@handles("IntegerLookup")
def integer_lookup(
    b: KerasBuilder,
    x: Tensor,
    *,
    vocabulary: Any,
    num_oov_indices: int = 1,
    mask_token: int | None = None,
    oov_token: int = -1,
    output_mode: str = "int",
    invert: bool = False,
    max_tokens: int | None = None,
    pad_to_max_tokens: bool = False,
    vocabulary_size: int | None = None,
    vocabulary_dtype: str | None = None,
    idf_weights: Any = None,
    oov_method: str | None = None,
    salt: Any = None,
) -> Tensor:
    """Number the known integers, and share other numbers among those that are not known."""
    if oov_method == "farmhash" and num_oov_indices > 1:
        raise UnsupportedError("IntegerLookup that hashes digits, for which there are no kernels")
    known = _vocabulary(vocabulary, num_oov_indices, mask_token, oov_token, output_mode)
    ids = x if x.dtype in (np.int32, np.int64) else b.cast(x, np.int64)
    if invert:
        places = range(known.start, known.size)
        found = _translated(b, ids, places, known.words, b.const(oov_token, ids.dtype, "oov"))
        return b.cast(_masked(b, ids, found, 0, mask_token), np.int64)
    numbers = range(known.start, known.size)
    found = _translated(b, ids, known.words, numbers, _unknown(b, ids, known))
    # The mask is 0 where numbers are results, and none of them where they are encoded.
    found = _masked(b, ids, found, mask_token, 0 if output_mode == "int" else -1)
    if output_mode == "int":
        return b.cast(found, np.int64)
    depth = max_tokens if pad_to_max_tokens and max_tokens else known.size
    if output_mode == "tf_idf":
        given = b.layer.weights.get("idf_weights")
        given = idf_weights if given is None else given
        return b("MUL", encoded(b, found, depth, "count"), _weights(given, known, depth))
    y = encoded(b, found, depth, output_mode)
    return y if b.major < 3 else b.cast(y, np.int64)


def _unknown(b: KerasBuilder, ids: Tensor, known: Vocabulary) -> Tensor:
    """Return the numbers of what is not known: by remainders, if there are several."""
    if known.count == 0:
        return b.const(-1, ids.dtype, "oov")  # Keras stops there
    first = b.const(known.unknown, ids.dtype, "oov")
    if known.count == 1:
        return first
    rest = arithmetic.floor_mod(b, ids, b.const(known.count, ids.dtype, "count"))
    return b("ADD", rest, first)


def _translated(
    b: KerasBuilder, ids: Tensor, keys: Sequence[int], values: Sequence[int], other: Tensor
) -> Tensor:
    """Return the value of each key, `other` for what is no key."""
    wide = b("EXPAND_DIMS", ids, np.array(ids.rank, np.int32))
    hit = b("EQUAL", wide, np.array(keys, ids.dtype))
    last = np.array([ids.rank], np.int32)
    numbers = b("SELECT_V2", hit, np.array(values, ids.dtype), np.array(0, ids.dtype))
    found = b("SUM", numbers, last, keep_dims=False)
    return b("SELECT_V2", b("REDUCE_ANY", hit, last, keep_dims=False), found, other)


def _masked(
    b: KerasBuilder, ids: Tensor, found: Tensor, key: int | None, value: int | None
) -> Tensor:
    if key is None or value is None:
        return found
    return b(
        "SELECT_V2", b("EQUAL", ids, np.array(key, ids.dtype)), np.array(value, ids.dtype), found
    )


def _weights(given: Any, known: Vocabulary, depth: int) -> NDArray[np.float32]:
    """Return the weight of each number: the mean of all for what is not known, 0 for fill."""
    weights = np.asarray(given if given is not None else (), F).reshape(-1)
    if len(weights) == len(known.words):
        weights = np.concatenate([np.full(known.start, weights.mean(), F), weights])
    if len(weights) not in (known.size, depth):
        raise UnsupportedError(f"{len(weights)} weights for {len(known.words)} words")
    return np.pad(weights, (0, depth - len(weights)))
