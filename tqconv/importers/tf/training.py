"""What training leaves in a graph: open placeholders, variables, input pipelines."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tqconv.config import Dims, LoadOptions
from tqconv.errors import UnsupportedError, UsageError, counted, shaped
from tqconv.importers.borders import contradicts, printed
from tqconv.importers.tf.borders import resolve
from tqconv.importers.tf.definitions import NUMBERS
from tqconv.importers.tf.doubles import fold_doubles
from tqconv.importers.tf.inner import type_of
from tqconv.importers.tf.inputs import known_shapes
from tqconv.importers.tf.leftovers import READERS, VARIABLES
from tqconv.importers.tf.node import BFLOAT16, Node, Ref, dtype_of
from tqconv.importers.values import parse_value
from tqconv.schema import proto
from tqconv.untrusted import whole

if TYPE_CHECKING:
    from tqconv.importers.tf.bundle import Bundle

SHOWN = 8
"""Names that a message lists before it says how many more there are."""


def prepare(
    nodes: Mapping[str, Node],
    functions: Mapping[str, Any],
    options: LoadOptions,
    notes: list[str],
    producer: int,
) -> dict[str, Node]:
    """Return the nodes to import after putting constants where the user gave a value.

    Raises UsageError for a name that the graph does not have, or a value that does not fit.
    """
    refs = {name: resolve(name, nodes) for name in options.values}
    inputs = [resolve(name, nodes) for name in options.inputs or ()] if refs else []
    shapes = known_shapes(nodes, functions, list(refs.values()), producer) if refs else {}
    result = fold_doubles(nodes)
    for name, text in options.values.items():
        if refs[name] in inputs:
            raise UsageError(f"`{name}` is an input and has a value", hint="drop one of the two")
        _set_value(result, refs[name], text, shapes.get(refs[name]))
        notes.append(f"{name} = {text}")
    return result


def check_heads(nodes: Mapping[str, Node], reached: Collection[str]) -> None:
    """Raise UnsupportedError naming what reads the batches of a training run."""
    heads = sorted(n for n in reached if n in nodes and nodes[n].op in READERS)
    if heads:
        raise UnsupportedError(
            f"the outputs need {', '.join(f'{nodes[n].op} `{n}`' for n in heads)}: "
            "the input pipeline of a training run",
            hint=f"cut the graph there with --input_arrays {','.join(heads)}",
        )


def freeze(
    nodes: Mapping[str, Node], reached: Collection[str], checkpoint: str | None, notes: list[str]
) -> dict[str, Node]:
    """Return the nodes with the variables among `reached` as constants read from a checkpoint.

    Raises UnsupportedError that names all variables when there is no checkpoint, UsageError when it
    lacks some of them.
    """
    variables = [nodes[n] for n in reached if n in nodes and nodes[n].op in VARIABLES]
    if not variables:
        if checkpoint is not None:
            notes.append(f"the outputs need no variable of the checkpoint {checkpoint}")
        return dict(nodes)
    variables.sort(key=lambda node: node.name)
    if checkpoint is None:
        raise UnsupportedError(
            f"{counted(len(variables), 'variable')} of the graph are not frozen: "
            + listed([v.name for v in variables]),
            hint="freeze the graph, or give its checkpoint with --checkpoint PREFIX",
        )
    from tqconv.importers.tf.bundle import open_bundle, variable_names

    bundle = open_bundle(checkpoint)
    names = variable_names(bundle)
    result = dict(nodes)
    missing = []
    for node in variables:
        array = stored_value(bundle, names, node)
        if array is None:
            missing.append(node.name)
        else:
            result[node.name] = _frozen(node, array)
    if missing:
        raise UsageError(
            f"the checkpoint {bundle.prefix} lacks {counted(len(missing), 'variable')}: "
            + listed(missing),
            hint="is it a checkpoint of this graph?",
        )
    notes.append(f"{counted(len(variables), 'variable')} read from {bundle.prefix}")
    return result


def _set_value(nodes: dict[str, Node], ref: Ref, text: str, shape: Dims | None) -> None:
    """Put a constant in the place of a tensor, which has that shape in the graph."""
    is_word = text.strip().lower() in ("true", "false")
    number = type_of(nodes, ref) or NUMBERS["bool" if is_word else "float32"]
    array = parse_value(text, dtype_of(number))
    if shape is not None and array.ndim == 0:
        array = np.full([1 if size is None else size for size in shape], array, array.dtype)
    elif shape is not None and contradicts(array.shape, shape):
        raise UsageError(
            f"`{text}` has the shape {printed(array.shape)}, but `{ref}` is {printed(shape)}",
            hint="one number stands for all elements",
        )
    others = any(r.node == ref.node and r != ref for n in nodes.values() for r in n.inputs)
    name = f"{ref}/value" if others or ref.index else ref.node
    nodes[name] = constant_node(name, array, number)
    if name != ref.node:
        for other in list(nodes.values()):
            if ref in other.inputs:
                inputs = tuple(Ref(name) if r == ref else r for r in other.inputs)
                nodes[other.name] = replace(other, inputs=inputs)


def constant_node(name: str, array: NDArray[Any], number: int) -> Node:
    """Return a Const node; `number` is the DataType of the array."""
    messages = proto.messages()
    attr = {
        "value": array,
        "dtype": messages.AttrValue(type=number if number != BFLOAT16 else 1),
    }
    return Node(name, "Const", (), (), attr)


def stored_value(bundle: Bundle, names: Mapping[str, str], node: Node) -> NDArray[Any] | None:
    """Return a variable's value: under its own name, or as a part of a partitioned variable."""
    shared = str(node.get("shared_name", "") or node.name)
    for name in (shared, node.name):
        key = names.get(name, name)
        if key in bundle:
            return bundle.read(key)
    variable, _, part = node.name.rpartition("/part_")
    if variable in bundle and (number := whole(part)) is not None:
        slices = bundle.slices(variable)
        if number < len(slices):
            return bundle.read_slice(variable, slices[number])
    return None


def _frozen(node: Node, array: NDArray[Any]) -> Node:
    declared = node.get("shape")
    fits = declared is None or (
        len(declared) == array.ndim
        and all(d is None or d == s for d, s in zip(declared, array.shape, strict=True))
    )
    if not fits:
        raise UsageError(
            f"variable '{node.name}' is {list(declared)} in the graph and "
            f"{shaped(array.shape)} in the checkpoint",
            hint="is it a checkpoint of this graph?",
        )
    return constant_node(node.name, array, int(node.get("dtype", 1)) % 100)


def listed(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f", … {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
