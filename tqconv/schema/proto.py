"""Message classes from our .proto text, in a pool of their own.

The private pool lets a process import TensorFlow, which registers messages of the same names.
"""

import re
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from tqconv.errors import FormatError
from tqconv.schema import files

M = TypeVar("M", bound=Message)

_Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    name: getattr(_Field, f"TYPE_{name.upper()}")
    for name in (
        *("double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool"),
        *("string", "bytes", "uint32", "sfixed32", "sfixed64", "sint32", "sint64"),
    )
}

_TOKEN = re.compile(r'//[^\n]*|\s+|(\w[\w.]*|"[^"]*"|[{}<>=;,])|(.)')


@cache
def messages(name: str = "tensorflow.proto") -> Any:
    """The message classes of a schema file as attributes; enums as name -> number dicts."""
    file = parse(files.text(name), f"tqconv/{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found: dict[str, Any] = {}
    for message in file.message_type:
        descriptor = pool.FindMessageTypeByName(f"{file.package}.{message.name}")
        found[message.name] = message_factory.GetMessageClass(descriptor)
    for enum in file.enum_type:
        found[enum.name] = {value.name: value.number for value in enum.value}
    return SimpleNamespace(**found)


def parse_binary(cls: type[M], data: bytes | memoryview, what: str) -> M:
    """The message in `data`. Raises FormatError naming the file, `what`, if it is none."""
    message = cls()
    try:
        message.ParseFromString(bytes(data))
    except DecodeError as error:
        problem = f"{what} is not a binary {message.DESCRIPTOR.name}: {error}"
        hint = "the file is truncated, damaged or of another kind"
        raise FormatError(problem, hint=hint) from error
    return message


def parse_text(cls: type[M], text: str, what: str) -> M:
    """The message written in protobuf text format; fields without use here are skipped.

    Raises FormatError naming the file, `what`, with line and column, if it is none.
    """
    from google.protobuf import text_format  # models as text are rare, and it is large

    message = cls()
    try:
        text_format.Parse(text, message, allow_unknown_field=True)
    except (text_format.ParseError, RecursionError, ValueError) as error:  # numbers out of range
        raise FormatError(f"{what} is not a {message.DESCRIPTOR.name} as text: {error}") from error
    if text.strip() and not message.ByteSize():
        raise FormatError(f"{what} has none of the fields of a {message.DESCRIPTOR.name}")
    return message


def parse_tree(cls: type[M], tree: Any, what: str) -> M:
    """The message that a dictionary of JSON stands for; fields without use here are skipped.

    Raises FormatError naming `what` if it stands for none.
    """
    from google.protobuf import json_format

    message = cls()
    try:
        json_format.ParseDict(tree, message, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError, AttributeError, TypeError) as error:
        raise FormatError(f"{what} is no {message.DESCRIPTOR.name}: {error}") from error
    return message


def parse(text: str, name: str) -> descriptor_pb2.FileDescriptorProto:
    """The file descriptor of proto3 text: messages, enums, oneofs, maps, `optional`, `repeated`.

    Raises ValueError with the text that is not understood. Types are left to the pool to resolve.
    """
    file = descriptor_pb2.FileDescriptorProto(name=name, syntax="proto3")
    tokens = _tokens(text)
    for word in tokens:
        if word == "package":
            file.package = _take(tokens)
            _expect(tokens, ";")
        elif word == "syntax":
            _expect(tokens, "=", '"proto3"', ";")
        elif word == "enum":
            _enum(tokens, file.enum_type.add())
        elif word == "message":
            _message(tokens, file.message_type.add())
        else:
            raise ValueError(f"expected a message or enum in {name}, found {word!r}")
    return file


def _tokens(text: str) -> Iterator[str]:
    for match in _TOKEN.finditer(text):
        if match[2]:
            raise ValueError(f"unexpected character: {text[match.start() : match.start() + 40]!r}")
        if match[1]:
            yield match[1]


def _take(tokens: Iterator[str]) -> str:
    return next(tokens, "the end of the text")


def _expect(tokens: Iterator[str], *words: str) -> None:
    for word in words:
        found = _take(tokens)
        if found != word:
            raise ValueError(f"expected {word!r}, found {found!r}")


def _number(tokens: Iterator[str]) -> int:
    """The rest of `name = number;`."""
    _expect(tokens, "=")
    number = int(_take(tokens))
    _expect(tokens, ";")
    return number


def _body(tokens: Iterator[str]) -> Iterator[str]:
    """The first words of the statements between braces; the caller takes the rest of each."""
    while (word := _take(tokens)) != "}":
        yield word


def _enum(tokens: Iterator[str], enum: descriptor_pb2.EnumDescriptorProto) -> None:
    enum.name = _take(tokens)
    _expect(tokens, "{")
    for name in _body(tokens):
        enum.value.add(name=name, number=_number(tokens))


def _message(tokens: Iterator[str], message: descriptor_pb2.DescriptorProto) -> None:
    message.name = _take(tokens)
    _expect(tokens, "{")
    for word in _body(tokens):
        if word == "message":
            _message(tokens, message.nested_type.add())
        elif word == "enum":
            _enum(tokens, message.enum_type.add())
        elif word == "oneof":
            message.oneof_decl.add(name=_take(tokens))
            _expect(tokens, "{")
            for type_name in _body(tokens):
                _field(tokens, message, type_name).oneof_index = len(message.oneof_decl) - 1
        elif word == "map":
            _map(tokens, message)
        elif word == "repeated":
            _field(tokens, message, _take(tokens)).label = _Field.LABEL_REPEATED
        elif word == "optional":
            _field(tokens, message, _take(tokens)).proto3_optional = True
        else:
            _field(tokens, message, word)
    # Presence in proto3 is a oneof of one field; these come after the written ones.
    for field in message.field:
        if field.proto3_optional:
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field.name}")


def _field(
    tokens: Iterator[str], message: descriptor_pb2.DescriptorProto, type_name: str
) -> descriptor_pb2.FieldDescriptorProto:
    name = _take(tokens)
    return _add(message, type_name, name, _number(tokens))


def _map(tokens: Iterator[str], message: descriptor_pb2.DescriptorProto) -> None:
    """A map is a repeated message of key and value."""
    _expect(tokens, "<")
    key = _take(tokens)
    _expect(tokens, ",")
    value = _take(tokens)
    _expect(tokens, ">")
    name = _take(tokens)
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    _add(entry, key, "key", 1)
    _add(entry, value, "value", 2)
    _add(message, entry.name, name, _number(tokens)).label = _Field.LABEL_REPEATED


def _add(
    message: descriptor_pb2.DescriptorProto, type_name: str, name: str, number: int
) -> descriptor_pb2.FieldDescriptorProto:
    field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
    if type_name in SCALARS:
        field.type = SCALARS[type_name]
    else:
        field.type_name = type_name
    return field
