"""The parser of FlatBuffers IDL."""

import pytest

from tqconv.schema import fbs

TEXT = """
namespace sample;  // skipped
attribute "priority";
file_identifier "SMPL";
enum Color:ubyte (bit_flags) { RED = 1, GREEN, BLUE (deprecated), BLACK = 0x10 (priority: 2), GRAY }
struct Point { x:float; y:float; }
/* a union's
   tag takes a slot */
union Shape { Circle, Square = 5, Line }
table Circle { radius:double = 1.5; }
table Square {}
table Line { from:Point; to:Point (deprecated); name:string; }
table Drawing {
  color:Color = BLUE; old:int (deprecated); shape:Shape; names:[string]; on:bool = true;
  raw:[ubyte] (force_align: 16); parts:[Line]; count:ulong = 0xff; low:int8 = -3;
}
root_type Drawing;
"""


@pytest.fixture
def schema():
    return fbs.parse(TEXT)


def test_members_follow_their_predecessor(schema):
    assert schema.enums["Color"] == {"RED": 1, "GREEN": 2, "BLUE": 3, "BLACK": 16, "GRAY": 17}
    assert schema.unions["Shape"] == {"NONE": 0, "Circle": 1, "Square": 5, "Line": 6}


def test_directives(schema):
    assert (schema.root, schema.identifier) == ("Drawing", "SMPL")


def test_a_union_takes_two_slots(schema):
    slots = {field.name: field.slot for field in schema.tables["Drawing"].fields}
    assert slots == {
        **{"color": 0, "old": 1, "shape": 3, "names": 4, "on": 5},
        **{"raw": 6, "parts": 7, "count": 8, "low": 9},
    }
    assert schema.tables["Drawing"].slots == 10


def test_types_and_defaults(schema):
    found = {
        field.name: (field.kind, field.type, field.code, field.vector, field.default, field.align)
        for field in schema.tables["Drawing"].fields
    }
    assert found == {
        "color": ("scalar", "Color", "B", False, 3, 0),
        "old": ("scalar", "int", "i", False, 0, 0),
        "shape": ("union", "Shape", "", False, 0, 0),
        "names": ("string", "string", "", True, 0, 0),
        "on": ("scalar", "bool", "?", False, True, 0),
        "raw": ("scalar", "ubyte", "B", True, 0, 16),
        "parts": ("table", "Line", "", True, 0, 0),
        "count": ("scalar", "ulong", "Q", False, 255, 0),
        "low": ("scalar", "int8", "b", False, -3, 0),
    }
    assert schema.tables["Circle"].fields[0].default == 1.5


def test_structs_and_deprecated_fields(schema):
    assert [field.name for field in schema.structs["Point"].fields] == ["x", "y"]
    assert [(f.kind, f.deprecated) for f in schema.tables["Line"].fields] == [
        ("struct", False),
        ("struct", True),
        ("string", False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("table T { a:int b:int; }", "field of T: 'a:int b:int;'"),
        ("table T { a:Missing; }", "field of T: 'a:Missing;'"),
        ("table T { a:[int; }", "field of T"),
        ("table T { a:int;", "schema text: 'table T"),
        ("enum E:byte { A B }", "enum member: 'A B'"),
        ("enum E { A }", "enum E needs a scalar type"),
        ("rpc_service S {}", "schema text: 'rpc_service"),
    ],
)
def test_what_is_not_understood_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        fbs.parse(text)
