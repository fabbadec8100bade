"""What the handlers of one model share, beside the graph that they build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.grids import Use
from tqconv.importers.tf.flow.functions import Function
from tqconv.importers.tf.node import Node
from tqconv.importers.translate import Translation
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass


@dataclass(frozen=True, eq=False)
class Table:
    """What a table holds: row i maps keys[i] to values[i]. `number` tells it from the others."""

    name: str
    number: int
    keys: NDArray[np.generic]
    values: NDArray[np.generic]


@dataclass
class Shared:
    """The import of one model, of which function bodies fill several graphs."""

    translation: Translation
    functions: Mapping[str, Any] = field(default_factory=dict)
    """The library: messages, or functions that control flow was turned into."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """All nodes of the main graph, needed or not: among them are those that fill tables."""
    variables: dict[Tensor, NDArray[np.generic]] = field(default_factory=dict)
    """First values of the variables that stay variables, by their handles."""
    cells: dict[Tensor, Tensor] = field(default_factory=dict)
    """Values of variables within bodies that store them, by the handles that stand for them."""
    fake_quant: Use = field(default_factory=Use)
    """What FakeQuant nodes are read for."""
    reals: dict[Tensor, Tensor] = field(default_factory=dict)
    """What integers of TensorFlow 1's quantized types stand for, where it is computed."""
    bodies: dict[str, Function] = field(default_factory=dict)
    """Functions that were called, with their control flow made functional."""
    stored: dict[str, frozenset[int]] = field(default_factory=dict)
    """Functions -> the positions of the arguments that they store something to."""
    calls: list[str] = field(default_factory=list)
    """The functions whose bodies are being translated, the innermost last."""
    tables: dict[int, tuple[Tensor, Table]] = field(default_factory=dict)
    """Identity of a handle -> the handle and its table."""
    table_handles: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    """Graph and table -> the handle that is read there."""
    joined: dict[int, Tensor] = field(default_factory=dict)
    """Lists that are kept as the concatenation of their elements, by identity."""
    joins: dict[int, list[Tensor] | None] = field(default_factory=dict)
    """Graph of a loop's body -> the indices of the pieces that it appends, whose order the loop
    checks."""
