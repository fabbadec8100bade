"""Nodes of a TensorFlow graph, decoded from their messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, UnsupportedError, counted
from tqconv.importers.annotations import misfit
from tqconv.importers.borders import COMPUTED, FLOAT32
from tqconv.ir.arrays import repeated
from tqconv.ir.types import RESOURCE, STRING, VARIANT, numpy_name
from tqconv.records import dataclass
from tqconv.untrusted import whole

DTYPES: Mapping[int, np.dtype] = {
    1: FLOAT32,
    2: np.dtype(np.float64),
    3: np.dtype(np.int32),
    4: np.dtype(np.uint8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int8),
    7: STRING,
    8: np.dtype(np.complex64),
    9: np.dtype(np.int64),
    10: np.dtype(np.bool_),
    11: np.dtype(np.int8),
    12: np.dtype(np.uint8),
    13: np.dtype(np.int32),
    14: FLOAT32,
    15: np.dtype(np.int16),
    16: np.dtype(np.uint16),
    17: np.dtype(np.uint16),
    18: np.dtype(np.complex128),
    19: np.dtype(np.float16),
    20: RESOURCE,
    21: VARIANT,
    22: np.dtype(np.uint32),
    23: np.dtype(np.uint64),
}
"""DataType -> numpy; quantized types by their storage, bfloat16 (14) widened to float32."""

BFLOAT16 = 14
REF = 100
"""DataType of a reference is the type's number plus 100."""


class Ref(NamedTuple):
    """Output `index` of node `node`; `port` is the output argument's name inside functions."""

    node: str
    index: int = 0  # type: ignore[assignment]  # shadows tuple.index, which nobody calls
    port: str = ""

    def __str__(self) -> str:
        return self.node if self.index == 0 else f"{self.node}:{self.index}"


@dataclass(frozen=True)
class Node:
    """One node: operator, data inputs, control inputs, attributes as messages."""

    name: str
    op: str
    inputs: tuple[Ref, ...]
    controls: tuple[str, ...]
    attr: Mapping[str, Any]

    def attributes(self) -> dict[str, Any]:
        """Return all attributes as Python values; see `decode`."""
        return {name: decode(value) for name, value in self.attr.items()}

    def get(self, name: str, default: Any = None) -> Any:
        """Return one attribute as a Python value; FormatError where it is not of its `KINDS`."""
        if name not in self.attr:
            return default
        value = decode(self.attr[name])
        problem = misfit(KINDS.get(name, "Any"), value)
        if problem is not None:
            raise FormatError(f"the attribute `{name}` {problem}", where=f"{self.op} '{self.name}'")
        return value

    def constant_shape(self) -> tuple[int, ...] | None:
        """Return the shape of the constant `value` without reading it; None where there is none."""
        value = self.attr.get("value")
        if isinstance(value, np.ndarray):
            return value.shape
        if isinstance(value, Held):
            value = value.message
        if value is None or value.WhichOneof("value") != "tensor":
            return None
        return tuple(int(d.size) for d in value.tensor.tensor_shape.dim)


KINDS: Mapping[str, str] = {
    "_output_shapes": "list[Shape | None]",
    "_output_types": "list[TypeNumber]",
    "channels": "int",
    "data_format": "str",
    "delimiter": "str",
    "dense_shapes": "list[Shape | None]",
    "desired_channels": "int",
    "desired_samples": "int",
    "dtype": "TypeNumber",
    "f": "FunctionName",
    "key_dtype": "TypeNumber",
    "key_index": "int",
    "offset": "int",
    "output_shapes": "list[Shape | None]",
    "shape": "Shape | None",
    "shared_name": "str",
    "sparse_types": "list[TypeNumber]",
    "value": "ndarray",
    "value_dtype": "TypeNumber",
    "value_index": "int",
    "vocab_size": "int",
}
"""Attributes that mean the same for all operators, and are read outside of handlers -> their type
as the annotation of a handler's parameter would say it."""


