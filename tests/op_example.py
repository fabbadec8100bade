"""An example of one operator, from which test_table.py makes its models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Tensor
from tqconv.ops.emit import emit

Array = NDArray[Any]


@dataclass(frozen=True)
class Example:
    """Operands, which of them are constants or states, and how exact the fold must be.

    `error`: largest difference between LiteRT and our fold, relative to the largest output.
    `label`: tells the examples of one operator apart.
    """

    type: str
    operands: tuple[Array | None, ...]
    options: Mapping[str, Any]
    constants: frozenset[int]
    states: frozenset[int]
    error: float
    label: str

    def __str__(self) -> str:
        return f"{self.type}-{self.label}" if self.label else self.type

    def arrays(self) -> list[Array]:
        """Return the arrays for the inputs of the graph, in order."""
        fixed = self.constants | self.states
        return [a for i, a in enumerate(self.operands) if a is not None and i not in fixed]

    def build(self, graph: Graph, *, unknown: bool = False, free: bool = False) -> list[Tensor]:
        """Emit the operator and return its outputs, which become the graph's.

        `unknown`: the inputs' dimensions are not known; `free`: nothing is a constant.
        """
        inputs: list[Tensor | Array | None] = []
        for index, array in enumerate(self.operands):
            if array is None or (index in self.constants and not free):
                inputs.append(array)
                continue
            shape = (None,) * array.ndim if unknown else array.shape
            if index in self.states:
                inputs.append(
                    Tensor(graph.unique(f"state{index}"), shape, array.dtype, variable=True)
                )
            else:
                inputs.append(graph.add_input(f"input{index}", shape, array.dtype))
        made = emit(graph, self.type, *inputs, name="y", **self.options)
        graph.outputs = list(made) if isinstance(made, tuple) else [made]
        return graph.outputs

    def folded(self) -> list[Tensor]:
        """Return the outputs of the operator with every operand a constant."""
        made = emit(Graph("folded"), self.type, *self.operands, name="y", **self.options)
        return list(made) if isinstance(made, tuple) else [made]


def example(
    type: str,
    *operands: Any,
    const: Iterable[int] = (),
    state: Iterable[int] = (),
    error: float = 1e-6,
    label: str = "",
    **options: Any,
) -> Example:
    """Return an example; `const` and `state` are indices of operands, the others are graph inputs.

    The default error is eight float32 roundings; integers and booleans must always agree exactly.
    """
    arrays = tuple(None if a is None else np.asarray(a) for a in operands)
    return Example(type, arrays, options, frozenset(const), frozenset(state), error, label)
