"""Functions of TensorFlow's Python API: how they are declared, and the nodes that they stand for.

A function is `function(b, x, *, axis=None)`: what it is called with first is positional, all else
has the name that it has in TensorFlow (`b` is called `b_`, for `b` is the builder); either may be a
tensor, a number, or lists of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KERAS, KerasBuilder
from tqconv.importers.keras.values import tensor, tensors_in
from tqconv.importers.registry import Handler, Registry
from tqconv.importers.tf.definitions import NUMBERS, TYPES, definition
from tqconv.importers.tf.node import Node, TypeNumber, computed_dtype
from tqconv.importers.tf.single import translated
from tqconv.ir.graph import Tensor

SILENT = frozenset({"name", "validate_indices", "use_cudnn_on_gpu", "bad_indices_policy"})
"""Arguments without effect on what is computed."""
STAMP = "tf."
"""Before a function's name in the registry of layers, `tf.math.add`."""


def _is_silent(name: str, value: Any) -> bool:
    """Whether an argument does not matter; None stands for a default, but for no window, too."""
    return name in SILENT or (value is None and name != "window_fn")


FUNCTIONS = Registry("TensorFlow", _is_silent)


def function(*names: str, **told: Any) -> Callable[[Handler], Handler]:
    """Register a function under its public names; what each is told comes behind the builder."""

    def register(handler: Handler) -> Handler:
        FUNCTIONS.handles(*names, **told)(handler)
        made: dict[str, Any] = {STAMP + n: FUNCTIONS.find(n) for n in (*names, *told)}
        KERAS.handles(**made)(_called)
        return handler

    return register


def _called(b: KerasBuilder, made: Handler, *first: Any, **named: Any) -> Any:
    return FUNCTIONS.call(made, b, first, named)


def kind(name: Any) -> TypeNumber:
    """Return the type that a name stands for."""
    if name not in NUMBERS:
        raise UnsupportedError(f"the type {name!r} is not one of TensorFlow")
    return TypeNumber(NUMBERS[name])


def nodes(b: KerasBuilder, op: str, *operands: Any, **attributes: Any) -> tuple[Tensor, ...]:
    """Return what a node of TensorFlow makes of operands, which may be numbers.

    A number gets the type that the operator asks for, or that of the tensors beside it. Operands
    that the operator counts (`values: N*T`) are given as one list.
    """
    found = definition(op)
    if found is None:
        raise UnsupportedError(f"TensorFlow has no operator {op}")
    types: dict[str, np.dtype] = {}
    flat: list[tuple[Any, str, str]] = []
    for argument, value in zip(found.inputs, operands, strict=False):
        for item in value if argument.count else [value]:
            flat.append((item, argument.type, argument.default))
            tensors = tensors_in(item)
            if tensors:
                types.setdefault(argument.type, tensors[0].dtype)
    made = []
    for number, (item, type, default) in enumerate(flat):
        dtype = types.get(type)
        if dtype is None and (type in TYPES or default):
            dtype = computed_dtype(NUMBERS[type if type in TYPES else default])
        made.append(tensor(b, item, dtype, f"arg{number}"))
        types.setdefault(type, made[-1].dtype)
    node = Node(b.name, op, (), (), {})
    return translated(b, b.walk.translation, node, made, attributes)


def node(b: KerasBuilder, op: str, *operands: Any, **attributes: Any) -> Tensor:
    """Return the first of what a node makes; see `nodes`."""
    return nodes(b, op, *operands, **attributes)[0]