def nodes_of(messages: Iterator[Any], ref: Callable[[str], Ref]) -> dict[str, Node]:
    """Return the nodes of a graph or function by name; FormatError when a name stands twice."""
    nodes: dict[str, Node] = {}
    for message in messages:
        if message.name in nodes:
            raise FormatError(f"two nodes are named '{message.name}'")
        data = [i for i in message.input if not i.startswith("^")]
        controls = [i[1:] for i in message.input if i.startswith("^")]
        nodes[message.name] = Node(
            message.name, message.op, tuple(map(ref, data)), tuple(controls), message.attr
        )
    return nodes


def graph_ref(text: str) -> Ref:
    """Read a reference of a GraphDef: `node` or `node:1`."""
    name, separator, index = text.rpartition(":")
    if separator and (output := whole(index)) is not None:
        return Ref(name, output)
    return Ref(text)


def function_ref(text: str) -> Ref:
    """Read a reference inside a function body: `argument` or `node:port:1`."""
    parts = text.rsplit(":", 2)
    if len(parts) == 3 and (output := whole(parts[2])) is not None:
        return Ref(parts[0], output, parts[1])
    return Ref(text)


def dtype_of(number: int) -> np.dtype:
    """Return the numpy type of a DataType; UnsupportedError for one without storage."""
    dtype = DTYPES.get(number - REF if number > REF else number)
    if dtype is None:
        raise UnsupportedError(f"data type {number} is not supported")
    return dtype


def computed_dtype(number: int) -> np.dtype:
    """Return the type that the converted model uses: double and half become float32."""
    dtype = dtype_of(number)
    return COMPUTED.get(dtype, dtype)


class TypeNumber(int):
    """A `type` attribute: the DataType number, told apart from an integer attribute."""

    @property
    def dtype(self) -> np.dtype:
        """The type that the converted model computes with."""
        return computed_dtype(int(self))


@dataclass(frozen=True)
class Held:
    """The attribute of a constant whose bytes stayed in the file; `message` lacks them."""

    message: Any
    content: memoryview

    def array(self) -> NDArray[Any]:
        """Return the constant as a view of the file."""
        return decode_tensor(self.message.tensor, self.content)


@dataclass(frozen=True)
class FunctionName:
    """A `func` attribute."""

    name: str
    attr: Mapping[str, Any]


def decode(value: Any) -> Any:
    """Return an AttrValue as a Python value; see the types in this module.

    An array stands for itself: what a checkpoint holds is not copied into a message.
    """
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Held):
        return value.array()
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    content = getattr(value, kind)
    if kind == "list":
        return _decode_list(content)
    decoder = _DECODERS[kind]
    return content if decoder is None else decoder(content)


def _decode_list(content: Any) -> list[Any]:
    for field, decoder in _DECODERS.items():
        items = getattr(content, field, ())
        if len(items):
            return list(items) if decoder is None else list(map(decoder, items))
    return []


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def decode_shape(message: Any) -> tuple[int | None, ...] | None:
    """Return a TensorShapeProto; None when even the rank is unknown."""
    if message.unknown_rank:
        return None
    return tuple(None if d.size < 0 else d.size for d in message.dim)


_VALUE_FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "uint16": "int_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
    "object": "string_val",
}
_LISTS = (*dict.fromkeys(_VALUE_FIELDS.values()), "half_val", "scomplex_val", "dcomplex_val")
TENSOR_LIMIT = 2**31
"""Bytes; a flatbuffer is not larger, and its offsets reach no further."""


def growth(value: Any) -> int:
    """Return the bytes that a constant (an AttrValue) takes beyond what its message holds.

    FormatError where its shape is not known or too large for any file.
    """
    if isinstance(value, (np.ndarray, Held)) or value.WhichOneof("value") != "tensor":
        return 0
    if value.tensor.tensor_content:
        return 0
    count, _, dtype = _extent(value.tensor)
    listed = sum(len(getattr(value.tensor, field)) for field in _LISTS)
    return (count - listed) * dtype.itemsize


