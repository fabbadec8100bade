"""Large constants of a GraphDef, found in its bytes before they are parsed: viewed, never copied.

A parsed message holds a copy of each constant, made from a copy of the file. What is found here
leaves the bytes that are parsed; the constants become views of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tqconv.importers.tf.node import Held, Node
from tqconv.records import dataclass

LARGE = 1 << 15
"""Bytes of a node from which its constant is taken out."""
NODE, NAME, ATTR, KEY, VALUE, TENSOR, CONTENT = 1, 1, 5, 1, 2, 8, 4
"""Numbers of the fields on the way from a GraphDef to the bytes of a constant."""
LEN = 2
"""The wire type of a field that begins with its length."""


class Odd(Exception):  # noqa: N818  (never leaves this page: the parser will say what is wrong)
    """The bytes are not what they should be."""


@dataclass(frozen=True)
class Rest:
    """What is left of a GraphDef, and the constants that were taken out, by the node's name."""

    graph: bytes | memoryview
    taken: Mapping[str, memoryview]

    def returned(self, nodes: dict[str, Node]) -> dict[str, Node]:
        """Return the parsed nodes with their constants."""
        given = dict(nodes)
        for name, content in self.taken.items():
            node = nodes[name]
            held = Held(node.attr["value"], content)
            given[name] = replace(node, attr={**node.attr, "value": held})
        return given


def taken_out(graph: memoryview) -> Rest:
    """Return a GraphDef without its large constants; all of it where something is not usual."""
    taken: dict[str, memoryview] = {}
    parts: list[bytes | memoryview] = []
    try:
        kept = 0
        for number, start, begin, end in _fields(graph):
            if number != NODE or end - begin < LARGE:
                continue
            found = _without_content(graph[begin:end])
            if found is None:
                continue
            name, content, rest = found
            if name in taken:
                raise Odd
            taken[name] = content
            parts += (graph[kept:start], b"".join([_tag(NODE), _varint(len(rest)), rest]))
            kept = end
        return Rest(b"".join([*parts, graph[kept:]]), taken) if taken else Rest(graph, {})
    except (Odd, UnicodeDecodeError):
        return Rest(graph, {})


def _without_content(node: memoryview) -> tuple[str, memoryview, bytes] | None:
    """Return a node's name, the bytes of its only constant, and the node without them."""
    name, places = "", []
    for number, start, begin, end in _fields(node):
        if number == NAME:
            name = str(node[begin:end], "utf-8")
        if number == ATTR and end - begin >= LARGE:
            places.append((start, begin, end))
    if len(places) != 1:
        return None
    ((start, begin, end),) = places
    path = [(number, b, e) for number, _, b, e in _fields(node[begin:end])]
    if [number for number, _, _ in path] != [KEY, VALUE]:
        return None
    (_, key, key_end), (_, value, value_end) = path
    entry = node[begin:end]
    if bytes(entry[key:key_end]) != b"value":
        return None
    tensor = _only(entry[value:value_end], TENSOR)
    if tensor is None:
        return None
    contents = [(s, b, e) for n, s, b, e in _fields(tensor) if n == CONTENT]
    if len(contents) != 1:
        return None
    ((at, content, content_end),) = contents
    left = bytes(tensor[:at]) + bytes(tensor[content_end:])
    made = _field(VALUE, _field(TENSOR, left))
    attr = _field(ATTR, _field(KEY, b"value") + made)
    return name, tensor[content:content_end], b"".join([node[:start], attr, node[end:]])


def _only(message: memoryview, number: int) -> memoryview | None:
    """Return the content of a message's only field, if it has this number."""
    found = [(n, b, e) for n, _, b, e in _fields(message)]
    if len(found) != 1 or found[0][0] != number:
        return None
    return message[found[0][1] : found[0][2]]


def _fields(message: memoryview) -> list[tuple[int, int, int, int]]:
    """Return number, start, and bounds of the content of each field that begins with its length."""
    found = []
    at, size = 0, len(message)
    while at < size:
        start, tag = at, message[at]
        tag, at = (tag, at + 1) if tag < 0x80 else _read(message, at)
        kind = tag & 7
        if kind == LEN:
            length = message[at] if at < size else 0x80
            length, at = (length, at + 1) if length < 0x80 else _read(message, at)
            begin, at = at, at + length
            found.append((tag >> 3, start, begin, at))
        elif kind == 0:
            _, at = _read(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise Odd
        if at > size:
            raise Odd
    return found


def _read(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of at most 10 bytes, and the place behind it."""
    result = 0
    for shift, byte in enumerate(bytes(message[at : at + 10])):
        result |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return result, at + shift + 1
    raise Odd


def _field(number: int, content: bytes) -> bytes:
    return _tag(number) + _varint(len(content)) + content


def _tag(number: int) -> bytes:
    return _varint(number << 3 | LEN)


def _varint(number: int) -> bytes:
    made = bytearray()
    while number >= 0x80:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)
