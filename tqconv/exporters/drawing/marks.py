"""What operators compute with, and what is wrong with it: float islands, missing ranges."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tqconv.exporters.drawing.scene import joined_numbers
from tqconv.ir.graph import Model, Op, Tensor
from tqconv.ops.table import known, spec


def numbers_of(op: Op) -> str:
    """Return what an operator computes with; "" where nothing stands for a real."""
    return joined_numbers(kind_of(t) for t in (*op.inputs, *op.outputs) if t is not None)


def kind_of(tensor: Tensor) -> str:
    """Return float, int8, uint8, int16, or "" for what stands for no real.

    A constant of reals says nothing: an integer operator may read a float one as its data, and a
    bias has the type that its weights ask for.
    """
    if tensor.quant is not None:
        bits = tensor.dtype.itemsize * 8
        if tensor.is_constant and bits > 16:
            return ""
        return tensor.dtype.name if bits >= 8 else "int8"
    if tensor.is_constant or tensor.dtype.kind not in "fcV":
        return ""
    return "" if tensor.dtype.kind == "V" else "float"


class Marks:
    """Sentences about what should not be so; `floats`, `unranged`: see `gather.Known`."""

    def __init__(self, model: Model, floats: Mapping[str, str], unranged: Collection[str]) -> None:
        self.floats = floats
        self.unranged = unranged
        self.integers = any(
            kind_of(tensor) not in ("", "float") and not tensor.is_constant
            for graph in model.all_graphs()
            for tensor in graph.tensors()
        )

    def of_op(self, op: Op) -> list[str]:
        """Return what is wrong with an operator."""
        name = op.outputs[0].name if op.outputs else ""
        marks = []
        if name in self.floats:
            marks.append(f"float: {self.floats[name]}")
        elif self.integers and numbers_of(op) == "float":
            marks.append(f"float: {_why_float(op)}")
        return marks + [mark for tensor in op.outputs for mark in self.of_value(tensor)]

    def of_value(self, tensor: Tensor) -> list[str]:
        """Return what is wrong with a value."""
        return ["no range is known"] if tensor.name in self.unranged else []


def _why_float(op: Op) -> str:
    """Return why an operator of a quantized file is float, as far as its row tells."""
    if op.type == "CUSTOM":
        return "what a custom operator takes is up to it"
    if not known(op.type) or spec(op.type).quant is None:
        return "LiteRT has no integer kernel for it"
    return "the file gives its values no scale"