def _extent(message: Any) -> tuple[int, int, np.dtype]:
    """Return how many elements a TensorProto has, the number of its type, and that type."""
    shape = decode_shape(message.tensor_shape)
    if shape is None:
        raise FormatError("a constant has an unknown shape")
    dims = [int(d) for d in shape if d is not None]
    if len(dims) < len(shape):
        raise FormatError("a constant has an unknown shape")
    kind = message.dtype - REF if message.dtype > REF else message.dtype
    dtype = dtype_of(kind)
    count = math.prod(dims)
    if count * dtype.itemsize > TENSOR_LIMIT:
        raise FormatError(f"a constant of shape {dims} is too large")
    return count, kind, dtype


def decode_tensor(message: Any, held: memoryview | None = None) -> NDArray[Any]:
    """Return a TensorProto as an array; FormatError when its content does not fill its shape.

    Fewer values than elements: the last one is repeated (TensorFlow's compression of constants).
    One value makes a view that repeats it. held: the content, where the message lacks it.
    """
    count, kind, dtype = _extent(message)
    dims = tuple(int(d.size) for d in message.tensor_shape.dim)
    content = message.tensor_content if held is None else held
    if content:
        return _from_content(content, kind, dtype, count).reshape(dims)
    values = _from_values(message, kind, dtype)
    if values.size > count:
        raise FormatError(f"a constant of shape {list(dims)} has {values.size} values")
    if values.size == 0:
        return repeated("" if dtype == STRING else 0, dims, dtype)
    if values.size == 1:
        return repeated(values[0], dims, dtype)
    if values.size < count:
        values = np.concatenate([values, np.full(count - values.size, values[-1], dtype)])
    return values.reshape(dims)


def _from_content(
    content: bytes | memoryview, kind: int, dtype: np.dtype, count: int
) -> NDArray[Any]:
    stored = np.dtype(np.uint16) if kind == BFLOAT16 else dtype
    if dtype == STRING or len(content) != count * stored.itemsize:
        raise FormatError(
            f"a {dtype.name} constant of {counted(count, 'element')} has "
            f"{counted(len(content), 'byte')} of content"
        )
    array = np.frombuffer(content, stored.newbyteorder("<"))
    return _widen_bfloat16(array) if kind == BFLOAT16 else array


def _from_values(message: Any, kind: int, dtype: np.dtype) -> NDArray[Any]:
    if kind in (BFLOAT16, 19):
        bits = np.array(message.half_val, np.int64).astype(np.uint16)
        return _widen_bfloat16(bits) if kind == BFLOAT16 else bits.view(np.float16)
    if dtype.kind == "c":
        field = message.scomplex_val if dtype.itemsize == 8 else message.dcomplex_val
        parts = np.array(field, np.float64)
        return (parts[0::2] + 1j * parts[1::2]).astype(dtype)
    field_name = _VALUE_FIELDS.get(numpy_name(dtype))
    if field_name is None:
        raise UnsupportedError(f"a constant of type {dtype} cannot be stored")
    values = list(getattr(message, field_name))
    if dtype == STRING:
        array = np.empty(len(values), object)
        array[:] = values
        return array
    return np.array(values, np.int64 if dtype.kind == "i" else None).astype(dtype)


def _widen_bfloat16(bits: NDArray[Any]) -> NDArray[Any]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


_DECODERS: Mapping[str, Callable[[Any], Any] | None] = {
    "s": _text,
    "i": None,
    "f": None,
    "b": None,
    "type": TypeNumber,
    "shape": decode_shape,
    "tensor": decode_tensor,
    "func": lambda message: FunctionName(message.name, message.attr),
    "placeholder": None,
}
"""What an AttrValue, or each item of its list, holds -> how it becomes a Python value."""
