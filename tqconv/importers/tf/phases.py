"""Placeholders that tell training from use: dropout's probability, the phase of a batch norm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tqconv.importers.tf.definitions import NUMBERS, TYPES, output_type
from tqconv.importers.tf.leftovers import PLACEHOLDERS
from tqconv.importers.tf.node import Node

VALUES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "bool": ((r"infer|test|eval|predict|frozen|freeze", "true"), (r"", "false")),
    "float32": ((r"keep", "1.0"), (r"drop|rate|noise|train|phase", "0.0"), (r"prob", "1.0")),
    "int32": ((r"train|phase|mode", "0"),),
}
"""Type -> what a scalar's name holds, and its value outside of training."""


def value_advice(name: str, nodes: Mapping[str, Node]) -> str | None:
    """Return the flag that sets such a placeholder to its value in use; None for another one."""
    value = _value_in_use(nodes[name]) if name in nodes else None
    return (
        None
        if value is None
        else f"give it the value that it has in use: --set_input {name}={value}"
    )


def settings(names: Iterable[str], nodes: Mapping[str, Node]) -> str:
    """Return the flags that set those of the placeholders that tell training from use."""
    values = ((name, _value_in_use(nodes[name])) for name in names if name in nodes)
    return " ".join(f"--set_input {name}={value}" for name, value in values if value is not None)


def _value_in_use(node: Node) -> str | None:
    if node.op not in PLACEHOLDERS or node.get("shape", ()) not in ((), None):
        return None
    number = output_type(node, 0) or NUMBERS["float32"]
    last = node.name.rpartition("/")[2].lower()
    choices = VALUES.get("int32" if number == NUMBERS["int64"] else TYPES[number], ())
    return next((value for pattern, value in choices if re.search(pattern, last)), None)
