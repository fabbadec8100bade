"""TensorFlow's operators as its registry defines them: what they read and make, and of which types.

The definitions are text, `schemas/tensorflow_ops.txt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import Node
from tqconv.records import dataclass
from tqconv.schema import files

TYPES = (
    *("invalid", "float32", "float64", "int32", "uint8", "int16", "int8", "string", "complex64"),
    *("int64", "bool", "qint8", "quint8", "qint32", "bfloat16", "qint16", "quint16", "uint16"),
    *("complex128", "float16", "resource", "variant", "uint32", "uint64"),
)
"""Names of types by their DataType."""
NUMBERS = {name: number for number, name in enumerate(TYPES)}
REF = 100
"""DataType of a reference is the type's number plus 100."""


MOST_TENSORS = 1 << 20
"""What an attribute may count; more is damage, and no list of them is made."""


@dataclass(frozen=True)
class Argument:
    """One input or output argument, which may stand for several tensors.

    type: a name of `TYPES`, or the attribute that holds the type. default: the attribute's. count:
    the attribute that counts the tensors; `*`: the attribute `type` lists one type for each.
    """

    name: str
    type: str
    default: str = ""
    count: str = ""

    def types(self, node: Node) -> list[int | None] | None:
        """Return the DataTypes of its tensors at a node; None: the node does not count them."""
        value = node.get(self.type)
        if self.count == "*":
            return [_number(v) for v in value] if isinstance(value, list) else None
        number = NUMBERS.get(self.type) or _number(value) or NUMBERS.get(self.default)
        length = node.get(self.count) if self.count else 1
        counted = isinstance(length, int) and 0 <= length <= MOST_TENSORS
        return [number] * length if counted else None


@dataclass(frozen=True)
class Definition:
    """What an operator reads and makes, in order."""

    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]


def definition(op: str) -> Definition | None:
    """Return an operator's definition; None for one that TensorFlow does not have."""
    line = _lines().get(op)
    return None if line is None else _parsed(line)


def output_type(node: Node, index: int) -> int | None:
    """Return the DataType of an output as definition and attributes say it, else None."""
    found = definition(node.op)
    if found is None:
        listed = node.get("_output_types")
        types = [_number(v) for v in listed] if isinstance(listed, list) else []
    else:
        types = _types(found.outputs, node)
    return types[index] if index < len(types) else None


def input_type(node: Node, position: int) -> int | None:
    """Return the DataType that a node's input `position` has by its definition, else None."""
    found = definition(node.op)
    types = [] if found is None else _types(found.inputs, node)
    return types[position] if position < len(types) else None


def output_count(node: Node) -> int | None:
    """Return how many tensors a node makes, or None where nothing says it."""
    found = definition(node.op)
    known = [] if found is None else [a.types(node) for a in found.outputs]
    lengths = [len(types) for types in known if types is not None]
    return sum(lengths) if found is not None and len(lengths) == len(known) else None


def first_output(node: Node, port: str) -> int:
    """Return the flat number of the first output that the argument `port` names.

    An operator without a definition has one output argument. Raises UnsupportedError for a name
    that the operator does not have.
    """
    found = definition(node.op)
    outputs = (Argument(port, ""),) if found is None else found.outputs
    names = [argument.name for argument in outputs]
    if len(names) == 1:
        return 0
    if port not in names:
        raise UnsupportedError(
            f"{node.op} '{node.name}' has no output `{port}`; it has {', '.join(names)}"
        )
    return len(_types(outputs[: names.index(port)], node))


def _types(arguments: Sequence[Argument], node: Node) -> list[int | None]:
    """Return the types of the tensors in order, up to an argument whose number is not known."""
    found: list[int | None] = []
    for argument in arguments:
        types = argument.types(node)
        if types is None:
            break
        found += types
    return found


def _number(value: object) -> int | None:
    """Return the DataType that an attribute holds, that of the value for a reference."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    number = int(value) - REF if value > REF else int(value)
    return number if 0 < number < len(TYPES) else None


@lru_cache(maxsize=1)
def _lines() -> Mapping[str, str]:
    lines = files.text("tensorflow_ops.txt").splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


@lru_cache(maxsize=512)
def _parsed(line: str) -> Definition:
    inputs, _, outputs = line.partition("->")
    return Definition(tuple(map(_argument, inputs.split())), tuple(map(_argument, outputs.split())))


def _argument(word: str) -> Argument:
    name, _, rest = word.partition(":")
    count, star, type = rest.rpartition("*")
    type, _, default = type.partition("=")
    return Argument(name, type, default, count or star)
