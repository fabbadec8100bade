"""One question to whatever runs a model, whether it takes an operator.

`passes/legal` asks it of every operator and rewrites those that are refused, so neither importers
nor other passes know what kernels lack. LiteRT's answers are columns of the operator table; a
device family answers from a table of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from tqconv.ir.graph import Op
from tqconv.ir.types import numpy_name
from tqconv.ops.kernels import MOST_RANK
from tqconv.ops.operands import data_operand
from tqconv.ops.table import known, spec
from tqconv.records import dataclass


@dataclass(frozen=True)
class Target:
    """What runs a model.

    types: the element types (numpy names) with which it computes an operator, None for any; ranks:
    the most dimensions that the operands and results of an operator may have, None for any.
    """

    name: str
    types: Callable[[Op], frozenset[str] | None]
    ranks: Callable[[Op], int | None]

    def refused_type(self, op: Op) -> str | None:
        """Return the element type of the data with which an operator is refused, or None.

        Integers that stand for reals are the quantizer's, and strings are no numbers.
        """
        allowed = self.types(op)
        if allowed is None or not known(op.type) or not op.inputs:
            return None
        tensor = op.inputs[data_operand(spec(op.type))]
        tensors = [t for t in (*op.inputs, *op.outputs) if t is not None]
        if tensor is None or tensor.dtype == object or any(t.quant is not None for t in tensors):
            return None
        name = numpy_name(tensor.dtype)
        return None if name in allowed else name

    def refused_rank(self, op: Op) -> int | None:
        """Return the number of dimensions with which an operator is refused, or None."""
        most = self.ranks(op)
        rank = max((t.rank for t in (*op.inputs, *op.outputs) if t is not None), default=0)
        return None if most is None or rank <= most else rank

    def refuses(self, op: Op) -> str | None:
        """Return why an operator is refused, or None where it is taken."""
        dtype, rank = self.refused_type(op), self.refused_rank(op)
        if dtype is not None:
            return f"{op.type} has no kernel for {dtype}"
        return None if rank is None else f"{op.type} takes at most {self.ranks(op)} dimensions"


def _types(op: Op) -> frozenset[str] | None:
    row = spec(op.type) if known(op.type) else None
    return None if row is None or row.converts or row.category == "cast" else row.types


def _ranks(op: Op) -> int | None:
    row = spec(op.type) if known(op.type) else None
    if row is None or row.max_rank is not None:
        return None if row is None else row.max_rank
    return MOST_RANK if row.layout.kind == "elementwise" else None


LITERT = Target("LiteRT", _types, _ranks)
"""LiteRT's CPU kernels and its default delegate, as far as the rows of the table know them."""
