"""Single operators of TensorFlow, which models of tf.keras before 2.4 hold as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.tf.definitions import input_type
from tqconv.importers.tf.node import Node, computed_dtype, graph_ref
from tqconv.importers.tf.single import translated
from tqconv.ir.graph import Tensor
from tqconv.schema import proto
from tqconv.untrusted import parse_json

OPERATOR = "TensorFlowOpLayer"


def node_of(config: Mapping[str, Any]) -> Node:
    """Return the node that a layer holds: a dictionary, its JSON, or a message; FormatError."""
    cls, what = proto.messages().NodeDef, "the node that the layer holds"
    tree = config.get("node_def")
    if isinstance(tree, str) and tree.lstrip().startswith("{"):
        tree = parse_json(tree, what)
    if isinstance(tree, str):
        message = proto.parse_binary(cls, tree.encode(), what)
    elif isinstance(tree, Mapping):
        message = proto.parse_tree(cls, tree, what)
    else:
        raise FormatError(f"{what} is missing")
    inputs = tuple(graph_ref(i) for i in message.input if not i.startswith("^"))
    return Node(message.name, message.op, inputs, (), message.attr)


@handles(OPERATOR)
def operator(b: KerasBuilder, *xs: Tensor, node_def: Any, constants: Any = None) -> Any:
    """Compute the node; constants are the operands that are no tensors of the model, by place."""
    node = node_of(b.layer.config)
    operands = list(xs)
    for place, value in sorted((int(k), v) for k, v in (constants or {}).items()):
        array = np.asarray(value["value"] if isinstance(value, Mapping) else value)
        number = input_type(node, place)
        if number is None or array.dtype.kind not in "fiub":
            raise UnsupportedError(f"the type of operand {place} of {node.op} is not known")
        operands.insert(place, b.const(array, computed_dtype(number), f"constant{place}"))
    return translated(b, b.walk.translation, node, operands)
