"""Parse FlatBuffers IDL (.fbs) into tables of slots, types and defaults.

Understood: `enum`, `union`, `table`, `struct`, vectors, defaults, explicit enum values, and the
attributes `deprecated` and `force_align` (others are skipped, on enum members too).
"""

import re
from typing import Literal

from tqconv.records import dataclass

Kind = Literal["scalar", "string", "table", "struct", "union"]

CODES = {
    "bool": "?",
    "byte": "b",
    "int8": "b",
    "ubyte": "B",
    "uint8": "B",
    "short": "h",
    "int16": "h",
    "ushort": "H",
    "uint16": "H",
    "int": "i",
    "int32": "i",
    "uint": "I",
    "uint32": "I",
    "long": "q",
    "int64": "q",
    "ulong": "Q",
    "uint64": "Q",
    "float": "f",
    "float32": "f",
    "double": "d",
    "float64": "d",
}
"""IDL scalar type -> format character of the `struct` module, in its standard sizes."""

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_DECLARATION = re.compile(
    r"""\s*(?:
        (?P<kind>enum|union|table|struct) \s+ (?P<name>\w+) \s* (?: : \s* (?P<base>\w+) \s*)?
        (?: \([^)]*\) \s*)? \{ (?P<body>[^}]*) \}
      | (?P<directive>namespace|attribute|root_type|file_identifier|file_extension)
        \s+ "?(?P<value>[\w.]+)"? \s* ;
    )\s*""",
    re.X,
)
_ATTRIBUTES = r"(?: \s* \( (?P<attributes>[^)]*) \) )? \s*"
_MEMBER = re.compile(
    rf"\s* (?P<name>[\w.]+) (?: \s*=\s* (?P<value>-?\w+) )? {_ATTRIBUTES} (?:,|$)", re.X
)
_FIELD = re.compile(
    rf"""\s* (?P<name>\w+) \s*:\s* (?P<vector>\[)? \s* (?P<type>[\w.]+) \s* (?(vector)\])
    (?: \s*=\s* (?P<default>[-+\w.]+) )? {_ATTRIBUTES} ;\s*""",
    re.X,
)
_BLOCK_KINDS: tuple[Kind, ...] = ("union", "table", "struct")
_FORCE_ALIGN = re.compile(r"force_align\s*:\s*(\d+)")


@dataclass(frozen=True)
class Field:
    """One field of a table or struct. `type` is as written, of the elements if `vector`."""

    name: str
    kind: Kind
    type: str
    code: str  # `struct` format character of a scalar or an enum's base type, else ""
    slot: int  # position in the vtable; a union's tag sits one slot before its value
    vector: bool
    default: int | float | bool
    align: int  # of a vector's elements, when forced; else 0
    deprecated: bool


@dataclass(frozen=True)
class Table:
    """A table or struct; `fields` in slot order, the deprecated ones included."""

    name: str
    fields: tuple[Field, ...]
    slots: int


@dataclass(frozen=True, eq=False)
class Schema:
    """A parsed .fbs file. `enums` and `unions` map a name to its members and their numbers."""

    enums: dict[str, dict[str, int]]
    unions: dict[str, dict[str, int]]
    tables: dict[str, Table]
    structs: dict[str, Table]
    root: str
    identifier: str


def parse(text: str) -> Schema:
    """The schema written in `text`. Raises ValueError with the text that is not understood."""
    blocks, directives = _split(_COMMENT.sub(" ", text))
    enums = {name: _members(b["body"]) for name, b in blocks["enum"].items()}
    unions = {name: _members("NONE," + b["body"]) for name, b in blocks["union"].items()}
    types = _types(blocks)
    return Schema(
        enums,
        unions,
        {name: _table(block, types, enums) for name, block in blocks["table"].items()},
        {name: _table(block, types, enums) for name, block in blocks["struct"].items()},
        directives.get("root_type", ""),
        directives.get("file_identifier", ""),
    )


def _split(text: str) -> tuple[dict[str, dict[str, re.Match[str]]], dict[str, str]]:
    """The declarations by kind and name, and the directives."""
    blocks: dict[str, dict[str, re.Match[str]]] = {k: {} for k in ("enum", *_BLOCK_KINDS)}
    directives = {}
    at = 0
    while at < len(text):
        match = _DECLARATION.match(text, at)
        if match is None:
            raise ValueError(f"cannot read this schema text: {_excerpt(text, at)}")
        if match["kind"]:
            blocks[match["kind"]][match["name"]] = match
        else:
            directives[match["directive"]] = match["value"]
        at = match.end()
    return blocks, directives


def _types(blocks: dict[str, dict[str, re.Match[str]]]) -> dict[str, tuple[Kind, str]]:
    """Kind and format character of every type that a field may have."""
    types: dict[str, tuple[Kind, str]] = {name: ("scalar", code) for name, code in CODES.items()}
    types["string"] = ("string", "")
    for name, block in blocks["enum"].items():
        if block["base"] not in CODES:
            raise ValueError(f"enum {name} needs a scalar type, such as `{name}:byte`")
        types[name] = ("scalar", CODES[block["base"]])
    for kind in _BLOCK_KINDS:
        types |= {name: (kind, "") for name in blocks[kind]}
    return types


def _excerpt(text: str, at: int) -> str:
    return repr(" ".join(text[at : at + 60].split()))


def _members(body: str) -> dict[str, int]:
    """Members of an enum or union by name; one without a number follows its predecessor."""
    members = {}
    number = 0
    at = 0
    while at < len(body.rstrip()):
        match = _MEMBER.match(body, at)
        if match is None:
            raise ValueError(f"cannot read this enum member: {_excerpt(body, at)}")
        if match["value"]:
            number = int(match["value"], 0)
        members[match["name"]] = number
        number += 1
        at = match.end()
    return members


def _table(
    block: re.Match[str], types: dict[str, tuple[Kind, str]], enums: dict[str, dict[str, int]]
) -> Table:
    fields = []
    slot = 0
    body = block["body"].strip()
    at = 0
    while at < len(body):
        match = _FIELD.match(body, at)
        if match is None or match["type"] not in types:
            raise ValueError(f"cannot read this field of {block['name']}: {_excerpt(body, at)}")
        fields.append(_field(match, types[match["type"]], slot, enums.get(match["type"], {})))
        slot = fields[-1].slot + 1
        at = match.end()
    return Table(block["name"], tuple(fields), slot)


def _field(
    match: re.Match[str], kind: tuple[Kind, str], slot: int, members: dict[str, int]
) -> Field:
    attributes = match["attributes"] or ""
    align = _FORCE_ALIGN.search(attributes)
    return Field(
        name=match["name"],
        kind=kind[0],
        type=match["type"],
        code=kind[1],
        slot=slot + (kind[0] == "union"),
        vector=match["vector"] is not None,
        default=_default(match["default"], kind[1], members),
        align=int(align[1]) if align else 0,
        deprecated="deprecated" in attributes,
    )


def _default(text: str | None, code: str, members: dict[str, int]) -> int | float | bool:
    if text in members:
        return members[text]
    if code == "?":
        return text == "true"
    if code in ("f", "d"):
        return float(text or 0)
    return int(text or "0", 0)
