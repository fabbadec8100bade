"""Tensors and operators, the parts of a graph; `Graph` keeps what they say of each other right."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import InternalError
from tqconv.ir.containers import Uses
from tqconv.ir.types import NOWHERE, Quant, Range, Shape, Source

if TYPE_CHECKING:
    from tqconv.ir.graph import Graph


class Use(NamedTuple):
    """One place that reads a tensor: input `index` of `op`."""

    op: Op
    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody calls


@dataclass(eq=False, slots=True)
class Tensor:
    """A value: a graph input, a constant, or what one operator makes."""

    name: str
    shape: Shape
    dtype: np.dtype
    data: NDArray[Any] | None = None
    quant: Quant | None = None
    range: Range | None = None
    producer: Op | None = None
    uses: Uses = field(default_factory=Uses)
    elements: tuple[int | None, ...] | None = None
    """For small integer tensors that describe shapes: the elements that are known already."""
    variable: bool = False
    """State that survives a run (the schema's `is_variable`)."""
    sparsity: dict[str, Any] | None = None
    filler: bool = False
    """A constant that a kernel asks for and the source does not state: no bias, as zeros."""
    turned: dict[tuple[int, ...], Tensor] | None = None
    """Weights with permuted dimensions, which operators that read them share: `Builder.turned`."""

    @property
    def is_constant(self) -> bool:
        """Whether the values are known at conversion time."""
        return self.data is not None

    @property
    def is_static(self) -> bool:
        """Whether every dimension is known."""
        return None not in self.shape

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def means(self, other: Tensor) -> bool:
        """Whether stored numbers stand for the same in both, so that one may be read for the other.

        State is never another tensor's value: what it holds changes while the model runs.
        """
        if self.variable or other.variable:
            return self is other
        if self.quant is None or other.quant is None:
            return self.quant is other.quant
        return self.dtype == other.dtype and self.quant.equals(other.quant)

    @property
    def size(self) -> int:
        """The number of elements; unknown dimensions count as 1."""
        return math.prod(1 if d is None else d for d in self.shape)

    def __repr__(self) -> str:
        dims = ",".join("?" if d is None else str(d) for d in self.shape)
        return f"{self.name}: {self.dtype}[{dims}]"


@dataclass(eq=False, slots=True)
class Op:
    """One TensorFlow Lite operator; `options` absent means the schema's default."""

    type: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: dict[str, Any] = field(default_factory=dict)
    source: Source = NOWHERE
    graphs: tuple[Graph, ...] = ()
    intermediates: tuple[Tensor, ...] = ()
    version: int | None = None
    """Set where a file gave it; otherwise the writer computes the lowest that is right."""

    @property
    def output(self) -> Tensor:
        """The only output of an operator that has one."""
        return self.outputs[0]

    def input(self, index: int) -> Tensor:
        """Return an input that must be there."""
        tensor = self.inputs[index] if index < len(self.inputs) else None
        if tensor is None:
            raise InternalError(f"{self.type} has no input {index}", where=self.source)
        return tensor

    @property
    def sources(self) -> list[Op]:
        """The operators that make what this one reads."""
        return [t.producer for t in self.inputs if t is not None and t.producer is not None]

    @property
    def name(self) -> str:
        """What messages call it: its first output, or its source node where it makes nothing."""
        return self.outputs[0].name if self.outputs else self.source.node

    def __repr__(self) -> str:
        return f"{self.type} '{self.name}'"
