"""Other types at the borders of a model that computes with integers already.

    x: f32 -> QUANTIZE -> q: i8        becomes    q: i8, named x           for int8
    x: f32 -> QUANTIZE -> q: i8        becomes    x: u8 -> QUANTIZE -> q   for uint8: zero + 128
    x: i8                              becomes    x: f32 -> QUANTIZE       for float32

and outputs likewise. The reals that integers stand for stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Quant, Source, type_name
from tqconv.quant.select import CONVERSIONS

FLOAT32 = np.dtype(np.float32)
SHIFTS = {("int8", "uint8"): 128, ("uint8", "int8"): -128}
"""From one type of 8 bits to the other the zero point moves, and no real changes."""


def recast(model: Model, options: QuantizeOptions) -> None:
    """Give inputs and outputs of the main graph the types that are asked for, in place.

    Raises UsageError that names each one that has no integers which could stand there.
    """
    graph = model.main
    wrong: list[str] = []
    if options.input_type is not None:
        wanted = np.dtype(options.input_type)
        wrong += [
            _said("input", t, wanted) for t in list(graph.inputs) if not _feed(graph, t, wanted)
        ]
    if options.output_type is not None:
        wanted = np.dtype(options.output_type)
        wrong += [
            _said("output", t, wanted)
            for place, t in enumerate(list(graph.outputs))
            if not _hand_out(graph, place, wanted)
        ]
    graph.sort()
    if wrong:
        raise UsageError(
            f"{model.origin} is quantized, and its borders cannot all have other types\n"
            + "\n".join(wrong),
            hint="convert the float model that the file was made from",
        )


def _said(which: str, tensor: Tensor, wanted: np.dtype) -> str:
    return (
        f"  {which} '{tensor.name}' is {type_name(tensor.dtype)}, and not to be {type_name(wanted)}"
    )


def _feed(graph: Graph, tensor: Tensor, wanted: np.dtype) -> bool:
    """Let an input be of a type; whether it can be."""
    if tensor.dtype == wanted:
        return True
    readers = [use.op for use in tensor.uses]
    inner = _inside(graph, tensor, readers)
    quant = _as(inner, wanted)
    if quant is None:
        return False
    outer = Tensor(_name_of(graph, tensor), tensor.shape, wanted)
    outer.quant = quant if wanted != FLOAT32 else None
    graph.inputs[:] = [outer if t is tensor else t for t in graph.inputs]
    made = outer
    if wanted != inner.dtype:
        made = inner if tensor is inner else _like(graph, inner)
        graph.add(Op("QUANTIZE", (outer,), (made,), source=Source("", outer.name, "Quantize")))
    if tensor is not inner:
        for op in readers:
            graph.replace(op.output, made, keep_name=False)
            graph.remove(op)
    return True


def _hand_out(graph: Graph, place: int, wanted: np.dtype) -> bool:
    """Let an output be of a type; whether it can be."""
    tensor = graph.outputs[place]
    if tensor.dtype == wanted:
        return True
    maker = tensor.producer
    inner = tensor
    if maker is not None and maker.type in CONVERSIONS and _only_recast(maker.input(0), tensor):
        inner = maker.input(0)
    quant = _as(inner, wanted)
    if quant is None or inner.producer is None:
        return False
    name = _name_of(graph, tensor)
    outer = inner
    if wanted != inner.dtype:
        outer = Tensor(name, tensor.shape, wanted)
        outer.quant = quant if wanted != FLOAT32 else None
        kind = "DEQUANTIZE" if wanted == FLOAT32 else "QUANTIZE"
        graph.add(Op(kind, (inner,), (outer,), source=inner.producer.source))
    graph.outputs[place] = outer
    if outer is inner:
        graph.rename(inner, name)
    if (
        tensor is not inner
        and maker is not None
        and not tensor.uses
        and tensor not in graph.outputs
    ):
        graph.remove(maker)
    return True


def _inside(graph: Graph, tensor: Tensor, readers: Sequence[Op]) -> Tensor:
    """Return the integers that all readers make of an input; itself where they do not."""
    if not readers or tensor in graph.outputs or readers[0].type != "QUANTIZE":
        return tensor
    inner = readers[0].output
    alike = all(op.type == "QUANTIZE" and op.output.means(inner) for op in readers)
    return inner if alike and _only_recast(tensor, inner) else tensor


def _only_recast(first: Tensor, second: Tensor) -> bool:
    """Whether one of two tensors is real, or both hold the same reals in types of 8 bits."""
    if FLOAT32 in (first.dtype, second.dtype):
        return True
    quant = _as(first, second.dtype)
    return quant is not None and quant.equals(second.quant)


def _as(inner: Tensor, wanted: np.dtype) -> Quant | None:
    """Return the parameters with which integers stand in another type; None where they cannot."""
    if inner.quant is None or not inner.quant.is_per_tensor:
        return None
    scale, zero = float(inner.quant.scale[0]), int(inner.quant.zero_point[0])
    if wanted in (inner.dtype, FLOAT32):
        return inner.quant
    shift = SHIFTS.get((inner.dtype.name, wanted.name))
    return None if shift is None else Quant.per_tensor(scale, zero + shift)


def _name_of(graph: Graph, tensor: Tensor) -> str:
    """Return the name of a border, which another tensor takes over."""
    name = tensor.name
    graph.release(name)
    tensor.name = graph.unique(f"{name}/inside")
    return graph.unique(name)


def _like(graph: Graph, inner: Tensor) -> Tensor:
    made = Tensor(graph.unique(inner.name), inner.shape, inner.dtype)
    made.quant = inner.quant
    return made
