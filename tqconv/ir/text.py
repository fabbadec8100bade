"""The printed form of a graph: for people, logs and tests.

x: f32[1,8,8,4] -> z
y = CONV_2D(x, w[4,3,3,4], b[4]) {padding=SAME, stride_h=1}
z = RELU(y)
"""

from __future__ import annotations

from tqconv.ir.graph import Graph, Op, Tensor

SHORT = {
    "float32": "f32",
    "float16": "f16",
    "float64": "f64",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "uint8": "u8",
    "bool": "bool",
    "object": "str",
}
SMALL = 8
"""Integer constants up to this many elements are shown with their values."""


def graph_text(graph: Graph, *, constants: bool = True) -> str:
    """Return the whole graph, one operator a line."""
    inputs = ", ".join(typed(t) for t in graph.inputs)
    outputs = ", ".join(t.name for t in graph.outputs)
    return "\n".join(
        [f"{inputs} -> {outputs}", *(op_text(op, constants=constants) for op in graph.ops)]
    )


def op_text(op: Op, *, constants: bool = True) -> str:
    """Return one operator as `y = TYPE(operands) {options}`."""
    operands = ", ".join(operand(t, constants=constants) for t in op.inputs)
    outputs = ", ".join(t.name for t in op.outputs)
    options = ", ".join(f"{k}={v}" for k, v in sorted(op.options.items()) if k != "custom_options")
    return f"{outputs} = {op.type}({operands})" + (f" {{{options}}}" if options else "")


def operand(tensor: Tensor | None, *, constants: bool = True) -> str:
    """Return how an operand is written: its name, or a constant's values or shape."""
    if tensor is None:
        return "_"
    if tensor.data is None or not constants:
        return tensor.name
    if tensor.dtype.kind in "iu" and tensor.size <= SMALL and tensor.quant is None:
        return str(tensor.data.tolist()).replace(" ", "")
    if tensor.dtype.kind == "f" and tensor.size == 1:
        return f"{tensor.data.reshape(-1)[0]:g}"
    return f"{tensor.name}[{dims(tensor)}]"


def typed(tensor: Tensor) -> str:
    """Return `name: type[sizes]`."""
    return f"{tensor.name}: {SHORT.get(tensor.dtype.name, tensor.dtype.name)}[{dims(tensor)}]"


def dims(tensor: Tensor) -> str:
    """Return the sizes separated by commas, `?` for unknown ones."""
    return ",".join("?" if d is None else str(d) for d in tensor.shape)
