"""Scale and zero point of what operators make of integers that stand for reals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.spec import OpSpec, Typed
from tqconv.ops.table import known, spec

STORED = frozenset({"int8", "uint8", "int16", "int4"})
"""Types in which kernels compute with scales; wider ones are indices, sums, or biases."""


def parameters(row: OpSpec, op: Op, types: Sequence[Typed]) -> list[Quant | None]:
    """Return scale and zero point of each result of an operator that is being made.

    Operators whose results have the parameters of their operand (they move elements, or choose
    among them) pass them on. Raises UnsupportedError where a result would be integers of which
    nobody says what they stand for; who makes such an operator gives it its outputs.
    """
    quantized = [t for t in op.inputs if t is not None and t.quant is not None]
    stored = {t.dtype for t in quantized}
    made: list[Quant | None] = []
    for _, dtype in types:
        if dtype not in stored:
            made.append(None)
            continue
        like = [t for t in op.inputs if t is not None and t.dtype == dtype]
        first = like[0].quant
        passed_on = row.quant is not None and row.quant.same and first is not None
        by_channel = first is not None and not first.is_per_tensor
        if not passed_on or by_channel or not all(t.means(like[0]) for t in like):
            raise UnsupportedError(
                f"{row.name} of integers needs to be told the scale of its result", where=op.source
            )
        made.append(first)
    return made


def lacking(op: Op) -> Tensor | None:
    """Return an integer tensor whose parameters an operator needs and does not find, or None.

    Operators that a file holds are left as they are: LiteRT ran them so.
    """
    if op.version is not None or not known(op.type):
        return None
    row = spec(op.type)
    if op.type in ("QUANTIZE", "DEQUANTIZE"):
        both = (*op.inputs, *op.outputs)
        return next((t for t in both if _is_stored(t) and t is not None and t.quant is None), None)
    rule = row.quant
    if rule is None:
        return None
    names = row.operands
    read = [t for i, t in enumerate(op.inputs) if names.name(i) not in rule.raw]
    ends = (*read, *op.outputs)
    if not any(t is not None and t.quant is not None for t in ends):
        return None
    stored = [t for t in ends if t is not None and _is_stored(t)]
    if not any(t.quant is not None for t in stored):
        return None
    biases = [op.inputs[names.index(b)] for b in rule.bias if names.index(b) < len(op.inputs)]
    sums = [t for t in biases if t is not None and t.dtype.kind == "i"]
    return next((t for t in (*stored, *sums) if t.quant is None), None)


def _is_stored(tensor: Tensor | None) -> bool:
    return tensor is not None and _holds_codes(tensor.dtype)


@cache
def _holds_codes(dtype: np.dtype) -> bool:
    return np.dtype(dtype).name in STORED
