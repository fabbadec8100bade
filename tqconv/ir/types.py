"""Element types, quantization parameters, evidence about ranges, and provenance."""

from __future__ import annotations

from dataclasses import field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tqconv.records import dataclass

Shape = tuple[int | None, ...]
"""Sizes of the dimensions; `None` is unknown until run time."""

RESOURCE = np.dtype("V4")
VARIANT = np.dtype("V8")
STRING = np.dtype(object)

_NAMES: dict[str, np.dtype] = {
    "FLOAT32": np.dtype(np.float32),
    "FLOAT16": np.dtype(np.float16),
    "FLOAT64": np.dtype(np.float64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "BOOL": np.dtype(np.bool_),
    "COMPLEX64": np.dtype(np.complex64),
    "COMPLEX128": np.dtype(np.complex128),
    "STRING": STRING,
    "RESOURCE": RESOURCE,
    "VARIANT": VARIANT,
}
_TYPES = {dtype: name for name, dtype in _NAMES.items()}
_EXTENSION_TYPES = ("INT4", "UINT4", "INT2", "BFLOAT16")


def dtype_of(name: str) -> np.dtype:
    """Return the storage type of a schema `TensorType` name; KeyError when there is none."""
    if name in _EXTENSION_TYPES:
        import ml_dtypes  # only models that hold such tensors pay for the import

        extension: np.dtype = np.dtype(getattr(ml_dtypes, name.lower()))
        return extension
    return _NAMES[name]


@cache
def numpy_name(dtype: np.dtype) -> str:
    """Return numpy's name of a type, which numpy itself puts together each time."""
    return dtype.name


def type_name(dtype: np.dtype) -> str:
    """Return the schema's `TensorType` name of a storage type."""
    return _TYPES.get(dtype) or dtype.name.upper()


@dataclass(frozen=True)
class Quant:
    """Affine quantization: real = (stored - zero_point) * scale.

    `scale`: f64 [n] in reals per step; `zero_point`: i64 [n]; n is 1 or the size of `axis`, or one
    for each `block` elements that follow each other, where that is not 0.
    """

    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]
    axis: int = 0
    block: int = 0

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> Quant:
        """Return parameters that hold for the whole tensor."""
        return Quant(np.array([scale], np.float64), np.array([zero_point], np.int64))

    @property
    def is_per_tensor(self) -> bool:
        """Whether one scale serves all elements."""
        return self.scale.size == 1 and not self.block

    def spread(self, rank: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return scale and zero point shaped to broadcast over a tensor of this rank; no blocks."""
        shape = [] if self.is_per_tensor else [1] * rank
        if shape:
            shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)

    def by_rows(self, stored: NDArray[np.generic]) -> tuple[NDArray[np.generic], Quant]:
        """Return integers and their parameters with each block as a row; as they are without."""
        if not self.block:
            return stored, self
        return stored.reshape(-1, self.block), replace(self, axis=0, block=0)

    def decode(self, stored: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the reals that stored integers stand for."""
        rows, quant = self.by_rows(stored)
        scale, zero = quant.spread(rows.ndim)
        return np.asarray((rows.astype(np.float64) - zero) * scale).reshape(stored.shape)

    @property
    def key(self) -> tuple[object, ...]:
        """What two parameters that mean the same have in common (scales as stored: f32)."""
        axis = 0 if self.is_per_tensor or self.block else self.axis
        return self.scale.astype(np.float32).tobytes(), self.zero_point.tobytes(), axis, self.block

    def equals(self, other: Quant | None) -> bool:
        """Return whether both map every stored value to the same real."""
        return self is other or (other is not None and self.key == other.key)


RANGE_KINDS = (
    "user",
    "fake_quant",
    "input_stats",
    "calibrated",
    "fixed",
    "propagated",
    "bounded",
    "default",
)
"""Where a range comes from, strongest first."""


@dataclass(frozen=True)
class Range:
    """Evidence about the real values of a tensor: low <= x <= high.

    `exact`: the ends are those of a type whose scale and zero point the source gives; in float64
    they say both to the last bit.
    """

    low: float
    high: float
    kind: str
    detail: str = ""
    bits: int = 8
    narrow: bool = False
    exact: bool = False


MOST_SOURCES = 64
"""Nodes that an operator remembers beside its own; real ones do the work of about ten."""


@dataclass(frozen=True)
class Source:
    """The node of the source model that an operator stands for.

    `place`: where the node stands in the order in which the source model lists its nodes.
    """

    file: str
    node: str
    op_type: str
    also: tuple[Source, ...] = field(default=())
    place: int = field(default=0, compare=False)

    def __str__(self) -> str:
        names = " + ".join(f"{s.op_type} '{s.node}'" for s in (self, *self.also))
        return f"{names} in {self.file}" if self.file else names

    def joined(self, *others: Source) -> Source:
        """Return the source of an operator that also does the work of `others`; the first of them.

        A chain of ten thousand steps may become one operator: MOST_SOURCES are kept.
        """
        if len(self.also) >= MOST_SOURCES:
            return self
        known = {self.node, *(s.node for s in self.also)}
        more = [s for other in others for s in (other, *other.also) if s.node not in known]
        unique = tuple({s.node: Source(s.file, s.node, s.op_type) for s in more}.values())
        return Source(
            self.file, self.node, self.op_type, (*self.also, *unique)[:MOST_SOURCES], self.place
        )


NOWHERE = Source("", "", "")
