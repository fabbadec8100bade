"""A model of uint8, as TOCO wrote them, read as the reals that it stands for.

Devices and kernels of today take int8. The reals of an activation are the same in int8: its scale
stays and its zero point moves by 128, so the range of the type is evidence that is exact. Weights
of uint8 have any zero point, those of int8 have 0 and a scale for each channel: they are decoded,
and rounded again like those of a float model; what lies on a grid keeps it.
"""

from __future__ import annotations

import numpy as np

from tqconv.errors import counted
from tqconv.ir.graph import Model, Tensor
from tqconv.ir.types import Range, type_name
from tqconv.quant.params import limits
from tqconv.quant.schemes import UINT8
from tqconv.quant.select import CONVERSIONS

CENTER = 128
"""The zero point with which weights of uint8 are those of int8, shifted."""


def read_as_reals(model: Model) -> None:
    """Let a model of uint8 compute with reals, in place; each activation has its exact range."""
    again = 0
    for graph in model.all_graphs():
        for tensor in list(graph.tensors()):
            if tensor.quant is not None and tensor.dtype.kind in "iu":
                again += _is_off_center(tensor)
                _decode(tensor)
        for op in list(graph.ops):
            if op.type in CONVERSIONS and op.input(0).dtype == op.output.dtype:
                graph.replace(op.output, op.input(0))
                graph.remove(op)
    rounded = f"; {counted(again, 'constant')} with another zero point than {CENTER} rounded again"
    model.notes.append(
        f"{model.origin} is uint8: activations keep their scales{rounded if again else ''}"
    )


def _is_off_center(tensor: Tensor) -> bool:
    assert tensor.quant is not None
    stored = tensor.is_constant and tensor.dtype == UINT8
    return stored and bool((tensor.quant.zero_point != CENTER).any())


def _decode(tensor: Tensor) -> None:
    """Let a tensor hold the reals of its integers: a constant them, a value their exact range."""
    quant = tensor.quant
    assert quant is not None
    if tensor.data is not None:
        tensor.data = quant.decode(tensor.data).astype(np.float32)
        tensor.elements = None
    else:
        scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
        low, high = ((end - zero) * scale for end in limits(tensor.dtype))
        detail = f"{type_name(tensor.dtype).lower()} in the file"
        tensor.range = Range(low, high, "fake_quant", detail, exact=True)
    tensor.dtype, tensor.quant = np.dtype(np.float32), None
