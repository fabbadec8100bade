"""Constants of float64 that float32 cannot hold, and what is computed of constants alone.

log(0 + 1e-307) is a number in float64; a model is computed in float32, where it is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.importers.tf.node import Node, Ref, dtype_of

Array = NDArray[Any]
DOUBLE = 2
"""The DataType of float64."""
FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "Add": np.add,
    "AddV2": np.add,
    "Cast": np.positive,
    "Div": np.divide,
    "Exp": np.exp,
    "Identity": np.positive,
    "Log": np.log,
    "Log1p": np.log1p,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pow": np.power,
    "RealDiv": np.divide,
    "Reciprocal": np.reciprocal,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Sqrt": np.sqrt,
    "Square": np.square,
    "Sub": np.subtract,
}


def fold_doubles(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """Return the nodes; constants for those that compute with constants of float64 alone.

    Nothing changes where float32 holds all constants.
    """
    made = dict(nodes)
    constants = [node for node in nodes.values() if node.op == "Const"]
    if not any(_is_lost(n.get("value")) for n in constants if n.get("dtype") == DOUBLE):
        return made
    todo = [node for node in nodes.values() if _is_double(node)]
    while ready := [node for node in todo if all(_is_constant(made, r) for r in node.inputs)]:
        todo = [node for node in todo if node not in ready]
        for node in ready:
            made[node.name] = _folded(node, [made[ref.node].get("value") for ref in node.inputs])
    return made


def _is_lost(array: Array) -> bool:
    """Whether float32 makes zero or infinity of an element that is neither."""
    with np.errstate(over="ignore", under="ignore"):
        single = array.astype(np.float32)
    return bool(((single == 0) & (array != 0) | np.isinf(single) & np.isfinite(array)).any())


def _is_double(node: Node) -> bool:
    types = (node.get(name) for name in ("T", "SrcT", "DstT"))
    return node.op in FUNCTIONS and DOUBLE in types


def _is_constant(nodes: Mapping[str, Node], ref: Ref) -> bool:
    node = nodes.get(ref.node)
    return node is not None and node.op == "Const"


def _folded(node: Node, operands: list[Array]) -> Node:
    kind = "DstT" if node.op == "Cast" else "T"
    with np.errstate(all="ignore"):
        array = np.asarray(FUNCTIONS[node.op](*operands)).astype(dtype_of(int(node.get(kind))))
    return Node(node.name, "Const", (), node.controls, {"value": array, "dtype": node.attr[kind]})
