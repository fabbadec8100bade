"""Steps in which the integer kernels of sums and differences cannot compute.

A plan makes no such (`quant/losses`); files by others hold them, and LiteRT refuses these or ends
the process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.ir.graph import Op
from tqconv.ops.bounds import sum_floor
from tqconv.ops.spec import ScaleFloor

LARGEST = float(np.finfo(np.float32).max)
POWER_ERROR = 1e-3
"""How far the logarithm of a scale may be from an integer (CheckedLog2, kernel_util.cc)."""


def beyond_float(floor: ScaleFloor, op: Op) -> str | None:
    """Return why a kernel, which has both terms of its factor in float32, cannot divide them."""
    inputs, made = [op.input(0).quant, op.input(1).quant], op.output.quant
    scales = [float(q.scale.max()) for q in inputs if q is not None]
    if made is None or not scales:
        return None
    step = float(made.scale.max())
    if not is_beyond(floor, scales, step, op.output.dtype.itemsize):
        return None
    return f"cannot compute in steps of {step:.3g} of operands in steps of {max(scales):.3g}"


def is_beyond(floor: ScaleFloor, scales: Sequence[float], step: float, width: int) -> bool:
    """Whether a term of the factor from these scales to that of the result is no float32."""
    return max(floor(scales, width), step) / floor([0.5], width) > LARGEST


def unfit_for_sums(op: Op, *, repeats: bool) -> str | None:
    """Return why the kernel of ADD or SUB does not take the steps of an operator."""
    return beyond_float(sum_floor, op) or _powers_of_two(op, repeats=repeats)


def _powers_of_two(op: Op, *, repeats: bool) -> str | None:
    """Return what sums of int16 lack in steps that are all powers of two (kernels/add.cc, sub.cc).

    repeats: whether an operand may have fewer elements there.
    """
    tensors = (op.input(0), op.input(1), op.output)
    if not op.options.get("pot_scale_int16", True) or any(
        t.dtype != np.int16 or t.quant is None for t in tensors
    ):
        return None
    powers = np.log2([t.quant.scale[0] for t in tensors if t.quant is not None])
    *operands, made = np.rint(powers)
    if np.abs(powers - [*operands, made]).max() >= POWER_ERROR:
        return None
    if max(operands) != made:
        return "makes steps of the larger of two powers of two, and no others"
    if not repeats and op.input(0).shape != op.input(1).shape:
        return "repeats no operand in steps that are powers of two"
    return None
