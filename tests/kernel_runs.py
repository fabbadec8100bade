"""What LiteRT runs and the reader takes of files that hold one operator."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from op_example import Example
from test_table import EXAMPLES, STORED, graph_of, retype

from tqconv.errors import TqconvError
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph
from tqconv.ir.types import Quant
from tqconv.ops.kernels import FIRST_VERSIONS
from tqconv.ops.options import option_names
from tqconv.ops.table import spec


def interpreter(content: bytes) -> Interpreter:
    """Return the builtin kernels, prepared for nothing yet."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, experimental_op_resolver_type=kernels)


def runs(content: bytes) -> bool:
    """Whether LiteRT runs a model with ones, in a process that it may end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            faulthandler.disable()  # that it ends is an answer
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            runner = interpreter(content)
            runner.allocate_tensors()
            for detail in runner.get_input_details():
                string = detail["dtype"] in (np.bytes_, np.object_)
                ones = np.full(detail["shape"], b"1") if string else np.ones(detail["shape"])
                runner.set_tensor(detail["index"], ones.astype(detail["dtype"]))
            runner.invoke()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def loaded(content: bytes) -> bool:
    """Whether the reader takes a file."""
    try:
        reader.parse(content, "n.tflite")
    except TqconvError:
        return False
    return True


def first_examples() -> Iterator[Example]:
    """Yield an example of each operator that reads data."""
    seen: set[str] = set()
    for example in EXAMPLES:
        if example.type not in seen and graph_of(example).ops:
            seen.add(example.type)
            yield example


def scaled(example: Example, kind: str) -> Graph:
    """Return the example with integers of the type `kind`, in steps that its kernel computes."""
    graph = graph_of(example)
    op, rule = graph.ops[-1], spec(example.type).quant
    assert rule is not None
    retype(op, rule, STORED[kind], per_channel=bool(rule.weight) and kind != "UINT8")
    step, names = (1 / 4096 if kind == "INT16" else 1 / 64), spec(example.type).operands
    for index, tensor in enumerate(op.inputs):
        if tensor is not None and tensor.quant is not None:
            name = names.name(index)
            weighs = name in rule.weight
            size = 1 / 64 if weighs else step / 64 if name in rule.bias else step
            tensor.quant = replace(tensor.quant, scale=np.full(tensor.quant.scale.size, size))
    for tensor in op.outputs:
        if tensor.quant is not None:
            tensor.quant = Quant.per_tensor(*rule.fixed.get(kind, (step, 0)))
    if "pot_scale_int16" in option_names(op.type):
        op.options["pot_scale_int16"] = False
    op.version = FIRST_VERSIONS.get(op.type, 1)
    return graph


DENSE = next(e for e in EXAMPLES if e.type == "FULLY_CONNECTED" and e.operands[2] is not None)
CONV = next(e for e in EXAMPLES if e.type == "CONV_2D" and len(e.operands) > 2)
