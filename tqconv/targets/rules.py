"""Rules that several devices share: what an operator's tensors and options must be."""

from __future__ import annotations

import math

from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import RESOURCE, STRING
from tqconv.ops.operands import is_data
from tqconv.ops.table import known, spec
from tqconv.targets.device import Refusal, Rule, operand, option, tensors

INTEGERS = "--quantize int8 --integer_only"
BORDERS = "--inference_input_type INT8 --inference_output_type INT8"
SHAPES = "--input_shapes with a number for each dimension (or --dim, by its name in an ONNX model)"
NHWC = 4
"""The rank of an image: batch, rows, columns, channels."""


def data(op: Op) -> list[Tensor]:
    """Return the operands that carry data, and the results; without shapes, axes and indices."""
    row = spec(op.type) if known(op.type) else None
    own = [t for i, t in enumerate(op.inputs) if t is not None and (row is None or is_data(row, i))]
    return [t for t in (*own, *op.outputs) if t.dtype != RESOURCE]


def type_name(tensor: Tensor) -> str:
    """Return an element type for people."""
    return "string" if tensor.dtype == STRING else tensor.dtype.name


def static(op: Op) -> Refusal | None:
    """All shapes are known."""
    found = next((t for t in tensors(op) if not t.is_static), None)
    return None if found is None else Refusal(f"the shape of '{found.name}' is not static", SHAPES)


def to_integers(op: Op) -> str:
    """Return the flags that mend reals: of the model's borders where an operator is one of them."""
    if op.type == "QUANTIZE" and op.input(0).producer is None:
        return BORDERS
    return BORDERS if op.type == "DEQUANTIZE" and not op.outputs[0].uses else INTEGERS


def types(names: str, remedy: str = INTEGERS) -> Rule:
    """All data have one of these element types."""
    allowed = frozenset(names.split())

    def rule(op: Op) -> Refusal | None:
        for tensor in data(op):
            if type_name(tensor) not in allowed:
                return Refusal(f"{type_name(tensor)} data", remedy)
        return None

    return rule


def result_types(names: str, remedy: str = "") -> Rule:
    """The results have one of these element types."""
    allowed = frozenset(names.split())

    def rule(op: Op) -> Refusal | None:
        found = [type_name(t) for t in op.outputs if type_name(t) not in allowed]
        return Refusal(f"{found[0]} results", remedy) if found else None

    return rule


def rank(most: int, remedy: str = "") -> Rule:
    """No tensor has more dimensions."""

    def rule(op: Op) -> Refusal | None:
        found = max((t.rank for t in tensors(op)), default=0)
        return (
            Refusal(f"{found} dimensions, at most {most} are taken", remedy)
            if found > most
            else None
        )

    return rule


def thin(most: int) -> Rule:
    """No activation has more dimensions above 1, and those are the innermost."""

    def rule(op: Op) -> Refusal | None:
        for tensor in tensors(op):
            if not tensor.is_constant and math.prod(d or 1 for d in tensor.shape[:-most]) > 1:
                return Refusal(
                    f"'{tensor.name}' has more than {most} dimensions above 1", "batch 1"
                )
        return None

    return rule


def no_hybrid(op: Op) -> Refusal | None:
    """Integer weights do not stand beside float data."""
    kinds = {type_name(t) for t in data(op)}
    if "float32" in kinds and kinds & {"int8", "uint8", "int4"} and not spec(op.type).converts:
        return Refusal("integer weights beside float data", "--quantize int8, or no --quantize")
    return None


def constant(*names: str) -> Rule:
    """These operands are constants."""

    def rule(op: Op) -> Refusal | None:
        for name in names:
            tensor = operand(op, name)
            if tensor is not None and not tensor.is_constant:
                return Refusal(f"its operand {name} is computed at run time")
        return None

    return rule


def no_activation(op: Op) -> Refusal | None:
    """Nothing is fused."""
    found = option(op, "fused_activation_function", "NONE")
    return None if found == "NONE" else Refusal(f"fused {found}")


def strides(op: Op) -> tuple[int, int]:
    """Return the strides over rows and columns of an operator with windows."""
    return int(option(op, "stride_h", 1)), int(option(op, "stride_w", 1))
