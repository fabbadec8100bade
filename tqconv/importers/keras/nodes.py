"""Functions of TensorFlow's Python API: how they are declared, and the nodes that they stand for.

A function is `function(b, x, *, axis=None)`: what it is called with first is positional, all else
has the name that it has in TensorFlow (`b` is called `b_`, for `b` is the builder); either may be a
tensor, a number, or lists of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tqconv.compose import rearrange
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.registry import KERAS, KerasBuilder
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
    return name in SILENT or value is None


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


def tensor(b: KerasBuilder, value: Any, dtype: Any = None, what: str = "const") -> Tensor:
    """Return a value as a tensor: numbers are float32 or int32 where no type is asked for."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, list | tuple) and _holds_tensors(value):
        kinds = [t.dtype for t in _tensors_in(value)]
        wanted = kinds[0] if dtype is None else dtype
        return rearrange.stacked(b, [tensor(b, item, wanted, what) for item in value])
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise UnsupportedError(f"{value!r} is no number")
    if dtype is None:
        dtype = {"f": np.float32, "b": np.bool_}.get(array.dtype.kind, np.int32)
    return b.const(array, dtype, what)


def _tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [found for item in value for found in _tensors_in(item)]
    return []


def _holds_tensors(value: Any) -> bool:
    return bool(_tensors_in(value))


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
            tensors = _tensors_in(item)
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


def ints(value: Any, what: str) -> list[int]:
    """Return whole numbers that have to be known; UnsupportedError where they are computed."""
    if isinstance(value, Tensor):
        if value.data is None:
            raise UnsupportedError(f"`{what}` is computed by the model; it has to be known")
        return [int(v) for v in value.data.reshape(-1)]
    return [int(v) for v in np.asarray(value).reshape(-1)]


def axes_of(axis: Any, rank: int) -> list[int]:
    """Return axes in [0, rank); None means all."""
    if axis is None:
        return list(range(rank))
    found: Sequence[int] = ints(axis, "axis")
    if any(not -rank <= a < rank for a in found):
        raise UnsupportedError(f"axis {axis} of a tensor of rank {rank}")
    return [a % rank for a in found]
