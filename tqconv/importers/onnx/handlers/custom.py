"""Operators without a translation, kept as custom operators when the user asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tqconv.importers.borders import COMPUTED
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.tensors import dtype_of
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.schema.flex import flex_map


@handles("*")
def custom(b: ONNXBuilder, *inputs: Tensor | None, **attributes: Any) -> tuple[Tensor, ...]:
    """Emit a custom operator named like the node's, without its domain.

    Its options are the attributes as a flexbuffer map. The file may declare what it makes; else it
    has the type of the first operand, and a shape that no builtin operator may read.
    """
    first = next((x for x in inputs if x is not None), None)
    own = np.dtype(np.float32) if first is None else first.dtype
    outputs: list[tuple[Shape, np.dtype]] = []
    infos = b.shared.network.body.infos
    for name in b.node.outputs:
        info = infos.get(name)
        said = dtype_of(info.dtype) if info is not None and info.dtype > 0 else own
        outputs.append(((info.shape if info is not None else None) or (), COMPUTED.get(said, said)))
    made = b.custom(b.node.message.op_type, inputs, outputs, flex_map(attributes))
    for name, tensor in zip(b.node.outputs, made, strict=True):
        if name not in infos or infos[name].shape is None:
            b.shared.translation.unshaped[id(tensor)] = tensor
    return made
